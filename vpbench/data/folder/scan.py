"""What is in each clip: decoded and hashed once, then taken from an index in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import BadData, VpbenchError
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.walk import Source, sources
from vpbench.media import decode
from vpbench.media.kinds import Source as Storage
from vpbench.media.kinds import Strips

SCHEMA = "vpbench.scan/1"
_THREADS = 4
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Facts:
    """What a clip holds: `sha256` of its source bytes, and as in `vpbench.media.kinds.Probe`."""

    sha256: str
    frames: int
    height: int
    width: int
    fps: float | None
    source: Storage


class Index:
    """Facts of the clips of one folder in `cache`/scan, by path and signature.

    It only saves time: a file that is missing, broken or of another version counts as empty, and
    one that cannot be written is left out.
    """

    def __init__(self, cache: Path, root: Path, strips: Strips, fresh: bool = False) -> None:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()
        self._file = cache / "scan" / f"{digest}.json"
        self._variant = f"{strips.layout} {strips.frame}"
        self._entries: dict[str, list[Any]] = {} if fresh else self._load()
        self._changed = False

    def facts(self, source: Source) -> Facts | None:
        """The stored facts of an unchanged clip, else None."""
        stored = self._entries.get(self._key(source))
        if not stored or stored[0] != source.signature:
            return None
        return _facts(stored[1:])

    def add(self, source: Source, facts: Facts) -> None:
        """Store the facts of a clip."""
        self._put(self._key(source), [source.signature, *astuple(facts)])

    def decision(self, rel: str, signature: str, decide: Callable[[], str]) -> str:
        """What the images of an unchanged folder are; errors of `decide` are not stored."""
        key = f"{rel}\tdecision {self._variant}"
        stored = self._entries.get(key)
        if stored and stored[0] == signature and stored[1:] in (["frames"], ["files"]):
            return str(stored[1])
        answer = decide()
        self._put(key, [signature, answer])
        return answer

    def save(self, root: Path) -> None:
        """Write what was added, without files that are gone, as a whole or not at all."""
        if not self._changed:
            return
        kept = {k: v for k, v in self._entries.items() if (root / k.split("\t")[0]).exists()}
        text = json.dumps(
            {"schema": SCHEMA, "decode": decode.VERSION, "entries": kept}, allow_nan=False
        )
        temporary = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}.tmp")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_text(text, encoding="utf-8")
                os.replace(temporary, self._file)
            finally:
                temporary.unlink(missing_ok=True)
        self._changed = False

    def _key(self, source: Source) -> str:
        return f"{source.rel}\t{self._variant if source.image else ''}"

    def _put(self, key: str, value: list[Any]) -> None:
        self._entries[key] = value
        self._changed = True

    def _load(self) -> dict[str, list[Any]]:
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            if stored["schema"] != SCHEMA or stored["decode"] != decode.VERSION:
                return {}
            return {str(k): v for k, v in stored["entries"].items() if isinstance(v, list)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}


def _facts(values: list[Any]) -> Facts | None:
    """Facts from JSON, None where they cannot be facts."""
    if len(values) != 6:
        return None
    sha256, frames, height, width, fps, source = values
    counts = all(type(n) is int and n > 0 for n in (frames, height, width))
    rate = fps is None or (type(fps) is float and fps > 0)
    named = isinstance(sha256, str) and len(sha256) == 64 and source in ("lossless", "codec")
    if not (counts and rate and named):
        return None
    return Facts(sha256, frames, height, width, fps, cast(Storage, source))


Tell = Callable[[int, int], None]
"""tell(done, total) while clips are looked at."""


def silent(done: int, total: int) -> None:
    """Tell nothing."""


def scan(
    root: Path,
    strips: Strips,
    cache: Path,
    findings: Findings,
    fresh: bool = False,
    tell: Tell = silent,
) -> dict[Source, Facts | None]:
    """All clips of a folder in the order of their ids; None for what `findings` says is broken.

    Args:
        fresh: decode and hash everything again.
    """
    index = Index(cache, root, strips, fresh)
    found = sources(root, strips, findings, index.decision)
    return examined(
        root, found, lambda source: _examine(root, source, strips), index, findings, tell
    )


def examined(
    root: Path,
    found: Sequence[Source],
    examine: Callable[[Source], Facts | VpbenchError],
    index: Index,
    findings: Findings,
    tell: Tell = silent,
) -> dict[Source, Facts | None]:
    """Facts of clips, from the index or from `examine`, which runs in several threads."""
    known = {source: index.facts(source) for source in found}
    new = [source for source, facts in known.items() if facts is None]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for number, (source, result) in enumerate(zip(new, pool.map(examine, new), strict=True), 1):
            tell(number, len(new))
            if isinstance(result, VpbenchError):
                findings.error(root / source.rel, result)
            else:
                index.add(source, result)
                known[source] = result
    index.save(root)
    return known


def _examine(root: Path, source: Source, strips: Strips) -> Facts | VpbenchError:
    path = root / source.rel
    try:
        # Decoded with the layout that the folder was understood by: an image is a strip here.
        probe = decode.probe(path, layout=strips.layout, frame=strips.frame)
        return Facts(
            sha256_of(path), probe.frames, probe.height, probe.width, probe.fps, probe.source
        )
    except VpbenchError as error:
        return error
    except OSError as error:
        return BadData(f"{path} cannot be read: {error.strerror or error}.")


def sha256_of(path: Path) -> str:
    """Of the bytes of a file; of a folder's image names and bytes, in the order of the names."""
    digest = hashlib.sha256()
    if not path.is_dir():
        _feed(digest.update, path)
        return digest.hexdigest()
    from vpbench.media.images import image_files

    for file in image_files(path):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        _feed(digest.update, file)
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            update(block)
