"""Tables of variants that were trained with several fit seeds each, in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from vpbench.core.stats import t_interval

Figures = Mapping[str, float | None]
"""Name -> value; None where it could not be measured."""
Variants = Mapping[str, Mapping[int, Figures]]
"""Variant -> fit seed -> figures."""


def seed_table(variants: Variants, names: Sequence[str]) -> str:
    """A row for each variant; with several seeds the mean, and the value of each in brackets."""
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for variant, seeds in variants.items():
        cells = [_cell([row.get(name) for row in seeds.values()]) for name in names]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def difference_table(variants: Variants, names: Sequence[str], whole: str) -> str:
    """What each variant has more than `whole`, within the seeds that have both.

    A cell is the mean difference, that of each seed in brackets, and from three seeds on Student's
    95 % interval of the mean.
    """
    lines = [f"| less {whole} | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for variant, seeds in variants.items():
        pairs = [(variants[whole][s], row) for s, row in seeds.items() if s in variants[whole]]
        if variant == whole or not pairs:
            continue
        cells = [_difference([_gap(a.get(n), b.get(n)) for a, b in pairs]) for n in names]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _gap(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _cell(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "-"
    mean = f"{statistics.fmean(known):.3f}"
    return mean if len(values) == 1 else f"{mean} ({_each(values, '.3f')})"


def _difference(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "-"
    ends = t_interval(known)
    span = "" if ends.low is None else f" [{ends.low:+.3f}, {ends.high:+.3f}]"
    each = "" if len(values) == 1 else f" ({_each(values, '+.3f')})"
    return f"{statistics.fmean(known):+.3f}{span}{each}"


def _each(values: Sequence[float | None], shape: str) -> str:
    return ", ".join("-" if v is None else format(v, shape) for v in values)
