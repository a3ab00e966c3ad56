"""Pretrained weights: what is known, where it comes from, and the proof that it is the right file.

`registry` lists the files as data, `fetch` finds or downloads one and converts it once to
safetensors, `i3d` proves the network of the Frechet video distance tensor by tensor.
"""
