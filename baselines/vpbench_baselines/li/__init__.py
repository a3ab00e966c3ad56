"""`li`: flow-grounded prediction from a still image, rewritten.

Li, Fang, Yang, Wang, Lu and Yang, ECCV 2018. A conditional variational auto-encoder with
convolutions over time draws the optical flow of sixteen frames from one image and one random code;
a second network redraws the image, warped by each flow in turn, from its own last result. The two
are trained apart, on the flow of a third party (the teacher). No labels, no poses.

Where this differs from the authors' code is listed in `spec.DEVIATIONS`.
"""
