"""Which clips a page shows: all that fit, or a part of them by a rule that the page states."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SEED = 0
"""Of the draw."""


@dataclass(frozen=True)
class ClipChoice:
    """Clips in the order in which they are taken, the first `extremes` of them best or worst."""

    order: tuple[str, ...]
    extremes: int
    metric: str

    def first(self, count: int) -> frozenset[str]:
        """The clips that a page with room for so many shows."""
        return frozenset(self.order[:count])

    def rule(self, count: int) -> str:
        """What a page says about its clips."""
        total = len(self.order)
        if count >= total:
            return f"All {total} test clips are shown."
        shown = f"{count} of {total} test clips are shown"
        if not self.extremes:
            return f"{shown}: drawn at random (seed {SEED}), classes in turn."
        if count <= self.extremes:
            return f"{shown}: best and worst by {self.metric} of each row, rows in turn."
        return (
            f"{shown}: the best and the worst by {self.metric} of each row, the others drawn at "
            f"random (seed {SEED}), classes in turn."
        )


def choose_clips(
    clips: Mapping[str, str], values: Sequence[Mapping[str, float]], metric: str
) -> ClipChoice:
    """Best and worst clip of each row first, then a draw that takes classes in turn.

    Args:
        clips: clip -> its class, "" without one.
        values: of one metric by clip, one mapping a row.
        metric: what readers call it.
    """
    extremes: dict[str, None] = {}
    for row in values:
        known = sorted((value, name) for name, value in row.items() if name in clips)
        if known:
            extremes |= {known[0][1]: None, known[-1][1]: None}
    rest = _in_turn({name: label for name, label in clips.items() if name not in extremes})
    return ClipChoice((*extremes, *rest), len(extremes), metric)


def _in_turn(clips: Mapping[str, str]) -> list[str]:
    """All clips: the first drawn of each class, the second of each, and so on."""
    drawn = random.Random(SEED).sample(sorted(clips), len(clips))
    turn: dict[str, int] = {}
    order: list[tuple[int, str, str]] = []
    for name in drawn:
        label = clips[name]
        turn[label] = turn.get(label, -1) + 1
        order.append((turn[label], label, name))
    return [name for _, _, name in sorted(order)]
