"""Files that a result was made from, and whether they still hold what they held then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from vpbench.core.hashing import file_sha256
from vpbench.core.records import DiscoveredFile
from vpbench.core.stat_cache import StatCache, stat_cache


def changed_files(files: Iterable[DiscoveredFile], cache: Path | None) -> list[str]:
    """Paths of files that hold something else now, or are gone.

    Args:
        cache: the folder that keeps hashes; None hashes the files anew.
    """
    rows = list(files)
    if not rows:
        return []
    path = None if cache is None else cache / "file-hashes.json"
    hashes = StatCache(None, file_sha256) if path is None else stat_cache(path, file_sha256)
    changed = [f["path"] for f in rows if hashes.of(Path(f["path"])) != f["sha256"]]
    hashes.save()
    return changed


def file_names(paths: Sequence[str]) -> str:
    """Names of files for one line, and how many more."""
    names = ", ".join(dict.fromkeys(Path(p).name for p in paths[:3]))
    return names + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
