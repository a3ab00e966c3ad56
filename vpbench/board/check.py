"""`board check`: may these entries stand on a leaderboard?"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict

from vpbench.api.errors import Corrupt, MissingData, VpbenchError
from vpbench.board.bundle import ENDING, bundle_runs
from vpbench.board.collect import clip_hashes
from vpbench.board.decode import decode
from vpbench.board.entry import Entry, EntryScore, find_entries, read_entry
from vpbench.board.errata import ERRATA, Recall, read_errata
from vpbench.board.problems import problems_of
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir
from vpbench.harness.results.finished_runs import differing

BOARD_CHECK = "vpbench.board-check/1"
TASKS = "tasks.toml"


class ProblemJson(TypedDict):
    """One thing that is wrong (`error`), or that a reader should know (`warning`)."""

    level: Literal["error", "warning"]
    what: str


class CheckedJson(TypedDict):
    """One file; `id` is None where it cannot be read."""

    path: str
    id: str | None
    ok: bool
    problems: list[ProblemJson]


class BoardCheckJson(TypedDict):
    """`board check --json`."""

    schema: str
    ok: bool
    entries: list[CheckedJson]


@dataclass(frozen=True, kw_only=True)
class KnownTask:
    """What entries of a task must have: its split, and the number of its test clips."""

    n: int
    split_sha256: str


@dataclass
class _File:
    path: Path
    entry: Entry | None = None
    problems: list[ProblemJson] = field(default_factory=list[ProblemJson])

    def add(self, what: str, level: Literal["error", "warning"] = "error") -> None:
        """Note something, each once."""
        problem: ProblemJson = {"level": level, "what": what}
        if problem not in self.problems:
            self.problems.append(problem)

    def json(self, root: Path) -> CheckedJson:
        """As `--json` prints it."""
        inside = self.path.is_relative_to(root)
        return {
            "path": (self.path.relative_to(root) if inside else self.path).as_posix(),
            "id": self.entry.id if self.entry else None,
            "ok": not any(p["level"] == "error" for p in self.problems),
            "problems": self.problems,
        }


def read_tasks(path: Path) -> Mapping[str, KnownTask]:
    """Task id -> what its entries must have, from tasks.toml; {} where there is no such file.

    Raises:
        Corrupt: it is not TOML, or says something else.
    """
    if not path.is_file():
        return {}
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} is not valid TOML: {error}.") from error
    return {
        name: decode(KnownTask, table, f"{path.name}: {name}") for name, table in tables.items()
    }


def check_board(
    root: Path, registry: Registry, only: Sequence[Path] = (), bundles: Path | None = None
) -> BoardCheckJson:
    """Check entries below a folder of leaderboards, against all others there.

    Args:
        only: report on these files alone, which may lie elsewhere; () for all.
        bundles: folder with bundles, looked at besides the entry's own folder.

    Raises:
        MissingData: there is no entry.
        Corrupt: errata.toml or tasks.toml cannot be read.
    """
    paths = list(dict.fromkeys([*find_entries(root), *(path.absolute() for path in only)]))
    if not paths:
        raise MissingData(f"there are no entries in {root}.", fix="Make one: vpbench board add RUN")
    errata, tasks = read_errata(root / ERRATA), read_tasks(root / TASKS)
    files = [_read(path) for path in paths]
    wanted = {path.absolute() for path in only}
    shown = [f for f in files if not wanted or f.path in wanted]
    for file in shown:
        if file.entry is not None:
            _check(file, file.entry, registry, errata, tasks)
            _check_evidence(file, file.entry, bundles)
    _check_together(files)
    rows = [file.json(root) for file in shown]
    return {"schema": BOARD_CHECK, "ok": all(row["ok"] for row in rows), "entries": rows}


def _read(path: Path) -> _File:
    file = _File(path.absolute())
    try:
        file.entry = read_entry(path)
    except VpbenchError as error:
        file.add(str(error))
    return file


def _check(
    file: _File,
    entry: Entry,
    registry: Registry,
    errata: tuple[Recall, ...],
    tasks: Mapping[str, KnownTask],
) -> None:
    if file.path.name != f"{entry.id}.json":
        file.add(f"the file of the entry {entry.id} must be called {entry.id}.json")
    if file.path.parent.name != entry.task.id:
        file.add(f"it belongs in the folder {entry.task.id}, not in {file.path.parent.name}")
    for text in problems_of(entry, registry):
        file.add(text)
    for run in entry.runs:
        for score in run.scores:
            for recall in errata:
                if recall.strikes(entry, score):
                    file.add(f"{score.metric} was recalled on {recall.date}: {recall.reason}")
    known = tasks.get(entry.task.id)
    if known is None:
        file.add(f"{TASKS} does not have the task {entry.task.id}: not checked", "warning")
    elif entry.task.n != known.n:
        file.add(f"the task has {known.n} test clips, the entry {entry.task.n}")
    elif entry.task.split_sha256 != known.split_sha256:
        file.add("its split differs from that of the task: other ids, labels or windows")
    if entry.method.dirty:
        file.add("it was made from a checkout with uncommitted changes", "warning")


def _check_together(files: Sequence[_File]) -> None:
    """Ids and runs stand once; all entries of a task are of the same split."""
    ids = Counter(f.entry.id for f in files if f.entry)
    owners: dict[str, list[_File]] = {}
    splits: dict[str, Counter[str]] = {}
    for file in files:
        if file.entry is None:
            continue
        if ids[file.entry.id] > 1:
            file.add(f"another file is called {file.entry.id} too: one entry is one file")
        splits.setdefault(file.entry.task.id, Counter())[file.entry.task.split_sha256] += 1
        for run in file.entry.runs:
            owners.setdefault(run.manifest_sha256, []).append(file)
    _check_columns(files)
    for together in owners.values():
        for file in together if len(together) > 1 else ():
            others = ", ".join(sorted(f.path.name for f in together if f is not file))
            file.add(f"one of its runs is also in {others}" if others else "it lists a run twice")
    for file in files:
        if file.entry is not None:
            usual = splits[file.entry.task.id].most_common(1)[0][0]
            if file.entry.task.split_sha256 != usual:
                file.add("its split differs from that of the other entries of the task")


def _check_columns(files: Sequence[_File]) -> None:
    """Say in what a score differs that will stand in a column of its own."""
    columns: dict[tuple[str, str, int, str], Counter[str]] = {}
    fingerprints: dict[str, Mapping[str, Any]] = {}
    scores = [(f, f.entry, s) for f in files if f.entry for r in f.entry.runs for s in r.scores]
    for _, entry, score in scores:
        columns.setdefault(_column(entry, score), Counter())[score.fp8] += 1
        fingerprints[score.fp8] = score.fingerprint
    for file, entry, score in scores:
        usual = columns[_column(entry, score)].most_common(1)[0][0]
        if score.fp8 != usual:
            fields = "; ".join(differing(score.fingerprint, fingerprints[usual]))
            file.add(f"{score.metric} differs from other entries of the task: {fields}", "warning")


def _column(entry: Entry, score: EntryScore) -> tuple[str, str, int, str]:
    subset = score.subset.name if score.subset else ""
    return entry.task.id, score.metric, score.frames, subset


def _check_evidence(file: _File, entry: Entry, bundles: Path | None) -> None:
    """Compare hashes with those of the bundle, where that is there."""
    for folder in (file.path.parent, *([bundles] if bundles else [])):
        path = folder / f"{entry.id}{ENDING}"
        if path.is_file():
            try:
                with bundle_runs(path) as folders:
                    for text in evidence_faults(entry, folders):
                        file.add(text)
            except VpbenchError as error:
                file.add(str(error))
            return


def evidence_faults(entry: Entry, folders: Sequence[RunDir]) -> list[str]:
    """In what runs differ from those that an entry is of, by their hashes."""
    faults: list[str] = []
    manifests = {folder.read_manifest()["sha256"]: folder for folder in folders}
    for run in entry.runs:
        folder = manifests.get(run.manifest_sha256)
        if folder is None:
            faults.append(f"the evidence has no run with the manifest {run.manifest_sha256[:8]}")
            continue
        if folder.read_record()["key"] != run.key:
            faults.append(f"the run id is not {run.key[:8]}")
        hashes = clip_hashes(folder)
        changed = [
            clip
            for clip, sha in zip(entry.clips, run.clip_sha256, strict=True)
            if hashes.get(clip) != sha
        ]
        if changed:
            faults.append(f"other frames in {len(changed)} clips, the first {changed[0]}")
        missing = sorted(hashes.keys() - set(entry.clips))
        if missing:
            faults.append(f"the entry lacks {len(missing)} predicted clips, the first {missing[0]}")
    return faults


def refusals(entry: Entry, root: Path, registry: Registry) -> list[str]:
    """Why an entry that is to be written below a folder would be refused there."""
    file = _File(root.absolute() / entry.task.id / f"{entry.id}.json", entry)
    errata, tasks = read_errata(root / ERRATA), read_tasks(root / TASKS)
    _check(file, entry, registry, errata, tasks)
    return [problem["what"] for problem in file.problems if problem["level"] == "error"]
