"""Entries of one task compared as `vpbench compare` compares runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vpbench.board.entry import Entry
from vpbench.board.rows import runs_of_entry
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.registry import registry
from vpbench.core.schema import CompareJson
from vpbench.harness.results.compare import compare
from vpbench.harness.results.finished_runs import FinishedRun

_LEVELS = ("rerun", "rescored", "self-reported")


@dataclass(frozen=True)
class Compared:
    """A comparison of entries.

    Attributes:
        names: row -> id of its entry.
        runs: what the rows were made of, under the rows' names.
    """

    comparison: CompareJson
    names: Mapping[str, str]
    runs: Sequence[FinishedRun]


def compare_entries(entries: Sequence[Entry]) -> Compared:
    """The comparison of entries of one task.

    Where several entries are of one method, the one that was checked furthest keeps the bare name.
    """
    names: dict[str, str] = {}
    runs: list[FinishedRun] = []
    for entry in sorted(entries, key=lambda e: (_LEVELS.index(e.trust.level), e.id)):
        method = entry.method.name
        name = method if method not in names else f"{method} ({entry.id})"
        names[name] = entry.id
        runs += [
            replace(run, inputs={**run.inputs, "method": name}) for run in runs_of_entry(entry)
        ]
    # Only entries are compared: no run of whoever builds the site may slip in.
    with TemporaryDirectory() as empty:
        paths = Paths(runs=Path(empty), cache=Path(empty))
        found = compare((), RunOptions(), registry(()), paths, more=runs)
    return Compared(found.json(), names, runs)
