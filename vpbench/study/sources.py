"""Where the videos of a study come from: stored predictions, and real clips for gold trials.

All that the study knows of the harness is here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vpbench.api.errors import MissingData, UnknownName, UsageError
from vpbench.api.types import Frames
from vpbench.core.command_names import name_in_commands
from vpbench.core.names import MethodRef
from vpbench.core.paths import Paths
from vpbench.core.records import ManifestRow
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir
from vpbench.core.tasks import TRAIN, Item
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import read_shard
from vpbench.harness.results.finished_runs import FinishedRun, canonical, doubt, newest
from vpbench.harness.results.one_dataset import runs_on


@dataclass
class Predictions:
    """The stored predictions of one method.

    Attributes:
        name: under which its runs are stored.
        manifest: sha256 of the run's manifest: which predictions these are.
        horizon: frames of each.
        places: item id -> (row of the manifest, index in its shard).
    """

    name: str
    folder: RunDir
    manifest: str
    horizon: int
    places: dict[str, tuple[ManifestRow, int]]
    _shard: tuple[str, Frames] | None = field(default=None, repr=False)

    def frames(self, item_id: str) -> Frames:
        """The first sample of a prediction, uint8 [T,H,W,3], checked against the manifest.

        Raises:
            HashMismatch: the shard is not what was written.
        """
        row, index = self.places[item_id]
        if self._shard is None or self._shard[0] != row["name"]:
            self._shard = (row["name"], read_shard(self.folder, row))
        return self._shard[1][index, 0]


def stored_predictions(
    methods: Sequence[MethodRef],
    task_data: TaskData,
    registry: Registry,
    paths: Paths,
    preset: str | None = None,
    seed: int = 0,
    fit_seed: int = 0,
) -> list[Predictions]:
    """The newest finished run of each method.

    Raises:
        MissingData: a method has none; with the command that makes it.
        UsageError: a method is named twice, or its run may not be what it would make now.
        HashMismatch: a stored file is not what was written.
    """
    task = task_data.task
    known = newest(runs_on(paths.runs, task), registry)
    chosen: list[Predictions] = []
    for method in methods:
        name = canonical(method, registry, task.spec.size, preset)
        if name in {p.name for p in chosen}:
            raise UsageError(f"{name} is named twice.", fix="Name each method once.")
        run = _choose(list(known.values()), name, seed, fit_seed)
        command = shlex.join(
            ["vpbench", "run", name_in_commands(name, registry), *task_data.ref.words]
        )
        if run is None:
            raise MissingData(
                f"there is no finished run of {name} on {task.id} in {paths.runs}.",
                fix=f"Make it with: {command}",
            )
        why = doubt(run, registry, paths)
        if why:
            raise UsageError(
                f"the run of {name} on {task.id} may be out of date: {why}.",
                fix=f"People's time is worth a check: {command}",
            )
        chosen.append(predictions_of(name, run))
    return chosen


def _choose(runs: Sequence[FinishedRun], name: str, seed: int, fit_seed: int) -> FinishedRun | None:
    """The newest run of a method with these seeds, those trained on the training clips first."""
    fitting = [
        run
        for run in runs
        if run.inputs["method"] == name
        and run.inputs["seed"] == seed
        and run.inputs["fit_seed"] in (fit_seed, None)
    ]
    return min(fitting, key=lambda run: (run.train_on != TRAIN, -run.closed), default=None)


def predictions_of(name: str, run: FinishedRun) -> Predictions:
    """The predictions that a finished run has stored."""
    manifest = run.manifest
    places = {
        item: (row, index) for row in manifest["shards"] for index, item in enumerate(row["items"])
    }
    horizon = int(run.inputs["task"]["horizon"])
    return Predictions(name, run.folder, str(manifest["sha256"]), horizon, places)


def common_items(
    predictions: Sequence[Predictions],
    task_data: TaskData,
    subset: str | None = None,
    count: int | None = None,
) -> list[Item]:
    """Test items that every method has a prediction of, in the order of their shards.

    Args:
        subset: only those of a named part of the test split.
        count: at most so many, of as many classes as possible.

    Raises:
        UnknownName: no such subset.
        MissingData: nothing is left.
    """
    task = task_data.task
    if subset is not None and subset not in task.subsets:
        raise UnknownName(f"subset of {task.id}", subset, task.subsets)
    items = {item.id: item for item in (task.part(subset) if subset else task).test}
    shared = set(items).intersection(*(p.places for p in predictions))
    ordered = [items[name] for name in predictions[0].places if name in shared]
    if not ordered:
        raise MissingData(
            f"no test clip of {task.id} has a prediction of every method.",
            fix="Run all methods without --limit, or with the same one.",
        )
    if count is None or count >= len(ordered):
        return ordered
    chosen = {item.id for item in _spread(ordered, count)}
    return [item for item in ordered if item.id in chosen]


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """`count` items, one of each class in turn."""
    turn: dict[int | None, int] = {}
    order: list[tuple[int, int]] = []
    for place, item in enumerate(items):
        label = item.clip.label
        turn[label] = turn.get(label, -1) + 1
        order.append((turn[label], place))
    return [items[place] for _, place in sorted(order)[:count]]


def real_clips(task_data: TaskData, count: int, avoid: Sequence[Item]) -> Iterator[Frames]:
    """Real futures for gold trials, uint8 [T,H,W,3]: validation clips where there are any.

    Args:
        avoid: the clips of the study; a rater should not see their true future.

    Raises:
        MissingData: there are fewer than `count`.
    """
    used = {item.clip.id for item in avoid}
    split = task_data.task.items
    pool = [i for part in ("val", "train", "test") for i in split[part] if i.clip.id not in used]
    if len(pool) < count:
        raise MissingData(
            f"{task_data.task.id} has {len(pool)} clips besides those of the study, and {count} "
            "gold trials need one each.",
            fix=f"Ask for fewer: --gold {len(pool)}",
        )
    for item in _spread(pool, count):
        yield task_data.targets(item)
