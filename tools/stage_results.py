"""What `train_all` keeps of a trained stage: its row of the summary, its bundle, its archive."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from stage_jobs import StageJob

from vpbench.core.files import make_folder
from vpbench.harness.training.bundle import bundle_into_package

LIMIT_MB = 12.0
"""Largest bundle of a method."""


def losses(job: StageJob) -> dict[str, Any]:
    """The first and the last figures that a stage logged."""
    path = job.stage.folder.path / "train.jsonl"
    if not path.is_file():
        return {"first": None, "last": None}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    last: dict[str, Any] = {}
    for line in lines:  # losses and validations are logged apart
        last |= line
    return {"first": lines[0] if lines else None, "last": last or None}


def stage_row(job: StageJob, out: Path) -> dict[str, Any]:
    """What the summary says about a stage."""
    folder = job.stage.folder
    complete = folder.complete()
    record = folder.read() if complete else {}
    loops = [s for s in job.segments.values() if s.rate is not None]
    files = [folder.checkpoint / name for name in record.get("files", {})]
    return {
        "stage": job.stage.node.label,
        "method": job.run.name,
        "key": job.key,
        "fit_seed": job.stage.node.fit_seed,
        "status": job.status,
        "reason": job.reason or None,
        "minutes": round(job.seconds / 60, 3),
        "trained_minutes": round(record["seconds"] / 60, 3) if complete else None,
        "loops": [
            {"steps": s.last[1], "of": s.total, "steps_per_second": round(s.rate or 0.0, 2)}
            for s in loops
        ],
        "losses": losses(job),
        "checks": record.get("checks", []),
        "checkpoint": str(folder.path.relative_to(out)) if complete else None,
        "bytes": sum(path.stat().st_size for path in files),
        "device": record.get("device"),
    }


def bundle(job: StageJob, bundles: Path) -> dict[str, Any] | None:
    """Copy a finished stage into its method's bundle, and say what the spec must name.

    Keypoints of all training clips, which a labels stage stores, are not copied.
    """
    if not job.stage.folder.complete() or job.stage.node.mode == "labels":
        return None
    package = make_folder(bundles / job.run.method.spec.name)
    made = bundle_into_package(job.stage.folder.path, package, 4 * LIMIT_MB, replace=True)
    return {"stage": made.stage, "key": made.key, "source": made.source, "bytes": made.size}


def write_zip(package: Path, archive: Path) -> int:
    """Pack a method's bundle; returns the bytes of the archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(p for p in package.rglob("*") if p.is_file()):
            out.write(path, path.relative_to(package).as_posix())
    return archive.stat().st_size
