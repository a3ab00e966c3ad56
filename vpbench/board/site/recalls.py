"""Claims of a table whose entries have recalled figures: made as if those had never been there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vpbench.board.entry import Entry, EntryRun
from vpbench.board.site.pages import Recalled
from vpbench.core.schema import CompareJson, GroupJson, RowJson


def without_recalled(entry: Entry, recalled: Recalled) -> Entry:
    """The entry without the scores that do not count any more."""
    return replace(entry, runs=tuple(_without(run, recalled) for run in entry.runs))


def _without(run: EntryRun, recalled: Recalled) -> EntryRun:
    kept = (s for s in run.scores if (s.metric, s.frames, s.fp8) not in recalled)
    return replace(run, scores=tuple(kept))


def with_claims(groups: Sequence[GroupJson], counted: CompareJson) -> list[GroupJson]:
    """Groups with the ranks, ties and comparisons with baselines of another comparison.

    Args:
        counted: the same entries compared without recalled scores; its columns may be called
            otherwise, for where only one fingerprint of a metric is left its name has no `#`.
    """
    others = {_place(group): group for group in counted["groups"]}
    return [
        _claimed(group, others[_place(group)]) if _place(group) in others else _unclaimed(group)
        for group in groups
    ]


def _place(group: GroupJson) -> tuple[str, int]:
    return str(group["task"].get("subset") or ""), group["frames"]


def _unclaimed(group: GroupJson) -> GroupJson:
    """A group in which everything was recalled."""
    rows: list[RowJson] = [{**row, "nulls": [], "tied": []} for row in group["rows"]]
    return {**group, "rows": rows}


def _claimed(group: GroupJson, other: GroupJson) -> GroupJson:
    columns = {
        (name.partition("#")[0], metric["fingerprint"]): name
        for name, metric in group["metrics"].items()
    }
    here = {
        name: columns[name.partition("#")[0], metric["fingerprint"]]
        for name, metric in other["metrics"].items()
    }
    by_name = {row["method"]: row for row in other["rows"]}
    rows = [_row(row, by_name.get(row["method"]), here) for row in group["rows"]]
    return {**group, "rows": rows, "comparisons": other["comparisons"]}


def _row(row: RowJson, other: RowJson | None, here: Mapping[str, str]) -> RowJson:
    if other is None:
        return {**row, "nulls": [], "tied": []}
    ranks = {here[name]: score["rank"] for name, score in other["scores"].items() if name in here}
    return {
        **row,
        "scores": {n: {**s, "rank": ranks.get(n)} for n, s in row["scores"].items()},
        "nulls": [
            {**null, "metric": here[null["metric"]]}
            for null in other["nulls"]
            if null["metric"] in here
        ],
        "tied": [here[name] for name in other["tied"] if name in here],
    }
