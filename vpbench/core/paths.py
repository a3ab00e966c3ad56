"""Where things are: runs, cache, datasets, weights, plugins, and the switches that move them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def on(name: str) -> bool:
    """Whether an environment switch is set to something that means yes."""
    return os.environ.get(name, "").lower() not in ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Paths:
    """Folders of one call.

    Attributes:
        runs: results, `--runs` or VPBENCH_RUNS, default ./runs.
        cache: what can be computed again, VPBENCH_HOME.
        offline: no network, `--offline` or VPBENCH_OFFLINE=1.
    """

    runs: Path
    cache: Path
    offline: bool = False


def user_paths(runs: str | Path | None = None, *, offline: bool = False) -> Paths:
    """The folders in force; nothing is created."""
    runs = runs or os.environ.get("VPBENCH_RUNS") or "runs"
    return Paths(
        Path(runs).expanduser().absolute(), cache_folder(), offline or on("VPBENCH_OFFLINE")
    )


def cache_folder() -> Path:
    """The cache: VPBENCH_HOME, else the user's cache folder."""
    home = os.environ.get("VPBENCH_HOME")
    if home:
        return Path(home).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("vpbench", appauthor=False)


def plugin_folder() -> Path:
    """The folder of single-file plugins."""
    from platformdirs import user_config_path

    return user_config_path("vpbench", appauthor=False) / "plugins"


def data_root(
    dataset: str, root: str | Path | None = None, folders: Sequence[str] = ()
) -> Path | None:
    """The folder of a dataset: `--root`, else a sub-folder of VPBENCH_DATA, else None.

    Args:
        folders: names of the sub-folder, the first that is there counts; () for the dataset's own.
    """
    if root:
        return Path(root).expanduser().absolute()
    base = os.environ.get("VPBENCH_DATA")
    if not base:
        return None
    paths = [Path(base).expanduser().absolute() / name for name in folders or (dataset,)]
    return next((path for path in paths if path.is_dir()), paths[0])
