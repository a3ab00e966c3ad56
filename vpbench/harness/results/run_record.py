"""run.json, env/ and failure.json."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import cast

from vpbench import __version__
from vpbench.core import provenance, schema
from vpbench.core.files import make_folder, write_bytes, write_json
from vpbench.core.options import RunOptions
from vpbench.core.plan import RunPlan
from vpbench.core.records import Failure
from vpbench.core.rundir import read_object, write_sealed
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.results.run_state import stage_hashes


def write_record(run: RunPlan, task_data: TaskData, options: RunOptions) -> None:
    """Write run.json and env/ once, when all stages that the run loads are there."""
    folder = run.folder
    if folder.record.is_file():
        return
    make_folder(folder.path / "env")
    write_bytes(
        folder.path / "env" / "freeze.txt", "\n".join(provenance.packages()).encode() + b"\n"
    )
    write_json(folder.path / "env" / "machine.json", provenance.machine())
    home = Path(provenance.__file__).parent
    write_json(folder.path / "env" / "git.json", {"vpbench": provenance.git_state(home)})
    write_sealed(
        folder.record,
        {
            "schema": schema.RUN_RECORD,
            "vpbench": __version__,
            "created": time.time(),
            "key": run.key,
            "inputs": run.inputs(task_data.task),
            "task_ref": asdict(task_data.ref),
            "plugins": list(options.plugins),
            "device": options.device,
            "stage_hashes": stage_hashes(run),
        },
    )


def write_failure(run: RunPlan, reason: str, code: int, trace: str) -> None:
    """Remember why a run failed, with the traceback; what is there of its results stays."""
    write_json(
        run.folder.failure,
        {
            "schema": schema.FAILURE,
            "run": run.key,
            "method": run.name,
            "reason": reason,
            "code": code,
            "time": time.time(),
            "trace": trace,
        },
    )


def read_failure(path: Path) -> Failure | None:
    """Why the last attempt at a run failed; None after a good one."""
    if not path.is_file():
        return None
    return cast("Failure", read_object(path))
