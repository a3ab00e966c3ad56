"""What is in each clip: decoded and hashed once, then taken from an index in the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vpbench.api.errors import BadData, VpbenchError
from vpbench.core.stamps import GONE, Stamp
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.index import Facts, Index
from vpbench.data.folder.walk import Source, present_stamp, sources
from vpbench.media import decode
from vpbench.media.images import image_files
from vpbench.media.kinds import Reading

_THREADS = 4
_BLOCK = 1 << 20

OnProgress = Callable[[int, int], None]
"""report(done, total) while clips are looked at."""


def silent(done: int, total: int) -> None:
    """Report nothing."""


def scan(
    root: Path,
    reading: Reading,
    cache: Path,
    findings: Findings,
    *,
    fresh: bool = False,
    report: OnProgress = silent,
) -> dict[Source, Facts | None]:
    """All clips of a folder in the order of their ids; None for broken ones, listed in `findings`.

    Args:
        fresh: decode and hash everything again.
    """
    index = Index(cache, root, reading, fresh=fresh)
    listed = sources(root, reading, findings, index.decision)
    hashes: dict[str, str] = {}

    def hash_of(source: Source) -> str:
        """Of the file; an array of many clips is hashed once."""
        if source.part is None:
            return sha256_of(root / source.rel)
        if source.rel not in hashes:
            hashes[source.rel] = sha256_of(root / source.rel)
        return hashes[source.rel]

    def examine(source: Source) -> Facts:
        path = root / source.rel
        sha256 = hash_of(source)
        known = index.of_content(source, sha256)
        if known is not None:
            return known
        # Decoded with the layout that the folder was understood by: an image is a strip here.
        probe = decode.probe(path, source.reading(reading))
        return Facts(
            sha256,
            probe.frames,
            probe.height,
            probe.width,
            probe.fps,
            probe.source,
            changes=probe.changes,
        )

    return examined(root, listed, examine, index, findings, report)


def examined(
    root: Path,
    listed: Sequence[Source],
    examine: Callable[[Source], Facts],
    index: Index,
    findings: Findings,
    report: OnProgress = silent,
    stamp: Callable[[Source], Stamp] | None = None,
) -> dict[Source, Facts | None]:
    """Facts of clips, from the index or from `examine`, which runs in several threads.

    Args:
        examine: hashes and looks at one clip; raises what is wrong with it.
        stamp: looks at the files of a clip again.
    """
    look = stamp or (lambda source: present_stamp(root, source.rel))

    def work(source: Source) -> Facts | VpbenchError:
        path = root / source.rel
        try:
            facts = examine(source)
        except VpbenchError as error:
            return error
        except OSError as error:
            return BadData(f"{path} cannot be read: {error.strerror or error}.")
        if look(source).text != source.stamp.text:
            return changed(path)
        return facts

    known = {source: index.facts(source) for source in listed}
    new = [source for source, facts in known.items() if facts is None]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        try:
            for number, (source, result) in enumerate(
                zip(new, pool.map(work, new), strict=True), 1
            ):
                report(number, len(new))
                if isinstance(result, VpbenchError):
                    findings.error(root / source.rel, result)
                    continue
                if index.decayed(source, result):
                    findings.error(root / source.rel, _decayed(root / source.rel))
                index.add(source, result)
                known[source] = result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for all
            raise
    index.save(root)
    return known


def changed(path: Path) -> BadData:
    """The error for a clip that does not hold the bytes that were hashed."""
    return BadData(f"{path} changed while it was in use.", fix="Run the command again.")


def _decayed(path: Path) -> BadData:
    return BadData(
        f"{path} holds other bytes than when it was first read, and was not written to since: the "
        "disk or a copy is damaged.",
        fix="Restore it; scores of it as it is now get a fingerprint of their own.",
    )


class SourceCheck:
    """Whether clips still hold the bytes that were hashed when the folder was scanned."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, Stamp] = {}

    def check(self, rel: str, sha256: str) -> None:
        """Hash a clip, once in this process unless its files change.

        Args:
            rel: the clip's path below the root.
            sha256: hash of the clip when the folder was scanned.

        Raises:
            BadData: it changed.
        """
        now = present_stamp(self._root, rel)
        if self._seen.get(rel, GONE).proves(now):
            return
        path = self._root / rel
        try:
            same = bool(now.text) and sha256_of(path) == sha256
        except OSError:
            same = False
        if not same:
            raise changed(path)
        self._seen[rel] = now


def sha256_of(path: Path) -> str:
    """Of the bytes of a file; of a folder's image names and bytes, in the order of the names."""
    digest = hashlib.sha256()
    if not path.is_dir():
        _feed(digest.update, path)
        return digest.hexdigest()
    for file in image_files(path):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        _feed(digest.update, file)
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            update(block)
