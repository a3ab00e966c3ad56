"""Whether the parts of an entry fit together: every list is as long as what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpbench.board.entry import Entry, EntryRun, EntryScore

ENTRY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,119}")
"""What an entry or a task folder may be called: a file name on every system."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

SHA256 = re.compile(r"[0-9a-f]{64}")


def misfits(entry: Entry) -> Iterator[str]:
    """What does not fit, one sentence without a full stop each."""
    for name, text in (("id", entry.id), ("task.id", entry.task.id)):
        if not ENTRY_ID.fullmatch(text):
            yield f"{name} {text!r} is not a file name of letters, digits and + . _ -"
    times = [entry.created, *(r.closed for r in entry.runs)]
    times += [v.when for v in entry.trust.verifications]
    for text in times:
        if not is_time(text):
            yield f"{text!r} is not a time such as 2026-11-26T22:29:37Z"
    if not entry.runs:
        yield "it holds no run"
    if not entry.clips or list(entry.clips) != sorted(set(entry.clips)):
        yield "clips must be sorted, each once, and at least one"
    if entry.labels and len(entry.labels) != len(entry.clips):
        yield f"it has {len(entry.labels)} labels for {len(entry.clips)} clips"
    if entry.labels and not all(0 <= k < len(entry.classes) for k in entry.labels):
        yield f"a label lies outside the {len(entry.classes)} classes"
    for k, run in enumerate(entry.runs):
        yield from _run(entry, run, f"runs[{k}]")


def is_time(text: str) -> bool:
    """Whether a text is a point in time as entries write it."""
    try:
        return datetime.strptime(text, TIME_FORMAT).strftime(TIME_FORMAT) == text
    except ValueError:
        return False


def _run(entry: Entry, run: EntryRun, at: str) -> Iterator[str]:
    if len(run.clip_sha256) != len(entry.clips):
        yield f"{at} has the hashes of {len(run.clip_sha256)} of {len(entry.clips)} clips"
    hashes = [run.key, run.manifest_sha256, run.predictions_sha256, *run.clip_sha256]
    hashes += run.discovered.values()
    if any(not SHA256.fullmatch(text) for text in hashes):
        yield f"{at} holds a hash that has not 64 hex digits"
    seen: set[tuple[str, int, str, str]] = set()
    for score in run.scores:
        subset = score.subset.name if score.subset else ""
        key = (score.metric, score.frames, score.fp8, subset)
        if key in seen:
            yield f"{at} has {score.metric} over {score.frames} frames twice"
        seen.add(key)
        yield from _score(entry, score, f"{at}: {score.metric} over {score.frames} frames")


def _score(entry: Entry, score: EntryScore, at: str) -> Iterator[str]:
    names = score.names or entry.clips
    lists: list[tuple[str, Sequence[object]]] = [
        ("clusters", score.clusters),
        ("shares", score.shares),
        ("recognised", score.recognised),
    ]
    if len(set(names)) != len(names):
        yield f"{at} names a clip twice"
    if len(score.values) != len(names) and (score.values or score.value is not None):
        yield f"{at} has {len(score.values)} values for {len(names)} clips"
    for what, values in lists:
        if values and len(values) != len(names):
            yield f"{at} has {len(values)} {what} for {len(names)} clips"
    if score.curve and len(score.curve) != score.frames:
        yield f"{at} has a curve of {len(score.curve)} frames"
    if score.recognised and not entry.labels:
        yield f"{at} says what was recognised, and the entry has no labels"
    if any(not 0 <= c < len(entry.classes) for row in score.recognised for c in row):
        yield f"{at} recognises a class that is not there"
    if any(name not in set(entry.clips) for name in score.names) and score.recognised:
        yield f"{at} recognises a clip that the entry does not have"
