"""What a method needs and can do, declared, so that refusals come before any compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from vpbench.api.errors import UsageError

Need = Literal["required", "training", "optional", "no"]
"""required: at prediction (and training); training: only there; optional: used if there; no."""


@dataclass(frozen=True)
class Capabilities:
    """Declared properties of a method or component.

    Attributes:
        conditioning_frames: fewest and most given frames it uses.
        label: whether it uses the action label.
        pose: whether it uses annotated joints of the given frames.
        stochastic: different seeds give different videos.
        max_horizon: longest future in frames, None for any.
        size_multiple: width and height must be divisible by this.
        min_size: smallest width and height in pixels.
        trainable: has `fit`.
        oracle: sees the true future; never ranked, exempt from the leak probe.
        batch_bound: largest difference in grey levels across batch sizes that it declares.
        cpus, gpus, memory_gib: what one prediction or fitting job occupies.
    """

    conditioning_frames: tuple[int, int] = (1, 1)
    label: Need = "no"
    pose: Need = "no"
    stochastic: bool = False
    max_horizon: int | None = None
    size_multiple: int = 1
    min_size: int = 1
    trainable: bool = False
    oracle: bool = False
    batch_bound: int = 1
    cpus: int = 1
    gpus: int = 0
    memory_gib: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.conditioning_frames
        if not 0 <= low <= high or high < 1:
            raise UsageError(
                f"conditioning_frames={self.conditioning_frames} must be (fewest, most), most >= 1."
            )
        for name in ("label", "pose"):
            if getattr(self, name) not in ("required", "training", "optional", "no"):
                raise UsageError(
                    f"{name}={getattr(self, name)!r}: one of required, training, optional, no."
                )

    def changed(self, changes: Mapping[str, Any]) -> Capabilities:
        """A copy with some fields replaced; unknown fields are an error."""
        known = {f.name for f in fields(self)}
        for name in changes:
            if name not in known:
                raise UsageError(f"capability {name!r} is unknown; known: {sorted(known)}.")
        return replace(self, **changes)

    def given(self, n_max: int) -> int:
        """How many of the task's `n_max` given frames the method receives."""
        return min(n_max, self.conditioning_frames[1])


def unmet(
    capabilities: Capabilities,
    *,
    n_max: int,
    horizon: int,
    size: int,
    has_label: bool,
    has_pose: bool,
) -> list[str]:
    """Reasons, in plain words, why a method cannot do a task; empty if it can."""
    reasons: list[str] = []
    fewest = capabilities.conditioning_frames[0]
    if n_max < fewest:
        reasons.append(f"needs {fewest} conditioning frames, but the task gives {n_max}")
    if capabilities.max_horizon is not None and horizon > capabilities.max_horizon:
        reasons.append(
            f"predicts at most {capabilities.max_horizon} frames, but the task asks for {horizon}"
        )
    if size % capabilities.size_multiple:
        reasons.append(
            f"needs a size divisible by {capabilities.size_multiple}, but the task has {size}"
        )
    if size < capabilities.min_size:
        reasons.append(f"needs at least {capabilities.min_size} px, but the task has {size}")
    if capabilities.label in ("required", "training") and not has_label:
        reasons.append("needs action labels, but the dataset has none")
    if capabilities.pose in ("required", "training") and not has_pose:
        reasons.append("needs pose, but the dataset has none")
    return reasons
