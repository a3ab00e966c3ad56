"""Files that come with a package: each is pinned by a hash in the code that reads it."""

from __future__ import annotations

import hashlib
import json
from importlib.resources.abc import Traversable
from typing import Any

from vpbench.api.errors import HashMismatch
from vpbench.core.hashing import digest

REINSTALL = (
    "It came with a package; install that again (vpbench: "
    "python -m pip install --force-reinstall --no-deps vpbench)."
)
"""The way out where a shipped file was changed: deleting it would lose it."""


def shipped_bytes(file: Traversable, sha256: str) -> bytes:
    """The bytes of a shipped file.

    Raises:
        HashMismatch: they are not those that were shipped.
    """
    data = file.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise changed(file)
    return data


def shipped_json(file: Traversable, sha256: str) -> Any:
    """The value in a shipped JSON file; its layout does not count.

    Args:
        sha256: `vpbench.core.hashing.digest` of the value.

    Raises:
        HashMismatch: it is not what was shipped.
    """
    try:
        value = json.loads(file.read_bytes())
        same = digest(value) == sha256
    except ValueError:
        raise changed(file) from None
    if not same:
        raise changed(file)
    return value


def changed(file: Traversable) -> HashMismatch:
    """The error for a shipped file that is not what was shipped."""
    return HashMismatch(f"{file} is not what was shipped.", fix=REINSTALL)
