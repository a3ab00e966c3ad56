"""Proportions of recognised clips: intervals, confusion, paired tests. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vpbench.core.intervals import Interval
from vpbench.core.records import RecognitionRecord
from vpbench.core.samples import clip_sample, difference
from vpbench.core.stats import holm, mcnemar_exact, wilson

if TYPE_CHECKING:
    from vpbench.api.types import Recognition
    from vpbench.core.schema import McNemarJson

Softmax = Mapping[str, Sequence[Sequence[float]]]
"""Clip -> [S][C]."""


def recognition_record(found: Recognition) -> RecognitionRecord:
    """What a score file holds of it."""
    return {
        "classes": list(found.classes),
        "label": dict(found.label),
        "softmax": {k: [list(row) for row in v] for k, v in found.softmax.items()},
        "streams": {
            name: {k: [list(row) for row in v] for k, v in stream.items()}
            for name, stream in found.streams.items()
        },
    }


def best_class(distribution: Sequence[float]) -> int:
    """The most probable class, the first of equals."""
    return max(range(len(distribution)), key=lambda c: (distribution[c], -c))


def correct(softmax: Softmax, label: Mapping[str, int]) -> dict[str, float]:
    """Clip -> the share of its samples whose most probable class is its own."""
    return {
        clip: math.fsum(best_class(row) == label[clip] for row in rows) / len(rows)
        for clip, rows in softmax.items()
    }


def follows(per_clip: Mapping[str, float | None], found: RecognitionRecord) -> bool:
    """Whether the values of clips are those that their stored distributions give."""
    if per_clip.keys() != found["softmax"].keys() or per_clip.keys() != found["label"].keys():
        return False
    expected = correct(found["softmax"], found["label"])
    return all(
        value is not None and math.isclose(value, expected[clip], abs_tol=1e-12)
        for clip, value in per_clip.items()
    )


def proportion(values: Sequence[float], clusters: Sequence[str]) -> Interval | None:
    """Wilson's interval of a share of independent clips.

    Args:
        values: one a clip.
        clusters: the cluster of each; "" is a cluster of its own.

    Returns:
        None where a clip is neither right nor wrong, because it has several samples, or where
        several clips are of one cluster: the trials are not independent then.
    """
    if not values or any(v not in (0.0, 1.0) for v in values) or not _alone(clusters):
        return None
    n, k = len(values), round(math.fsum(values))
    low, high = wilson(k, n)
    return Interval(k / n, math.sqrt(k / n * (1 - k / n) / n), low, high, n)


def _alone(clusters: Sequence[str]) -> bool:
    """Whether no two clips are of one cluster."""
    named = [c for c in clusters if c]
    return len(set(named)) == len(named)


def confusion(softmax: Softmax, label: Mapping[str, int], classes: int) -> list[list[int]]:
    """[C][C] counts of samples: row = the class asked for, column = the class recognised."""
    counts = [[0] * classes for _ in range(classes)]
    for clip, rows in softmax.items():
        for row in rows:
            counts[label[clip]][best_class(row)] += 1
    return counts


def mcnemar_pairs(
    rows: Mapping[str, Mapping[str, float | None]], clusters: Mapping[str, str] | None = None
) -> list[McNemarJson]:
    """Exact McNemar tests of all pairs of rows on the clips of both, adjusted by Holm.

    McNemar's test takes clips for independent. Where several of them are of one cluster, clusters
    are compared instead, as everywhere in tables (`samples.difference`).

    Args:
        rows: name -> clip -> 1 or 0, right or wrong.
        clusters: clip -> cluster; clips without one, or with "", stand alone.

    Returns:
        In the order of the rows. `p` is None without a clip in common, where a clip of either row
        is neither right nor wrong, and with few clusters; such pairs are not in Holm's family.
    """
    names = list(rows)
    pairs = [_pair(a, b, rows, clusters or {}) for k, a in enumerate(names) for b in names[k + 1 :]]
    known = [pair for pair in pairs if pair["p"] is not None]
    adjusted = holm([pair["p"] for pair in known if pair["p"] is not None])
    for pair, p in zip(known, adjusted, strict=True):
        pair["p_holm"] = p
    return pairs


def _pair(
    a: str,
    b: str,
    rows: Mapping[str, Mapping[str, float | None]],
    clusters: Mapping[str, str],
) -> McNemarJson:
    one, other = rows[a], rows[b]
    common = sorted(one.keys() & other.keys())
    values = [(one[clip], other[clip]) for clip in common]
    found: McNemarJson = {
        "a": a,
        "b": b,
        "n": len(common),
        "only_a": None,
        "only_b": None,
        "test": None,
        "p": None,
        "p_holm": None,
        "reason": None,
    }
    if not common:
        return {**found, "reason": "no clips in common"}
    if any(v not in (0.0, 1.0) for pair in values for v in pair):
        return {**found, "reason": "several samples or runs"}
    only_a, only_b = values.count((1.0, 0.0)), values.count((0.0, 1.0))
    found["only_a"], found["only_b"] = only_a, only_b
    if _alone([clusters.get(clip, "") for clip in common]):
        return {**found, "test": "mcnemar", "p": mcnemar_exact(only_a, only_b)}
    left, right = (clip_sample([{c: row[c] for c in common}], clusters) for row in (one, other))
    assert left is not None and right is not None  # there are clips, and all have values
    by_groups = difference(left, right)
    found["p"], found["reason"] = by_groups.p_apart(), by_groups.reason or None
    found["test"] = None if found["p"] is None else "groups"
    return found
