"""What ran where: sources, packages, machine, git. Recorded, not compared."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import platform
import re
import site
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any


def source_path(module: str, home: str) -> Path | None:
    """Where the source of a plugin is: the folder of its top package, or its single file.

    A namespace package has no source; the package in it counts.

    Args:
        module: "pkg.mod" or "file.py"; "" where the factory is beside the spec.
        home: where the spec is defined.
    """
    if module.endswith(".py"):
        beside = Path(home.partition(":")[0])
        return beside if beside.name == module else Path(module).expanduser()
    _, path = top_module(module)
    return path.parent if path is not None and path.name == "__init__.py" else path


def top_module(module: str) -> tuple[str, Path | None]:
    """The outermost module of a dotted name that has a file, and that file; None without one."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        if (path := find_module(name)) is not None:
            return name, path
    return module, None


@functools.cache
def installed_folders() -> tuple[Path, ...]:
    """Folders that packages of different authors share: site-packages and the standard library.

    A folder of the module path counts where distributions lie in it, however it came there.
    """
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [*map(sysconfig.get_path, names), *site.getsitepackages()]
    folders += [p for p in sys.path if p and any(Path(p).glob("*.dist-info"))]
    return tuple(dict.fromkeys(Path(folder).resolve() for folder in folders if folder))


def own_folder(path: Path) -> Path | None:
    """The folder of a plugin's package or single file; None where other people's packages lie.

    Args:
        path: as `source_path` gives it.
    """
    folder = path if path.is_dir() else path.parent
    return None if folder.resolve() in installed_folders() else folder


@functools.lru_cache(maxsize=256)
def find_module(module: str) -> Path | None:
    """The file of an importable module, which is not imported; of a sub-module its parents are."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


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


@functools.cache
def environment() -> dict[str, Any]:
    """Python, processor, and the version of each distribution that has a loaded module.

    It may move last digits, so it is kept beside results; it decides nothing by itself.
    """
    from importlib.metadata import packages_distributions, version

    owners = packages_distributions()
    loaded = {name.partition(".")[0] for name in sys.modules}
    names = {dist for top in loaded for dist in owners.get(top, ())}
    return {
        "python": platform.python_version(),
        "processor": _processor(),
        "packages": {name: version(name) for name in sorted(names, key=str.lower)},
    }


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
    """Main memory in GiB; 0 where the system does not report it."""
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
    """Largest resident size of this process so far, in MiB.

    Linux hands `ru_maxrss` on from the process that started this one, across exec; the high-water
    mark of the address space starts afresh.
    """
    import resource

    with contextlib.suppress(OSError):
        found = re.search(
            r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE
        )
        if found:
            return int(found[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
