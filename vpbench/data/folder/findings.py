"""Problems, collected so that `verify` shows all of them and a run stops at the first."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from pathlib import Path

from vpbench.api.errors import BadData, MissingData, VpbenchError
from vpbench.api.types import Problem

_TEXT = (".csv", ".json", ".jsonl", ".log", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml")
_OTHER = (".flac", ".m4a", ".mp3", ".pickle", ".pkl", ".srt", ".vtt", ".wav")
SIDECARS = frozenset({*_TEXT, *_OTHER})
"""Files that describe clips or hold their sound; no clip is missed with them."""


class Findings:
    """Problems of a folder, in the order of discovery.

    Args:
        dataset: its name as the command line takes it, with its options.
        sidecars: pass files of the types `SIDECARS` over wherever they are, and count them.

    Attributes:
        passed_over: suffix -> number of such files.
    """

    def __init__(self, root: Path, dataset: str = "", *, sidecars: bool = False) -> None:
        self.sidecars = sidecars
        self.passed_over: Counter[str] = Counter()
        place = "" if "folder:" in dataset else f" --root {shlex.quote(str(root))}"
        self._verify = f"vpbench data verify {dataset}{place}"
        self._errors: list[tuple[str, VpbenchError]] = []
        self._warnings: list[Problem] = []

    def passes_over(self, name: str) -> bool:
        """Whether a file is a sidecar that does not matter here; counts it."""
        suffix = os.path.splitext(name)[1].lower()
        if not self.sidecars or suffix not in SIDECARS:
            return False
        self.passed_over[suffix] += 1
        return True

    def error(self, path: Path | str, error: VpbenchError) -> None:
        """Add an error of a file or folder."""
        self._errors.append((str(path), error))

    def bad(self, path: Path | str, what: str, fix: str) -> None:
        """Add an error: corrupt or inconsistent data; `what` is a sentence that names it."""
        self.error(path, BadData(what, fix=fix))

    def warning(self, path: Path | str, what: str, fix: str) -> None:
        """Add a warning: something a user should know and may keep."""
        self._warnings.append(Problem("warning", str(path), what, fix))

    def raise_first(self) -> None:
        """Raise the first error, with the number of further ones.

        Raises:
            VpbenchError: of the kind of the first one.
        """
        if not self._errors:
            return
        error, more = self._errors[0][1], len(self._errors) - 1
        if not more or not isinstance(error, (BadData, MissingData)):
            raise error
        fix = f"{error.fix or ''} ({more} more: {self._verify})".strip()
        raise type(error)(error.message, fix=fix) from error

    def problems(self) -> list[Problem]:
        """Errors first, then warnings."""
        errors = [
            Problem("error", path, error.message, error.fix or "") for path, error in self._errors
        ]
        return errors + self._warnings
