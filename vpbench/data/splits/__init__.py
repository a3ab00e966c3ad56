"""Splits that were published for a dataset, as packaged manifests with their hashes.

A manifest holds facts only: names of clips, their class and their role.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from vpbench.api.errors import HashMismatch
from vpbench.data.folder.split import Role


@dataclass(frozen=True)
class Split:
    """Which clip is for what.

    Attributes:
        classes: names in the order of their numbers.
        roles: clip -> train, val or test.
        labels: clip -> class number.
    """

    classes: tuple[str, ...]
    roles: Mapping[str, Role]
    labels: Mapping[str, int]

    def sha256(self) -> str:
        """Names the split: sha256 over its sorted lines `clip class role`."""
        lines = sorted(f"{clip} {self.labels[clip]} {role}\n" for clip, role in self.roles.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def of(self, role: Role) -> list[str]:
        """The clips of a role, sorted."""
        return sorted(clip for clip, own in self.roles.items() if own == role)


@cache
def load(name: str) -> Split:
    """The packaged split of a dataset.

    Raises:
        HashMismatch: the manifest is not the one that was packaged.
    """
    manifest = read(name)
    roles: dict[str, Role] = {}
    labels: dict[str, int] = {}
    parts: tuple[Role, ...] = ("train", "test")
    for number, label in enumerate(manifest["classes"]):
        for role in parts:
            for clip in manifest[role][label].split():
                roles[clip], labels[clip] = role, number
    split = Split(tuple(manifest["classes"]), roles, labels)
    if split.sha256() != manifest["sha256"]:
        raise HashMismatch(f"the packaged split of {name} was changed.", fix="Install it again.")
    return split


def read(name: str) -> dict[str, Any]:
    """A packaged manifest as it stands in its file."""
    text = (resources.files("vpbench.data.splits") / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text)
