"""Files that plugin code reads although it was not given them: their content is part of a result.

What Python code opens is seen by an audit hook while it runs; native readers (safetensors, OpenCV,
PyAV) open past it, so the data files that lie in the plugin's own folder count too. Files elsewhere
that only a native reader opens are not seen.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any, cast

from vpbench.core.code import (
    STARTED,
    CodeTable,
    code_table,
    digest_cache,
    installed,
    lies_in,
    roots_of,
)
from vpbench.core.records import DiscoveredFile
from vpbench.core.stat_cache import StatCache
from vpbench.harness.inputs.module_lookups import ModuleLookups

CODE = (".py", ".pyc", ".pyi", ".pyd", ".so", ".dylib", ".dll", ".pth", ".typed")
"""Digests of modules cover these, or provenance does."""

_DOCUMENTS = (".md", ".rst", ".log", ".ipynb", ".html", ".vpb")
"""Beside a plugin, files for people; one that it opens counts all the same."""

_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/bin", "/var/cache")
_LISTS = ("os.listdir", "os.scandir")
"""Audit events of listing a folder."""

MOST_FILES, MOST_BYTES = 1000, 256 << 20
"""A folder with more than this beside a plugin is somebody's home, not a plugin's data."""


class OpenedFiles:
    """Collects the files that are opened for reading while a method's code runs.

    There is one audit hook a process, and it cannot be taken away; a worker serves one method.
    """

    def __init__(self) -> None:
        self._ignored: tuple[str, ...] = ()
        installed = (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))
        self._system = (*map(os.path.realpath, installed), *_SYSTEM)
        self._read: set[str] = set()
        self._written: set[str] = set()
        self._listed: set[str] = set()
        self._depth = 0
        self._lookups = ModuleLookups(lambda: self._depth > 0)
        sys.addaudithook(self._hook)

    def ignore(self, folders: Iterable[Path]) -> None:
        """Leave out folders whose files the harness itself accounts for: runs, cache, dataset."""
        self._ignored = tuple(os.path.realpath(folder) for folder in folders)

    @contextmanager
    def watching(self) -> Generator[None]:
        """While a method's code runs."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._depth or event not in ("open", *_LISTS):
            return
        if event in _LISTS:
            path = args[0]
            if path is None or isinstance(path, str | bytes | os.PathLike):
                name = os.fsdecode(cast("str | bytes", "." if path is None else path))
                self._listed.add(os.path.realpath(name))
            return
        path, mode, flags = args
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor that somebody has opened by name before
        name = os.path.realpath(os.fsdecode(cast("str | bytes", path)))
        writing = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if writing or (mode is not None and set(mode) & set("wax+")):
            self._written.add(name)
        elif not _below(name, self._ignored):
            self._read.add(name)

    def files(self, plugin_folders: Iterable[Path], hashes: StatCache) -> list[DiscoveredFile]:
        """What was read so far, with its hash, in the order of the names."""
        own = tuple(os.path.realpath(p) for p in plugin_folders)
        rows: list[DiscoveredFile] = []
        for name in sorted(self._read - self._written):
            if name.endswith(CODE) or _below(name, self._ignored) or not os.path.isfile(name):
                continue
            if not _below(name, own) and (_below(name, self._system) or _is_scratch(name)):
                continue
            rows.append({"path": name, "sha256": hashes.of(Path(name)), "how": "opened"})
        hashes.save()
        return rows

    @property
    def count(self) -> int:
        """How many files were read so far; it grows with every new one."""
        return len(self._read)

    def code(self, factories: Iterable[tuple[str, str]], cache: Path) -> CodeTable:
        """The code behind what a plugin has made so far: `vpbench.core.code`.

        Besides loaded modules it has the Python files that the plugin opened (`exec`, `runpy`,
        modules that are registered nowhere, or lie outside of its folder and of installed
        packages), and those that it looked for and that are not there.

        Args:
            factories: (factory, home) of the plugin and its components, as specs name them.
        """
        roots = roots_of(factories)
        own = [root.path for root in roots[1:]]
        absent = [
            Path(name)
            for importer, name in self._lookups.absent()
            if _lies_in(importer, own) and name not in self._written and self._counts(name, own)
        ]
        sources = [Path(n) for n in self._sources() if os.path.isfile(n) and self._counts(n, own)]
        core = roots[0].path  # opened to show a line of it, if not to import it
        run = [p for p in sources if core not in p.parents and not _is_scratch(str(p))]
        return code_table(roots, digest_cache(cache), run, absent)

    def _sources(self) -> list[str]:
        """Python files that were opened, or whose compiled form was."""
        names: set[str] = set()
        for name in self._read - self._written:
            with contextlib.suppress(ValueError):  # compiled, and not in a cache
                if name.endswith(".pyc"):
                    names.add(os.path.realpath(source_from_cache(name)))
                elif name.endswith(".py"):
                    names.add(name)
        return sorted(names - self._written)

    def _counts(self, name: str, own: Sequence[Path]) -> bool:
        """Whether a Python file counts: one of the plugin, or in no environment of Python."""
        if _below(name, self._ignored):
            return False
        return _lies_in(name, own) or not (_below(name, self._system) or installed(Path(name)))

    def folders_listed(self) -> list[str]:
        """Folders whose entries were listed so far, sorted; not those that modules come from."""
        left_out = (*self._ignored, *self._system)
        modules = {os.path.realpath(folder) for folder in sys.path}
        return sorted(
            name for name in self._listed if name not in modules and not _below(name, left_out)
        )


def _lies_in(name: str, folders: Iterable[Path]) -> bool:
    path = Path(os.path.realpath(name))
    return any(lies_in(path, folder) for folder in folders)


def _below(name: str, folders: Iterable[str]) -> bool:
    return any(name == folder or name.startswith(f"{folder}{os.sep}") for folder in folders)


def _is_scratch(name: str) -> bool:
    """Whether a file is scratch: in the temporary folder, and younger than this process."""
    if not _below(name, (os.path.realpath(tempfile.gettempdir()),)):
        return False
    return os.stat(name).st_mtime >= STARTED


def data_beside(
    folders: Iterable[Path], hashes: StatCache, ignore: Iterable[Path] = ()
) -> list[DiscoveredFile]:
    """Data files in the folders of a plugin, with their hashes; [] where there are too many.

    Links to folders are followed, and what is too large behind one is left out by itself: it may be
    a data set or a home. Bundled stages are left out: their keys and records account for them.
    """
    walk = _Walk(tuple(os.path.realpath(p) for p in ignore))
    rows: list[DiscoveredFile] = []
    total = 0
    for folder in folders:
        pending = [folder.resolve()]
        for start in pending:  # links that are found are appended
            how = "beside" if start is pending[0] else "linked"
            own: list[DiscoveredFile] = []
            size = 0
            for path in walk.files(start, pending):
                size += path.stat().st_size
                if len(rows) + len(own) >= MOST_FILES or total + size > MOST_BYTES:
                    if how == "beside":
                        return []
                    own, size = [], 0
                    break
                own.append({"path": str(path), "sha256": hashes.of(path), "how": how})
            rows += own
            total += size
    hashes.save()
    return rows


class _Walk:
    """Finds the data files below folders; each real folder is entered once."""

    def __init__(self, left_out: tuple[str, ...]) -> None:
        self._left_out = left_out
        self._seen: set[str] = set()

    def files(self, start: Path, links: list[Path]) -> Iterator[Path]:
        """Data files below a folder; linked folders are appended to `links`."""
        for base, names, files in os.walk(start):
            real = os.path.realpath(base)
            if (
                real in self._seen
                or {"stage.json", "pyvenv.cfg", "run.json"} & set(files)
                or _below(real, self._left_out)
            ):
                names.clear()
                continue
            self._seen.add(real)
            names[:] = sorted(
                n for n in names if not n.startswith((".", "__pycache__", "node_modules"))
            )
            for name in names:
                target = os.path.realpath(os.path.join(base, name))
                # one to a folder around it would bring in all that lies beside the plugin
                if os.path.islink(os.path.join(base, name)) and not _below(real, (target,)):
                    links.append(Path(base, name))
            for name in sorted(files):
                path = Path(base, name)
                counts = not name.startswith(".") and path.suffix not in CODE + _DOCUMENTS
                if counts and path.is_file():
                    yield path
