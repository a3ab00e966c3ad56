"""run.json, env/ and failure.json."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import cast

from vpbench import __version__
from vpbench.api.errors import Corrupt, HashMismatch
from vpbench.core import provenance, schema
from vpbench.core.files import make_folder, write_bytes, write_json
from vpbench.core.leftovers import sweep
from vpbench.core.names import safe_name
from vpbench.core.options import RunOptions
from vpbench.core.plan import RunPlan
from vpbench.core.records import Failure
from vpbench.core.run_folders import RETIRED
from vpbench.core.rundir import read_object, read_sealed, write_sealed
from vpbench.core.tasks import Task
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.results.run_state import stage_hashes


def write_record(run: RunPlan, task_data: TaskData, options: RunOptions) -> None:
    """Write run.json and env/ once, when all stages that the run loads are there.

    What killed processes have left in the folder is removed.
    """
    folder = run.folder
    sweep([folder.path])
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


def write_failure(run: RunPlan, task: Task, reason: str, code: int, trace: str) -> None:
    """Remember why a run failed, with the traceback; what is there of its results stays."""
    write_sealed(
        run.folder.failure,
        {
            "schema": schema.FAILURE,
            "run": run.key,
            "method": run.name,
            "seed": run.seed,
            "fit_seed": run.fit_seed,
            "reason": reason,
            "code": code,
            "time": time.time(),
            "trace": trace,
            "dataset": task.dataset,
            "data": task.clips_hash,
        },
    )


def clear_failures(run: RunPlan, task: Task) -> None:
    """Forget failures of a method with these seeds: it has made a run, perhaps as it was before.

    Those on another dataset, whose runs lie in the same folder, stay.
    """
    for path in failure_files(run.folder.path.parent.parent, run.folder.path.parent.name):
        failure = read_failure(path)
        if failure is None or _whose(failure) != (run.name, run.seed, run.fit_seed):
            continue
        here = task.dataset, task.clips_hash
        if failure.get("dataset", here[0]) == here[0] or failure.get("data") == here[1]:
            path.unlink(missing_ok=True)


def failure_files(task: Path, method: str = "*") -> list[Path]:
    """The notes of failed runs in the folder of a task, without those of runs set aside."""
    failures = sorted(task.glob(f"{method}/*/failure.json"))
    return [path for path in failures if RETIRED not in path.parent.name]


def of_earlier_version(path: Path) -> bool:
    """Whether the note of a failure was written by a vpbench that did not seal it."""
    try:
        return read_object(path).get("schema") == "vpbench.failure/1"
    except Corrupt:
        return False


def _whose(failure: Failure) -> tuple[str, int, int]:
    return failure["method"], failure["seed"], failure["fit_seed"]


def read_failure(path: Path) -> Failure | None:
    """Why the last attempt at a run failed; None after a good one, and for an earlier vpbench's.

    Raises:
        HashMismatch: it is not what was written.
    """
    if not path.is_file() or of_earlier_version(path):
        return None
    failure = cast("Failure", read_sealed(path, schema.FAILURE))
    safe = (safe_name(failure["method"]), failure["run"][:8])
    if path.resolve().parts[-3:-1] != safe:
        raise HashMismatch(
            f"{path} belongs to the run {'/'.join(safe)}.", fix="Delete it, or move it back."
        )
    return failure
