"""Which finished runs a command means: names of methods, run folders, bundles."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vpbench.api.errors import Corrupt, MissingData, UsageError
from vpbench.board.bundle import bundle_runs
from vpbench.board.collect import group_key
from vpbench.board.sources import is_source
from vpbench.core.command_names import name_of_run
from vpbench.core.names import MethodRef
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.registry import Registry
from vpbench.harness.results.finished_runs import (
    FinishedRun,
    canonical,
    doubt,
    newest,
    stored_run,
)
from vpbench.harness.results.no_run import no_finished_run
from vpbench.harness.results.one_dataset import Present, changed_clips, one_dataset_each
from vpbench.harness.results.run_state import Seen


@dataclass(frozen=True)
class Selection:
    """What a command is about.

    Attributes:
        what: names of methods, run folders, bundles; () for every finished run.
        task: only runs of this task; "" for any.
    """

    what: Sequence[str]
    task: str = ""


@contextmanager
def selected(
    selection: Selection, registry: Registry, paths: Paths
) -> Generator[list[list[FinishedRun]]]:
    """The runs meant, those that differ in nothing but their seeds together.

    Folders of bundles are there until the context ends.

    Raises:
        MissingData: a method has no finished run.
        UnknownName: nor is it installed.
        Corrupt: the code behind a run has changed since, or its clips, or what it read.
    """
    with ExitStack() as stack:
        runs: list[FinishedRun] = []
        own: list[FinishedRun] = []
        names: list[str] = []
        for text in selection.what:
            path = Path(text).expanduser()
            if not is_source(text):
                names.append(text)
            elif path.is_dir():
                own.append(stored_run(path.absolute()))
            elif text.endswith(".json"):
                raise UsageError(f"{path} is not a run.", fix="Name a method, a run or a bundle.")
            else:
                folders = stack.enter_context(bundle_runs(path))
                runs += [replace(stored_run(f.path), foreign=True) for f in folders]
        if names or not selection.what:
            own += _named(names, selection.task, registry, paths)
        _refuse_doubts(own, registry, paths)
        groups: dict[object, list[FinishedRun]] = {}
        for run in [*runs, *own]:
            if not selection.task or selection.task == run.inputs["task"]["id"]:
                groups.setdefault(group_key(run), []).append(run)
        yield list(groups.values())


def _named(names: Sequence[str], task: str, registry: Registry, paths: Paths) -> list[FinishedRun]:
    """The newest finished run of each method, task and pair of seeds."""
    found: list[FinishedRun] = []
    met: set[str] = set()
    ref = TaskRef(dataset="", task=task or None)
    for one in one_dataset_each(paths.runs, (), ref, Present(registry, paths)):
        size = one.inputs["task"]["size"]
        asked = {canonical(MethodRef.parse(n), registry, size): n for n in names}
        for run in newest(one.found, registry, is_now=one.is_now).values():
            name = run.inputs["method"]
            if not names or name in asked:
                _refuse(one.called(run), changed_clips(run, one), paths)
                found.append(one.called(run))
                met.add(asked.get(name, ""))
    for name in names:
        if name not in met:
            raise no_finished_run(name, registry, paths.runs)
    if not found:
        raise MissingData(f"there is no finished run in {paths.runs}.")
    return found


def _refuse_doubts(runs: Sequence[FinishedRun], registry: Registry, paths: Paths) -> None:
    seen: Seen = {}
    for run in runs:
        _refuse(run, doubt(run, registry, paths, seen), paths)


def _refuse(run: FinishedRun, doubt: str, paths: Paths) -> None:
    if not doubt:
        return
    name, dataset = run.inputs["method"], run.inputs["dataset"]
    typed = name_of_run(run.folder)
    words = ["vpbench", "run", typed, "--dataset", dataset, "--runs", str(paths.runs)]
    raise Corrupt(
        f"{name}: {doubt}, so a new run might give other results.",
        fix=f"Check it: {shlex.join(words)}",
    )
