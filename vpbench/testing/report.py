"""Errors in one line, for reports."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from pathlib import Path
from typing import Any


def format_error(error: BaseException) -> str:
    """Type and first line of an exception."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")


def where_raised(error: BaseException) -> str:
    """File and line of the innermost frame outside of vpbench; of the innermost where none is."""
    home = str(Path(__file__).parents[1])
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not _ours(f.filename, home)] or list(frames)
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else ""


def _ours(path: str, home: str) -> bool:
    """Whether a file belongs to vpbench or to Python itself."""
    if path.startswith(("<", home)):
        return True
    python = path.startswith(sysconfig.get_path("stdlib"))
    return python and "site-packages" not in path and "dist-packages" not in path


def where_defined(thing: Any) -> str:
    """File and line of a class, function or method; "" where there is no source."""
    try:
        return f"{inspect.getsourcefile(thing)}:{inspect.getsourcelines(thing)[1]}"
    except (TypeError, OSError):
        return ""
