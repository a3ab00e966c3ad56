"""A secret of this cache, so that no one can compute the names of clips that methods see."""

from __future__ import annotations

import functools
import os
import re
import secrets
from pathlib import Path

from vpbench.core.files import make_folder, storage

NAME = "salt"
"""File in the cache; copy it to name clips alike on another machine."""


@functools.lru_cache(maxsize=4)
def local_salt(cache: Path) -> str:
    """The secret of a cache, 64 hex digits; made at the first call, the same ever after.

    Raises:
        Unwritable: there is none, and none can be stored.
    """
    path = make_folder(cache) / NAME
    known = _read(path)
    if known:
        return known
    own = path.with_name(f".{NAME}-{secrets.token_hex(8)}")
    with storage(path):
        own.write_text(secrets.token_hex(32))
        own.chmod(0o600)
        try:
            os.link(own, path)  # of several processes the first one wins
        except FileExistsError:
            if not _read(path):  # damaged
                own.replace(path)
        except OSError:  # no hard links on this disk
            own.replace(path)
        finally:
            own.unlink(missing_ok=True)
    return _read(path)


def _read(path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
    except (FileNotFoundError, ValueError):
        return ""
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else ""
