"""What is wrong with an entry by itself: figures that do not follow, clips that are missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from vpbench.api.errors import UsageError
from vpbench.api.specs import MetricSpec
from vpbench.board.collect import predictions_hash
from vpbench.board.entry import Entry, EntryRun, EntryScore
from vpbench.board.scores import score_record
from vpbench.board.structure import SHA256
from vpbench.core.estimators import has_bias
from vpbench.core.hashing import digest
from vpbench.core.names import PLUGIN_NAME, parse_name
from vpbench.core.plan import REFERENCES
from vpbench.core.records import correction
from vpbench.core.registry import Registry
from vpbench.core.rundir import is_close, mean_of
from vpbench.harness.scoring.score_record import clip_interval, share_interval

_SHOWN = 3
"""Clips that a message names."""

_OF_TASK = {"n": "n", "split": "split_sha256", "size": "size", "geometry": "geometry"}
"""Field of a fingerprint -> field of the task that it must equal."""

_ORDER = ("self-reported", "rescored", "rerun")


def problems_of(entry: Entry, registry: Registry) -> Iterator[str]:
    """Everything wrong that the entry shows by itself, a sentence without a full stop each."""
    yield from _method(entry)
    yield from _task(entry)
    yield from _trust(entry)
    for k, run in enumerate(entry.runs):
        at = f"runs[{k}]" if len(entry.runs) > 1 else ""
        for text in _run(entry, run, registry):
            yield f"{at}: {text}" if at else text


def _method(entry: Entry) -> Iterator[str]:
    method = entry.method
    try:
        base = parse_name(method.name).base.rpartition(":")[2]
    except UsageError as error:
        yield error.message.rstrip(".")
        return
    if not PLUGIN_NAME.fullmatch(base):
        yield f"{base!r} is not a method name: lower-case letters, digits and dashes"
    own = method.kind in ("reference", "ceiling", "floor", "null")
    if own != (base in REFERENCES):
        yield f"a row of kind {method.kind} cannot be called {base}"
    if own == (method.tier is not None):
        yield "a reference has no tier, and every other row has one"
    for name, sha in method.weights.items():
        if not SHA256.fullmatch(sha):
            yield f"the weights {name} are pinned by {len(sha)} digits; a whole sha256 is needed"


def _task(entry: Entry) -> Iterator[str]:
    task = entry.task
    if task.limit is not None:
        yield f"it was made with --limit {task.limit}, over a part of the split"
    if task.n != len(entry.clips):
        yield f"the split has {task.n} clips and the entry lists {len(entry.clips)}"


def _trust(entry: Entry) -> Iterator[str]:
    found = ["self-reported", *(v.level for v in entry.trust.verifications)]
    level = max(found, key=_ORDER.index)
    if entry.trust.level != level:
        yield f"it says {entry.trust.level}, and its verifications say {level}"


def _run(entry: Entry, run: EntryRun, registry: Registry) -> Iterator[str]:
    hashes = dict(zip(entry.clips, run.clip_sha256, strict=True))
    if predictions_hash(hashes) != run.predictions_sha256:
        yield "predictions_sha256 does not follow from the hashes of the clips"
    if not run.scores:
        yield "it has no scores"
    for score in run.scores:
        name = f"{score.metric} over {score.frames} frames"
        if score.subset is not None:
            name += f" of {score.subset.name}"
        for text in _score(entry, score, registry):
            yield f"{name}: {text}"


def _score(entry: Entry, score: EntryScore, registry: Registry) -> Iterator[str]:
    if digest(dict(score.fingerprint))[:8] != score.fp8:
        yield "fp8 does not follow from the fingerprint"
    yield from _fingerprint(entry, score)
    yield from _metric(score, registry)
    yield from _missing(entry, score)
    yield from _figures(entry, score)
    if "recogniser" in score.fingerprint:
        yield from _recogniser(entry, score)


def _fingerprint(entry: Entry, score: EntryScore) -> Iterator[str]:
    fingerprint = score.fingerprint
    if fingerprint.get("frames") != score.frames:
        yield f"its fingerprint is of {fingerprint.get('frames')} frames"
    if not 0 < score.frames <= entry.task.horizon:
        yield f"the task has {entry.task.horizon} frames"
    if score.subset is None:
        for name, field in _OF_TASK.items():
            theirs: Any = fingerprint.get(name)
            if digest(theirs) != digest(getattr(entry.task, field)):
                yield f"{name} in its fingerprint is not that of the task"
    for name, value in fingerprint.items():
        pin = name.endswith("weights") or name == "recogniser"
        if pin and not (isinstance(value, str) and SHA256.fullmatch(value)):
            yield f"{name} is pinned by {str(value)[:20]!r}; a whole sha256 is needed"


def _metric(score: EntryScore, registry: Registry) -> Iterator[str]:
    """Whether the metric is known here, and the fingerprint is one that it can have."""
    base, _, recipe = score.metric.partition("@")
    try:
        spec = registry.metric(base)
    except UsageError:
        yield f"the metric {base!r} is not installed, so that its fingerprint cannot be checked"
        return
    if recipe and recipe not in spec.recipes:
        yield f"{base} has no recipe {recipe!r}"
    named = str(score.fingerprint.get("metric", ""))
    if named.partition("@")[0] != base:
        yield f"its fingerprint is of the metric {named!r}"
    version = score.fingerprint.get("version")
    if version != spec.version:
        yield f"its fingerprint has version {version}; {base} has version {spec.version}"
    if score.kind != spec.kind or score.direction != spec.direction:
        yield f"{base} is of kind {spec.kind} and better {spec.direction}"
    yield from _weights(score, spec)


def _weights(score: EntryScore, spec: MetricSpec) -> Iterator[str]:
    used = {v for k, v in score.fingerprint.items() if k.endswith("weights")}
    known = {sha for w in spec.weights for sha in (w.sha256, w.content) if sha}
    for weights in spec.weights:
        if len(weights.sha256) < 64 and not weights.content:
            digits = len(weights.sha256)
            yield f"{weights.name} is pinned by {digits} digits; a whole sha256 is needed"
    if all(w.content for w in spec.weights) and known and not used <= known:
        yield "its weights are not among those that the metric declares"


def _missing(entry: Entry, score: EntryScore) -> Iterator[str]:
    """Every clip of the split must have been scored: one that is missing is not 0."""
    wanted = score.subset.n if score.subset else len(entry.clips)
    if score.n != wanted:
        yield f"it is over {score.n} of {wanted} clips"
    names = score.names or entry.clips
    if score.kind == "clip":
        lost = [] if score.subset else sorted(set(entry.clips) - set(names))
        lost += [name for name, v in zip(names, score.values, strict=True) if v is None]
        if lost:
            plural = "clip has" if len(lost) == 1 else "clips have"
            yield f"{len(lost)} {plural} no value: {_listed(lost)}"
        foreign = sorted(set(names) - set(entry.clips))
        if foreign:
            yield f"it has values of clips that the split does not have: {_listed(foreign)}"
    if score.value is None:
        yield f"it has no value ({score.reason or 'no reason given'})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _figures(entry: Entry, score: EntryScore) -> Iterator[str]:
    """Figures that cannot be true together."""
    value = score.value
    if value is None:
        return
    if score.recognised:
        names = range(len(score.values))
        if any(not _is_share(score.values[k], len(score.recognised[k])) for k in names):
            yield "the value of a clip is not a share of its samples"
    if score.aggregate == "mean":
        mean = mean_of(score.values)
        if mean is None or not is_close(mean, value):
            yield "the value is not the mean of the clips' values"
    bias, corrected = score.bias, score.corrected
    if bias is not None and corrected is not None and not is_close(value - bias, corrected):
        yield "the corrected figure is not the value less its bias"
    yield from _errors(entry, score)
    if score.ci95 is not None and not score.ci95[0] <= value <= score.ci95[1]:
        yield "the value lies outside its interval"
    if score.se is not None and score.se < 0:
        yield "its standard error is negative"


def _errors(entry: Entry, score: EntryScore) -> Iterator[str]:
    """Errors and corrections that do not follow from the values of the clips."""
    record = score_record(entry, score, "")
    if score.kind == "set":
        bias = correction(score.value, record["per_clip"], record.get("shares"))["bias"]
        # Entries of earlier versions have the noise of one where the metric has none.
        known = (bias,) if has_bias(score.fingerprint) else (bias, None)
        if not any(_alike(own, score.bias, score.value) for own in known):
            yield "its bias does not follow from the values without each clip"
        return
    known = [(k, v) for k, v in sorted(record["per_clip"].items()) if v is not None]
    values, clusters = [v for _, v in known], [record["clusters"].get(k, "") for k, _ in known]
    expected, _ = (share_interval if score.recognised else clip_interval)(values, clusters)
    if not _alike(expected.se, score.se, score.value):
        yield "its standard error does not follow from the values of the clips"


def _alike(one: float | None, other: float | None, size: float | None) -> bool:
    """Equal, but for what another processor makes of sums of this size."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9 * max(1.0, abs(size or 0.0)))


def _is_share(value: float | None, samples: int) -> bool:
    if value is None or not samples:
        return False
    return math.isclose(value * samples, round(value * samples), abs_tol=1e-9)


def _recogniser(entry: Entry, score: EntryScore) -> Iterator[str]:
    """A recogniser that has seen the test clips says nothing about predictions of them."""
    weights = score.fingerprint["recogniser"]
    known = [r for r in entry.recognisers if r.metric == score.metric and r.sha256 == weights]
    if not known or not known[0].train:
        yield "it does not say what its recogniser was trained on"
        return
    own = {clip.partition("#")[0] for clip in entry.clips} | set(entry.clips)
    seen = sorted(own & set(known[0].train))
    if seen:
        yield f"its recogniser was trained on {len(seen)} test clips: {_listed(seen)}"
