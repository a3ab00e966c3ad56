"""Files that a result was made from, and whether they still hold what they held then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vpbench.core.hashing import file_sha256
from vpbench.core.records import DiscoveredFile
from vpbench.core.stat_cache import StatCache, stat_cache


def file_hashes(cache: Path | None) -> StatCache:
    """sha256 of files, kept in the cache; with None they are hashed anew."""
    if cache is None:
        return StatCache(None, file_sha256)
    return stat_cache(cache / "file-hashes.json", file_sha256)


def changed_inputs(files: Iterable[DiscoveredFile], hashes: StatCache) -> list[str]:
    """Paths of discovered files that hold something else now, or are gone."""
    changed = [f["path"] for f in files if hashes.of(Path(f["path"])) != f["sha256"]]
    hashes.save()
    return changed


def file_names(paths: Sequence[str]) -> str:
    """Names of files for one line, and how many more."""
    names = ", ".join(dict.fromkeys(Path(p).name for p in paths[:3]))
    return names + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
