"""Specs of the metrics on other networks' features; importing this module costs nothing."""

from __future__ import annotations

from vpbench.api.specs import MetricSpec
from vpbench.kit.pretrained import EFFICIENTNET_LITE0
from vpbench.metrics.networks.pretrained import (
    ALEXNET,
    INCEPTION,
    VGG16,
    VIDEOMAE,
    VJEPA,
    VJEPA_PROBE,
)

_CHONG = (
    "Chong, Forsyth: Effectively Unbiased FID and Inception Score and Where to Find Them, CVPR 2020"
)

FID = MetricSpec(
    name="fid",
    factory="vpbench.metrics.networks.frame_distance:Fid",
    summary="Frechet distance of Inception features of single frames (@infinity: extrapolated to "
    "infinitely many clips)",
    kind="set",
    direction="down",
    unit="",
    version=1,
    default=False,
    recipes=("plain", "infinity"),
    min_clips=2,
    weights=(INCEPTION,),
    params={"recipe": "plain"},
    citation="Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter: GANs Trained by a Two Time-Scale "
    f"Update Rule Converge to a Local Nash Equilibrium, NeurIPS 2017; {_CHONG}",
)

FD_EFFICIENTNET = MetricSpec(
    name="fd-efficientnet",
    factory="vpbench.metrics.networks.frame_distance:FdEfficientNet",
    summary="Frechet distance of EfficientNet-Lite0 features of single frames; not FID",
    kind="set",
    direction="down",
    unit="",
    version=1,
    default=False,
    recipes=("plain", "infinity"),
    min_clips=2,
    weights=(EFFICIENTNET_LITE0,),
    params={"recipe": "plain"},
    citation="Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, "
    f"ICML 2019; {_CHONG}",
)

_BEST = ("best3", "best5", "best10", "best20", "best100")

LPIPS = MetricSpec(
    name="lpips",
    factory="vpbench.metrics.networks.perceptual:Lpips",
    summary="learned perceptual distance of frames, version 0.1 on AlexNet (@vgg: on VGG16)",
    kind="clip",
    direction="down",
    unit="",
    version=1,
    default=False,
    recipes=("alex", "vgg", *_BEST),
    weights=(
        *(ALEXNET.needed_when(recipe=recipe) for recipe in ("alex", *_BEST)),
        VGG16.needed_when(recipe="vgg"),
    ),
    params={"recipe": "alex"},
    citation="Zhang, Isola, Efros, Shechtman, Wang: The Unreasonable Effectiveness of Deep "
    "Features as a Perceptual Metric, CVPR 2018",
)

JEDI = MetricSpec(
    name="jedi",
    factory="vpbench.metrics.networks.clip_distance:Jedi",
    summary="100 x unbiased kernel distance of V-JEPA features (@published: with its bias)",
    kind="set",
    direction="down",
    unit="",
    version=1,
    default=False,
    recipes=("unbiased", "published"),
    min_frames=2,
    min_clips=2,
    weights=(VJEPA, VJEPA_PROBE),
    params={"recipe": "unbiased"},
    citation="Luo, Favero, Luo, Jolicoeur-Martineau, Pal: Beyond FVD: Enhanced Evaluation Metrics "
    "for Video Generation Quality, ICLR 2025",
)

_GE = (
    "Ge, Mahapatra, Parmar, Zhu, Huang: On the Content Bias in Frechet Video Distance, CVPR 2024; "
    "Wang et al.: VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking, CVPR 2023"
)

FVD_VIDEOMAE = MetricSpec(
    name="fvd-videomae",
    factory="vpbench.metrics.networks.clip_distance:FvdVideoMae",
    summary="content-debiased FVD: Frechet distance of VideoMAE v2 features",
    kind="set",
    direction="down",
    unit="",
    version=1,
    default=False,
    min_frames=2,
    min_clips=2,
    weights=(VIDEOMAE,),
    citation=_GE,
)

KVD_VIDEOMAE = MetricSpec(
    name="kvd-videomae",
    factory="vpbench.metrics.networks.clip_distance:KvdVideoMae",
    summary="unbiased kernel distance of VideoMAE v2 features; for few clips",
    kind="set",
    direction="down",
    unit="",
    version=1,
    default=False,
    min_frames=2,
    min_clips=2,
    weights=(VIDEOMAE,),
    citation=_GE,
)

BUILTIN = (FID, FD_EFFICIENTNET, LPIPS, JEDI, FVD_VIDEOMAE, KVD_VIDEOMAE)
"""Metrics of this package that need networks which are fetched, or brought, by request."""
