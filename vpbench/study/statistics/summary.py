"""Everything that is said about one question's votes, as JSON."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vpbench.core.stats import holm, tie_groups, wilson
from vpbench.study.statistics import agreement, plackett_luce, significance
from vpbench.study.statistics.resample import Estimate, estimate, two_sided_p, weighted_mean
from vpbench.study.statistics.votes import Floats, Votes

LEVEL = 0.95


def summarise(
    votes: Votes, *, n_resamples: int = 2000, seed: int = 0, nemenyi: bool = False
) -> dict[str, Any]:
    """Mean ranks, first places, wins, tests, worths and agreement of some votes.

    Returns:
        JSON; None stands for what the votes cannot tell (an interval of one rater, say).
    """
    if not len(votes):
        return {"votes": 0, "raters": 0, "clips": 0, "methods": [], "pairs": []}
    k = len(votes.methods)
    names = list(itertools.combinations(range(k), 2))
    linear, worths = _estimates(votes, names, n_resamples, seed)
    by_clip, by_rater = votes.mean_by(votes.clip), votes.mean_by(votes.rater)
    tests = {"clips": by_clip, "raters": by_rater}
    adjusted = {unit: significance.wilcoxon_pairs(blocks) for unit, blocks in tests.items()}
    pairs = _pairs(votes, linear, adjusted, names)
    return {
        "votes": len(votes),
        "raters": votes.n_raters,
        "clips": votes.n_clips,
        "methods": _methods(votes, linear, worths, pairs),
        "wins": _wins(votes, linear, names),
        "pairs": pairs,
        "friedman": {
            unit: dataclasses.asdict(significance.friedman(blocks))
            for unit, blocks in tests.items()
        },
        "kendall_w": _kendall_w(votes),
        "krippendorff_alpha": agreement.krippendorff_ordinal(votes),
        "ties": int((votes.ranks != np.round(votes.ranks)).any(axis=1).sum()),
        "separated": _separated(votes),
        **({"nemenyi": {u: _nemenyi(votes, b) for u, b in tests.items()}} if nemenyi else {}),
    }


def _estimates(
    votes: Votes, pairs: Sequence[tuple[int, int]], n_resamples: int, seed: int
) -> tuple[Estimate, Estimate]:
    """What is averaged, and log-worths, from the same resamples."""
    averages = weighted_mean(_columns(votes, pairs))
    worths = plackett_luce.log_worths(votes)

    def both(weights: Floats) -> Floats:
        return np.hstack([averages(weights), worths(weights)])

    result = estimate(votes, both, n_resamples=n_resamples, seed=seed, level=LEVEL)
    at = len(result.value) - len(votes.methods)
    return result.part(slice(None, at)), result.part(slice(at, None))


def _columns(votes: Votes, pairs: Sequence[tuple[int, int]]) -> Floats:
    """What is averaged, [V,P]: ranks, first places, differences of ranks, wins of pairs."""
    ranks = votes.ranks
    best = ranks == ranks.min(axis=1, keepdims=True)
    first = best / best.sum(axis=1, keepdims=True)  # a shared first place is shared out
    gaps = [ranks[:, i] - ranks[:, j] for i, j in pairs]
    wins = [(1 - np.sign(ranks[:, i] - ranks[:, j])) / 2 for i, j in pairs]
    return np.column_stack([ranks, first, *gaps, *wins])


def _methods(
    votes: Votes, linear: Estimate, worths: Estimate, pairs: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    k = len(votes.methods)
    differ = {(p["a"], p["b"]): p["different"] for p in pairs}
    names = votes.methods
    groups = tie_groups(
        [float(v) for v in linear.value[:k]], "down", lambda i, j: differ[names[i], names[j]]
    )
    best = _share_best(worths.draws)
    sd = votes.ranks.std(axis=0)
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        rows.append(
            {
                "method": name,
                "mean_rank": float(linear.value[i]),
                "sd": float(sd[i]),
                "se": _number(linear.se[i]),
                "ci95": _ends(linear, i),
                "first": float(linear.value[k + i]),
                "first_ci95": _rate_ends(linear, k + i, votes),
                "log_worth": _number(worths.value[i]),
                "log_worth_ci95": _ends(worths, i),
                "p_best": None if best is None else float(best[i]),
                "rank": groups[i],
                "counts": _rank_counts(votes, i),
            }
        )
    return rows


def _rank_counts(votes: Votes, method: int) -> list[float]:
    """Votes that gave the method rank 1, 2, ...; a tied vote is shared among its ranks."""
    k = len(votes.methods)
    ranks = votes.ranks
    size = (ranks == ranks[:, [method]]).sum(axis=1)
    low = ranks[:, method] - (size - 1) / 2
    places = np.arange(1, k + 1)[None, :]
    inside = (places >= low[:, None]) & (places <= (low + size - 1)[:, None])
    return [float(v) for v in (inside / size[:, None]).sum(axis=0)]


def _share_best(draws: Floats) -> Floats | None:
    """How often each method has the largest worth in the resamples; ties are shared."""
    draws = draws[np.isfinite(draws).all(axis=1)] if len(draws) else draws
    if not len(draws):
        return None
    top = draws >= draws.max(axis=1, keepdims=True) - 1e-9
    return (top / top.sum(axis=1, keepdims=True)).mean(axis=0)


def _pairs(
    votes: Votes,
    linear: Estimate,
    adjusted: dict[str, dict[tuple[int, int], float]],
    names: Sequence[tuple[int, int]],
) -> list[dict[str, Any]]:
    """All pairs. Two methods differ where the two-way test, after Holm, says so.

    A finding has to hold for other raters and for other clips. That the signed-rank tests over
    clips and over raters both reject is not enough: each takes the other factor as it is, and both
    together reject too often (Clark, Journal of Verbal Learning and Verbal Behavior 12, 1973).
    """
    start = 2 * len(votes.methods)
    part = linear.part(slice(start, start + len(names)))
    raw = two_sided_p(part.value, part.se, part.freedom)
    # Where all votes agree there is no variance to go by; the ranks of the raters still count.
    alike = [max(adjusted[unit][pair] for unit in adjusted) for pair in names]
    known = np.isfinite(part.se)
    p = np.where(np.isnan(raw), np.where(known, alike, np.nan), raw)
    together = holm(list(p)) if known.all() else [None] * len(names)
    return [
        {
            "a": votes.methods[i],
            "b": votes.methods[j],
            "difference": float(part.value[at]),
            "ci95": _ends(part, at),
            "p": p_at,
            "p_clips": adjusted["clips"][i, j],
            "p_raters": adjusted["raters"][i, j],
            "different": p_at is not None and p_at < 1 - LEVEL,
        }
        for at, ((i, j), p_at) in enumerate(zip(names, together, strict=True))
    ]


def _wins(
    votes: Votes, linear: Estimate, pairs: Sequence[tuple[int, int]]
) -> list[list[dict[str, Any] | None]]:
    """Row i, column j: share of votes that rank i above j, a tie counts half."""
    k = len(votes.methods)
    table: list[list[dict[str, Any] | None]] = [[None] * k for _ in range(k)]
    start = 2 * k + len(pairs)
    for at, (i, j) in enumerate(pairs):
        value, ends = float(linear.value[start + at]), _rate_ends(linear, start + at, votes)
        table[i][j] = {"share": value, "ci95": ends}
        table[j][i] = {"share": 1 - value, "ci95": ends and [1 - ends[1], 1 - ends[0]]}
    return table


def _ends(result: Estimate, column: int) -> list[float] | None:
    low, high = _number(result.low[column]), _number(result.high[column])
    return None if low is None or high is None else [low, high]


def _rate_ends(result: Estimate, column: int, votes: Votes) -> list[float] | None:
    """Ends of a share, within 0..1.

    Where all votes agree, resampling knows no doubt; Wilson's interval for as many trials as there
    are raters or clips, whichever are fewer, stands instead.
    """
    ends = _ends(result, column)
    if ends is None:
        return None
    value, n = float(result.value[column]), min(votes.n_raters, votes.n_clips)
    if result.se[column] == 0 and value in (0.0, 1.0):
        return list(wilson(round(value * n), n, LEVEL))
    return [max(0.0, ends[0]), min(1.0, ends[1])]


def _kendall_w(votes: Votes) -> dict[str, Any]:
    k = len(votes.methods)
    w = significance.kendall_w(votes.ranks)
    return {
        "votes": w,
        "chi2": None if w is None else len(votes) * (k - 1) * w,
        "within_clips": agreement.w_within_clips(votes),
    }


def _separated(votes: Votes) -> bool:
    known = plackett_luce.patterns(votes)
    if not len(known.orders):
        return False
    counts = np.bincount(known.votes[known.votes >= 0], minlength=len(known.orders))
    return bool(plackett_luce.separated(known.orders, counts[None, :].astype(np.float64))[0])


def _nemenyi(votes: Votes, blocks: Floats) -> dict[str, Any] | None:
    if len(blocks) < 2:
        return None
    test = significance.nemenyi(blocks)
    return {
        "n": len(blocks),
        "mean_ranks": [float(v) for v in test.mean_ranks],
        "critical_difference": test.critical_difference,
        "p": [
            {"a": votes.methods[i], "b": votes.methods[j], "p": p} for (i, j), p in test.p.items()
        ],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
