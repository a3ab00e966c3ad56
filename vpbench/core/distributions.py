"""Which packages were installed together: what belongs to a plugin besides its own package."""

from __future__ import annotations

import functools
import json
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from vpbench.core import provenance


def siblings(path: Path) -> list[Path]:
    """Packages and modules of the distribution that one is of; itself first.

    Setuptools lists them in `top_level.txt`; other builders do not, and then the list of installed
    files says it. Of an editable install neither does: its source folder counts.

    Args:
        path: folder of a package, or file of a module.
    """
    paths = [path]
    for name in packages_beside(path):
        other = provenance.find_module(name)
        if other is not None:
            paths.append(other.parent if other.name == "__init__.py" else other)
    return paths if len(paths) > 1 else [path, *_source_folders(path)]


@functools.lru_cache(maxsize=64)
def packages_beside(path: Path) -> tuple[str, ...]:
    """Names of all outermost packages of the distribution that a package or module is of."""
    inferred: list[Distribution] = []
    for dist in distributions():
        declared = (dist.read_text("top_level.txt") or "").split()
        if path.stem in declared:
            return tuple(declared)
        record = "" if declared else dist.read_text("RECORD") or ""
        if f"{path.stem}/" in record or f"{path.stem}.py" in record:
            inferred.append(dist)
    for dist in inferred:
        names = _outermost(dist)
        own = (provenance.find_module(n) for n in names if n.rpartition(".")[2] == path.stem)
        if any(path in (file, file.parent) for file in own if file is not None):
            return names
    return ()


def _outermost(dist: Distribution) -> tuple[str, ...]:
    """Dotted names of the packages and modules of a distribution that lie in no other package."""
    files = [
        PurePosixPath(f) for f in dist.files or () if f.suffix == ".py" and ".." not in f.parts
    ]
    packages = {file.parent for file in files if file.name == "__init__.py"}
    outermost = {p for p in packages if not packages & set(p.parents)}
    outermost |= {f.with_suffix("") for f in files if not packages & set(f.parents)}
    return tuple(sorted(".".join(path.parts) for path in outermost))


def _source_folders(path: Path) -> list[Path]:
    """The folder that a package of an editable install lies in."""
    own = path.resolve()
    for dist in distributions():
        text = dist.read_text("direct_url.json")
        if not text:
            continue
        try:
            origin = cast("dict[str, Any]", json.loads(text))
            editable = bool(origin["dir_info"]["editable"])
            project = Path(unquote(urlsplit(str(origin["url"])).path)).resolve()
        except (ValueError, KeyError, TypeError, OSError):
            continue
        if editable and project in own.parents:
            return [own.parent]
    return []
