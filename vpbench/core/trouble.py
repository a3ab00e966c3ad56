"""What Python raises for trouble with the machine, as one sentence: it is no bug in vpbench."""

from __future__ import annotations

import os

from vpbench.api.errors import MethodFailed, Unwritable, VpbenchError


def sentence_of(error: BaseException) -> VpbenchError | None:
    """The error to show for a file that cannot be used and for a lack of memory; else None."""
    if isinstance(error, MemoryError):
        return MethodFailed(
            "this machine is out of memory.",
            fix="Try again with --workers 1, or close other programs.",
        )
    if not isinstance(error, OSError) or error.strerror is None:
        return None
    names = [os.fsdecode(n) for n in (error.filename, error.filename2) if _is_name(n)]
    what = f"{names[0]} cannot be used" if names else "the system refuses"
    return Unwritable(f"{what}: {error.strerror.lower()}.")


def _is_name(value: object) -> bool:
    return isinstance(value, str | bytes) and len(value) > 0
