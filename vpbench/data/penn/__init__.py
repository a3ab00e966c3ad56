"""Penn Action as it is distributed: `frames/NNNN/NNNNNN.jpg` and `labels/NNNN.mat`.

Format: https://github.com/dreamdragon/PennAction; Zhang, Zhu and Derpanis, "From Actemes to
Action: A Strongly-supervised Representation for Detailed Action Understanding", ICCV 2013.
"""
