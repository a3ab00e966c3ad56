"""Named parts of the test split on which every method is scored too."""

from __future__ import annotations

from collections.abc import Mapping

from vpbench.data.splits import Split, load

LONG = 33
"""Frames of the window: shorter videos show every future frame twice."""

_NOT_VILLEGAS = ("pull_ups", "squats")


def subsets_of(split: Split, frames: Mapping[str, int]) -> dict[str, frozenset[str]]:
    """Parts of the test videos, given their numbers of frames.

    long: no frame is shown twice (79 of the published 90).
    no-neighbour: neither the video before nor the one after, by number, is a training video of the
        same class; neighbours were often cut out of one film (37 of 90).
    villegas70: the seven classes that Villegas et al. (ICML 2017) know; of the published split.
    """
    test = split.of("test")
    parts = {
        "long": frozenset(v for v in test if frames[v] >= LONG),
        "no-neighbour": frozenset(v for v in test if not _has_neighbour(split, v)),
    }
    if split.sha256() == load("penn").sha256():
        parts["villegas70"] = frozenset(
            v for v in test if split.classes[split.labels[v]] not in _NOT_VILLEGAS
        )
    return {name: part for name, part in parts.items() if part}


def _has_neighbour(split: Split, video: str) -> bool:
    near = (f"{int(video) + step:04d}" for step in (-1, 1))
    return any(
        split.roles.get(other) == "train" and split.labels[other] == split.labels[video]
        for other in near
    )
