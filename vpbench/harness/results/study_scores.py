"""Mean ranks from a study with people as a column of `compare`.

`vpbench study analyse` writes them. They stand only beside the very predictions that people saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vpbench.core import schema
from vpbench.core.rundir import read_sealed
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.results.row_names import row_key, row_labels

SCHEMA = "vpbench.study-score/1"
_COLUMN = "study"


def study_path(runs: Path, task: str, study: str) -> Path:
    """The file of one study of a task."""
    return runs / task / "studies" / f"{study}.json"


def add_studies(
    groups: Sequence[schema.GroupJson], task_folder: Path, runs: Mapping[Any, FinishedRun]
) -> None:
    """Add a column to the group that shows as many frames as the study did; several have numbers.

    Args:
        groups: of one task, without subsets.
        task_folder: RUNS/<task>.
        runs: the runs that the rows stand for.

    Raises:
        HashMismatch: a file was changed.
    """
    folder = task_folder / "studies"
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    studies = [read_sealed(path, SCHEMA) for path in paths if not path.name.startswith(".")]
    labels = row_labels(runs.values())
    shown: dict[str, set[str]] = {}
    for run in runs.values():
        shown.setdefault(labels[row_key(run)], set()).add(run.manifest["sha256"])
    for group in groups:
        fitting = [s for s in studies if s["frames"] == group["frames"]]
        for study in fitting:
            name = _COLUMN if len(fitting) == 1 else f"{_COLUMN}#{study['bundle_sha256'][:8]}"
            _add(group, name, study, shown)


def _add(
    group: schema.GroupJson,
    name: str,
    study: Mapping[str, Any],
    shown: Mapping[str, set[str]],
) -> None:
    fingerprint = study["bundle_sha256"][:8]
    for row in group["rows"]:
        ranked = study["methods"].get(row["method"])
        if ranked is None:
            row["scores"][name] = _missing(fingerprint, "not in the study")
        elif shown.get(row["row"]) != {ranked["manifest"]}:
            row["scores"][name] = _missing(fingerprint, "people saw other predictions than these")
        else:
            ends = ranked["ci95"]
            row["scores"][name] = schema.score_json(
                ranked["mean_rank"],
                n=study["clips"],
                fingerprint=fingerprint,
                se=ranked["se"],
                ci95=(ends[0], ends[1]) if ends else None,
                reason=f"mean rank by {study['raters']} raters on {study['clips']} clips",
            )
    group["metrics"][name] = {"fingerprint": fingerprint, "direction": "down", "unit": ""}


def _missing(fingerprint: str, reason: str) -> schema.ScoreJson:
    return schema.score_json(None, n=0, fingerprint=fingerprint, reason=reason)
