"""Parameters, presets and stages of `wichers`; what training depends on, without checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

from vpbench.api import StageSpec
from vpbench.api.specs import Value

_NETWORKS: dict[str, Value] = {
    "encoder": "vgg16",
    "encoder_init": "vgg16-hed",
    "encoder_width": 16,
    "encoding": 64,
    "width": 64,
    "cells": 21,
    "action_slot": 5,
    "predictor_spread": 0.01,
    "bottleneck": 4,
    "encoder_dropout": 0.35,
    "decoder_dropout": 0.1,
    "decoder_init": "xavier",
    "unit_norm": False,
    "centred": False,
    "label": "off",
}
_DATA: dict[str, Value] = {
    "frames": 32,
    "counted": 0,
    "clip": 0.01,
    "flip": False,
    "rotate": 5.0,
    "crop": 0.1,
    "colour": 0.2,
}
_FIRST: dict[str, Value] = {
    "steps": 120_000,
    "batch": 8,
    "rate": 1e-4,
    "decay": 0.0,
    "warm": 0,
    "precision": "fp32",
    "latent_weight": 0.1,
    "latent_delay": 20_000,
    "latent_part": 0.0,
    "latent_for": "both",
}
_SECOND: dict[str, Value] = {
    "adversarial_steps": 1_000_000,
    "adversarial_batch": 16,
    "adversarial_latent": 10.0,
    "adversarial_decay": 0.0,
    "critic_steps": 5,
    "critic_width": 64,
    "critic_init": "glorot",
    "critic_lead": 0.0,
    "penalty": 10.0,
    "noise": 100,
    "rate_predictor": 1e-6,
    "rate_decoder": 3e-6,
    "rate_critic": 3e-6,
}

PARAMS: dict[str, Value] = {
    "variant": "adversarial",
    "oracle": "off",
    **_NETWORKS,
    **_DATA,
    **_FIRST,
    **_SECOND,
}
"""Every parameter with its value in preset `paper`.

variant: "adversarial" (both stages), "epva" (the first alone) or "e2e". Presets cpu and gpu have
    "epva": of a short training it is the better one on validation clips.
oracle: "on" draws the encodings of the true future: what the analogy network alone can do.
encoder: "vgg16", or "small": five convolutions from `encoder_width` to four times as many channels.
encoder_init: "vgg16-hed" (pretrained), or "scratch".
encoding, width, cells, action_slot, bottleneck: sizes of encodings, analogy network, predictor.
predictor_spread: standard deviation of the predictor's first weights.
decoder_init: first weights of the analogy network: "xavier", or "identity", under which it hands
    pictures on.
unit_norm: encodings of length 1 from the first stage on; the second stage always has them.
centred: the first encodings of training frames are shifted to a mean of 0.
label: "on" puts the class into the predictor's action slot, which then has as many numbers as
    there are classes.
frames: longest clip to train on, given frames included.
counted: so many random frames of a batch's clips count in a step's losses; 0 counts all.
clip: longest gradient of each single tensor.
flip, rotate (degrees), crop, colour: augmentation.
steps, batch, rate, decay, warm: of the first stage (and of e2e); the rate rises in the first `warm`
    steps and falls to 0 over the last part `decay`.
precision: "fp32", or "bf16" for the layers of the analogy network in the first stage.
latent_weight, latent_delay: the latent loss counts latent_weight * sigmoid((step - delay) / (0.1
    delay)).
latent_part: where it is above 0, the delay is this part of the steps.
latent_for: whom that weight holds for: "both", or the "encoder" alone. Under the small weights of
    the beginning the predictor's gradient is smaller than what Adam adds to its length, and is
    lost; with "encoder" the predictor learns from the loss as it is.
critic_init: first weights of the critic's recurrent and dense layers: "glorot", the default of the
    original's layers, or "truncated", normal ones of 0.01, under which its slope begins near 0.
critic_lead: part of the steps, at their beginning, in which only the critic learns.
adversarial_*, critic_*, penalty, noise, rate_*: of the second stage; `penalty` is the weight of the
    gradient penalty, `adversarial_latent` that of the latent loss beside the critic.
"""

PRESETS: dict[str, Mapping[str, Value]] = {
    "paper": {},
    "cpu": {
        "variant": "epva",
        "encoder": "small",
        "encoder_init": "scratch",
        "encoder_width": 8,
        "encoding": 40,
        "width": 12,
        "cells": 5,
        "action_slot": 0,
        "predictor_spread": 0.1,
        "bottleneck": 16,
        "encoder_dropout": 0.0,
        "decoder_dropout": 0.0,
        "decoder_init": "identity",
        "unit_norm": True,
        "centred": True,
        "counted": 6,
        "steps": 6000,
        "batch": 4,
        "rate": 2e-3,
        "decay": 0.4,
        "warm": 200,
        "precision": "bf16",
        "latent_weight": 0.02,
        "latent_delay": 3000,
        "adversarial_steps": 120,
        "adversarial_batch": 4,
        "adversarial_decay": 0.5,
        "critic_width": 16,
        "critic_init": "truncated",
        "noise": 16,
        "rate_predictor": 3e-5,
        "rate_decoder": 1e-4,
        "rate_critic": 3e-5,
    },
    "gpu": {
        "variant": "epva",
        "encoder": "small",
        "encoder_init": "scratch",
        "encoder_width": 24,
        "encoding": 64,
        "width": 24,
        "cells": 5,
        "action_slot": 0,
        "predictor_spread": 0.1,
        "bottleneck": 24,
        "encoder_dropout": 0.0,
        "decoder_dropout": 0.0,
        "decoder_init": "identity",
        "unit_norm": True,
        "centred": True,
        "counted": 8,
        "steps": 5000,
        "batch": 16,
        "rate": 1e-3,
        "decay": 0.5,
        "warm": 200,
        "latent_weight": 0.02,
        "latent_part": 0.4,
        "latent_for": "encoder",
        "adversarial_steps": 600,
        "adversarial_batch": 8,
        "adversarial_decay": 0.5,
        "critic_width": 32,
        "critic_lead": 0.1,
        "noise": 16,
        "rate_predictor": 3e-5,
        "rate_decoder": 1e-4,
        "rate_critic": 1e-4,
    },
    "smoke": {
        "encoder": "small",
        "encoder_init": "scratch",
        "encoder_width": 4,
        "width": 4,
        "encoding": 8,
        "cells": 3,
        "action_slot": 0,
        "predictor_spread": 0.1,
        "bottleneck": 8,
        "encoder_dropout": 0.0,
        "decoder_dropout": 0.0,
        "unit_norm": True,
        "counted": 2,
        "steps": 20,
        "batch": 2,
        "rate": 1e-3,
        "latent_delay": 3,
        "adversarial_steps": 4,
        "adversarial_batch": 2,
        "critic_steps": 2,
        "critic_width": 4,
        "critic_init": "truncated",
        "noise": 4,
        "rate_predictor": 1e-4,
        "rate_decoder": 1e-4,
        "rate_critic": 1e-4,
    },
}
"""`paper` is the size and schedule of the authors' single-GPU recipe, `cpu` a reduction that keeps
every part, `gpu` a wider one for minutes on one GPU, `smoke` runs in seconds and is never
comparable."""

LATER: dict[str, Value] = {
    "oracle": "off",
    "label": "off",
    "latent_for": "both",
    "critic_init": "truncated",
    "critic_lead": 0.0,
    "latent_part": 0.0,
}
"""Parameters that came after the first checkpoints, with the values that these were trained
under."""

_BOTH = (*_NETWORKS, *_DATA, *_FIRST)
STAGES = (
    StageSpec("epva", 1, params=_BOTH, when=("variant=adversarial", "variant=epva")),
    StageSpec(
        "adversarial", 1, needs=("epva",), params=(*_BOTH, *_SECOND), when=("variant=adversarial",)
    ),
    StageSpec("e2e", 1, params=_BOTH, when=("variant=e2e",)),
)
"""EPVA alone, EPVA for the second stage, or end to end: `variant` says which are there."""
