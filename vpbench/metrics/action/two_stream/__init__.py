"""The two-stream recogniser of Simonyan and Zisserman (NeurIPS 2014): frames and optical flow."""
