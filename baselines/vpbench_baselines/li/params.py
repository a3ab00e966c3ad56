"""Parameters, presets and stages of `li`; what training depends on, without checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

from vpbench.api import StageSpec
from vpbench.api.specs import Value

_SHARED: dict[str, Value] = {"teacher": "dis", "flow_max": 5.0, "flip": False, "precision": "fp32"}
_FLOW: dict[str, Value] = {
    "width": 64,
    "latent": 2000,
    "moving_weight": 0.0,
    "kl_weight": 0.1,
    "kl_reduction": "sum",
    "steps": 1_250_000,
    "batch": 4,
    "rate": 2e-5,
    "decay": 0.0,
}
_REFINER: dict[str, Value] = {
    "refiner_width": 64,
    "refiner_levels": 3,
    "refiner_start": "network",
    "refiner_rollout": 1,
    "pair_gap": 2,
    "perceptual": "vgg19",
    "perceptual_weight": 1.0,
    "colour_weight": 65_025.0,
    "refiner_steps": 1_250_000,
    "refiner_batch": 4,
    "refiner_rate": 1e-4,
    "refiner_decay": 0.0,
}

PARAMS: dict[str, Value] = {
    "refiner": "on",
    "recursion": "on",
    "oracle": "off",
    **_SHARED,
    **_FLOW,
    **_REFINER,
}
"""Every parameter with its value in preset `paper`.

refiner: "off" shows the frames as the flow has warped them.
recursion: "off" redraws each frame from a warped one, so that no result of the second network is
    redrawn again.
oracle: "on" takes the teacher's flow of the true future in place of drawn flow (teacher=dis).

teacher: whose optical flow is learned: "dis" (OpenCV), "raft-small" or "spynet" (the original's;
    its weights are for non-commercial research).
flow_max: largest flow that can be drawn, px at 128 px; it scales with the size.
flip: mirror half of the training clips, and the x of their flow.
precision: "fp32", or "bf16" for the networks' layers in training.
width, latent: channels of the first stage of the flow model, numbers of its code.
moving_weight: flow of more than a tenth of the largest counts so much more in the flow error.
kl_weight, kl_reduction: loss = mean |flow error| + kl_weight * KL; the KL is the "sum" over batch
    and numbers (the original), or their "mean".
steps, batch, rate, decay: of the flow model; the rate falls to 0 over the last part `decay`.
refiner_width, refiner_levels: channels at full resolution, halvings.
refiner_start: "network" draws every pixel again; "warp" adds what it draws to the warped frame.
refiner_rollout: frames in a row that it draws in training, each from its own last one.
pair_gap: how far apart the two frames of a training pair are, in frames of the task.
perceptual: network of the perceptual loss: "vgg19", "vgg16-hed", "efficientnet-lite0", "none".
colour_weight: of the squared error of pixels in [0,1] (65025: that of pixels in 0..255).
refiner_*: as steps, batch, rate, decay.
"""

PRESETS: dict[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": {
        "flow_max": 10.0,
        "flip": True,
        "precision": "bf16",
        "width": 16,
        "latent": 64,
        "moving_weight": 4.0,
        "kl_weight": 0.002,
        "kl_reduction": "mean",
        "steps": 2500,
        "batch": 8,
        "rate": 1e-3,
        "decay": 0.7,
        "refiner_width": 32,
        "refiner_levels": 1,
        "pair_gap": 1,
        "perceptual": "efficientnet-lite0",
        "perceptual_weight": 0.2,
        "colour_weight": 1000.0,
        "refiner_steps": 4000,
        "refiner_batch": 8,
        "refiner_rate": 1e-3,
        "refiner_decay": 0.7,
    },
    "gpu": {
        "flow_max": 10.0,
        "flip": True,
        "width": 32,
        "latent": 64,
        "moving_weight": 4.0,
        "kl_weight": 0.002,
        "kl_reduction": "mean",
        "steps": 5000,
        "batch": 16,
        "rate": 1e-3,
        "decay": 0.7,
        "refiner_width": 64,
        "refiner_levels": 1,
        "pair_gap": 1,
        "perceptual": "efficientnet-lite0",
        "perceptual_weight": 0.2,
        "colour_weight": 20_000.0,
        "refiner_steps": 16_000,
        "refiner_batch": 32,
        "refiner_rate": 1e-3,
        "refiner_decay": 0.8,
    },
    "smoke": {
        "flow_max": 10.0,
        "flip": True,
        "width": 4,
        "latent": 8,
        "kl_weight": 0.05,
        "kl_reduction": "mean",
        "steps": 12,
        "batch": 2,
        "rate": 1e-3,
        "refiner_width": 4,
        "refiner_levels": 2,
        "pair_gap": 1,
        "perceptual": "none",
        "colour_weight": 1000.0,
        "refiner_steps": 12,
        "refiner_batch": 2,
        "refiner_rate": 1e-3,
    },
}
"""`paper` is the size and the losses of the authors' code, `cpu` a reduction that keeps every part,
`gpu` a wider one for minutes on one GPU, `smoke` runs in seconds and is never comparable."""

LATER: dict[str, Value] = {
    "refiner": "on",
    "recursion": "on",
    "oracle": "off",
    "refiner_start": "network",
    "refiner_rollout": 1,
}
"""Parameters that came after the first checkpoints, with the values that these were trained
under."""

STAGES = (
    StageSpec("flow", 1, params=(*_SHARED, *_FLOW), when=("oracle=off",)),
    StageSpec("refiner", 1, params=(*_SHARED, *_REFINER), when=("refiner=on",)),
)
"""The two trainings, neither of which needs the other."""
