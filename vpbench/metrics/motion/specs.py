"""Specs of the metrics of motion; importing this module costs nothing."""

from __future__ import annotations

from vpbench.api.specs import MetricSpec

MOTION = MetricSpec(
    name="motion",
    factory="vpbench.metrics.motion.metric:Motion",
    summary="W1 distance of the speeds of pixels from real ones (@static: of the share of clips "
    "that stand still; @warp: of the error of warping)",
    kind="set",
    direction="down",
    unit="%",
    version=1,
    default=False,
    recipes=("speed", "static", "warp"),
    min_frames=3,
    min_clips=2,
    params={"recipe": "speed"},
    citation="Farneback: Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003",
)

MOTION_MMD = MetricSpec(
    name="motion-mmd",
    factory="vpbench.metrics.motion.metric:MotionMmd",
    summary="kernel distance of velocities and accelerations of tracked points; no network",
    kind="set",
    direction="down",
    unit="",
    version=1,
    default=False,
    min_frames=3,
    min_clips=2,
    citation="Liu et al.: Frechet Video Motion Distance, arXiv:2407.16124 2024",
)

BUILTIN = (MOTION, MOTION_MMD)
"""Metrics of this package that compare how things move."""
