"""When frames are shown: whether the rate is constant, and which frames another rate shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

MAX_FRAMES = 1_000_000
"""No clip is resampled to more frames."""
_MAX_JITTER = 1.5
"""Longest over shortest time between frames at a constant rate."""


@dataclass(frozen=True)
class Timeline:
    """Display times of a clip's frames in seconds, rising, and the time when the last one ends."""

    starts: tuple[Fraction, ...]
    end: Fraction

    @classmethod
    def of_delays(cls, delays: Sequence[Fraction]) -> Timeline:
        """From the time that each frame is shown for."""
        starts = [Fraction(0)]
        for delay in delays:
            starts.append(starts[-1] + delay)
        return cls(tuple(starts[:-1]), starts[-1])

    @classmethod
    def of_starts(cls, starts: Sequence[Fraction], usual: Fraction, unit: Fraction) -> Timeline:
        """From the time that each frame appears at; the last one is shown as long as the others.

        Args:
            usual: how long a frame is shown, where there is only one.
            unit: times are whole multiples of it, so that frames may appear to come late by as
                much; 30 frames a second resampled to 30 must be the same frames.
        """
        steps = sorted(b - a for a, b in pairwise(starts))
        last = steps[len(steps) // 2] if steps else usual
        slack = min(unit, (steps[0] if steps else usual) / 4)
        late = [start - slack for start in starts[1:]]
        return cls((starts[0], *late), starts[-1] + last - slack)

    def resampled(self, rate: Fraction) -> list[int]:
        """Numbers of the frames that are on screen at 0, 1/rate, 2/rate, ... from the first one on.

        At least the first frame; none after the end.

        Raises:
            ValueError: there would be more than `MAX_FRAMES`.
        """
        first = self.starts[0]
        total = max(1, math.ceil((self.end - first) * rate))
        if total > MAX_FRAMES:
            raise ValueError(f"rate={rate} makes {total} frames")
        chosen: list[int] = []
        for number, start in enumerate(self.starts):
            after = self.starts[number + 1] if number + 1 < len(self.starts) else self.end
            until = math.ceil((after - first) * rate)
            begin = math.ceil((start - first) * rate)
            chosen += [number] * (min(until, total) - begin)
        return chosen or [0]


def steady(times: Sequence[int | None]) -> bool:
    """Whether no step between frames is much longer than another; rounding is forgiven."""
    # Avi stores no display times: with B-frames they come in the order of decoding.
    known = sorted(time for time in times if time is not None)
    steps = [b - a for a, b in pairwise(known)]
    return len(known) < len(times) or not steps or max(steps) <= _MAX_JITTER * max(1, min(steps))
