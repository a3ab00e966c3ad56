"""The votes of a study as arrays: what every statistic of it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Votes:
    """One row a vote: one rater ranked all methods on one clip.

    Attributes:
        methods: K names.
        raters, clips: names that `rater` and `clip` index.
        rater, clip: int64 [V].
        ranks: float64 [V,K], 1 is best; each row sums to K(K+1)/2, ties share their mean rank.
    """

    methods: tuple[str, ...]
    raters: tuple[str, ...]
    clips: tuple[str, ...]
    rater: Ints
    clip: Ints
    ranks: Floats

    def __post_init__(self) -> None:
        """Refuse what is not a set of complete rankings.

        Raises:
            ValueError: shapes disagree, a rank is not finite, or a row is not a ranking.
        """
        rows, k = self.ranks.shape
        if k != len(self.methods) or len(self.rater) != rows or len(self.clip) != rows:
            raise ValueError("ranks, raters and clips of the votes have different lengths.")
        if not np.isfinite(self.ranks).all():
            raise ValueError("a rank is not finite.")
        if not np.array_equal(self.ranks, mid_ranks(self.ranks)):
            raise ValueError(f"a vote is not a ranking of {k} methods.")

    def __len__(self) -> int:
        """Number of votes."""
        return len(self.rater)

    @property
    def n_raters(self) -> int:
        """Raters with at least one vote."""
        return len(np.unique(self.rater))

    @property
    def n_clips(self) -> int:
        """Clips with at least one vote."""
        return len(np.unique(self.clip))

    def keep(self, mask: Mask) -> Votes:
        """Only the votes where `mask`, bool [V], is true."""
        return replace(self, rater=self.rater[mask], clip=self.clip[mask], ranks=self.ranks[mask])

    def mean_by(self, unit: Ints) -> Floats:
        """Mean ranks [N,K] of the N units that occur in `unit` (`rater` or `clip`)."""
        _, place = np.unique(unit, return_inverse=True)
        counts = np.bincount(place).astype(np.float64)
        sums = np.zeros((len(counts), self.ranks.shape[1]))
        np.add.at(sums, place, self.ranks)
        return sums / counts[:, None]


def make_votes(methods: Sequence[str], rows: Sequence[tuple[str, str, Sequence[float]]]) -> Votes:
    """Votes from rows of (rater, clip, rank of each method)."""
    raters = sorted({rater for rater, _, _ in rows})
    clips = sorted({clip for _, clip, _ in rows})
    place = {name: k for k, name in enumerate(raters)}
    where = {name: k for k, name in enumerate(clips)}
    return Votes(
        tuple(methods),
        tuple(raters),
        tuple(clips),
        np.array([place[rater] for rater, _, _ in rows], np.int64),
        np.array([where[clip] for _, clip, _ in rows], np.int64),
        np.array([ranks for _, _, ranks in rows], np.float64).reshape(len(rows), len(methods)),
    )


def mid_ranks(values: Floats) -> Floats:
    """Ranks 1..K within each row [N,K], smallest first; equal values share their mean rank."""
    below = (values[:, None, :] < values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    return below + (equal + 1) / 2
