"""What a score file holds, made of what a metric says, and the figure that `--json` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vpbench import __version__
from vpbench.api.types import Floor, Score
from vpbench.core import schema, stats
from vpbench.core.estimators import has_bias
from vpbench.core.intervals import MIN_CLUSTERS
from vpbench.core.jackknife import jackknife
from vpbench.core.recognition import proportion, recognition_record
from vpbench.core.records import ScoreRecord, completed, correction
from vpbench.core.rundir import is_close, mean_of

if TYPE_CHECKING:
    from vpbench.harness.scoring.score import Running


def score_record(metric: Running, result: Score, clusters: Mapping[str, str]) -> ScoreRecord:
    """What a score file holds, without manifest and hash.

    What is NaN or infinite in a plugin's result becomes None; a value then has a reason.
    """
    spec, score = metric.wanted.spec, _without_nan(result)
    error = _clip_error(score, clusters) if spec.kind == "clip" else _set_error(score)
    if metric.only is not None:
        clusters = {k: v for k, v in clusters.items() if k in metric.only}
    mean = mean_of(score.per_clip.values()) if spec.kind == "clip" else None
    means = mean is not None and score.value is not None and is_close(score.value, mean)
    shares, strata = shares_and_strata(score.sizes)
    biased = spec.kind == "set" and has_bias(metric.fingerprint)
    corrections = correction(score.value, score.per_clip if biased else {}, shares, strata)
    record: ScoreRecord = {
        "schema": schema.SCORE,
        "vpbench": __version__,
        "metric": metric.wanted.name,
        "kind": spec.kind,
        "direction": spec.direction,
        "unit": spec.unit,
        "aggregate": "mean" if means else "own",
        "frames": metric.frames,
        "fingerprint": metric.fingerprint,
        "fp8": metric.short_fingerprint,
        "value": score.value,
        "reason": error.reason,
        "se": error.se,
        "n": score.n,
        "ci95": None if error.low is None or error.high is None else [error.low, error.high],
        **corrections,
        "p": finite(score.p),
        "floor": finite(score.floor),
        "floor_n": None,
        "per_clip": dict(score.per_clip),
        "per_frame": dict(score.per_frame),
        "samples": dict(score.samples),
        "clusters": {k: clusters[k] for k in sorted(clusters)} if spec.kind == "clip" else {},
        "sha256": "",
    }
    if shares is not None and strata is None:
        record["shares"] = shares
    if score.recognition is not None:
        record["recognition"] = recognition_record(score.recognition)
    if metric.subset is not None:
        record["subset"] = metric.subset
    return record


def _without_nan(score: Score) -> Score:
    reason = score.reason
    if score.value is not None and finite(score.value) is None:
        reason = "; ".join(filter(None, (reason, f"the metric returned {score.value}")))
    return replace(
        score,
        value=finite(score.value),
        se=finite(score.se),
        per_clip={k: finite(v) for k, v in score.per_clip.items()},
        reason=reason,
    )


@dataclass(frozen=True)
class _Error:
    """Standard error and interval of a figure, and its reason with what was added to it."""

    se: float | None
    low: float | None
    high: float | None
    reason: str | None


def _clip_error(score: Score, clusters: Mapping[str, str]) -> _Error:
    """By the bootstrap over clusters of clips; of shares by `share_interval`."""
    known = [(k, v) for k, v in sorted(score.per_clip.items()) if v is not None]
    by = clip_interval if score.recognition is None else share_interval
    interval, few = by([v for _, v in known], [clusters.get(k, "") for k, _ in known])
    reason = "; ".join(filter(None, (score.reason, few))) or None
    return _Error(interval.se, interval.low, interval.high, reason)


def _set_error(score: Score) -> _Error:
    """By the jackknife over the values without each cluster."""
    known = [v for _, v in sorted(score.per_clip.items()) if v is not None]
    if score.value is None or not known:
        return _Error(None, None, None, score.reason)
    if len(known) < MIN_CLUSTERS:
        reason = "; ".join(filter(None, (score.reason, _too_few(len(known)))))
        return _Error(None, None, None, reason)
    se, low, high = jackknife(known, score.value)
    if score.se is not None and se and low is not None and high is not None:
        half = (high - low) / 2 * score.se / se  # the metric knows its error better
        se, low, high = score.se, score.value - half, score.value + half
    return _Error(finite(se), low, high, score.reason)


def shares_and_strata(
    sizes: Mapping[str, tuple[int, int]],
) -> tuple[dict[str, float] | None, dict[str, str] | None]:
    """Cluster -> its part of the clips and the set that it is in; None where all are alike."""
    fakes, reals = (sum(pair[side] for pair in sizes.values()) for side in (0, 1))
    if not fakes or not reals or len(sizes) < 2 or len(set(sizes.values())) == 1:
        return None, None
    shares: dict[str, float] = {}
    strata: dict[str, str] = {}
    for name, (fake, real) in sizes.items():
        strata[name] = "both" if fake and real else "predicted" if fake else "real"
        # A cluster in both sets is about the same part of each.
        shares[name] = (fake / fakes + real / reals) / (2 if fake and real else 1)
    return shares, strata if len(set(strata.values())) > 1 else None


def _too_few(count: int) -> str:
    return f"no interval: {count} independent group{'s' * (count != 1)} of clips"


def clip_interval(
    values: Sequence[float], clusters: Sequence[str]
) -> tuple[stats.Interval, str | None]:
    """The bootstrap interval over independent clusters, and why there is none if there is none.

    Under `MIN_CLUSTERS` clusters the bootstrap covers far too little, so none is given.
    """
    interval = stats.bootstrap_mean(values, clusters)
    count = _independent(clusters)
    if interval.mean is None or count >= MIN_CLUSTERS:
        return interval, None
    return stats.Interval(interval.mean, None, None, None, interval.n), _too_few(count)


def share_interval(
    values: Sequence[float], clusters: Sequence[str]
) -> tuple[stats.Interval, str | None]:
    """The interval of a share of recognised clips, within 0 and 1, and why there is none.

    Wilson's where every clip counts once and stands alone, else that of `clip_interval`. Where all
    clips are right, or all wrong, the bootstrap has no width: then Wilson's over the clusters, of
    which each is right or wrong as a whole.
    """
    own = proportion(values, clusters)
    if own is not None:
        return own, None
    interval, few = clip_interval(values, clusters)
    if interval.se is not None and interval.mean in (0.0, 1.0):
        count = _independent(clusters)
        low, high = stats.wilson(round(interval.mean * count), count)
        interval = replace(interval, low=low, high=high)
    return interval, few


def _independent(clusters: Sequence[str]) -> int:
    """How many clusters there are; "" is one of its own."""
    return len(set(clusters) - {""}) + list(clusters).count("")


def with_floor(record: ScoreRecord, floor: Floor | None) -> ScoreRecord:
    """A figure with the floor from halves of the real clips, and what it says at the floor's n."""
    if floor is None:
        return record
    halves = f"floor from two halves of the real clips, {floor.n} in each"
    if floor.here is not None and floor.n != record["n"]:
        halves += f"; with {floor.n} clips a side this figure is {floor.here:.6g}"
    reason = "; ".join(filter(None, (record["reason"], halves)))
    return {**record, "floor": finite(floor.value), "floor_n": floor.n, "reason": reason}


def finite(value: float | None) -> float | None:
    """The value; None for NaN and infinity, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None


def score_json(stored: ScoreRecord) -> schema.ScoreJson:
    """The figure of a score file of any version, as `--json` prints it."""
    record = completed(stored)
    return schema.score_json(
        record["value"],
        n=record["n"],
        fingerprint=record["fp8"],
        reason=record["reason"],
        se=record["se"],
        ci95=record["ci95"],
        bias=record.get("bias"),
        corrected=record.get("corrected"),
        corrected_se=record.get("corrected_se"),
        corrected_ci95=record.get("corrected_ci95"),
        floor=record["floor"],
        floor_n=record.get("floor_n"),
        p=record["p"],
    )
