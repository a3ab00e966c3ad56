"""Which code made a result: one digest for each module that was loaded, and what has changed since.

A digest is taken over a module's syntax tree without docstrings, comments and annotations, so that
words may change and arithmetic may not. Only modules of vpbench and of the plugin count; versions
of other packages are provenance. Digests are kept in the cache.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from vpbench.core import provenance
from vpbench.core.distributions import siblings
from vpbench.core.hashing import digest
from vpbench.core.stat_cache import StatCache, stat_cache

_INSTALLED = frozenset({"site-packages", "dist-packages"})

_FILE = "file:"
"""Prefix of the names of modules that are in no importable package."""

DATA = "data:"
"""Prefix of the names of data files, where they stand among modules that have changed."""

ABSENT = ""
"""Digest of a file that is not there, as `StatCache` gives it."""

UNRECORDED = "(not recorded)"
"""Stands for the modules of a result whose table is gone."""

STARTED = time.time()
"""When this process began to load vpbench; a module file that is younger was not what ran."""


class CodeTable(TypedDict):
    """The code behind a result.

    `modules` maps names to digests, that of a file that was looked for and not found is "";
    `environment` is provenance: Python, packages, processor.
    """

    modules: dict[str, str]
    environment: dict[str, Any]


def source_digest(source: bytes) -> str:
    """Digest of a module's syntax tree without docstrings, comments and annotations.

    Source that is not valid Python has the digest of its bytes.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return hashlib.sha256(source).hexdigest()
    return hashlib.sha256(_canonical(tree).encode("utf-8", "surrogatepass")).hexdigest()


_LEFT_OUT = frozenset(
    {"annotation", "returns", "simple", "type_comment", "type_ignores", "type_params"}
)


def _canonical(node: object) -> str:
    """A text for a tree: the same on all versions of Python that read it alike.

    `ast.dump` prints fields that some versions have and others do not; empty ones are left out.
    """
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        node = ast.Assign(targets=[node.target], value=node.value)
    if isinstance(node, ast.AST):
        fields: list[str] = []
        for name, value in ast.iter_fields(node):
            if name in _LEFT_OUT:
                continue
            kept = _without_docstring(value) if name == "body" and _is_body(node) else value
            if kept is not None and kept != []:
                fields.append(f"{name}={_canonical(kept)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in cast('list[object]', node))}]"
    return f"{type(node).__name__}:{node!r}"


def _is_body(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without bare strings: docstrings, and those below attributes."""
    return [
        statement
        for statement in body
        if not (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        )
    ]


def digest_cache(cache: Path) -> StatCache:
    """The digests kept in a cache folder."""
    return stat_cache(cache / "code-digests.json", _file_digest)


def _file_digest(path: Path) -> str:
    return source_digest(path.read_bytes())


@dataclass(frozen=True)
class Root:
    """A folder, or a file, whose modules count.

    Attributes:
        importable: other processes find its modules by their names. What lies beside a single
            file is named by its path: the file may have put its folder on the path for itself.
    """

    path: Path
    importable: bool = True


def roots_of(factories: Iterable[tuple[str, str]]) -> tuple[Root, ...]:
    """Folders and files whose modules count: those of vpbench, and of the named plugins.

    Args:
        factories: (factory, home) of the method and its components, as specs name them.
    """
    roots = [Root(Path(__file__).parents[1].resolve())]
    for factory, home in factories:
        module = factory.partition(":")[0] or home.partition(":")[0]
        path = provenance.source_path(module, home)
        if path is None:
            continue
        if module.endswith(".py"):
            beside = provenance.own_folder(path) or path
            roots.append(Root(beside.resolve(), importable=False))
        else:
            roots += [Root(p.resolve()) for p in _siblings(path)]
    return tuple(dict.fromkeys(roots))


def _siblings(path: Path) -> list[Path]:
    """A package or module with the others of its distribution; of a single file, its folder."""
    folder = provenance.own_folder(path)
    if path.is_file() and folder is not None:
        return [folder]
    return siblings(path)


def loaded_files(roots: Iterable[Root]) -> dict[str, Path]:
    """Module name -> source file of all modules of this process that lie below some roots.

    An environment of Python that lies beside a plugin is not part of it.
    """
    folders = tuple(roots)
    files: dict[str, Path] = {}
    single = _single_files()
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if not origin or not str(origin).endswith(".py") or name.startswith("__"):
            continue  # "__main__" is a second name of a module that has one
        path = Path(origin).resolve()
        root = next((r for r in folders if lies_in(path, r.path)), None)
        if root is not None:
            known = root.importable and path not in single and module_file(name) == path
            files[name if known else f"{_FILE}{path}"] = path
    return files


def lies_in(path: Path, root: Path) -> bool:
    """Whether a file is of a folder, and not installed in an environment that lies in it.

    A plugin of one file often lies beside the virtual environment that runs it.
    """
    if path != root and root not in path.parents:
        return False
    if installed(path.relative_to(root)):
        return False
    inside = (f for f in provenance.installed_folders() if root == f or root in f.parents)
    return not any(folder in path.parents for folder in inside)


def installed(path: Path) -> bool:
    """Whether a path leads through a folder that packages are installed into."""
    return not _INSTALLED.isdisjoint(path.parts)


def module_file(name: str) -> Path | None:
    """The source file of a module, without importing anything.

    Where one was found before is looked at first: a comparison asks for the same hundreds of
    modules for each of its rows.
    """
    if name.startswith(_FILE):
        return Path(name.removeprefix(_FILE))
    known = _FOUND.get(name)
    if known is not None and os.path.isfile(known):
        return known
    path = _search(name)
    if path is not None:
        _FOUND[name] = path
    return path


_FOUND: dict[str, Path] = {}


def _search(name: str) -> Path | None:
    top, start = provenance.top_module(name)
    if start is None:
        return None
    if top == name:
        return start.resolve()
    base = start.parent.joinpath(*name.removeprefix(f"{top}.").split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path.resolve()
    return None


def code_table(
    roots: Iterable[Root],
    digests: StatCache,
    run_directly: Iterable[Path] = (),
    absent: Iterable[Path] = (),
) -> CodeTable:
    """The code that this process has loaded so far, and the environment it runs in.

    Args:
        run_directly: source files that ran without being modules: by `exec` or `runpy`.
        absent: files that would have been taken for a module; they are not there.
    """
    files = loaded_files(roots)
    known = set(files.values())
    files |= {f"{_FILE}{path}": path for path in run_directly if path not in known}
    modules = {f"{_FILE}{path}": ABSENT for path in absent if path not in known}
    for name, path in sorted(files.items()):
        edited = path.exists() and _written_since(path.stat())
        modules[name] = "edited while it ran" if edited else digests.of(path)
    digests.save()
    return {"modules": modules, "environment": provenance.environment()}


def _written_since(status: os.stat_result) -> bool:
    """Whether a file was written after this process began.

    A file may come with a modification time that lies ahead, from a clock that was wrong, or far
    back, from an archive or another copy; its status says when it came here, except on Windows.
    """
    return (status.st_mtime if os.name == "nt" else status.st_ctime) > STARTED


def changed_modules(table: CodeTable, digests: StatCache) -> list[str]:
    """Modules of a table that are not what they were, or gone; sorted."""
    changed: list[str] = []
    for name, value in table["modules"].items():
        known = _FOUND.get(name)  # nearly always there still, and unchanged
        if known is not None and digests.of(known) == value:
            continue
        path = module_file(name)
        if path is None or digests.of(path) != value:
            changed.append(name)
    digests.save()
    return sorted(changed)


_SINGLE = "vpbench_file_"
"""Prefix of the names under which this process loads single files."""


def single_module(path: Path) -> str:
    """The name under which a process loads a single file; no other process finds it by that."""
    return f"{_SINGLE}{path.stem}_{digest(path)[:8]}"


def file_modules(path: Path) -> set[str]:
    """The names that a single file may have in tables."""
    return {f"{_FILE}{path.resolve()}", single_module(path)}


def _single_files() -> set[Path]:
    """The single files that this process has loaded: tables name them by their paths alone.

    Such a file may be imported as a module too, which works in some working directories only.
    """
    modules = (m for name, m in list(sys.modules.items()) if name.startswith(_SINGLE))
    files = (getattr(m, "__file__", None) for m in modules)
    return {Path(file).resolve() for file in files if file}


TABLE_DIGITS = 16
"""Hex digits of a table's name."""


def table_id(table: Mapping[str, Any]) -> str:
    """16 hex digits that name a table."""
    return digest(table)[:TABLE_DIGITS]


def factory_modules(factories: Iterable[tuple[str, str]]) -> list[str]:
    """The modules, as tables name them, that factories come from.

    Args:
        factories: as for `roots_of`.
    """
    names: list[str] = []
    for factory, home in factories:
        module = factory.partition(":")[0] or home.partition(":")[0]
        if module.endswith(".py"):
            path = provenance.source_path(module, home)
            names += [f"{_FILE}{path.resolve()}"] if path is not None else []
        elif (found := module_file(module)) is not None:
            beside = Path(home.partition(":")[0])  # a dotted name is no file
            names.append(f"{_FILE}{found}" if beside.resolve() == found else module)
    return list(dict.fromkeys(names))


def describe_change(modules: Sequence[str], most: int = 3) -> str:
    """What has changed of the code, for one line: names of modules, and how many more."""
    if UNRECORDED in modules:
        return "its code is not recorded"
    code = "" if all(m.startswith(DATA) for m in modules) else "code of "
    return f"{code}{short_names(modules, most)} changed"


def short_names(modules: Iterable[str], most: int = 3) -> str:
    """Changed modules for one line: file names, and how many more."""
    names = [os.path.basename(m) if m.startswith((_FILE, DATA)) else m for m in modules]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
