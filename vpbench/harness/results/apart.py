"""In what the tables of a comparison differ."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from vpbench.core import schema
from vpbench.harness.results.finished_runs import differing


def between(groups: Sequence[schema.GroupJson]) -> list[str]:
    """One line for each neighbouring pair of groups: the fields that keep them apart."""
    lines: list[str] = []
    for a, b in itertools.pairwise(groups):
        one, other = ({**g["task"], "frames": g["frames"]} for g in (a, b))
        if one.get("subset") != other.get("subset"):  # then these differ, too
            one, other = ({k: v for k, v in g.items() if k not in _OF_SUBSET} for g in (one, other))
        fields = differing(one, other)
        if one["id"] == other["id"] and one["dataset"] != other["dataset"]:  # the paths in full
            named = f"dataset: {one['dataset']} against {other['dataset']}"
            fields = [named if text.startswith("dataset: ") else text for text in fields]
        if fields:
            lines.append(f"{_title(a)} and {_title(b)} differ in {'; '.join(fields)}")
    return lines


def name_datasets(groups: Sequence[schema.GroupJson]) -> None:
    """Note the dataset in tables of one task that are of different ones, in place."""
    names: dict[str, set[str]] = {}
    for group in groups:
        names.setdefault(group["task"]["id"], set()).add(group["task"]["dataset"])
    for group in groups:
        if len(names[group["task"]["id"]]) > 1:
            group["on"] = group["task"]["dataset"]


_OF_SUBSET = ("n", "split_hash", "notes")


def _title(group: schema.GroupJson) -> str:
    part = f" {group['task']['subset']}" if group["task"].get("subset") else ""
    return f"{group['task']['id']}{part} over {group['frames']} frames"
