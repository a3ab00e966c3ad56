"""Which scores of a run exist and are valid, determined without creating a metric."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from vpbench.api.errors import Missing, UsageError
from vpbench.core.code import DATA
from vpbench.core.loading import load_object
from vpbench.core.paths import Paths
from vpbench.core.records import ScoreRecord
from vpbench.core.rundir import RunDir
from vpbench.core.tasks import Task
from vpbench.harness.inputs.training_clips import TrainingList
from vpbench.harness.results.run_state import changed_code, score_code
from vpbench.harness.scoring.metric_inputs import changed_data
from vpbench.harness.scoring.score import Wanted
from vpbench.harness.training.context import cache_folder


@dataclass
class ScoreState:
    """What exists of the scores of a run.

    Attributes:
        todo: names of metrics that have to be scored, in part or as a whole.
        changed: names of metrics that were scored by other code or from other files of a plugin,
            and what of these changed.
        missing: name -> why a metric cannot be scored.
    """

    todo: list[str] = field(default_factory=list[str])
    changed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    missing: dict[str, str] = field(default_factory=dict[str, str])


def inspect_scores(
    folder: RunDir,
    task: Task,
    metrics: Sequence[Wanted],
    paths: Paths,
    absent_weights: Mapping[str, str],
) -> ScoreState:
    """Look at the scores of a finished prediction.

    Args:
        absent_weights: name of weights -> why they are not here.

    Raises:
        HashMismatch: a score is not what was written.
    """
    state = ScoreState()
    stored = folder.all_scores(folder.read_manifest()["sha256"])
    for wanted in metrics:
        if not wanted.suits(task.info.n_classes):
            state.missing[wanted.name] = f"not scored: {wanted.name} needs a dataset with classes."
            continue
        absent = [absent_weights[w.name] for w in wanted.spec.weights if w.name in absent_weights]
        if absent:
            state.missing[wanted.name] = f"not scored: {absent[0]}"
            continue
        due, reason = _due(wanted, task)
        try:
            learned = _learned(wanted, task, paths) if due else dict[str, str]()
        except Missing as error:
            state.missing[wanted.name] = f"not scored: {error.message}"
            continue
        own = [s for s in stored if s["metric"] == wanted.name and _current(s, wanted, task)]
        own = [s for s in own if learned.items() <= s["fingerprint"].items()]
        there = {(s["frames"], s.get("subset", {}).get("name", "")) for s in own}
        if reason is not None:
            state.missing[wanted.name] = f"not scored: {reason}"
        if not due <= there:
            state.todo.append(wanted.name)
        else:
            modules = changed_code(folder, map(score_code, own), "scores", paths)
            data = {f for s in own for f in changed_data(s, folder, paths.cache)}
            modules += [f"{DATA}{file}" for file in sorted(data)]
            if modules:
                state.changed[wanted.name] = modules
    return state


def _due(wanted: Wanted, task: Task) -> tuple[set[tuple[int, str]], str | None]:
    """(frames, subset) of all scores that a metric should have, and why one cannot be had."""
    due: set[tuple[int, str]] = set()
    reason: str | None = None
    for frames in task.frames:
        try:
            wanted.check(frames, len(task.test))
        except UsageError as error:
            reason = error.message
            continue
        due.add((frames, ""))
        least = max(1, wanted.spec.min_clips)
        due |= {(frames, name) for name in task.subsets if len(task.part(name).test) >= least}
    return due, reason


def _current(score: ScoreRecord, wanted: Wanted, task: Task) -> bool:
    """Whether a score is of this version of the metric, and of the task as it is now."""
    fingerprint = score["fingerprint"]
    subset = score.get("subset")
    part = task if not subset else task.part(subset["name"]) if _has(task, subset["name"]) else None
    if part is None or fingerprint.get("version") != wanted.spec.version:
        return False
    now = part.fingerprint(score["frames"])
    # a score of grouped clips does not stand for the same clips without groups, either
    return all(fingerprint.get(k) == now.get(k) for k in (*now, "clusters"))


def _learned(wanted: Wanted, task: Task, paths: Paths) -> Mapping[str, str]:
    """What the fingerprint of a present score says about what the metric has learned.

    Raises:
        Missing: no one has trained it yet.
    """
    if not (wanted.spec.learned and wanted.built_in):
        return {}
    function = load_object(wanted.spec.learned)
    cache = partial(cache_folder, paths.cache)
    own = "" if task.name == task.dataset or ":" in task.dataset else f" --task {task.name}"
    # What the command line calls the task, for the sentence on what is missing.
    info = replace(task.info, id=f"{shlex.quote(task.dataset)}{own}")
    return function(info, TrainingList(task), cache, wanted.recipe)


def _has(task: Task, subset: str) -> bool:
    return subset in task.subsets
