"""What ran where: source hashes, packages, machine, git. Recorded, not compared."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vpbench.core.hashing import digest, file_sha256, tree_sha256


@functools.lru_cache(maxsize=256)
def source_hash(factory: str, home: str = "") -> str:
    """sha256 of the Python source that a factory lives in: its top package, or its single file.

    Args:
        factory: "pkg.mod:Class", "file.py:Class" or ":Class".
        home: where the spec stands, for factories in the same file.

    Returns:
        64 hex digits; "" when no source is found (such as a compiled module).
    """
    path = _source_path(factory.partition(":")[0] or home.partition(":")[0], home)
    if path is None or not path.exists():
        return ""
    return file_sha256(path) if path.is_file() else tree_sha256(path, "*.py")


def _source_path(module: str, home: str) -> Path | None:
    if module.endswith(".py"):
        beside = Path(home.partition(":")[0])
        return beside if beside.name == module else Path(module).expanduser()
    top = module.partition(".")[0]
    if top == "vpbench":  # built in: the one module, so that other parts may change
        return _find(module)
    found = _find(top)
    return found.parent if found is not None and found.name == "__init__.py" else found


def _find(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin else None


@functools.lru_cache(maxsize=256)
def training_source(factory: str, home: str = "") -> str:
    """sha256 of the Python source that takes part when a factory's object is trained.

    That is its module and all modules of the same top package that it imports, directly or not,
    also inside functions. A spec that names a checkpoint, or a module that draws figures, may
    change without a checkpoint becoming one of "an earlier source".

    Returns:
        64 hex digits; that of `source_hash` where there is but one file.
    """
    module = factory.partition(":")[0] or home.partition(":")[0]
    root = _source_path(module, home)
    if root is None or not root.is_dir():
        return source_hash(factory, home)
    seen: set[Path] = set()
    todo = list(_files_of(root, module.split(".")[1:]))
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += _imports(root, path)
    return digest([[p.relative_to(root).as_posix(), file_sha256(p)] for p in sorted(seen)])


def _files_of(root: Path, words: list[str]) -> Iterator[Path]:
    """The files that run when `root.words` is imported; words may end in a name of a module."""
    for k in range(len(words) + 1):
        path = root.joinpath(*words[:k])
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file() and (k or file.name == "__init__.py"):
                yield file


def _imports(root: Path, path: Path) -> Iterator[Path]:
    """Files of the package `root` that a file imports anywhere in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = list(path.relative_to(root).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in (alias.name.split(".") for alias in node.names):
                if name[0] == root.name:
                    yield from _files_of(root, name[1:])
        elif isinstance(node, ast.ImportFrom):
            words = (node.module or "").split(".") if node.module else []
            if node.level:
                words = [*package[: len(package) - node.level + 1], *words]
            elif words[:1] == [root.name]:
                words = words[1:]
            else:
                continue
            for alias in node.names:
                yield from _files_of(root, [*words, alias.name])


@functools.cache
def packages() -> list[str]:
    """`name==version` of all installed distributions, sorted."""
    from importlib.metadata import distributions

    known = [d.metadata for d in distributions()]
    named = {f"{m['Name']}=={m['Version']}" for m in known if "Name" in m and "Version" in m}
    return sorted(named, key=str.lower)


@functools.cache
def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether there are changes, of the checkout that holds `folder`; None outside."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


def machine() -> dict[str, Any]:
    """Host, system, Python, processor, cores, memory in GiB."""
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(memory_gib(), 1),
    }


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_gib() -> float:
    """Main memory in GiB; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (OSError, ValueError):
        return 0.0


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def peak_memory_mib() -> float:
    """Largest resident size of this process so far, in MiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
