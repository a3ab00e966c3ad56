"""Which clip is for training, validation and test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from vpbench.api.errors import MissingData
from vpbench.data.folder.findings import Findings

Role = Literal["train", "val", "test"]
ROLES: tuple[Role, ...] = get_args(Role)

TEST_PERCENT = 20
VAL_PERCENT = 10

_NAMES: dict[str, Role] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def role(name: str) -> Role | None:
    """The role that a folder or cell names, None for any other name."""
    return _NAMES.get(name.strip().casefold())


def by_hash(keys: Iterable[str]) -> dict[str, Role]:
    """Roles of groups: sorted by the sha256 of their names, the first are test, the next val.

    20 % (rounded half up, at least 1) are test and 10 % (likewise) val. The last group is never
    taken away from train, unless it is the only one: that is test.
    """
    order = sorted(set(keys), key=_hash)
    tests = _share(len(order), TEST_PERCENT)
    vals = max(0, min(_share(len(order), VAL_PERCENT), len(order) - tests - 1))
    roles: dict[str, Role] = dict.fromkeys(order, "train")
    roles.update(dict.fromkeys(order[:tests], "test"))
    roles.update(dict.fromkeys(order[tests : tests + vals], "val"))
    return roles


def by_folder(places: Mapping[str, Sequence[str]], findings: Findings) -> dict[str, Role]:
    """Roles by clip id from folders named train, val and test; {} when there are none.

    They are the first folders, or the second ones of every clip. Clips outside of them go to
    `findings`.
    """
    level = split_level(places)
    if level is None:
        return {}
    roles: dict[str, Role] = {}
    for clip_id, folders in places.items():
        named = role(folders[level]) if len(folders) > level else None
        if named is None:
            findings.bad(
                clip_id,
                f"clip {clip_id!r} is not in a split folder, other clips are.",
                "Move it into train, val or test, or give split=COLUMN or split=FILE.",
            )
        else:
            roles[clip_id] = named
    return roles


def split_level(places: Mapping[str, Sequence[str]]) -> int | None:
    """Depth of the split folders: 0, 1, or None when there are none."""
    if any(folders and role(folders[0]) in ("train", "test") for folders in places.values()):
        return 0
    if places and all(len(folders) > 1 and role(folders[1]) for folders in places.values()):
        return 1
    return None


def from_cells(cells: Mapping[str, str], where: str, findings: Findings) -> dict[str, Role]:
    """Roles by clip id from the cells of a column; other words go to `findings`."""
    roles: dict[str, Role] = {}
    for clip_id, cell in cells.items():
        named = role(cell)
        if named is None:
            findings.bad(
                where,
                f"{where}: the split of clip {clip_id!r} is {cell!r}.",
                "Write train, val or test.",
            )
        else:
            roles[clip_id] = named
    return roles


def completed(
    roles: Mapping[str, Role], groups: Mapping[str, str], where: str, findings: Findings
) -> dict[str, Role]:
    """A given split with a validation part: without one, 10 % of the groups of train become it.

    Groups (the clip itself where it has none) are taken as in `by_hash`; one stays in train.
    A split without test goes to `findings`.
    """
    if "test" not in roles.values():
        findings.error(
            where,
            MissingData(f"{where} has no test clips.", fix="Name some test: scores need them."),
        )
    if "val" in roles.values():
        return dict(roles)
    train = sorted(
        {groups.get(clip_id) or clip_id for clip_id, part in roles.items() if part == "train"},
        key=_hash,
    )
    chosen = set(train[: min(_share(len(train), VAL_PERCENT), max(0, len(train) - 1))])
    return {
        clip_id: "val" if part == "train" and (groups.get(clip_id) or clip_id) in chosen else part
        for clip_id, part in roles.items()
    }


def _share(count: int, percent: int) -> int:
    return max(1, (count * percent + 50) // 100) if count else 0


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8")).hexdigest()
