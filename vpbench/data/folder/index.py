"""Facts about the clips of a folder, kept between calls.

key: the folder's absolute path (name of the file); the version of the decoders (`decode.versions`);
a clip's path below the folder and, for images, how they are cut. An entry is taken without reading
the clip only if size, modification time, change time and inode of all its files are those of the
entry and had been at rest when it was made (`vpbench.core.stamps`). Otherwise the bytes are hashed,
and what is known of a clip of equal bytes, read in the same way, is taken. The file carries its own
sha256.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Unwritable
from vpbench.core.files import write_bytes
from vpbench.core.hashing import canonical_json, digest
from vpbench.core.stamps import Stamp
from vpbench.data.folder.walk import Source
from vpbench.media import decode
from vpbench.media.kinds import WHITE, Change, Reading, ground_text
from vpbench.media.kinds import Source as Storage

SCHEMA = "vpbench.scan/3"


@dataclass(frozen=True)
class Facts:
    """What a clip holds.

    Attributes:
        sha256: of its source bytes.
        frames, height, width, fps, source: as in `vpbench.media.kinds.Probe`.
        pose_sha256: of the file that its joints come from, "" where it has none.
        changes: as in `Probe`.
    """

    sha256: str
    frames: int
    height: int
    width: int
    fps: float | None
    source: Storage
    pose_sha256: str = ""
    changes: tuple[Change, ...] = ()


class Index:
    """Facts of the clips of one folder in `cache`/scan.

    It only saves time: a file that is missing, broken or of another version counts as empty, and
    one that cannot be written is left out.

    Args:
        fresh: hash and decode everything again, whatever the index holds.
    """

    def __init__(self, cache: Path, root: Path, how: Reading, *, fresh: bool = False) -> None:
        name = hashlib.sha256(os.fsencode(root)).hexdigest()
        self._file = cache / "scan" / f"{name}.json"
        self._variant = f"{how.layout} {how.frame}"
        self._pixels = (
            f" {ground_text(how.ground)} {how.rate} {how.axes}"
            if (how.ground, how.rate, how.axes) != (WHITE, None, "")
            else ""
        )
        self._fresh = fresh
        self._entries = _load(self._file)
        self._keys_of: dict[str, set[str]] = {}
        for key in self._entries:
            self._keys_of.setdefault(key.partition("\t")[0], set()).add(key)
        self._by_content = {} if fresh else self._contents()
        self._changed = False

    def facts(self, source: Source) -> Facts | None:
        """The stored facts of a clip whose files are proven to be the same, else None."""
        return None if self._fresh else self._proven(source)

    def of_content(self, source: Source, sha256: str) -> Facts | None:
        """The stored facts of a clip of these bytes that is read in the same way, else None."""
        return self._by_content.get((self._reading(source), sha256))

    def decayed(self, source: Source, facts: Facts) -> bool:
        """Whether a clip holds other bytes than before although its files were not written to."""
        before = self._proven(source)
        return before is not None and before.sha256 != facts.sha256

    def add(self, source: Source, facts: Facts) -> None:
        """Store the facts of a clip, and forget what was stored of other bytes at its path."""
        for key in list(self._keys_of.get(source.rel, ())):
            stored = _facts(self._entries[key][2:])
            if stored is not None and stored.sha256 != facts.sha256:
                del self._entries[key]
                self._keys_of[source.rel].discard(key)
        self._put(self._key(source), source.stamp, list(astuple(facts)))

    def decision(self, rel: str, stamp: Stamp, decide: Callable[[], str]) -> str:
        """What the images of an unchanged folder are; errors of `decide` are not stored."""
        key = f"{rel}\tdecision {self._variant}"
        stored = self._entries.get(key)
        if not self._fresh and stored and _stamp(stored).proves(stamp):
            return str(stored[2])
        answer = decide()
        self._put(key, stamp, [answer])
        return answer

    def save(self, root: Path) -> None:
        """Write what was added, without files that are gone, as a whole or not at all."""
        if not self._changed:
            return
        kept = {k: v for k, v in self._entries.items() if (root / k.split("\t")[0]).exists()}
        content = {"schema": SCHEMA, "decode": decode.versions(), "entries": kept}
        with suppress(OSError, Unwritable):
            write_bytes(self._file, canonical_json({**content, "sha256": digest(content)}))
        self._changed = False

    def _reading(self, source: Source) -> str:
        cut = self._variant if source.image else ""
        part = "" if source.part is None else f" part {source.part}"
        return f"{cut}{self._pixels}{part}"

    def _key(self, source: Source) -> str:
        return f"{source.rel}\t{self._reading(source)}"

    def _put(self, key: str, stamp: Stamp, value: list[Any]) -> None:
        self._entries[key] = [stamp.text, stamp.settled, *value]
        self._keys_of.setdefault(key.partition("\t")[0], set()).add(key)
        self._changed = True

    def _proven(self, source: Source) -> Facts | None:
        stored = self._entries.get(self._key(source))
        if not stored or not _stamp(stored).proves(source.stamp):
            return None
        return _facts(stored[2:])

    def _contents(self) -> dict[tuple[str, str], Facts]:
        known: dict[tuple[str, str], Facts] = {}
        for key, value in self._entries.items():
            facts = _facts(value[2:])
            if facts is not None:
                known[key.partition("\t")[2], facts.sha256] = facts
        return known


def _load(file: Path) -> dict[str, list[Any]]:
    try:
        stored = json.loads(file.read_bytes())
        seal = stored.pop("sha256")
        if stored["schema"] != SCHEMA or stored["decode"] != decode.versions():
            return {}
        if seal != digest(stored):
            return {}
        return stored["entries"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _stamp(stored: list[Any]) -> Stamp:
    return Stamp(str(stored[0]), settled=stored[1] is True)


def _facts(values: list[Any]) -> Facts | None:
    """Facts from JSON; None for the entry of a decision."""
    if len(values) != 8:
        return None
    sha256, frames, height, width, fps, source, pose, changes = values
    rate = None if fps is None else float(fps)
    return Facts(sha256, frames, height, width, rate, cast(Storage, source), pose, tuple(changes))
