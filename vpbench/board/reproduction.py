"""Whether a measured figure reproduces a paper's: computed from both, never typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vpbench.board.reported import Reported, Settings

Status = Literal["reproduced", "off", "unknown"]


@dataclass(frozen=True)
class Measured:
    """A figure of an entry.

    Attributes:
        entry: task and id of the entry, as `puppets/mine`.
        ci95: its interval, None where there is none.
        settings: the conditions it was measured under.
        recalled: why it does not count any more, "" if it does.
    """

    entry: str
    dataset: str
    method: str
    metric: str
    value: float
    ci95: tuple[float, float] | None
    settings: Settings
    recalled: str = ""


@dataclass(frozen=True)
class Reproduction:
    """What can be said about one figure of a paper.

    Attributes:
        reason: why the status is what it is, one sentence without a full stop.
        measured: the figure that it rests on.
        value: that figure in the paper's unit.
        delta: measured less reported, in the paper's unit.
    """

    status: Status
    reason: str
    measured: Measured | None = None
    value: float | None = None
    delta: float | None = None


def reproduction(reported: Reported, figures: Sequence[Measured]) -> Reproduction:
    """Compare a paper's figure with those of entries.

    Reproduced: the paper's figure lies in the measured 95 % interval, widened by the tolerance of
    `reported`. Off: it lies outside. Unknown: nothing was measured, or not under the paper's
    conditions, or these are not known, or the metric cannot be reproduced at all.

    Of several entries the one decides that lies nearest, for one reproduction is enough.
    """
    if not reported.measured:
        return Reproduction("unknown", "vpbench has no such method")
    measured_here = [
        figure
        for figure in figures
        if figure.dataset == reported.dataset
        and figure.method == reported.measured
        and figure.metric == reported.metric.key
        and not figure.recalled
    ]
    if not measured_here:
        return Reproduction("unknown", "no measured entry yet")
    chosen = min(measured_here, key=lambda figure: _order(reported, figure))
    factor = reported.metric.factor
    value = chosen.value * factor
    delta = value - reported.value
    reason = reported.metric.irreproducible or _difference(reported.settings, chosen.settings)
    if not reason and chosen.ci95 is None:
        reason = "the measured figure has no interval"
    if reason or chosen.ci95 is None:
        return Reproduction("unknown", reason, chosen, value, delta)
    low, high = sorted(factor * end for end in chosen.ci95)
    inside = low - reported.tolerance <= reported.value <= high + reported.tolerance
    words = (
        f"the paper's figure lies {'inside' if inside else 'outside'} the measured 95 % interval"
    )
    if reported.tolerance:
        words += f", widened by {reported.tolerance:g}"
    return Reproduction("reproduced" if inside else "off", words, chosen, value, delta)


def _order(reported: Reported, figure: Measured) -> tuple[bool, float, str]:
    """Figures under the paper's conditions go first, the nearest of them before all."""
    differs = bool(_difference(reported.settings, figure.settings))
    delta = abs(figure.value * reported.metric.factor - reported.value)
    return (differs, delta, figure.entry)


_NAMES = (
    ("n", "test clips"),
    ("given", "given frames"),
    ("size", "pixels of a side"),
    ("frames", "predicted frames"),
)


def _difference(paper: Settings, measured: Settings) -> str:
    """In which condition a paper and an entry differ, or which is not known; "" if in none."""
    known: list[str] = []
    for name, words in _NAMES:
        theirs, here = getattr(paper, name), getattr(measured, name)
        if theirs is not None and theirs != here:
            known.append(f"{words}: paper {theirs}, entry {'unknown' if here is None else here}")
    if known:
        return "other conditions (" + "; ".join(known) + ")"
    silent = [words for name, words in _NAMES if getattr(paper, name) is None]
    return f"not known of the paper: {', '.join(silent)}" if silent else ""
