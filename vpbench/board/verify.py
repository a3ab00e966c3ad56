"""`board verify`: hash the evidence of an entry again, score it again, and say what differs.

Without the stored predictions nothing can be said. With those that the entry was made of, the
entry is *rescored*; with predictions that somebody else made from the same declaration, *rerun*.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypedDict, cast

from vpbench import __version__
from vpbench.api.errors import MissingData, UsageError
from vpbench.board.check import evidence_faults
from vpbench.board.collect import clip_hashes, predictions_hash
from vpbench.board.entry import Entry, EntryRun, EntryScore, Verification
from vpbench.board.scores import score_record
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.records import ScoreRecord
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.harness.jobs.rescore import rescore
from vpbench.harness.results.finished_runs import differing
from vpbench.harness.scoring.score import wanted_metrics

VERIFY_ENTRY = "vpbench.verify-entry/1"

EXACT = 1e-6
"""Part of a figure by which arithmetic in double precision may differ between machines."""

NETWORK = 1e-3
"""The same where a network computes in single precision: processors add up in other orders."""

RERUN = 0.5
"""Standard errors by which frames that another processor predicted may move a figure."""

_LEFT_OUT = ("scores", "events", "preview", "wrong-labels")


class DiffJson(TypedDict):
    """One score as the entry states it and as it was found; None where it could not be had.

    `clip_difference` is the largest of any clip, `differing` names fields of the fingerprint.
    """

    seed: int
    fit_seed: int | None
    metric: str
    frames: int
    subset: str | None
    stated: float | None
    found: float | None
    difference: float | None
    clip_difference: float | None
    tolerance: float
    ok: bool
    reason: str | None
    differing: list[str]


class VerifiedJson(TypedDict):
    """What a verification found; `level` is what it supports, None where something differs."""

    schema: str
    entry: str
    level: Literal["rescored", "rerun"] | None
    ok: bool
    complete: bool
    problems: list[str]
    scores: list[DiffJson]


@dataclass(frozen=True)
class Evidence:
    """Stored predictions.

    Attributes:
        folders: of the runs, which are only read.
        foreign: they come in a bundle; plugins that its runs name are not loaded.
        dataset: what the dataset is called here, where it is not what the runs say.
        root: its folder.
    """

    folders: Sequence[RunDir]
    foreign: bool
    dataset: str | None = None
    root: str | None = None


def task_of(entry: Entry, evidence: Evidence) -> TaskRef:
    """The task to make ready before `verify`."""
    found, _ = _matching(entry, entry.runs[0], evidence)
    return _task_ref(found, evidence)


def verify(
    entry: Entry, evidence: Evidence, work: Path, registry: Registry, paths: Paths, report: Report
) -> VerifiedJson:
    """Hash and score the evidence of an entry again.

    Args:
        work: an empty folder; it holds copies of the runs while they are scored.

    Raises:
        MissingData: not verifiable: the evidence has no run of the entry.
        HashMismatch: the evidence is not what was written.
        BadData: the dataset here is another one.
    """
    pairs = [(run, *_matching(entry, run, evidence)) for run in entry.runs]
    own = [folder for _, folder, same in pairs if same]
    problems: list[str] = []
    if len(own) == len(pairs):
        problems = evidence_faults(entry, own)
    rows: list[DiffJson] = []
    level: Literal["rescored", "rerun"] = "rescored"
    for run, folder, same in pairs:
        hashes = clip_hashes(folder)
        alike = predictions_hash(hashes) == run.predictions_sha256
        level = level if same else "rerun"
        if not same and hashes.keys() != set(entry.clips):
            problems.append("the run has other clips than the entry")
        scored = _scored(_copy(folder, evidence, work), entry, evidence, registry, paths, report)
        rows += [_diff(entry, run, score, scored, exact=same or alike) for score in run.scores]
    complete = all(row["found"] is not None or row["stated"] is None for row in rows)
    ok = not problems and all(row["ok"] for row in rows)
    return {
        "schema": VERIFY_ENTRY,
        "entry": entry.id,
        "level": level if ok and complete else None,
        "ok": ok,
        "complete": complete,
        "problems": problems,
        "scores": rows,
    }


def verification(found: VerifiedJson, by: str, when: str) -> Verification:
    """What an entry keeps of a verification that found no difference.

    Raises:
        UsageError: it found one, or could not score everything.
    """
    if found["level"] is None:
        raise UsageError("only what was scored again without a difference is written.")
    largest: dict[str, float] = {}
    for row in found["scores"]:
        name, own = row["metric"], abs(row["difference"] or 0.0)
        largest[name] = max(largest.get(name, 0.0), own)
    return Verification(
        level=found["level"], by=by, when=when, vpbench=__version__, largest=largest
    )


def _matching(entry: Entry, run: EntryRun, evidence: Evidence) -> tuple[RunDir, bool]:
    """The evidence of a run, and whether it is what the entry was made of."""
    rerun: RunDir | None = None
    for folder in evidence.folders:
        if folder.read_manifest()["sha256"] == run.manifest_sha256:
            return folder, True
        if folder.read_record()["key"] == run.key:
            rerun = folder
    if rerun is None:
        raise MissingData(
            f"not verifiable: the evidence has no run {run.key[:8]} of {entry.id}.",
            fix=f"Its bundle is at {run.predictions_url}." if run.predictions_url else None,
        )
    rerun.check()
    return rerun, False


def _task_ref(folder: RunDir, evidence: Evidence) -> TaskRef:
    ref = TaskRef(**folder.read_record()["task_ref"])
    return replace(ref, dataset=evidence.dataset or ref.dataset, root=evidence.root)


def _copy(folder: RunDir, evidence: Evidence, work: Path) -> RunDir:
    """The run without its scores: what is in the copy was computed here."""
    folder.check()
    target = work.joinpath(*folder.path.resolve().parts[-3:])
    if target.exists():
        raise UsageError(f"the run {target.name} is given twice.")
    shutil.copytree(folder.path, target, ignore=shutil.ignore_patterns(*_LEFT_OUT, "*.lock"))
    record = dict(folder.read_record())
    record["task_ref"] = asdict(_task_ref(folder, evidence))
    record["plugins"] = [] if evidence.foreign else record["plugins"]
    write_sealed(target / "run.json", record)
    return RunDir(target)


def _scored(
    folder: RunDir,
    entry: Entry,
    evidence: Evidence,
    registry: Registry,
    paths: Paths,
    report: Report,
) -> tuple[list[ScoreRecord], dict[str, str]]:
    """All scores of the entry's metrics, made now, and why some could not be."""
    names = dict.fromkeys(score.metric for run in entry.runs for score in run.scores)
    wanted = wanted_metrics(list(names), registry)
    result = rescore(folder, wanted, registry, paths, report, evidence.root)
    missing = {n: str(s["reason"]) for n, s in result["scores"].items() if s["n"] == 0}
    return folder.all_scores(folder.read_manifest()["sha256"]), missing


def _diff(
    entry: Entry,
    run: EntryRun,
    score: EntryScore,
    scored: tuple[list[ScoreRecord], dict[str, str]],
    *,
    exact: bool,
) -> DiffJson:
    """One score against what was found; `exact`: of the same frames."""
    records, missing = scored
    subset = score.subset.name if score.subset else None
    found = [
        r
        for r in records
        if (r["metric"], r["frames"]) == (score.metric, score.frames)
        and r.get("subset", {}).get("name") == subset
    ]
    row: DiffJson = {
        "seed": run.seed,
        "fit_seed": run.fit_seed,
        "metric": score.metric,
        "frames": score.frames,
        "subset": subset,
        "stated": score.value,
        "found": None,
        "difference": None,
        "clip_difference": None,
        "tolerance": _tolerance(score, exact=exact),
        "ok": True,
        "reason": None,
        "differing": [],
    }
    if not found:
        return {**row, "reason": missing.get(score.metric, "not scored")}
    stated, own = score_record(entry, score, ""), found[0]
    row["found"] = own["value"]
    row["differing"] = differing(stated["fingerprint"], own["fingerprint"])
    row["clip_difference"] = _clip_difference(stated, own)
    if score.value is None or own["value"] is None:
        row["ok"] = score.value is own["value"] and not row["differing"]
        return row
    row["difference"] = own["value"] - score.value
    within = abs(row["difference"]) <= row["tolerance"]
    clips = row["clip_difference"]
    if exact:
        within = within and clips is not None and clips <= row["tolerance"]
    row["ok"] = within and not row["differing"]
    return row


def _tolerance(score: EntryScore, *, exact: bool) -> float:
    size = max(1.0, abs(score.value or 0.0), *(abs(v) for v in score.values if v is not None))
    if exact:
        network = any(name.endswith("weights") for name in score.fingerprint)
        return size * (NETWORK if network else EXACT)
    return RERUN * score.se if score.se else NETWORK * size


def _clip_difference(stated: ScoreRecord, found: ScoreRecord) -> float | None:
    """The largest difference of any clip; None where they are of other clips."""
    one, other = stated["per_clip"], found["per_clip"]
    if one.keys() != other.keys() or any((one[k] is None) != (other[k] is None) for k in one):
        return None
    known = [(v, cast("float", other[k])) for k, v in one.items() if v is not None]
    return max((abs(a - b) for a, b in known), default=0.0)
