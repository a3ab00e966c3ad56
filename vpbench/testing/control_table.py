"""What a metric can tell from real clips: controls with one thing wrong, and a test for each.

The clips are their own controls, so the two sets of a row have the same people, places and actions.
Metrics of sets are tested by relabelling: a clip and its control swap sides. Metrics of single
clips are tested by the signs of the differences between a control's value and that of the clip
itself. Halves of the real clips against each other are what neither may find.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vpbench.api.errors import VpbenchError
from vpbench.core import schema, stats
from vpbench.core.pools import in_processes
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry, limited_registry
from vpbench.harness.references.controls import CONTROLS
from vpbench.harness.scoring.controlled import (
    OTHER_HALF,
    PERMUTATIONS,
    SAME,
    ControlMeasurement,
    controlled,
)
from vpbench.harness.scoring.measure_workers import (
    Scored,
    Scores,
    not_scored,
    portable,
    score_in_workers,
)
from vpbench.harness.scoring.score import Wanted, wanted_metrics

LEVEL = 0.05
"""Of the p-values of one metric's rows, adjusted for their number."""

SIGN_FLIPS = 9_999
"""Random signs behind the p-value of a metric of single clips."""
_SEED = 20_180_703
_ROWS = (SAME, OTHER_HALF, *CONTROLS)


@dataclass(frozen=True)
class ControlRow:
    """One metric on one control.

    Attributes:
        p: against "the control is as real as the clips"; None without a test.
        p_holm: adjusted for the rows of the metric.
        told: `p_holm` is under `LEVEL`.
        worse: than other real clips or, for metrics of single clips, than the clips themselves;
            by the corrected value where there is one.
    """

    control: str
    score: schema.ScoreJson
    p: float | None = None
    p_holm: float | None = None
    told: bool | None = None
    worse: bool | None = None

    def json(self) -> schema.ControlJson:
        """As `vpbench check --json` prints it."""
        score = self.score
        return {
            "control": self.control,
            "value": score["value"],
            "se": score["se"],
            "corrected": score["corrected"],
            "n": score["n"],
            "p": self.p,
            "p_holm": self.p_holm,
            "told": self.told,
            "worse": self.worse,
            "reason": score["reason"] if score["value"] is None or self.p is None else None,
        }


def control_table(
    clips: ControlMeasurement,
    wanted: Sequence[Wanted],
    registry: Registry,
    workers: int,
    report: Report,
) -> dict[str, list[ControlRow]]:
    """Score all controls.

    Args:
        clips: each against itself.
        workers: processes, each of which scores whole controls.

    Returns:
        Name of the metric -> its rows, other real clips first. Metrics of single clips have no row
        of other clips.

    Raises:
        VpbenchError: a clip cannot be read.
        MethodFailed: the metric of a plugin raised.
    """
    paired = any(w.spec.kind == "clip" for w in wanted)
    names = [name for name in _ROWS if paired or name != SAME]
    own = [w for w in wanted if w.built_in]
    scores: dict[str, Scores] = {name: {} for name in names}
    for name, got in zip(names, _own(clips, own, names, workers, report), strict=True):
        scores[name] |= got
    foreign = [w for w in wanted if not w.built_in]
    for done, name in enumerate(names if foreign else (), 1):
        scores[name] |= _scored(clips, name, foreign, registry)
        report(_progress(done, len(names)))
    clusters = {item.id: item.cluster for item in clips.items[0].values()}
    return {w.name: _rows(w, {n: s[w.name] for n, s in scores.items()}, clusters) for w in wanted}


def _own(
    clips: ControlMeasurement,
    wanted: Sequence[Wanted],
    names: Sequence[str],
    workers: int,
    report: Report,
) -> list[Scores]:
    """The scores of vpbench's own metrics, a control at a time in each process."""
    if not wanted:
        return [{} for _ in names]
    job = _Job(clips, tuple(w.name for w in wanted))
    results: list[Scores] = []
    report(_progress(0, len(names)))
    for got in in_processes(
        _score, names, min(workers, len(names)), "scores clips", begin=_begin, arguments=(job,)
    ):
        if isinstance(got, VpbenchError):
            raise got
        results.append(got)
        report(_progress(len(results), len(names)))
    return results


def _progress(done: int, total: int) -> dict[str, object]:
    return {"event": "progress", "what": "controls", "done": done, "total": total}


@dataclass(frozen=True)
class _Job:
    """What a process is told: all clips, and the metrics by name."""

    clips: ControlMeasurement
    metrics: tuple[str, ...]


_jobs: list[_Job] = []
"""In a worker process: the one that it does."""


def _begin(job: _Job) -> None:
    _jobs[:] = [job]


def _score(name: str) -> Scores | VpbenchError:
    plugins = limited_registry((), ())
    try:
        return _scored(_jobs[0].clips, name, wanted_metrics(_jobs[0].metrics, plugins), plugins)
    except VpbenchError as error:
        return portable(error)


def _scored(
    clips: ControlMeasurement, name: str, wanted: Sequence[Wanted], registry: Registry
) -> Scores:
    """Scores of one control; metrics that do not go with it are a dash."""
    unfit = {OTHER_HALF: "clip", SAME: "set"}.get(name)
    todo = [w for w in wanted if w.spec.kind != unfit]
    reason = "it compares a clip with its own prediction" if unfit == "clip" else "not a control"
    scores: Scores = {w.name: not_scored(reason) for w in wanted if w.spec.kind == unfit}
    return scores | score_in_workers(controlled(clips, name), todo, registry, 1, silent)


def _rows(
    wanted: Wanted, scores: Mapping[str, Scored], clusters: Mapping[str, str]
) -> list[ControlRow]:
    of_clips = wanted.spec.kind == "clip"
    base = scores[SAME if of_clips else OTHER_HALF]
    shown = [n for n in scores if n != SAME and not (of_clips and n == OTHER_HALF)]
    p: dict[str, float | None] = {}
    for name in shown:
        own = scores[name]
        p[name] = _paired_p(own.per_clip, base.per_clip, clusters) if of_clips else own.json["p"]
    tested = [name for name in shown if p[name] is not None]
    adjusted = dict(zip(tested, stats.holm([p[n] or 0.0 for n in tested]), strict=True))
    return [
        ControlRow(
            control=name,
            score=scores[name].json,
            p=p[name],
            p_holm=adjusted.get(name),
            told=adjusted[name] < LEVEL if name in adjusted else None,
            worse=None if scores[name] is base else _worse(wanted, scores[name], base),
        )
        for name in shown
    ]


def _worse(wanted: Wanted, one: Scored, base: Scored) -> bool | None:
    values = [figure(scored.json) for scored in (one, base)]
    if values[0] is None or values[1] is None:
        return None
    return values[0] < values[1] if wanted.spec.direction == "up" else values[0] > values[1]


def figure(score: schema.ScoreJson) -> float | None:
    """What rows are compared by: the corrected value where there is one."""
    return score["value"] if score["corrected"] is None else score["corrected"]


def _paired_p(
    control: Mapping[str, float | None],
    base: Mapping[str, float | None],
    clusters: Mapping[str, str],
) -> float | None:
    """`sign_flip_p` of the differences of all clips; None where a clip has no value."""
    known = [(k, v, base.get(k)) for k, v in sorted(control.items())]
    if not known or any(v is None or b is None for _, v, b in known):
        return None
    differences = [v - b for _, v, b in known if v is not None and b is not None]
    return sign_flip_p(differences, [clusters.get(k, k) for k, _, _ in known])


def sign_flip_p(differences: Sequence[float], clusters: Sequence[str]) -> float:
    """Two-sided p-value of paired differences against "each is as likely with the other sign".

    The statistic is their sum. The differences of a cluster change sign together. Up to 13 clusters
    all signs are tried, and beyond that `SIGN_FLIPS` random ones, by a fixed seed (Lehmann & Romano
    2005, section 15.2; `scipy.stats.permutation_test` with `permutation_type="samples"`).

    Raises:
        ValueError: no differences, other than so many names, or NaN.
    """
    if not differences or len(differences) != len(clusters):
        raise ValueError(f"{len(differences)} differences have {len(clusters)} clusters.")
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for value, name in zip(differences, clusters, strict=True):
        groups[name].append(value)
    sums = np.array([math.fsum(groups[name]) for name in sorted(groups)])
    if not np.isfinite(sums).all():
        raise ValueError("a difference is not finite.")
    count = len(sums)
    if 2**count <= SIGN_FLIPS:
        bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    else:
        random = np.random.Generator(np.random.PCG64(_SEED))
        bits = random.integers(0, 2, (SIGN_FLIPS + 1, count))
        bits[0] = 0
    totals = np.abs((1 - 2 * bits) @ sums)
    return float(np.mean(totals >= totals[0] * (1 - 1e-12)))


@dataclass(frozen=True)
class ControlReport:
    """The table of one or more metrics, and what it was made on.

    Attributes:
        dataset: as typed.
        n, frames: clips, and frames of each.
        rows: by metric.
    """

    dataset: str
    n: int
    frames: int
    rows: Mapping[str, Sequence[ControlRow]] = field(default_factory=dict[str, list[ControlRow]])

    def json(self, metric: str) -> schema.ControlsJson:
        """The table of one metric as `vpbench check --json` prints it."""
        return {
            "dataset": self.dataset,
            "n": self.n,
            "frames": self.frames,
            "permutations": PERMUTATIONS,
            "level": LEVEL,
            "rows": [row.json() for row in self.rows[metric]],
        }
