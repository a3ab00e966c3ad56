"""`latent-flow`: an end-to-end reference of today, from one image and a label.

A small autoencoder codes each frame as what changed since the given one; a transformer learns the
velocity that carries noise to the codes of all future frames at once (flow matching), and a few
steps along it draw a future. No poses, no optical flow, no pretrained weights.
"""
