"""The method `wichers` as vpbench sees it: parameters, presets, stages; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

from vpbench.api import Capabilities, MethodSpec, StageSpec
from vpbench.api.specs import Value

_NETWORKS: dict[str, Value] = {
    "encoder": "vgg16", "encoder_init": "vgg16-hed", "encoder_width": 16, "encoding": 64,
    "width": 64, "cells": 21, "action_slot": 5, "bottleneck": 4, "encoder_dropout": 0.35,
    "decoder_dropout": 0.1, "unit_norm": False,
}  # fmt: skip
_DATA: dict[str, Value] = {
    "frames": 32, "counted": 0, "clip": 0.01, "flip": False, "rotate": 5.0, "crop": 0.1,
    "colour": 0.2,
}  # fmt: skip
_FIRST: dict[str, Value] = {
    "steps": 120_000, "batch": 8, "rate": 1e-4, "decay": 0.0, "latent_weight": 0.1,
    "latent_delay": 20_000,
}  # fmt: skip
_SECOND: dict[str, Value] = {
    "adversarial_steps": 1_000_000, "adversarial_batch": 16, "adversarial_latent": 10.0,
    "adversarial_decay": 0.0, "critic_steps": 5, "critic_width": 64, "penalty": 10.0, "noise": 100,
    "rate_predictor": 1e-6, "rate_decoder": 3e-6, "rate_critic": 3e-6,
}  # fmt: skip

PARAMS: dict[str, Value] = {"variant": "adversarial", **_NETWORKS, **_DATA, **_FIRST, **_SECOND}
"""Every parameter with its value in preset `paper`.

variant: "adversarial" (both stages), "epva" (the first alone) or "e2e".
encoder: "vgg16", or "small": five convolutions from `encoder_width` to four times as many channels.
encoder_init: "vgg16-hed" (pretrained), or "scratch".
encoding, width, cells, action_slot, bottleneck: sizes of encodings, analogy network, predictor.
unit_norm: encodings of length 1 from the first stage on; the second stage always has them.
frames: longest clip to train on, given frames included.
counted: so many random frames of a batch's clips count in a step's losses; 0 counts all.
clip: longest gradient of each single tensor.
flip, rotate (degrees), crop, colour: augmentation.
steps, batch, rate, decay: of the first stage (and of e2e); the rate falls to 0 over the last part
    `decay`.
latent_weight, latent_delay: the latent loss counts latent_weight * sigmoid((step - delay) / (0.1
    delay)).
adversarial_*, critic_*, penalty, noise, rate_*: of the second stage; `penalty` is the weight of the
    gradient penalty, `adversarial_latent` that of the latent loss beside the critic.
"""

PRESETS: dict[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": {
        "encoder": "small", "encoder_init": "scratch", "encoder_width": 8, "encoding": 40,
        "width": 12, "cells": 5, "action_slot": 0, "bottleneck": 16, "encoder_dropout": 0.0,
        "decoder_dropout": 0.0, "unit_norm": True, "counted": 6, "steps": 3000, "batch": 8,
        "rate": 1e-3, "decay": 0.4,
        "latent_delay": 450, "adversarial_steps": 200, "adversarial_batch": 8,
        "adversarial_decay": 0.5, "critic_width": 16, "noise": 16, "rate_predictor": 1e-4,
        "rate_decoder": 3e-4, "rate_critic": 1e-3,
    },
    "smoke": {
        "encoder": "small", "encoder_init": "scratch", "encoder_width": 4, "width": 4,
        "encoding": 8, "cells": 3, "action_slot": 0, "bottleneck": 8, "encoder_dropout": 0.0,
        "decoder_dropout": 0.0, "unit_norm": True, "counted": 2, "steps": 20, "batch": 2,
        "rate": 1e-3, "latent_delay": 3, "adversarial_steps": 4, "adversarial_batch": 2,
        "critic_steps": 2, "critic_width": 4, "noise": 4, "rate_predictor": 1e-4,
        "rate_decoder": 1e-4, "rate_critic": 1e-4,
    },
}  # fmt: skip
"""`paper` is the size and schedule of the authors' single-GPU recipe, `cpu` a reduction that keeps
every part, `smoke` runs in seconds and is never comparable."""

DEVIATIONS = (
    "Each task's own clips, given frames (1 to 5) and horizon replace 32 frames at 6.25 frames a "
    "second with 5 given; a task that gives one frame removes the motion cue (`adapted n=1`).",
    "Sizes other than 64 px are taken as they are; the maps of the analogy network grow with them.",
    "The thirteen VGG-16 convolutions start from the VGG-16 of HED (ImageNet weights tuned further "
    "for edges), because its file can be had and verified; the original starts from ImageNet.",
    "Weights are rounded to half precision when a stage ends (matrices; vectors stay as they are).",
    "Frames are augmented: rotation to 5 degrees, crop to 10 %, colour 0.2; the original had none.",
    "Predicted frames are clipped to [0,1]; the authors' notebook stretched each frame's contrast.",
    "Preset paper keeps the first stage's recipe for one GPU; its second stage has the learning "
    "rates of the authors' README, in which the encoder learns through the predictor's optimiser.",
    "Preset cpu: five convolutions replace VGG-16, 5 cells replace 21, width 12 replaces 64, 40 "
    "numbers an encoding; without the empty action slot and without dropout.",
    "Preset cpu: encodings have length 1 from the first stage on, not from the second, so that the "
    "second goes on where the first ends.",
    "Preset cpu: a bottleneck of 16 rectified channels before the last convolution, not 4, which "
    "can all die in a small network.",
    "Preset cpu: six random frames of a batch's clips count in a step of the first stage; the mean "
    "over steps is that over all frames.",
    "Preset cpu: Adam starts at 1e-3 and falls to 0 at the end; 200 adversarial steps.",
)
"""Where this differs from the authors' code, all presets first."""

_BOTH = (*_NETWORKS, *_DATA, *_FIRST)
STAGES = (
    StageSpec("epva", 1, params=_BOTH, when=("variant=adversarial", "variant=epva")),
    StageSpec(
        "adversarial", 1, needs=("epva",), params=(*_BOTH, *_SECOND), when=("variant=adversarial",)
    ),
    StageSpec("e2e", 1, params=_BOTH, when=("variant=e2e",)),
)

SPEC = MethodSpec(
    "wichers",
    "vpbench_baselines.wichers.method:Wichers",
    "reimplementation of Wichers et al. 2018: learned encodings rolled into the future and drawn "
    "by analogy with the first frame",
    capabilities=Capabilities(
        (1, 5), stochastic=True, trainable=True, size_multiple=16, min_size=32, memory_gib=2.0
    ),
    citation=(
        "Wichers, Villegas, Erhan, Lee: Hierarchical Long-term Video Prediction without "
        "Supervision, ICML 2018"
    ),
    licence="Apache-2.0 (this reimplementation; the authors' code is Apache-2.0 too)",
    params=PARAMS,
    overrides={"variant=epva": {"stochastic": False}, "variant=e2e": {"stochastic": False}},
    stages=STAGES,
    presets=PRESETS,
    default_preset=((64, "cpu"), (None, "paper")),
)
