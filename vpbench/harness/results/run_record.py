"""run.json, env/ and what makes stored predictions stale."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vpbench import __version__
from vpbench.api.errors import Corrupt
from vpbench.core import provenance, schema
from vpbench.core.checkpoints import StagePlan, loads
from vpbench.core.files import make_folder, read_json, write_bytes, write_json
from vpbench.core.hashing import digest
from vpbench.core.plan import RunPlan
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.results.run_result import Orders


def retire(stage: StagePlan) -> None:
    """Move a finished stage aside before it is fitted again: nothing is lost."""
    target = stage.folder.path.with_name(f"{stage.folder.path.name}.old-{int(time.time())}")
    stage.folder.path.rename(target)


def stage_hashes(run: RunPlan) -> dict[str, str]:
    """Content of the trained stages that a run's predictions come from."""
    return {
        s.node.label: digest(read_json(s.folder.record)["files"])
        for s in run.stages
        if s.folder.complete() and loads(s.node, run.method)
    }


def drop_stale(run: RunPlan) -> None:
    """Predictions of stages that were fitted anew since are made again."""
    record = run.folder.read_record()
    now = stage_hashes(run)
    if record.get("stage_hashes") == now:
        return
    if record.get("stage_hashes") is not None:
        for folder in (run.folder.predictions, run.folder.scores, run.folder.preview):
            shutil.rmtree(folder, ignore_errors=True)
    write_json(run.folder.record, {**record, "stage_hashes": now})


def write_record(run: RunPlan, task_data: TaskData, orders: Orders) -> None:
    """run.json and env/, once; a run folder that says something else is an error."""
    folder = run.folder
    record = run.record(task_data.task)
    if folder.record.is_file():
        stored = folder.read_record()
        if digest(stored.get("inputs")) != digest(record):
            changed = _changed(stored.get("inputs") or {}, record)
            if not {*changed} <= {"stages", "gives"}:  # "gives": earlier records have none
                raise Corrupt(
                    f"{folder.record} differs from this run in {', '.join(changed)}.",
                    fix=f"Delete {folder.path} and run again.",
                )
        return
    make_folder(folder.path / "env")
    write_bytes(
        folder.path / "env" / "freeze.txt", "\n".join(provenance.packages()).encode() + b"\n"
    )
    write_json(folder.path / "env" / "machine.json", provenance.machine())
    home = Path(provenance.__file__).parent
    write_json(folder.path / "env" / "git.json", {"vpbench": provenance.git_state(home)})
    write_json(
        folder.record,
        {
            "schema": schema.RUN,
            "vpbench": __version__,
            "created": time.time(),
            "inputs": record,
            "place": asdict(task_data.ref),
            "plugins": list(orders.plugins),
            "device": orders.device,
            "stage_hashes": None,
        },
    )


def _changed(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return sorted(k for k in {*a, *b} if digest(a.get(k)) != digest(b.get(k)))
