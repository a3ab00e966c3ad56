"""Files of a method's plugin that are part of a result: those beside it, and what it opens.

Files elsewhere that only a native reader opens are not seen: declare them in `MethodSpec.files`, or
as weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vpbench.core.methods import ResolvedMethod
from vpbench.core.provenance import own_folder, source_path
from vpbench.core.records import DiscoveredFile
from vpbench.core.stat_cache import StatCache
from vpbench.harness.inputs.opened_files import data_beside

_WRITTEN = ("figures", "leaderboards", "site")
"""Folders that commands write by default; bundles and pages are left out wherever they are."""


def plugin_folders(method: ResolvedMethod) -> list[Path]:
    """Folders of the packages, or of the single files, that a method and its components are in.

    A single module in site-packages has no folder of its own.
    """
    return folders_of(method.factories)


def folders_of(factories: Iterable[tuple[str, str]]) -> list[Path]:
    """Folders of the packages, or of the single files, that factories come from."""
    folders: list[Path] = []
    for factory, home in factories:
        if factory.startswith("vpbench."):
            continue
        path = source_path(factory.partition(":")[0] or home.partition(":")[0], home)
        folder = None if path is None else own_folder(path)
        if folder is not None:
            folders.append(folder)
    return list(dict.fromkeys(folders))


def files_beside(
    method: ResolvedMethod, hashes: StatCache, ignore: Iterable[Path] = ()
) -> list[DiscoveredFile]:
    """Data files in the folders of a method's plugin, with their hashes; see `data_beside`.

    What commands write into the working folder by default, often that of a single file, is no data.
    """
    folders = plugin_folders(method)
    written = [folder / name for folder in folders for name in _WRITTEN]
    return data_beside(folders, hashes, (*ignore, *written))


def new_beside(
    files: Iterable[DiscoveredFile],
    method: ResolvedMethod,
    hashes: StatCache,
    ignore: Iterable[Path],
    *,
    linked: bool = True,
) -> list[str]:
    """Paths of data files that have appeared beside a plugin since a result was made.

    Args:
        linked: the result knows what lay behind links; earlier ones do not.
    """
    known = {f["path"] for f in files}
    now = (f for f in files_beside(method, hashes, ignore) if linked or f["how"] != "linked")
    return [f["path"] for f in now if f["path"] not in known]
