"""Specs of the metrics on single frames; importing this module costs nothing."""

from __future__ import annotations

from dataclasses import replace

from vpbench.api.specs import MetricSpec
from vpbench.metrics.networks.pretrained import ALEXNET

_BEST = ("best3", "best5", "best10", "best20", "best100")
"""Numbers of samples in papers on stochastic prediction."""

PSNR = MetricSpec(
    name="psnr",
    factory="vpbench.metrics.frames:Psnr",
    summary="peak signal-to-noise ratio of a clip's mean squared error (@frames: mean of frames')",
    kind="clip",
    direction="up",
    unit="dB",
    version=2,
    recipes=("frames", *_BEST),
)

SSIM = MetricSpec(
    name="ssim",
    factory="vpbench.metrics.frames:Ssim",
    summary="structural similarity, Gaussian window of 11 px, valid region",
    kind="clip",
    direction="up",
    unit="",
    version=1,
    recipes=_BEST,
    citation="Wang, Bovik, Sheikh, Simoncelli: Image Quality Assessment: From Error Visibility to "
    "Structural Similarity, IEEE Transactions on Image Processing 13(4) 2004",
)

DIVERSITY = MetricSpec(
    name="diversity",
    factory="vpbench.metrics.diversity:Diversity",
    summary="mean difference of two samples of one clip, in pixels (@lpips: in LPIPS); needs "
    "--samples 2 or more",
    kind="clip",
    direction="up",
    unit="%",
    version=1,
    default=False,
    expected_failures={
        "optimum": "samples that all equal the truth are not diverse: it says nothing about quality"
    },
)

DIVERSITY_LPIPS = replace(
    DIVERSITY,
    name="diversity-lpips",
    factory="vpbench.metrics.networks.diversity:LpipsDiversity",
    summary="mean LPIPS (AlexNet) of two samples of one clip; needs --samples 2 or more",
    unit="",
    weights=(ALEXNET,),
)

BUILTIN = (PSNR, SSIM, DIVERSITY, DIVERSITY_LPIPS)
"""Metrics of this package that look at each predicted clip frame by frame."""
