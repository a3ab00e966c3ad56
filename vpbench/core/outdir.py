"""Output folders that a user names: written atomically, and never over other files."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Corrupt, Unwritable, UsageError
from vpbench.core.files import TEMPORARY, elsewhere, read_json, storage

_ELSEWHERE = "another folder with --out DIR"


def check_out(target: Path, record: str, force: bool) -> None:
    """Refuse a folder that must not be written, before anything is computed.

    Args:
        target: the folder to be made; an empty one is as good as none.
        record: name of the JSON file in it that lists, as `entries`, what was written.
        force: what an earlier output recorded there may be replaced.

    Raises:
        UsageError: it is a file, or it holds something and `force` is not given.
    """
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file.", fix="Name a folder with --out DIR.")
    if not target.is_dir() or force or not any(target.iterdir()):
        return
    if (target / record).is_file():
        fix = "Choose another folder with --out DIR, or replace what is there with --force."
    else:
        fix = "Choose another folder with --out DIR, or add to it with --force."
    raise UsageError(f"the folder {target} is not empty.", fix=fix)


@contextmanager
def named_output(place: str = _ELSEWHERE) -> Generator[None]:
    """Have a failed write of what a user named say how to name another place.

    Args:
        place: where else to write.
    """
    try:
        yield
    except Unwritable as error:
        raise Unwritable(error.message, fix=elsewhere(error.__cause__, place)) from error


@contextmanager
def out_folder(target: Path, record: str, force: bool) -> Generator[Path]:
    """Give a temporary folder beside `target`; on success its content appears in `target`.

    With `force`, what the old `record` lists is deleted first; other files are left alone.

    Raises:
        UsageError: as `check_out`, or a file that vpbench did not write has the same name.
        Unwritable: it cannot be written; nothing is left behind.
    """
    check_out(target, record, force)
    work = target.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    new_parents = [p for p in (target.parent, *target.parent.parents) if not p.exists()]
    try:
        with named_output(_ELSEWHERE), storage(target):
            work.mkdir(parents=True)
            yield work
            _publish(work, target, record)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        for folder in new_parents:  # rmdir fails, as it should, where something was written
            with contextlib.suppress(OSError):
                folder.rmdir()


def _publish(work: Path, target: Path, record: str) -> None:
    if not target.exists():
        work.rename(target)
        return
    old = {target / name for name in recorded(target / record)}
    new = sorted(work.iterdir(), key=lambda path: path.name == record)  # the record comes last
    for path in new:
        existing = target / path.name
        if existing.exists() and existing not in old and path.name != record:
            raise UsageError(
                f"{existing} exists and is not an earlier output of vpbench.",
                fix="Move it, or choose another folder with --out DIR.",
            )
    (target / record).unlink(missing_ok=True)
    for path in old:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in new:
        path.rename(target / path.name)


def recorded(record: Path) -> list[str]:
    """Names in a folder that its record lists; nothing that could be elsewhere."""
    if not record.is_file():
        return []
    try:
        value: Any = read_json(record)
    except Corrupt:
        return []
    entries = cast("dict[str, Any]", value).get("entries") if isinstance(value, dict) else None
    names = cast("list[Any]", entries) if isinstance(entries, list) else []
    return [n for n in names if isinstance(n, str) and Path(n).name == n and n not in ("", "..")]
