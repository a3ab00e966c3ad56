"""The pretrained files of these metrics; importing this module costs nothing."""

from __future__ import annotations

from vpbench.api.specs import HttpsSource, OwnSource, WeightSpec

INCEPTION = WeightSpec(
    name="inception-fid",
    sources=(
        HttpsSource(
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
            "pt_inception-2015-12-05-6726825d.pth",
            limit=100_000_000,  # its publisher names no size
        ),
        HttpsSource(
            "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
            limit=100_000_000,
        ),
    ),
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    licence="Apache-2.0",
    size=95_600_000,
    format="torch",
    label="Inception (FID)",
    files=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
    note="TensorFlow's Inception of 2015 with 1008 outputs, as pytorch-fid converted it",
)

ALEXNET = WeightSpec(
    name="alexnet",
    sources=(HttpsSource("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),),
    # its publisher names the first 8 digits; all of them as many projects have pinned them
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    licence="BSD-3-Clause (torchvision)",
    size=244_408_911,
    format="torch",
    label="AlexNet",
    files=("alexnet-owt-7be5be79.pth",),
    note="ImageNet; the trunk of LPIPS",
)

VGG16 = WeightSpec(
    name="vgg16",
    sources=(HttpsSource("https://download.pytorch.org/models/vgg16-397923af.pth"),),
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    licence="BSD-3-Clause (torchvision)",
    size=553_433_881,
    format="torch",
    label="VGG16",
    files=("vgg16-397923af.pth",),
    note="ImageNet; the trunk of LPIPS-VGG",
)

VJEPA = WeightSpec(
    name="vjepa-vith16",
    sources=(OwnSource("https://dl.fbaipublicfiles.com/jepa/vith16/vith16.pth.tar"),),
    sha256="",
    licence="CC-BY-NC-4.0",
    size=10_400_000_000,
    format="torch",
    label="V-JEPA",
    files=("vith16.pth.tar",),
    part="target_encoder",
    note="ViT-H/16 at 224 px; only its target encoder, 2.5 GB, is kept",
)

VJEPA_PROBE = WeightSpec(
    name="vjepa-vith16-ssv2",
    sources=(OwnSource("https://dl.fbaipublicfiles.com/jepa/vith16/ssv2-probe.pth.tar"),),
    sha256="",
    licence="CC-BY-NC-4.0",
    size=0,
    format="torch",
    label="V-JEPA probe",
    files=("ssv2-probe.pth.tar",),
    part="classifier",
    note="attentive probe of Something-Something v2 for vjepa-vith16",
)

_INTERNVIDEO = "https://huggingface.co/OpenGVLab/InternVideoMAE_models"

VIDEOMAE = WeightSpec(
    name="videomae-v2-g",
    sources=(HttpsSource(f"{_INTERNVIDEO}/resolve/main/mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth"),),
    sha256="5a210a92f035dff30c53b46157b612e7a1a5d3c99700e1b2d71da5c399ca7e70",
    licence="as its publisher states",
    size=2_023_804_201,
    format="torch",
    label="VideoMAE v2",
    files=("vit_g_hybrid_pt_1200e_ssv2_ft.pth",),
    part="module",
    terms=f"those of {_INTERNVIDEO}",
    note="ViT-g/14, pretrained on unlabelled videos, fine-tuned on Something-Something v2",
)
