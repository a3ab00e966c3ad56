"""Window rules: which source frames make up a clip of a task. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vpbench.api.errors import UsageError

Short = Literal["exclude", "error", "loop", "double"]
"""What happens to a clip with too few frames.

exclude: left out, counted; error: refused; loop: it starts again from its first frame (for cycles);
double: every second target repeats the one before it (Kim et al.'s rule for short Penn clips).
"""


@dataclass(frozen=True)
class WindowRule:
    """Picks `n_max` given and `horizon` target frames out of a clip of L frames.

    Attributes:
        n_max: given frames; they end at t0.
        horizon: target frames t0+1 .. t0+T.
        gap: source frames from one frame to the next; "spread" = max(1, floor((L - start) /
            (n_max + T))), so that the window covers the clip.
        start: first source frame.
        windows: at most this many consecutive windows without overlap.
        short: what happens to a clip that is too short.
    """

    n_max: int
    horizon: int
    gap: int | Literal["spread"] = 1
    start: int = 0
    windows: int = 1
    short: Short = "exclude"

    def __post_init__(self) -> None:
        for name in ("n_max", "horizon", "windows"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.gap != "spread" and self.gap < 1:
            raise UsageError(f"stride={self.gap} must be at least 1.")
        if self.start < 0:
            raise UsageError(f"start={self.start} must not be negative.")
        if self.short not in ("exclude", "error", "loop", "double"):
            raise UsageError(f"short={self.short!r}: one of exclude, error, loop, double.")

    @property
    def length(self) -> int:
        """Frames of one window, given and target."""
        return self.n_max + self.horizon

    def step(self, frames: int) -> int:
        """Source frames from one window frame to the next, for a clip of `frames` frames."""
        return max(1, (frames - self.start) // self.length) if self.gap == "spread" else self.gap

    def indices(self, frames: int) -> list[tuple[int, ...]]:
        """Source frame numbers of every window of a clip with `frames` frames.

        Returns:
            At most `windows` tuples of `length` frame numbers; [] when the clip is too short and
            the rule excludes it.

        Raises:
            UsageError: the clip is too short and the rule is "error".
        """
        step = self.step(frames)
        span = (self.length - 1) * step + 1
        if self.start + span <= frames:
            count = min(self.windows, (frames - self.start - span) // (span + step - 1) + 1)
            starts = (self.start + k * (span + step - 1) for k in range(count))
            return [tuple(range(s, s + span, step)) for s in starts]
        return self._short(frames, step)

    def _short(self, frames: int, step: int) -> list[tuple[int, ...]]:
        if self.short == "error":
            raise UsageError(
                f"has {frames} frames, {self.start + (self.length - 1) * step + 1} are needed."
            )
        if self.short == "loop" and frames > 0:
            return [tuple((self.start + k * step) % frames for k in range(self.length))]
        if self.short == "double":
            half = -(-self.horizon // 2)
            if self.start + self.n_max + half <= frames:
                given = [self.start + k for k in range(self.n_max)]
                targets = [given[-1] + 1 + k // 2 for k in range(self.horizon)]
                return [tuple(given + targets)]
        return []

    @property
    def needed(self) -> int | None:
        """Fewest frames that a clip must have to give a window; None when any number will do."""
        if self.short == "loop":
            return 1
        if self.short == "double":
            return self.start + self.n_max + -(-self.horizon // 2)
        step = 1 if self.gap == "spread" else self.gap
        return self.start + (self.length - 1) * step + 1
