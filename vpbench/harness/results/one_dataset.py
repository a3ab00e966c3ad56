"""Which finished runs are of one dataset, and whether its clips are still those of the runs.

The id of a task holds neither the path of a folder nor the content of its clips, so the runs of two
folders with the same file names lie in one folder of the runs folder. Each run says itself what it
was made on: its dataset, as it was typed, and the hash of its clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vpbench.api.errors import VpbenchError
from vpbench.core.names import parse_name
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.records import Failure, RunInputs
from vpbench.core.registry import Registry
from vpbench.core.run_folders import finished
from vpbench.core.rundir import RunDir
from vpbench.core.tasks import Task
from vpbench.harness.inputs.task_data import absolute, open_task_data
from vpbench.harness.results.finished_runs import FinishedRun, Found

CHANGED = "its clips changed since"
"""Said of a run on clips that its dataset no longer has."""

RENAMED = "the names of its classes changed since"
"""Said of a run of a method that was told other names than its dataset has now."""

REGROUPED = "the groups of its clips changed since"
"""Said of a run that was scored with clips in other groups than its dataset puts them in now."""


@dataclass(frozen=True)
class Place:
    """Where the clips of a run were.

    Attributes:
        dataset: as typed, with absolute paths.
        root: `--root`, "" without.
        machine: tells the paths of other people apart: "" for this machine.
    """

    dataset: str
    root: str = ""
    machine: str = ""

    @property
    def has_path(self) -> bool:
        """Whether its name says where it lies, as `folder:PATH` does."""
        return _has_path(self.dataset)


def _has_path(dataset: str) -> bool:
    return ":" in parse_name(dataset).base


@dataclass(frozen=True)
class _Run:
    """A run, before its predictions and scores are read."""

    inputs: RunInputs
    place: Place
    time: float
    found: Found | None = None
    foreign: FinishedRun | None = None

    @classmethod
    def of_folder(cls, folder: RunDir, inputs: RunInputs) -> _Run:
        record = folder.read_record()
        place = Place(inputs["dataset"], record["task_ref"].get("root") or "")
        return cls(inputs, place, record["created"], (folder, inputs))

    @classmethod
    def of_another_place(cls, run: FinishedRun) -> _Run:
        """One that was given by name: from a folder, a bundle or an entry."""
        dataset = run.inputs["dataset"]
        apart = run.inputs["data"] if run.elsewhere and _has_path(dataset) else ""
        return cls(run.inputs, Place(dataset, machine=apart), run.closed, foreign=run)


@dataclass(frozen=True)
class OneDataset:
    """The finished runs of a task on one dataset.

    Attributes:
        task: its id, the name of its folder.
        inputs: of one of the runs, with the dataset as it is called now.
        found: runs of the runs folder.
        more: runs of other places.
        others: hashes of clips that only runs on other datasets of the same task were made on.
    """

    task: str
    inputs: RunInputs
    found: tuple[Found, ...]
    more: tuple[FinishedRun, ...]
    places: frozenset[Place]
    others: frozenset[str]
    now: tuple[Task, ...] = ()

    @property
    def data(self) -> frozenset[str]:
        """Hashes of the clips that its runs were made on."""
        own = {inputs["data"] for _, inputs in self.found}
        return frozenset(own | {run.inputs["data"] for run in self.more})

    def is_now(self, inputs: RunInputs) -> bool:
        """Whether a run was made on the clips that the dataset has now, as far as can be seen."""
        return any(made_on(inputs, task) for task in self.now)

    def called(self, run: FinishedRun) -> FinishedRun:
        """A run with the dataset as it is called now, for commands that are to be typed."""
        if run.elsewhere:
            return run
        return replace(run, inputs={**run.inputs, "dataset": self.inputs["dataset"]})

    def concerns(self, failure: Failure, inputs: RunInputs | None) -> bool:
        """Whether an attempt that failed was on this dataset.

        Args:
            inputs: of its run, where it came so far.
        """
        data = failure.get("data") or (inputs["data"] if inputs else "")
        dataset = failure.get("dataset") or (inputs["dataset"] if inputs else "")
        if not data or data in self.data:  # earlier versions do not say which dataset it was
            return True
        return data not in self.others and dataset in {p.dataset for p in self.places}


def made_on(inputs: RunInputs, task: Task) -> bool:
    """Whether a run was made on the test clips of a task, or on the first of them."""
    return inputs["task"]["id"] == task.id and inputs["data"] == _part(task, inputs).clips_hash


def _part(task: Task, inputs: RunInputs) -> Task:
    """The task with as many test clips as a run has."""
    limit = inputs["task"]["limit"]
    return task if limit == task.limit else replace(task, limit=limit)


@dataclass
class Present:
    """Datasets as they are now; each is opened once.

    Those with a path in their name are looked at: vpbench's own keep an index of their files, so
    that nothing is read again.
    """

    registry: Registry
    paths: Paths
    _opened: dict[tuple[Place, str | None], Task | None] = field(
        default_factory=dict[tuple[Place, "str | None"], "Task | None"]
    )

    def task(self, place: Place, name: str | None = None) -> Task | None:
        """A task on a dataset; None where it cannot be opened, or is not looked at."""
        key = place, name
        if key not in self._opened:
            self._opened[key] = self._open(place, name)
        return self._opened[key]

    def _open(self, place: Place, name: str | None) -> Task | None:
        base, _, path = parse_name(place.dataset).base.partition(":")
        folder = Path(path) if path else Path(place.root)
        if place.machine or not (path or place.root) or not folder.exists():
            return None
        ref = TaskRef(dataset=place.dataset, task=name, root=place.root or None)
        try:
            if not self.registry.find("dataset", base).of_vpbench:
                return None
            return open_task_data(ref, self.registry, self.paths).task
        except VpbenchError:  # what is wrong with it now does not concern what was made of it
            return None


def one_dataset_each(
    runs: Path, more: Sequence[FinishedRun], ref: TaskRef, present: Present, now: Task | None = None
) -> list[OneDataset]:
    """All finished runs, those of one dataset together, in the order of tasks and names.

    A run belongs to a dataset by what it says itself. Two names are of one dataset where the newest
    runs of both were made on the same clips: it was moved, or copied.

    Args:
        more: runs of other places.
        ref: the dataset and task that are asked for. One with a path, or a root, is opened: runs on
            the clips that it has now belong to it whatever it was called when they were made, and
            others that were made under its name are changed.
        now: the task that is asked for, where it is open: no other runs are found then.
    """
    by_task: dict[str, list[_Run]] = {}
    for folder, inputs in finished(runs, now.id if now is not None else None):
        by_task.setdefault(inputs["task"]["id"], []).append(_Run.of_folder(folder, inputs))
    for run in more:
        by_task.setdefault(run.inputs["task"]["id"], []).append(_Run.of_another_place(run))
    asked = _asked(ref, present) if now is None else now
    groups: list[OneDataset] = []
    for task, known in sorted(by_task.items()):
        if now is not None:
            wanted = [run for run in known if made_on(run.inputs, now)]
        else:
            wanted = [run for run in known if _matches(ref, run, asked)]
        if not wanted:
            continue
        for part in [wanted] if asked is not None else _by_dataset(wanted):
            groups.append(_group(task, part, known, ref, asked, present))
    return sorted(groups, key=lambda one: (one.task, one.inputs["dataset"]))


def _asked(ref: TaskRef, present: Present) -> Task | None:
    if not ref.dataset:
        return None
    return present.task(Place(absolute(ref.dataset), ref.root or ""), ref.task)


def _matches(ref: TaskRef, run: _Run, asked: Task | None) -> bool:
    task = run.inputs["task"]
    if ref.task is not None and ref.task not in (task["id"], task["name"]):
        return False
    if not ref.dataset or ref.dataset == task["id"]:
        return True
    if asked is not None and made_on(run.inputs, asked):
        return True
    if absolute(ref.dataset) != run.place.dataset:
        return False
    return not ref.root or run.place.root in ("", ref.root)


def _by_dataset(runs: Sequence[_Run]) -> list[list[_Run]]:
    """The runs of each dataset, in the order of their first ones."""
    newest: dict[tuple[Place, int | None], _Run] = {}
    for run in runs:
        key = run.place, run.inputs["task"]["limit"]
        if key not in newest or run.time > newest[key].time:
            newest[key] = run
    named: dict[Place, Place] = {run.place: run.place for run in runs}
    of_data: dict[str, Place] = {}
    for (place, _), run in newest.items():
        first = of_data.setdefault(run.inputs["data"], place)
        old, new = named[place], named[first]
        named = {p: new if n == old else n for p, n in named.items()}
    groups: dict[Place, list[_Run]] = {}
    for run in runs:
        groups.setdefault(named[run.place], []).append(run)
    return list(groups.values())


def _group(
    task: str,
    runs: Sequence[_Run],
    known: Iterable[_Run],
    ref: TaskRef,
    asked: Task | None,
    present: Present,
) -> OneDataset:
    newest = max(runs, key=lambda run: (run.found is not None, run.time))
    called = newest.place
    if asked is not None:
        called = Place(asked.dataset, ref.root or "")
    alike = [run for run in runs if run.place == called] or [newest]
    first = next((r for r in alike if r.inputs["task"]["limit"] == ref.limit), alike[0])
    places = frozenset(run.place for run in runs)
    opened = [present.task(place) for place in places if place.has_path]
    open_now = [task for task in opened if task is not None] if asked is None else [asked]
    data = {run.inputs["data"] for run in runs}
    return OneDataset(
        task,
        {**first.inputs, "dataset": called.dataset},
        tuple(run.found for run in runs if run.found is not None),
        tuple(run.foreign for run in runs if run.foreign is not None),
        places,
        frozenset({run.inputs["data"] for run in known} - data),
        tuple(open_now),
    )


def runs_on(runs: Path, task: Task) -> list[Found]:
    """The finished runs on the test clips of a task."""
    return [(f, inputs) for f, inputs in finished(runs, task.id) if made_on(inputs, task)]


def changed_clips(run: FinishedRun, of: OneDataset) -> str:
    """The doubt about a run whose dataset has other clips or groups now; "" where there is none."""
    if run.elsewhere or not of.now:
        return ""
    alike = [task for task in of.now if made_on(run.inputs, task)]
    if not alike:
        return CHANGED
    if all(run.inputs.get("names", task.names) != task.names for task in alike):
        return RENAMED
    groups = {_part(task, run.inputs).clusters_hash for task in alike}
    whole = (score["fingerprint"] for score in run.scores.values() if "subset" not in score)
    return "" if all(f.get("clusters", "") in groups for f in whole) else REGROUPED
