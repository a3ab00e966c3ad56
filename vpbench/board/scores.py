"""Scores in entries: lists in the order of the clips, and back to the records of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from vpbench.board.entry import Entry, EntryScore, EntrySubset
from vpbench.core import schema
from vpbench.core.recognition import best_class
from vpbench.core.records import RecognitionRecord, ScoreRecord, completed

V = TypeVar("V")

if TYPE_CHECKING:
    from vpbench.harness.results.finished_runs import FinishedRun


def labels_of(run: FinishedRun, clips: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names of the classes, and the class of each clip, from what was recognised; () without."""
    for record in run.scores.values():
        found = record.get("recognition")
        if found is not None and all(clip in found["label"] for clip in clips):
            return tuple(found["classes"]), tuple(found["label"][clip] for clip in clips)
    return (), ()


def entry_scores(run: FinishedRun, clips: Sequence[str]) -> tuple[EntryScore, ...]:
    """All scores of a run, over the whole split and over subsets, in a fixed order."""
    records = [*run.scores.values(), *(s for part in run.subsets.values() for s in part.values())]
    records.sort(key=_order)
    return tuple(_score(completed(record), clips) for record in records)


def _order(record: ScoreRecord) -> tuple[str, str, int, str]:
    subset = record.get("subset")
    return subset["name"] if subset else "", record["metric"], record["frames"], record["fp8"]


def _score(record: ScoreRecord, clips: Sequence[str]) -> EntryScore:
    names = sorted(record["per_clip"])
    clusters = [record["clusters"].get(name, f"clip:{name}") for name in names]
    alone = all(own == f"clip:{name}" for own, name in zip(clusters, names, strict=True))
    shares = record.get("shares")
    ci95, corrected = record["ci95"], record.get("corrected_ci95")
    found = record.get("recognition")
    subset = record.get("subset")
    return EntryScore(
        metric=record["metric"],
        kind="set" if record["kind"] == "set" else "clip",
        direction=record["direction"],
        unit=record["unit"],
        aggregate=record["aggregate"],
        frames=record["frames"],
        fingerprint=record["fingerprint"],
        fp8=record["fp8"],
        value=record["value"],
        n=record["n"],
        reason=record["reason"],
        se=record["se"],
        ci95=(ci95[0], ci95[1]) if ci95 else None,
        bias=record.get("bias"),
        corrected=record.get("corrected"),
        corrected_se=record.get("corrected_se"),
        corrected_ci95=(corrected[0], corrected[1]) if corrected else None,
        p=record["p"],
        subset=None if subset is None else EntrySubset(**subset),
        values=tuple(record["per_clip"][name] for name in names),
        names=() if names == list(clips) else tuple(names),
        clusters=() if alone or not record["clusters"] else tuple(clusters),
        shares=() if shares is None else tuple(shares[name] for name in names),
        curve=_curve(record),
        recognised=() if found is None else _recognised(found, names),
    )


def _curve(record: ScoreRecord) -> tuple[float | None, ...]:
    """Mean over the clips that have a value, for each frame."""
    rows = list(record["per_frame"].values())
    if not rows or {len(row) for row in rows} != {record["frames"]}:
        return ()
    columns = [[v for v in column if v is not None] for column in zip(*rows, strict=True)]
    return tuple(math.fsum(c) / len(c) if c else None for c in columns)


def _recognised(found: RecognitionRecord, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(best_class(row) for row in found["softmax"][name]) for name in names)


def score_record(entry: Entry, score: EntryScore, manifest: str) -> ScoreRecord:
    """The score file that an entry's score was made of.

    Curves of single clips, single samples and probabilities are not in an entry: there is no
    `per_frame`, no `samples`, and what was recognised has probability 1.
    """
    names = score.names or entry.clips
    alone = [f"clip:{name}" for name in names] if score.kind == "clip" else []
    record: ScoreRecord = {
        "schema": schema.SCORE,
        "vpbench": entry.vpbench,
        "metric": score.metric,
        "kind": score.kind,
        "direction": score.direction,
        "unit": score.unit,
        "aggregate": score.aggregate,
        "frames": score.frames,
        "fingerprint": dict(score.fingerprint),
        "fp8": score.fp8,
        "value": score.value,
        "reason": score.reason,
        "se": score.se,
        "n": score.n,
        "ci95": _ends(score.ci95),
        "bias": score.bias,
        "corrected": score.corrected,
        "corrected_se": score.corrected_se,
        "corrected_ci95": _ends(score.corrected_ci95),
        "p": score.p,
        "floor": None,
        "floor_n": None,
        "per_clip": _by_name(names, score.values),
        "per_frame": {},
        "samples": {},
        "clusters": _by_name(names, score.clusters or alone),
        "manifest": manifest,
        "sha256": "",
    }
    if score.shares:
        record["shares"] = _by_name(names, score.shares)
    if score.recognised:
        record["recognition"] = _recognition(entry, score, names)
    if score.subset is not None:
        own = score.subset
        record["subset"] = {"name": own.name, "n": own.n, "hash": own.hash}
        if own.shown is not None:
            record["subset"]["shown"] = own.shown
    return record


def _by_name(names: Sequence[str], values: Sequence[V]) -> dict[str, V]:
    return dict(zip(names, values, strict=True)) if values else {}


def _ends(pair: tuple[float, float] | None) -> list[float] | None:
    return None if pair is None else list(pair)


def _recognition(entry: Entry, score: EntryScore, names: Sequence[str]) -> RecognitionRecord:
    label: Mapping[str, int] = dict(zip(entry.clips, entry.labels, strict=True))
    count = range(len(entry.classes))
    return {
        "classes": list(entry.classes),
        "label": {name: label[name] for name in names},
        "softmax": {
            name: [[float(c == k) for c in count] for k in samples]
            for name, samples in zip(names, score.recognised, strict=True)
        },
        "streams": {},
    }
