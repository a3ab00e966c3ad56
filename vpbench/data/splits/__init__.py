"""Splits that were published for a dataset, as packaged manifests with their hashes.

A manifest holds facts only: names of clips, their class and their role.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from vpbench.core.shipped import shipped_json
from vpbench.data.folder.split import Role

_PINS = {
    "penn": "82dfa910a65abb6773aed357f928a93c51e66e98d02bcfd715e24fa4a2c2409d",
    "penn-puppets": "0d46732bd49d6d2dd2ab34306348e145b9219354f4e5238d7d8a82716729a71e",
}
"""Digests of the manifests."""


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
        HashMismatch: the manifest is not the one that was shipped.
    """
    manifest = read(name)
    roles: dict[str, Role] = {}
    labels: dict[str, int] = {}
    parts: tuple[Role, ...] = ("train", "test")
    for number, label in enumerate(manifest["classes"]):
        for role in parts:
            for clip in manifest[role][label].split():
                roles[clip], labels[clip] = role, number
    return Split(tuple(manifest["classes"]), roles, labels)


@cache
def read(name: str) -> dict[str, Any]:
    """A packaged manifest as in its file.

    Raises:
        HashMismatch: it is not the one that was shipped.
    """
    return shipped_json(resources.files("vpbench.data.splits") / f"{name}.json", _PINS[name])
