"""`latent-flow` as vpbench sees it: parameters, presets, stages; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

from vpbench.api import Capabilities, Checkpoint, Effort, MethodSpec, StageSpec
from vpbench.api.specs import Value

PARAMS: dict[str, Value] = {
    "pool": 8,
    "precision": "bf16",
    "rate": 1e-3,
    "width": 24,
    "latent": 8,
    "codec_steps": 6000,
    "codec_batch": 32,
    "label": "on",
    "hidden": 256,
    "depth": 4,
    "tube": 2,
    "dropout": 0.1,
    "steps": 10_000,
    "batch": 64,
    "sampler_steps": 5,
    "guidance": 1.0,
}
"""Every parameter with its value in preset `gpu`.

pool: windows of each training clip that stay on the device; 0 reads each batch when it is needed.
precision: "fp32", or "bf16" for the layers of the networks in training.
rate: highest learning rate, of both stages.
width, latent: channels of the codec at half the size, and of a code, at an eighth of the size.
codec_steps, codec_batch: of the codec; a batch has four frames of each clip.
label: "on", or "off" for a model that never sees a class.
hidden, depth, tube: width and blocks of the transformer, frames in one of its tokens.
dropout, steps, batch: of the training of the transformer.
sampler_steps: steps of Heun's rule from noise to codes; each asks the transformer twice.
guidance: 1 is the plain model; else the velocity is carried from that without a label towards that
    with one by this factor (classifier-free guidance), at twice the cost.
"""

_CPU = {"width": 16, "codec_steps": 3000, "codec_batch": 4, "hidden": 160, "tube": 4}
_SMOKE = {"width": 4, "latent": 4, "codec_steps": 12, "codec_batch": 2, "hidden": 32, "depth": 1}
PRESETS: dict[str, Mapping[str, Value]] = {
    "gpu": {},
    "cpu": {"pool": 0, **_CPU, "dropout": 0.0, "steps": 4500, "batch": 8},
    "smoke": {"precision": "fp32", "pool": 2, **_SMOKE, "steps": 12, "batch": 2},
}
"""`gpu` takes minutes on one GPU, `cpu` half an hour, `smoke` seconds and is never comparable."""

_CODEC = ("pool", "precision", "rate", "width", "latent", "codec_steps", "codec_batch")
_FLOW = ("label", "hidden", "depth", "tube", "dropout", "steps", "batch")
STAGES = (
    StageSpec("codec", params=_CODEC),
    StageSpec("flow", needs=("codec",), params=(*_CODEC, *_FLOW)),
)
"""The transformer learns codes of the finished codec. Sampling may change without a training."""

SPEC = MethodSpec(
    "latent-flow",
    "vpbench_baselines.latent_flow.method:LatentFlow",
    "end-to-end reference: codes of all future frames at once by flow matching with a transformer, "
    "from one image and a label",
    capabilities=Capabilities(
        (1, 1), "optional", "no", True, size_multiple=8, min_size=32, trainable=True, memory_gib=3.0
    ),
    citation="Own design after Lipman et al.: Flow Matching for Generative Modeling, ICLR 2023; "
    "Liu, Gong, Liu: Flow Straight and Fast, ICLR 2023; Peebles, Xie: Scalable Diffusion Models "
    "with Transformers, ICCV 2023",
    licence="Apache-2.0",
    effort={
        "gpu": Effort(16_000),
        "cpu": Effort(7_500, cpu_hours=0.5),
        "smoke": Effort(24, cpu_hours=0.003),
    },
    params=PARAMS,
    overrides={"label=off": {"label": "no"}},
    stages=STAGES,
    presets=PRESETS,
    default_preset=((64, "cpu"), (None, "gpu")),
    checkpoints=(
        Checkpoint("codec", "50411b2b9495e682", "checkpoints/latent-flow.codec-50411b2b9495e682"),
        Checkpoint("flow", "e7c335d578c6aada", "checkpoints/latent-flow.flow-e7c335d578c6aada"),
    ),
    trials=2,
)
"""Bundled for puppets: preset cpu. One trial is the training of what is bundled, the other one, of
preset gpu, did not come to its end."""
