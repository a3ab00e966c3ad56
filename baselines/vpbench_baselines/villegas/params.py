"""Parameters and presets of the three parts of `villegas`; what training depends on."""

from __future__ import annotations

from collections.abc import Mapping

from vpbench.api.specs import Value

_AUGMENT: dict[str, Value] = {"flip": False, "rotate": 5.0, "crop": 0.1, "colour": 0.2}

DETECTOR: dict[str, Value] = {
    "n_keypoints": 13,
    "width": 64,
    "spread": 1.0,
    "visible_weight": 0.1,
    "steps": 30_000,
    "batch": 32,
    "rate": 1e-3,
    "schedule": "cosine",
    "precision": "fp32",
    **_AUGMENT,
}
"""n_keypoints: joints of the dataset.
width: channels of the first convolution.
spread: standard deviation of a joint on its heat map, in cells of two pixels.
visible_weight: of the loss on whether a joint can be seen.
schedule: "constant", or "cosine": the rate falls to 0.
precision: of convolutions in training, "fp32" or "bf16".
flip, rotate (degrees), crop, colour: augmentation.
"""

MOTION: dict[str, Value] = {
    "embedding": 32,
    "hidden": 1024,
    "steps": 37_500,
    "batch": 256,
    "rate": 1e-3,
    "clip": 25.0,
    "schedule": "constant",
    "flip": False,
    "rotate": 5.0,
    "crop": 0.1,
    "label": "off",
}
"""embedding: numbers that the LSTM is fed; zeros in the future.
hidden: units of its one layer.
clip: longest gradient of all weights together.
label: "on" feeds the class beside them at each step, given and future.
"""

METHOD: dict[str, Value] = {"label": "off", "oracle": "off"}
"""label: of the motion model. oracle: "on" draws the poses that the detector finds in the true
future: what the generator alone can do."""

LATER_MOTION: dict[str, Value] = {"label": "off"}
"""As in `MethodSpec.later`."""

TRANSLATOR: dict[str, Value] = {
    "width": 64,
    "pools": 3,
    "init": "xavier",
    "sigma": 0.03125,
    "features": "vgg16-hed",
    "feature_share": 1.0,
    "pixel_weight": 1.0,
    "generic_weight": 1.0,
    "pose_weight": 1.0,
    "adversarial_weight": 1.0,
    "adversarial_start": 0.0,
    "discriminator_width": 64,
    "margin": 0.3,
    "regressor_width": 64,
    "regressor_steps": 30_000,
    "pair_gap": "1-29",
    "steps": 100_000,
    "batch": 8,
    "rate": 1e-4,
    "schedule": "constant",
    "precision": "fp32",
    **_AUGMENT,
}
"""width: channels of the first convolution; four times as many at the bottleneck.
pools: how often height and width are halved, 2 or 3; the original's bottleneck has 16x16 places.
init: first weights of the generator: "xavier", or "identity", under which it hands pictures on.
sigma: standard deviation of a point on its map, as a part of the side.
features: network of the generic feature loss, "none" for preset smoke.
feature_share: part of a batch on which the two feature losses are taken.
*_weight: of the four losses.
adversarial_start: part of the steps after which the discriminator takes part.
margin: a network is not updated while it is ahead by more than this; 0 does not balance the two.
regressor_*: of the network of the pose feature loss where the detector has none.
pair_gap: source frames between the two frames of a pair.
"""

_DETECTOR_CPU: dict[str, Value] = {
    "width": 12,
    "steps": 800,
    "batch": 16,
    "rate": 4e-3,
    "precision": "bf16",
    "flip": True,
}
_REGRESSOR_CPU: dict[str, Value] = {"regressor_width": 12, "regressor_steps": 800}

_DETECTOR_GPU: dict[str, Value] = {
    "width": 24,
    "steps": 3000,
    "batch": 64,
    "rate": 3e-3,
    "flip": True,
}

DETECTOR_PRESETS: dict[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": _DETECTOR_CPU,
    "gpu": _DETECTOR_GPU,
    "smoke": {"width": 4, "steps": 8, "batch": 4},
}
MOTION_PRESETS: dict[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": {
        "hidden": 160,
        "steps": 8000,
        "batch": 32,
        "rate": 2e-3,
        "schedule": "cosine",
        "flip": True,
    },
    "gpu": {
        "hidden": 256,
        "steps": 8000,
        "batch": 64,
        "rate": 2e-3,
        "schedule": "cosine",
        "flip": True,
    },
    "smoke": {"embedding": 8, "hidden": 8, "steps": 8, "batch": 4},
}
TRANSLATOR_PRESETS: dict[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": {
        "width": 16,
        "pools": 2,
        "init": "identity",
        "pixel_weight": 20.0,
        "features": "efficientnet-lite0",
        "feature_share": 0.25,
        "generic_weight": 0.05,
        "pose_weight": 0.05,
        "adversarial_weight": 0.01,
        "adversarial_start": 0.8,
        "discriminator_width": 16,
        "margin": 0.0,
        **_REGRESSOR_CPU,
        "pair_gap": "1-16",
        "steps": 12_000,
        "batch": 8,
        "rate": 2e-3,
        "schedule": "cosine",
        "precision": "bf16",
        "flip": True,
    },
    "gpu": {
        "width": 32,
        "pools": 2,
        "init": "identity",
        "pixel_weight": 20.0,
        "features": "efficientnet-lite0",
        "feature_share": 0.5,
        "generic_weight": 0.05,
        "pose_weight": 0.05,
        "adversarial_weight": 0.01,
        "adversarial_start": 0.8,
        "discriminator_width": 32,
        "margin": 0.0,
        "regressor_width": 24,
        "regressor_steps": 1000,
        "pair_gap": "1-16",
        "steps": 12_000,
        "batch": 16,
        "rate": 1e-3,
        "schedule": "cosine",
        "flip": True,
    },
    "smoke": {
        "width": 4,
        "pools": 2,
        "features": "none",
        "adversarial_start": 0.5,
        "discriminator_width": 4,
        "regressor_width": 4,
        "regressor_steps": 2,
        "pair_gap": "1-6",
        "steps": 8,
        "batch": 4,
        "rate": 1e-3,
    },
}
"""`paper` is the published size and schedule, `cpu` a reduction that keeps every part, `gpu` a
wider one for minutes on one GPU, `smoke` runs in seconds and is never comparable."""
