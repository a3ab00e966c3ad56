"""Removes what killed processes have left: files half written, locks without a holder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from vpbench.api.errors import VpbenchError
from vpbench.core.files import TEMPORARY
from vpbench.core.lock import LockWatch

OLD_S = 3600.0
"""Age of a temporary file that no one writes any more: one is written in seconds."""


def sweep(folders: Iterable[Path]) -> int:
    """Remove leftovers below some folders; what cannot be removed stays.

    Returns:
        How many files were removed.
    """
    count = 0
    for folder in folders:
        for path in _below(folder, f"{TEMPORARY}*"):
            count += _remove_old(path)
        for path in _below(folder, "*.lock"):
            count += _free(path)
    return count


def _below(folder: Path, pattern: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in folder.rglob(pattern) if path.is_file()]
    return []


def _remove_old(path: Path) -> bool:
    try:
        if time.time() - path.stat().st_mtime > OLD_S:
            path.unlink()
            return True
    except OSError:  # somebody else was faster, or nothing may be changed here
        pass
    return False


def _free(path: Path) -> bool:
    """Take over the lock of a process that is gone, and give it up."""
    try:
        own = path.read_bytes().startswith(b"{")
        lock = LockWatch(path).try_lock(tell=False) if own else None
    except (OSError, VpbenchError):  # gone by now, a read-only folder: nothing depends on it
        return False
    if lock is None:
        return False
    lock.release()
    return True
