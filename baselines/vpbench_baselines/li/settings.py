"""The parameters of `li` as a checked object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vpbench.api import Clip, TaskInfo, UsageError
from vpbench_baselines.li.flow_model import FRAMES

_CHOICES = {
    "teacher": ("dis", "raft-small", "spynet"),
    "precision": ("fp32", "bf16"),
    "kl_reduction": ("sum", "mean"),
    "perceptual": ("vgg19", "vgg16-hed", "efficientnet-lite0", "none"),
}
_REFERENCE_SIZE = 128


@dataclass(frozen=True)
class Settings:
    """Parameters; `params.PARAMS` says what each means."""

    teacher: str
    flow_max: float
    flip: bool
    precision: str
    width: int
    latent: int
    moving_weight: float
    kl_weight: float
    kl_reduction: str
    steps: int
    batch: int
    rate: float
    decay: float
    refiner_width: int
    refiner_levels: int
    pair_gap: int
    perceptual: str
    perceptual_weight: float
    colour_weight: float
    refiner_steps: int
    refiner_batch: int
    refiner_rate: float
    refiner_decay: float

    @staticmethod
    def of(params: Mapping[str, Any]) -> Settings:
        """Checked settings.

        Raises:
            UsageError: a value that cannot be, named.
        """
        for name, known in _CHOICES.items():
            if params[name] not in known:
                raise UsageError(f"{name}={params[name]!r} is one of {', '.join(known)}.")
        counts = (
            "width",
            "latent",
            "steps",
            "batch",
            "refiner_width",
            "pair_gap",
            "refiner_steps",
            "refiner_batch",
        )
        for name in counts:
            if params[name] < 1:
                raise UsageError(f"{name}={params[name]} must be at least 1.")
        for name in ("moving_weight", "kl_weight", "perceptual_weight", "colour_weight"):
            if params[name] < 0:
                raise UsageError(f"{name}={params[name]} must not be negative.")
        if not 1 <= params["refiner_levels"] <= 3:
            raise UsageError(f"refiner_levels={params['refiner_levels']} is 1, 2 or 3.")
        if not params["flow_max"] > 0:
            raise UsageError(f"flow_max={params['flow_max']} must be above 0.")
        if params["perceptual"] == "none" and not params["colour_weight"]:
            raise UsageError(
                "perceptual=none with colour_weight=0 leaves nothing to learn from.",
                fix="Give one of them.",
            )
        return Settings(**params)

    def bound(self, size: int) -> float:
        """Largest flow that can be drawn, px, at a size."""
        return self.flow_max * size / _REFERENCE_SIZE

    def clips(self, task: TaskInfo) -> Clip:
        """What the flow model learns from: a frame and at most sixteen after it."""
        return Clip(1 + min(FRAMES, task.horizon), stride="task")

    def pairs(self) -> Clip:
        """What the refiner learns from: the first and the last frame of these."""
        return Clip(1 + self.pair_gap, stride="task")
