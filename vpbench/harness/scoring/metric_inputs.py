"""Files that a plugin's metric reads: as of methods, they are recorded and looked at again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpbench.core.input_files import changed_inputs, file_hashes
from vpbench.core.records import DiscoveredFile, ScoreRecord
from vpbench.core.rundir import RunDir
from vpbench.harness.inputs.opened_files import OpenedFiles, data_beside


def record_inputs(
    score: ScoreRecord, folder: RunDir, opened: OpenedFiles, beside: Sequence[Path], cache: Path
) -> None:
    """Add to a score what its metric has read by now, and what lies beside it.

    Args:
        beside: folders of the metric's plugin.
    """
    hashes = file_hashes(cache)
    files = {f["path"]: f for f in data_beside(beside, hashes, _own(folder, cache))}
    files |= {f["path"]: f for f in opened.files(beside, hashes)}
    score["inputs"] = [files[path] for path in sorted(files)]
    score["beside"] = [str(path) for path in beside]


def changed_data(score: ScoreRecord, folder: RunDir, cache: Path) -> list[str]:
    """Paths of files that have changed, gone or appeared since a score was made.

    [] for scores of built-in metrics, and for those of earlier versions, which record none.
    """
    if "inputs" not in score:
        return []
    hashes = file_hashes(cache)
    known: list[DiscoveredFile] = score["inputs"]
    names = {f["path"] for f in known}
    beside = [Path(path) for path in score.get("beside", [])]
    now = data_beside(beside, hashes, _own(folder, cache))
    return [*changed_inputs(known, hashes), *(f["path"] for f in now if f["path"] not in names)]


def _own(folder: RunDir, cache: Path) -> tuple[Path, Path]:
    """Folders of the harness, which may lie beside a plugin: runs and cache."""
    return folder.path.parents[2], cache
