"""The parameters of `li` as a checked object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vpbench.api import Clip, TaskInfo, UsageError
from vpbench.kit import require_at_least, require_one_of
from vpbench_baselines.li.flow_model import FRAMES

_CHOICES = {
    "teacher": ("dis", "raft-small", "spynet"),
    "precision": ("fp32", "bf16"),
    "kl_reduction": ("sum", "mean"),
    "perceptual": ("vgg19", "vgg16-hed", "efficientnet-lite0", "none"),
    "refiner": ("on", "off"),
    "recursion": ("on", "off"),
    "refiner_start": ("network", "warp"),
    "oracle": ("off", "on"),
}
_LEAST = {
    "width": 1,
    "latent": 1,
    "steps": 1,
    "batch": 1,
    "refiner_width": 1,
    "refiner_rollout": 1,
    "pair_gap": 1,
    "refiner_steps": 1,
    "refiner_batch": 1,
    "moving_weight": 0,
    "kl_weight": 0,
    "perceptual_weight": 0,
    "colour_weight": 0,
}
_REFERENCE_SIZE = 128
"""Height and width of the original's frames, px; `flow_max` is meant at this size."""


@dataclass(frozen=True)
class Settings:
    """Parameters; `params.PARAMS` says what each means."""

    refiner: str
    recursion: str
    oracle: str
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
    refiner_start: str
    refiner_rollout: int
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
        require_one_of(params, _CHOICES)
        require_at_least(params, _LEAST)
        if not 1 <= params["refiner_levels"] <= 3:
            raise UsageError(f"refiner_levels={params['refiner_levels']} must be 1, 2 or 3.")
        if params["refiner_rollout"] > 1 and params["pair_gap"] != 1:
            raise UsageError(
                f"refiner_rollout={params['refiner_rollout']} draws neighbouring frames, and "
                f"pair_gap={params['pair_gap']} leaves some out.",
                fix="Set pair_gap=1.",
            )
        if not params["flow_max"] > 0:
            raise UsageError(f"flow_max={params['flow_max']} must be above 0.")
        if params["oracle"] == "on" and params["teacher"] != "dis":
            raise UsageError(
                f"oracle=on asks the teacher while predicting; {params['teacher']} cannot be asked "
                "then.",
                fix="Use teacher=dis.",
            )
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
        """What the refiner learns from: the first and the last of these, or all in a rollout."""
        return Clip(1 + max(self.pair_gap, self.refiner_rollout), stride="task")
