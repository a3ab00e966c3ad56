"""Every failure that vpbench names, as one tree.

    VpbenchError                 exit code 70: a bug in vpbench unless a subclass says otherwise
    ├── UsageError               2   the command is wrong
    │   ├── UnknownName          2   no such plugin, parameter, preset, class; offers the nearest
    │   └── Refused              2   a method cannot do this task, with the reason
    ├── MethodFailed             1   a method raised, crashed, hung or returned nonsense
    ├── Incomparable             3   numbers that may not share a column
    ├── Corrupt                  4   something is there and wrong
    │   ├── BadData              4   an unreadable clip, a wrong label, NaN, duplicate ids
    │   └── HashMismatch         4   a stored file is not what was written
    └── Missing                  5   something is not there
        ├── MissingData          5   a dataset, a clip, a run
        ├── MissingWeights       5   pretrained weights
        ├── MissingDependency    5   a Python package
        └── Unwritable           5   space on the disk, or the right to write there

Each error is one sentence that names the file or value, and where there is one, the fix.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable


def printable(text: str) -> str:
    """A text with control characters spelt out: names from files must not reach a terminal raw.

    Line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _is_control(c) else ascii(c)[1:-1] for c in text)


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) == "Cc"


class VpbenchError(Exception):
    """Base of all errors that vpbench raises on purpose.

    Attributes:
        exit_code: what the command line returns for it.
    """

    exit_code = 70

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        self.message = printable(message)
        self.fix = None if fix is None else printable(fix)
        super().__init__(self.message if fix is None else f"{self.message} {self.fix}")


class UsageError(VpbenchError):
    """The command or the call is wrong."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that nothing is registered under; the message offers the nearest ones.

    `kind` may say whose it is: "parameter of noise" gives "unknown parameter 'x' of noise".
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        known = sorted(set(known))
        lower = {k.lower(): k for k in known}
        close = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.55)
        near = [lower[k] for k in close]
        if near:
            fix = f"Did you mean {' or '.join(near)}?"
        elif known:
            fix = f"Known: {', '.join(known[:12])}{', ...' if len(known) > 12 else '.'}"
        else:
            fix = "None is known."
        self.name = name
        what, of, owner = kind.partition(" of ")
        super().__init__(f"unknown {what} {name!r}{of}{owner}.", fix=f"{fix} {hint}".strip())


class Refused(UsageError):
    """A method cannot do what is asked for; nothing was computed."""


class MethodFailed(VpbenchError):
    """A method raised, crashed or returned something that is not a video.

    Attributes:
        clips: numbers of the training clips that it happened on (`Batch.index`); the harness adds
            their ids to the message.
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str | None = None, clips: Iterable[int] = ()) -> None:
        self.clips = tuple(int(i) for i in clips)
        super().__init__(message, fix=fix)


class Incomparable(VpbenchError):
    """Two numbers that may not stand in one column."""

    exit_code = 3


class Corrupt(VpbenchError):
    """Something is there and wrong."""

    exit_code = 4


class BadData(Corrupt):
    """A clip, a label or a pose that cannot be used as it is."""


class HashMismatch(Corrupt):
    """A stored file differs from what was written."""


class Missing(VpbenchError):
    """Something that is needed is not there."""

    exit_code = 5


class MissingData(Missing):
    """A dataset, a folder of clips or a run is not there."""


class MissingWeights(Missing):
    """Pretrained weights are not there and may not be fetched."""


class MissingDependency(Missing):
    """A Python package is not installed."""


class Unwritable(Missing):
    """The disk is full or a folder may not be written; nothing half-written is left."""
