"""Modules that plugin code looks for: where a file of its own would be found first.

`try: import local_settings` is decided by a file that is not there. While code is watched, a finder
that finds nothing stands before all others and notes each name, who asks for it, and which files
would answer before the one that does.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, all_suffixes
from types import ModuleType

_MACHINERY = frozenset({__file__, importlib.__file__, importlib.util.__file__})
"""Files whose frames stand between an import and the code that asks for it."""


class ModuleLookups:
    """Notes what is looked for; stands in `sys.meta_path` from its creation on.

    Args:
        watching: whether code is watched at the moment.
    """

    def __init__(self, watching: Callable[[], bool]) -> None:
        self._watching = watching
        self._absent: dict[tuple[str, str], None] = {}
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing, and note what is looked for."""
        if self._watching() and name not in sys.builtin_module_names:
            importer = _importer()
            folders = sys.path if path is None else path
            for file in _files_before(name.rpartition(".")[2], list(folders)):
                self._absent[importer, file] = None
        return None

    def absent(self) -> list[tuple[str, str]]:
        """(file of the code that asks, file that was not there), in the order of the lookups."""
        return list(self._absent)


def _importer() -> str:
    """File of the code that asks for a module; "" where it has none."""
    frame = inspect.currentframe()
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith("<") and file not in _MACHINERY:
            return file
        frame = frame.f_back
    return ""


def _files_before(name: str, folders: Sequence[str]) -> Iterator[str]:
    """Files that are not there and would be taken for a module before the one that is found."""
    suffixes = all_suffixes()
    for folder in folders:
        base = os.path.join(os.path.realpath(folder or os.curdir), name)
        if not os.path.isdir(os.path.dirname(base)):
            continue  # an archive, or what an editable install hooks into
        if any(os.path.exists(os.path.join(base, f"__init__{s}")) for s in suffixes):
            return
        yield os.path.join(base, "__init__.py")
        if any(os.path.exists(f"{base}{s}") for s in suffixes):
            return
        yield f"{base}.py"
