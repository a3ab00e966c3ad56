"""Entries of one task compared as `vpbench compare` compares runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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


def compare_entries(entries: Sequence[Entry]) -> tuple[CompareJson, Mapping[str, str]]:
    """The comparison of entries of one task, and row name -> id of the row's entry.

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
    return found.json(), names
