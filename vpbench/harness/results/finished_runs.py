"""Finds finished runs below the runs folder, with every hash checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from vpbench.api.capabilities import unmet
from vpbench.api.errors import MissingData, UsageError
from vpbench.api.specs import MethodSpec
from vpbench.core.checkpoints import plugin_folder
from vpbench.core.code import UNRECORDED, short_names
from vpbench.core.hashing import digest
from vpbench.core.input_files import changed_inputs, file_hashes
from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import MethodRef
from vpbench.core.options import TRAIN
from vpbench.core.paths import Paths
from vpbench.core.records import Failure, Manifest, RunInputs, ScoreRecord, StageRow, Subset
from vpbench.core.registry import Registry
from vpbench.core.resolve import resolve
from vpbench.core.run_folders import of_earlier_version, task_folders
from vpbench.core.rundir import RunDir, StageDir
from vpbench.harness.results.run_record import failure_files, read_failure
from vpbench.harness.results.run_state import Seen, changed_code, code_of, score_code
from vpbench.harness.scoring.metric_inputs import changed_data

Scores = Mapping[tuple[str, int], ScoreRecord]
"""Score records by (metric, frames)."""

Found = tuple[RunDir, RunInputs]
"""The folder of a finished run, and its inputs; nothing else of it is read yet."""


@dataclass(frozen=True)
class FinishedRun:
    """One finished run.

    Attributes:
        inputs: the frozen inputs of run.json.
        subsets: scores over named subsets, by name.
        entry: the leaderboard entry that it was read from, "" for a run on the disk.
        foreign: it comes in somebody's bundle.
    """

    folder: RunDir
    inputs: RunInputs
    manifest: Manifest
    scores: Scores
    subsets: Mapping[str, Scores] = field(default_factory=dict[str, Scores])
    entry: str = ""
    foreign: bool = False

    @property
    def closed(self) -> float:
        """When its predictions were complete."""
        return self.manifest["closed"]

    @property
    def stages(self) -> list[StageRow]:
        """Origin, training, checks and notes of the stages that made the predictions."""
        return self.manifest["stages"]

    @property
    def key(self) -> Key:
        """What one row value stands for."""
        return _key(self.inputs)

    @property
    def elsewhere(self) -> bool:
        """It was made on another machine: what is here says nothing about it."""
        return bool(self.entry) or self.foreign

    @property
    def train_on(self) -> str:
        """What it was trained on."""
        return self.inputs["task"].get("train_on", TRAIN)

    def over(self, subset: Subset) -> FinishedRun:
        """The run as if only a named subset had been there."""
        task = {
            **self.inputs["task"],
            "subset": subset["name"],
            "n": subset["n"],
            "split_hash": subset["hash"],
        }
        inputs: RunInputs = {**self.inputs, "task": task}
        scores = self.subsets.get(subset["name"], {})
        return replace(self, inputs=inputs, scores=scores, subsets={})


Key = tuple[str, str, str, int, int | None, int]
"""Task, method, what it was trained on, samples, fit seed, seed."""


def _key(inputs: RunInputs) -> Key:
    task = inputs["task"]
    trained = task.get("train_on", TRAIN)
    seeds = inputs["fit_seed"], inputs["seed"]
    return task["id"], inputs["method"], trained, inputs["samples"], *seeds


def newest(
    found: Iterable[Found],
    registry: Registry,
    limit: int | None = None,
    wanted: Collection[Path] = (),
    is_now: Callable[[RunInputs], bool] = lambda _: True,
) -> dict[Key, FinishedRun]:
    """The newest complete run for each `Key`, verified.

    Where there are several, one of the wanted folders goes first, then a run on the clips that the
    dataset has now, then one with the wanted `limit` (None: over all clips), then one of the method
    as it is installed.

    Args:
        found: runs on one dataset, to choose from.
        is_now: whether a run was made on the clips that the dataset has now.

    Raises:
        HashMismatch: a shard, manifest or score is not what was written; names the file.
    """
    candidates: dict[Key, list[Found]] = {}
    for folder, inputs in found:
        candidates.setdefault(_key(inputs), []).append((folder, inputs))

    def merit(run: Found) -> tuple[bool, bool, bool, bool, float]:
        folder, inputs = run
        method = _installed(inputs, registry)
        return (
            folder.path in wanted,
            is_now(inputs),
            inputs["task"]["limit"] == limit,
            method is not None and _same_identity(method, inputs),
            folder.read_manifest()["closed"],
        )

    chosen = {k: v[0] if len(v) == 1 else max(v, key=merit) for k, v in candidates.items()}
    return {key: _verified(*chosen[key]) for key in sorted(chosen, key=str)}


def failures(
    runs: Path, task: str, concerns: Callable[[Failure, RunInputs | None], bool]
) -> dict[str, tuple[float, str]]:
    """Method -> when its last attempt failed, and why.

    Args:
        concerns: whether one counts; it is told the inputs of the run, where it came so far.
    """
    last: dict[str, tuple[float, str]] = {}
    for folder in task_folders(runs, task):
        for path in failure_files(folder):
            failure = read_failure(path)
            if failure is None:
                continue
            begun = None if "data" in failure else _begun(RunDir(path.parent))
            if concerns(failure, begun):
                entry = (failure["time"], failure["reason"])
                last[failure["method"]] = max(last.get(failure["method"], entry), entry)
    return last


def _begun(folder: RunDir) -> RunInputs | None:
    """Inputs of a run that may not be finished; None where it has no record of this version."""
    if not folder.record.is_file() or of_earlier_version(folder):
        return None
    return folder.read_record()["inputs"]


def _verified(folder: RunDir, inputs: RunInputs) -> FinishedRun:
    manifest = folder.check()
    scores = folder.all_scores(manifest["sha256"])
    names = dict.fromkeys(s["subset"]["name"] for s in scores if "subset" in s)
    return FinishedRun(
        folder,
        inputs,
        manifest,
        _by_metric(s for s in scores if "subset" not in s),
        {
            name: _by_metric(s for s in scores if "subset" in s and s["subset"]["name"] == name)
            for name in names
        },
    )


def _by_metric(scores: Iterable[ScoreRecord]) -> Scores:
    return {(s["metric"], s["frames"]): s for s in scores}


def doubt(run: FinishedRun, registry: Registry, paths: Paths, seen: Seen | None = None) -> str:
    """Why a stored result may not be what a run would make now; "" where nothing has changed.

    Nothing is computed: code that has changed may well make the same.

    Args:
        seen: what was found of the code of other runs.
    """
    if run.elsewhere:  # perhaps by other code, and from files that are not here
        return ""
    method = _installed(run.inputs, registry)
    if method is not None and not _same_identity(method, run.inputs):
        return "another version of the method is installed"
    files = changed_inputs(run.manifest["inputs"], file_hashes(paths.cache))
    files += [f for s in run.scores.values() for f in changed_data(s, run.folder, paths.cache)]
    if files:
        return f"{Path(files[0]).name} changed since"
    needed = [] if method is None else code_of(method)
    tables = (row["code"] for row in run.manifest["shards"])
    changed = changed_code(run.folder, tables, "predictions", paths, needed, seen)
    scores = map(score_code, run.scores.values())
    changed = sorted({*changed, *changed_code(run.folder, scores, "scores", paths, (), seen)})
    if UNRECORDED in changed:
        return "the code that made it is not recorded"
    return f"code changed since ({short_names(changed, 1)})" if changed else ""


def _installed(inputs: RunInputs, registry: Registry) -> ResolvedMethod | None:
    """The method of a run as it is installed here; None where it is not."""
    ref = MethodRef.parse(inputs["method"])
    try:
        return resolve(ref, registry, inputs["task"]["size"], inputs["preset"] or None)
    except UsageError:
        return None


def _same_identity(method: ResolvedMethod, inputs: RunInputs) -> bool:
    """Whether a method declares what a run was made with."""
    try:
        return digest(method.identity()) == digest(inputs["spec"])
    except MissingData:  # a data file that it declares is gone
        return False


def canonical(ref: MethodRef, registry: Registry, size: int, preset: str | None = None) -> str:
    """The name under which runs of a method are stored; the typed one if it is not installed."""
    try:
        return resolve(ref, registry, size, preset).name
    except UsageError:
        return str(ref)


def unable(name: str, registry: Registry, inputs: RunInputs) -> str:
    """Why a method cannot do the task of a run at all, as "needs pose"; "" where it can.

    Args:
        inputs: of any run of that task.
    """
    task, gives = inputs["task"], inputs["gives"]
    try:
        method = resolve(MethodRef.parse(name), registry, task["size"])
    except UsageError:
        return ""
    reasons = unmet(
        method.capabilities,
        n_max=task["n_max"],
        horizon=task["horizon"],
        size=task["size"],
        has_label=gives["label"],
        has_pose=gives["pose"],
    )
    return "; ".join(reason.partition(", but the ")[0] for reason in reasons)


def training(run: FinishedRun) -> str | None:
    """Where a run's trained state comes from, with seconds, device and threads.

    Returns:
        "bundled (1800 s on cpu, 2 threads), fitted here (35 s on cpu, 1 thread)"; None for a
        method that is not trained.
    """
    rows: dict[str, list[StageRow]] = {}
    for stage in run.stages:
        rows.setdefault(stage["origin"], []).append(stage)
    return ", ".join(f"{origin} ({_trained(rows[origin])})" for origin in sorted(rows)) or None


def _trained(stages: Sequence[StageRow]) -> str:
    devices = "/".join(sorted({s["device"] for s in stages}))
    threads = sorted({s["threads"] for s in stages})
    plural = "" if threads == [1] else "s"
    text = f"{sum(s['seconds'] for s in stages):.0f} s on {devices}"
    return f"{text}, {'/'.join(map(str, threads))} thread{plural}"


def stored_run(path: Path) -> FinishedRun:
    """The run in a folder, verified.

    Raises:
        MissingData: there is no complete run.
    """
    folder = RunDir(path)
    inputs = folder.read_record()["inputs"]
    folder.read_manifest()
    return _verified(folder, inputs)


def stage_folders(run: FinishedRun, registry: Registry) -> dict[str, StageDir]:
    """Stage -> the folder that it was loaded from, for those that are still there."""
    task = run.inputs["task"]
    near = run.folder.path.parents[2] / task.get("trained_as", task["id"]) / "stages"
    bundled: dict[str, Path] = {}
    for entry in registry.of("method"):
        if isinstance(entry.spec, MethodSpec):
            home = plugin_folder(entry.spec.factory, entry.ref.value)
            if home is not None:
                sources = [home / checkpoint.source for checkpoint in entry.spec.checkpoints]
                bundled |= {path.name: path for path in sources}
    folders: dict[str, StageDir] = {}
    for row in run.inputs["stages"]:
        shipped = row["origin"] == "bundled"
        path = bundled.get(row["folder"]) if shipped else near / row["folder"]
        if path is not None and StageDir(path).complete():
            folders[row["stage"]] = StageDir(path, shipped=shipped)
    return folders


def differing(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names of the fields in which two nested records differ, with both values where short."""
    names: list[str] = []
    for key in sorted({*a, *b}):
        one, other = a.get(key), b.get(key)
        if digest(one) == digest(other):
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            pair = cast("tuple[dict[str, Any], dict[str, Any]]", (one, other))
            names += differing(*pair, f"{prefix}{key}.")
        else:
            names.append(f"{prefix}{key}: {_brief(one)} against {_brief(other)}")
    return names


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:8]}…"
