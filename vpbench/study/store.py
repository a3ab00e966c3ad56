"""What `vpbench compare` shows of a study: a file beside the runs whose predictions were ranked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vpbench.core.rundir import write_sealed
from vpbench.harness.results.study_scores import SCHEMA, study_path


def store_scores(result: Mapping[str, Any], runs: Path) -> Path | None:
    """Write the main question's mean ranks for `compare`.

    Returns:
        The file; None where the runs folder does not hold the study's task, or nothing is left.
    """
    task = result["task"]
    summary = result["questions"][result["main"]]["kept"]
    if not (runs / task["id"]).is_dir() or not summary["votes"]:
        return None
    manifests = {m["name"]: m["manifest"] for m in result["methods"]}
    path = study_path(runs, task["id"], result["study"])
    write_sealed(
        path,
        {
            "schema": SCHEMA,
            "study": result["study"],
            "bundle_sha256": result["bundle_sha256"],
            "question": result["main"],
            "frames": result["frames"],
            "raters": summary["raters"],
            "clips": summary["clips"],
            "methods": {
                row["method"]: {
                    "manifest": manifests[row["method"]],
                    "mean_rank": row["mean_rank"],
                    "se": row["se"],
                    "ci95": row["ci95"],
                }
                for row in summary["methods"]
            },
        },
    )
    return path
