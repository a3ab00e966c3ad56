"""The parameters of `wichers` as a checked object, and the networks that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api import Augment, Clip, Refused, TaskInfo, UsageError
from vpbench.kit import pass_on, perceptual_network, require_at_least, require_one_of
from vpbench_baselines.wichers.critic import Critic
from vpbench_baselines.wichers.images import AnalogyNetwork, Encoder, small_blocks, vgg_blocks
from vpbench_baselines.wichers.recurrent import Predictor

MOST_GIVEN = 5
"""Frames that the original is given; more are left out."""
CRITIC_SPREAD = 0.01
"""Standard deviation of the critic's first weights under critic_init=truncated."""

_CHOICES = {
    "variant": ("adversarial", "epva", "e2e"),
    "encoder": ("vgg16", "small"),
    "encoder_init": ("vgg16-hed", "scratch"),
    "decoder_init": ("xavier", "identity"),
    "precision": ("fp32", "bf16"),
    "label": ("off", "on"),
    "oracle": ("off", "on"),
    "latent_for": ("both", "encoder"),
    "critic_init": ("glorot", "truncated"),
}
_LEAST = {
    "width": 1,
    "encoding": 1,
    "encoder_width": 1,
    "bottleneck": 1,
    "batch": 1,
    "steps": 1,
    "adversarial_steps": 1,
    "adversarial_batch": 1,
    "critic_steps": 1,
    "critic_width": 1,
    "latent_delay": 1,
    "frames": 2,  # one to see, one to predict
    "noise": 1,
    "action_slot": 0,
    "counted": 0,
    "warm": 0,
}


@dataclass(frozen=True)
class Settings:
    """Parameters; `params.PARAMS` says what each means."""

    variant: str
    oracle: str
    encoder: str
    encoder_init: str
    encoder_width: int
    encoding: int
    width: int
    cells: int
    action_slot: int
    predictor_spread: float
    bottleneck: int
    encoder_dropout: float
    decoder_dropout: float
    decoder_init: str
    unit_norm: bool
    centred: bool
    label: str
    frames: int
    counted: int
    clip: float
    flip: bool
    rotate: float
    crop: float
    colour: float
    steps: int
    batch: int
    rate: float
    decay: float
    warm: int
    precision: str
    latent_weight: float
    latent_delay: int
    latent_part: float
    latent_for: str
    adversarial_steps: int
    adversarial_batch: int
    adversarial_latent: float
    adversarial_decay: float
    critic_steps: int
    critic_width: int
    critic_init: str
    critic_lead: float
    penalty: float
    noise: int
    rate_predictor: float
    rate_decoder: float
    rate_critic: float

    @staticmethod
    def of(params: Mapping[str, Any]) -> Settings:
        """Checked settings.

        Raises:
            UsageError: a value that cannot be, named.
        """
        require_one_of(params, _CHOICES)
        require_at_least(params, _LEAST)
        if params["cells"] < 1 or params["cells"] % 2 == 0:
            raise UsageError(f"cells={params['cells']} must be odd: one, and two for each pair.")
        if params["encoder"] == "small" and params["encoder_init"] != "scratch":
            raise UsageError(
                "encoder=small has no pretrained weights.", fix="Add encoder_init=scratch."
            )
        for name in ("critic_lead", "latent_part"):
            if not 0 <= params[name] < 1:
                raise UsageError(f"{name}={params[name]} must be a part of the steps, below 1.")
        return Settings(**params)

    @property
    def lead(self) -> int:
        """Steps of the second stage in which only the critic learns."""
        return int(self.critic_lead * self.adversarial_steps)

    @property
    def delay(self) -> float:
        """The step of the first stage around which the latent loss gains its weight."""
        return max(1.0, self.latent_part * self.steps) if self.latent_part else self.latent_delay

    def slot(self, classes: int) -> int:
        """Numbers of the predictor's action slot."""
        return max(self.action_slot, classes) if self.label == "on" else self.action_slot

    def actions(self, label: Tensor | None, count: int, classes: int) -> Tensor:
        """What stands in the slot, [count,slot]: the class, or zeros.

        Args:
            label: int64 [count]; not looked at with label=off.

        Raises:
            Refused: label=on, and there is no label.
        """
        slot = self.slot(classes)
        if self.label == "off":
            return torch.zeros(count, slot)
        if label is None:
            raise Refused("wichers[label=on] needs a label, none is given.")
        return F.one_hot(label, slot).float()

    @property
    def augment(self) -> Augment:
        """What is done to training clips."""
        return Augment(self.flip, self.rotate, self.crop, self.colour)

    def given(self, task: TaskInfo) -> int:
        """How many frames are given."""
        return min(task.n_max, MOST_GIVEN)

    def window(self, task: TaskInfo) -> Clip:
        """Clips to train on: given frames and as much of the horizon as `frames` allows."""
        n = self.given(task)
        return Clip(max(n + 1, min(self.frames, n + task.horizon)), stride="task")

    def unit(self, stage: str) -> bool:
        """Whether encodings have length 1 in a stage."""
        return self.unit_norm or stage == "adversarial"


class Networks(nn.Module):
    """Encoder, predictor and analogy network.

    Args:
        noise: numbers that the predictor is fed at each step.
        classes: of the task, for the action slot.
    """

    def __init__(self, settings: Settings, size: int, noise: int, classes: int = 0) -> None:
        super().__init__()
        vgg = settings.encoder == "vgg16"
        blocks = vgg_blocks() if vgg else small_blocks(settings.encoder_width)
        self.encoder = Encoder(
            blocks,
            size,
            settings.encoding,
            settings.encoder_dropout,
            imagenet=settings.encoder_init != "scratch",
        )
        self.predictor = Predictor(
            settings.encoding,
            settings.cells,
            settings.slot(classes),
            noise,
            settings.predictor_spread,
        )
        self.decoder = AnalogyNetwork(
            settings.encoding, settings.width, size, settings.bottleneck, settings.decoder_dropout
        )
        if settings.decoder_init == "identity":
            for part in self.decoder.ways():
                pass_on(part)


def make_critic(settings: Settings, size: int) -> Critic:
    """The critic of the second stage."""
    spread = None if settings.critic_init == "glorot" else CRITIC_SPREAD
    return Critic(settings.encoding, settings.width, size // 8, settings.critic_width, spread)


def start_from_vgg(encoder: Encoder, path: Path) -> None:
    """Give the encoder's thirteen convolutions the weights of VGG-16 (HED's).

    Raises:
        Corrupt: the file holds no such network.
    """
    network = perceptual_network("vgg16-hed", path, layers=("relu5_3",))
    theirs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    ours = [m for m in encoder.blocks if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        for mine, pretrained in zip(ours, theirs, strict=True):
            mine.weight.copy_(pretrained.weight)
            if mine.bias is not None and pretrained.bias is not None:
                mine.bias.copy_(pretrained.bias)
