"""Runs of other places beside those of the runs folder: single folders, bundles, entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vpbench.harness.results.finished_runs import FinishedRun, Key


def joined(
    runs: Mapping[Key, FinishedRun], more: Mapping[Key, FinishedRun], wanted: Collection[str]
) -> dict[Key, FinishedRun]:
    """Runs of the runs folder and of other places, which go first.

    Of a method that is asked for by name both are shown, unless they are the same run.

    Args:
        wanted: names of methods that are asked for.
    """
    both = dict(runs)
    for key, run in more.items():
        other, name = runs.get(key), run.inputs["method"]
        alike = other is None or other.manifest["sha256"] == run.manifest["sha256"]
        if alike or name not in wanted:
            both[key] = run
            continue
        named = f"{name} ({run.entry or 'given'})"
        own = replace(run, inputs={**run.inputs, "method": named})
        both[own.key] = own
    return both


def names_of(more: Sequence[FinishedRun], runs: Mapping[Key, FinishedRun]) -> list[str]:
    """What the rows of runs from other places are called in a table."""
    given = {id(run.manifest) for run in more}
    return [run.inputs["method"] for run in runs.values() if id(run.manifest) in given]
