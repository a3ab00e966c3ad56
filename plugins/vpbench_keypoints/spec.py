"""What vpbench knows of 'ours' before it is imported: parameters, presets, stages, parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from vpbench.api import (
    Capabilities,
    Checkpoint,
    ComponentSpec,
    Effort,
    MethodSpec,
    StageSpec,
    TrainingCost,
)
from vpbench.kit import EFFICIENTNET_LITE0, VGG16_HED, VGG19

Value = str | int | float | bool

_CITATION = (
    "Yunji Kim, Seonghyeon Nam, In Cho, Seon Joo Kim: Unsupervised Keypoint Learning for Guiding "
    "Class-Conditional Video Prediction, NeurIPS 2019"
)
_LICENCE = "Apache-2.0; written from the paper, no code of its authors"
_HOME = "vpbench_keypoints"
_BUNDLED = "checkpoints/ours"

DETECTOR: Mapping[str, Value] = {
    "n_keypoints": 40,
    "detector_width": 32,
    "detector_decoder": 128,
    "soft_argmax": "marginal",
    "temperature": 1.0,
    "bn_momentum": 0.001,
}
"""Q. The values here are the paper's; presets reduce them."""

TRANSLATOR: Mapping[str, Value] = {
    "n_keypoints": 40,
    "translator_width": 32,
    "translator_decoder": 256,
    "reference_keypoints": True,
    "mask": True,
    "skips": False,
    "bn_momentum": 0.001,
    "image_discriminator": 64,
    "image_discriminator_depth": 6,
    "perceptual": "vgg19",
    "perceptual_weight": 1.0,
    "adversarial_weight": 1.0,
    "adversarial_start": 0.0,
    "pixel_weight": 0.0,
    "changed_weight": 0.0,
    "equivariance_weight": 0.0,
    "wide_maps": 0.0,
    "pair_gap": "8-11-wrap",
    "augment": "paper",
    "steps": 500000,
    "batch": 32,
    "rate": 1e-4,
    "discriminator_rate": 1e-4,
    "schedule": "exponential",
    "precision": "fp32",
}
"""T, D_im and the training of the first stage."""

MOTION: Mapping[str, Value] = {
    "n_keypoints": 40,
    "label": True,
    "motion_hidden": 1024,
    "motion_latent": 64,
    "motion_inlet": 32,
    "residual": False,
    "relu_heads": False,
    "kl_weight": 1.0,
    "sequence_adversarial_weight": 2.0,
    "motion_augment": "paper",
    "motion_steps": 100000,
    "motion_batch": 32,
    "motion_rate": 1e-4,
    "motion_schedule": "exponential",
}
"""M, D_seq and the training of the second stage."""

_CPU: Mapping[str, Value] = {
    "n_keypoints": 32,
    "detector_width": 16,
    "detector_decoder": 64,
    "soft_argmax": "plane",
    "temperature": 0.1,
    "bn_momentum": 0.1,
    "translator_width": 16,
    "translator_decoder": 128,
    "image_discriminator": 16,
    "image_discriminator_depth": 4,
    "perceptual": "efficientnet-lite0",
    "perceptual_weight": 0.02,
    "adversarial_weight": 0.01,
    "adversarial_start": 0.6,
    "pixel_weight": 1.0,
    "changed_weight": 20.0,
    "equivariance_weight": 0.5,
    "wide_maps": 0.4,
    "pair_gap": "1-16",
    "augment": "light",
    "steps": 7000,
    "batch": 16,
    "rate": 2e-3,
    "discriminator_rate": 5e-4,
    "schedule": "cosine",
    "precision": "bf16",
    "motion_hidden": 320,
    "motion_latent": 16,
    "motion_augment": "light",
    "motion_steps": 4000,
    "motion_rate": 1e-3,
    "motion_schedule": "cosine",
}

_SMOKE: Mapping[str, Value] = {
    **_CPU,
    "n_keypoints": 10,
    "detector_width": 4,
    "detector_decoder": 16,
    "translator_width": 4,
    "translator_decoder": 16,
    "image_discriminator": 4,
    "perceptual": "none",
    "adversarial_start": 0.25,
    "steps": 8,
    "batch": 4,
    "motion_hidden": 16,
    "kl_weight": 5.0,  # the training probes of bundled stages were made with it
    "motion_latent": 4,
    "motion_steps": 8,
    "motion_batch": 8,
    "precision": "fp32",
}

_GPU: Mapping[str, Value] = {
    **_CPU,
    "augment": "light-resident",
    "steps": 5000,
    "batch": 64,
    "motion_augment": "light-resident",
    "motion_steps": 6000,
    "motion_batch": 64,
}
"""The networks of preset cpu, on clips that lie on the device."""

_PLUS: Mapping[str, Value] = {**_GPU, "skips": True, "residual": True}

FLOW: Mapping[str, Value] = {
    "n_keypoints": 40,
    "label": True,
    "components": 64,
    "width": 192,
    "blocks": 4,
    "dropout": 0.3,
    "pose_noise": 0.05,
    "sampling_steps": 20,
    "motion_augment": "turned-resident",
    "steps": 100000,
    "batch": 256,
    "rate": 1e-3,
}
"""The motion component `flow-matching` and its training."""

_FLOW_CPU: Mapping[str, Value] = {"n_keypoints": 32, "steps": 4000}
_FLOW_GPU: Mapping[str, Value] = {"n_keypoints": 32, "steps": 8000}
FLOW_PRESETS: Mapping[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": _FLOW_CPU,
    "gpu": _FLOW_GPU,
    "plus": _FLOW_GPU,
    "smoke": {
        "n_keypoints": 10,
        "components": 8,
        "width": 16,
        "blocks": 1,
        "sampling_steps": 4,
        "steps": 8,
        "batch": 8,
    },
}

NOTES: Mapping[str, str] = {
    "soft_argmax=plane": "learning aid: plane soft-argmax; gain -0.09 dB, joint error +0.15",
    "wide_maps=0.4": "learning aid: wide gaussians first; gain -0.07 dB, joint error +0.01",
    "changed_weight=20": "learning aid: pixel loss on changed pixels; gain +0.82 dB, joint "
    "error -0.01",
    "equivariance_weight=0.5": "learning aid: equivariance; gain -0.13 dB, joint error +0.03",
    "kl_weight=5": "KL weight 5 (paper 1): the asked-for label is seen in 74 % of validation "
    "paths under wrong labels, 43 % without",
    "perceptual=efficientnet-lite0": "perceptual loss on EfficientNet-Lite0 (paper: VGG-19)",
}
"""Beside every row. Effects of learning aids: with minus without, one seed, 300 steps, 16
keypoints, validation (`benchmarks/learning_aids.py`); joint errors are parts of the mean pose's."""

PARAMS: Mapping[str, Value] = {**DETECTOR, **TRANSLATOR, **MOTION}
PRESETS: Mapping[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": _CPU,
    "gpu": _GPU,
    "plus": _PLUS,
    "smoke": _SMOKE,
}


def _presets(own: Mapping[str, Value]) -> Mapping[str, Mapping[str, Value]]:
    """The presets of one part: what of each concerns it."""
    return {name: {k: v for k, v in values.items() if k in own} for name, values in PRESETS.items()}


_IMAGES = Capabilities(size_multiple=8, min_size=16)
_SPACE = ("n_keypoints", "unsupervised keypoints of Kim et al. 2019")


def _part(
    slot: Literal["detector", "motion", "translator"],
    factory: str,
    stage: str,
    summary: str,
    own: Mapping[str, Value],
    **more: Any,
) -> ComponentSpec:
    """One of the method's own components."""
    return ComponentSpec(
        f"ours-{slot}",
        slot,
        f"{_HOME}.{factory}",
        summary,
        space=_SPACE,
        trained_by=f"ours:{stage}",
        citation=_CITATION,
        licence=_LICENCE,
        params=own,
        presets=_presets(own),
        notes={rule: text for rule, text in NOTES.items() if rule.partition("=")[0] in own},
        **more,
    )


KEYPOINT_DETECTOR = _part(
    "detector",
    "detector:KeypointDetector",
    "keypoints",
    "U-Net and soft-argmax; trained without labels, together with a translator",
    DETECTOR,
    capabilities=_IMAGES,
)

KEYPOINT_TRANSLATOR = _part(
    "translator",
    "translator:KeypointTranslator",
    "keypoints",
    "redraws an image at other keypoints and keeps the background through a mask",
    TRANSLATOR,
    capabilities=_IMAGES,
    weights=tuple(
        network.needed_when(perceptual=network.name)
        for network in (EFFICIENTNET_LITE0, VGG16_HED, VGG19)
    ),
)

KEYPOINT_MOTION = _part(
    "motion",
    "motion:KeypointMotion",
    "motion",
    "conditional variational auto-encoder of keypoint paths, with a sequence discriminator",
    MOTION,
    capabilities=Capabilities(label="optional", stochastic=True),
    overrides={"label=off": {"label": "no"}},
)

FLOW_MATCHING = ComponentSpec(
    name="flow-matching",
    slot="motion",
    factory=f"{_HOME}.flow_motion:FlowMotion",
    summary="paths of keypoints by flow matching, given the first keypoints and the class",
    space=_SPACE,
    capabilities=Capabilities(label="optional", stochastic=True, trainable=True),
    overrides={"label=off": {"label": "no"}},
    trained_by="self",
    citation="Yaron Lipman, Ricky T. Q. Chen, Heli Ben-Hamu, Maximilian Nickel, Matt Le: Flow "
    "Matching for Generative Modeling, ICLR 2023",
    licence="Apache-2.0",
    params=FLOW,
    presets=FLOW_PRESETS,
)
"""Not part of Kim et al. 2019: a stronger model of motion in the slot of theirs."""

METHOD = MethodSpec(
    name="ours",
    factory=f"{_HOME}.method:KeypointMethod",
    summary="unsupervised keypoints guide the prediction (Kim et al. 2019), written anew",
    capabilities=Capabilities((1, 1), trainable=True, size_multiple=8, min_size=16, memory_gib=4.0),
    citation=_CITATION,
    licence=_LICENCE,
    stages=(
        StageSpec("keypoints", 1, ("detector", "translator")),
        StageSpec("labels", 1, (), ("keypoints",), "labels"),
        StageSpec("motion", 1, ("motion",), ("labels",)),
    ),
    slots={"detector": "ours-detector", "motion": "ours-motion", "translator": "ours-translator"},
    effort={
        "paper": Effort(600_000),
        "cpu": Effort(11_000, cpu_hours=0.88),
        "gpu": Effort(11_000, gpu_hours=0.14),
        "plus": Effort(11_000),
        "smoke": Effort(16, cpu_hours=0.003),
    },
    params=PARAMS,
    presets=PRESETS,
    default_preset=((64, "gpu"), (None, "paper")),
    checkpoints=(
        Checkpoint("keypoints", "84195b8265fb3a16", f"{_BUNDLED}.keypoints-84195b8265fb3a16"),
        Checkpoint("motion", "b29bee8168095295", f"{_BUNDLED}.motion-b29bee8168095295"),
        Checkpoint("motion", "360ce0f13f8fcec7", f"{_BUNDLED}.motion-360ce0f13f8fcec7"),
        Checkpoint("keypoints", "fb9779fd4dec985b", f"{_BUNDLED}.keypoints-fb9779fd4dec985b"),
        Checkpoint("motion", "1357faa864920c1b", f"{_BUNDLED}.motion-1357faa864920c1b"),
        Checkpoint("fit", "abf00ed3ccca7d6e", "checkpoints/flow-matching.fit-abf00ed3ccca7d6e"),
    ),
    trials=18,
    costs=(
        TrainingCost("keypoints", "paper", 128, 4.12, 7.8),
        TrainingCost("motion", "paper", 128, 0.365, 2.0, steps="motion_steps"),
    ),
)
"""Bundled for puppets: preset gpu, its motion model without labels, preset plus, and flow-matching
of preset gpu. Of the trials 13 led to the networks, one was a wider M, four were of
flow-matching."""

ORACLE = MethodSpec(
    name="ours-oracle",
    factory=f"{_HOME}.oracle:KeypointOracle",
    summary="the translator of 'ours' fed with the keypoints of the true future",
    kind="oracle",
    capabilities=Capabilities((1, 1), oracle=True, size_multiple=8, min_size=16, memory_gib=4.0),
    citation=_CITATION,
    licence=_LICENCE,
    slots={"detector": "ours-detector", "translator": "ours-translator"},
    presets={name: {} for name in PRESETS},
    default_preset=METHOD.default_preset,
)
