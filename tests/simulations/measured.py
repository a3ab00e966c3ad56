"""What a simulation found: a figure before and after, its error, and the band it must lie in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """One line of the table.

    Attributes:
        what: what was counted, or measured.
        draws: independent draws behind `after`.
        before: the same for the uncorrected procedure; None where there was none.
        after: of the procedure in force.
        error: standard error of `after` from the finite number of draws; 0 where it has none.
        low, high: the acceptance band of `after`; a line without a band is for reading only.
        percent: whether the figures are parts of one, to be printed in percent.
    """

    what: str
    draws: int
    before: float | None
    after: float
    error: float
    low: float = -math.inf
    high: float = math.inf
    percent: bool = True

    @property
    def held(self) -> bool:
        """Whether `after` lies in its band."""
        return self.low <= self.after <= self.high

    def cells(self) -> list[str]:
        """Its texts: what, draws, before, after, band, verdict."""
        bounded = [
            *([f"≥ {self._text(self.low)}"] if math.isfinite(self.low) else []),
            *([f"≤ {self._text(self.high)}"] if math.isfinite(self.high) else []),
        ]
        after = self._text(self.after) + (f" ± {self._text(self.error)}" if self.error else "")
        before = "—" if self.before is None else self._text(self.before)
        verdict = ("held" if self.held else "MISSED") if bounded else ""
        return [self.what, str(self.draws), before, after, ", ".join(bounded), verdict]

    def _text(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.percent else f"{value:.3g}"


def rate(hits: Sequence[bool] | Iterable[bool]) -> tuple[float, float]:
    """Share of hits, and its standard error (of a share of one half a hit, where there is none)."""
    data = [bool(hit) for hit in hits]
    share = sum(data) / len(data)
    safe = min(max(share, 0.5 / len(data)), 1 - 0.5 / len(data))
    return share, math.sqrt(safe * (1 - safe) / len(data))


def mean_and_error(values: Sequence[float] | Floats) -> tuple[float, float]:
    """Mean of independent draws, and its standard error."""
    data = np.asarray(values, dtype=np.float64)
    return float(data.mean()), float(data.std(ddof=1) / math.sqrt(len(data)))


def adjusted_mean_and_error(values: Floats, known: Floats) -> tuple[float, float]:
    """Mean of independent draws [n], less what `known` [n,k], whose means are 0, explains.

    Regression estimator of control variates (Lavenberg & Welch, Management Science 27, 1981).
    """
    design = np.column_stack([np.ones(len(values)), known])
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    rest = values - design @ found
    freedom = len(values) - np.linalg.matrix_rank(design)
    return float(found[0]), math.sqrt(float(rest @ rest) / freedom / len(values))


def table(lines: Sequence[Measured]) -> str:
    """The lines as a Markdown table with columns of even width."""
    head = ["", "draws", "before", "after", "band", ""]
    rows = [head, *(line.cells() for line in lines)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    texts = [" | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    rule = " | ".join("-" * max(w, 3) for w in widths)
    return "\n".join(f"| {text} |" for text in [texts[0], rule, *texts[1:]])
