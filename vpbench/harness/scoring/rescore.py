"""Scores finished runs from their folders alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpbench.api.errors import BadData, MissingData
from vpbench.core import schema
from vpbench.core.names import parse_name
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.registry import Registry, registry
from vpbench.core.run_folders import finished
from vpbench.core.rundir import RunDir
from vpbench.harness.inputs.task_data import absolute, open_task_data
from vpbench.harness.scoring.score import Wanted, score_json, score_run
from vpbench.harness.training.context import ScoreContext


def find_runs(
    what: Sequence[str], dataset: str | None, task: str | None, runs: Path
) -> list[RunDir]:
    """Run folders named by path, and all finished runs of methods named.

    Raises:
        MissingData: a name has no finished run.
    """
    folders: list[RunDir] = []
    for text in what:
        if (Path(text) / "run.json").is_file():
            folders.append(RunDir(Path(text).absolute()))
            continue
        own = [
            folder
            for folder, inputs in finished(runs)
            if text in (inputs["method"], parse_name(inputs["method"]).base)
            and (dataset is None or absolute(dataset) == inputs["dataset"])
            and (task is None or task in (inputs["task"]["id"], inputs["task"]["name"]))
        ]
        if not own:
            raise MissingData(
                f"there is no finished run of {text!r} in {runs}.",
                fix=f"Make one: vpbench run {text} --dataset D",
            )
        folders += own
    return list(dict.fromkeys(folders))


def rescore(
    folder: RunDir, wanted: Sequence[Wanted], plugins: Registry, paths: Paths, report: Report
) -> schema.RunJson:
    """Score one run, keeping what is scored already.

    Raises:
        BadData: the dataset is not the one that the run was made on.
        HashMismatch: the predictions are not what was written.
    """
    record = folder.read_record()
    inputs = record["inputs"]
    manifest = folder.check()
    task_data = open_task_data(
        TaskRef(**record["task_ref"]), registry(tuple(record["plugins"])), paths
    )
    if (
        task_data.task.id != inputs["task"]["id"]
        or task_data.task.split_hash != inputs["task"]["split_hash"]
        or task_data.task.clips_hash != inputs["data"]
    ):
        raise BadData(
            f"{inputs['dataset']} has changed since {folder.path} was made.",
            fix="Run the method again.",
        )
    ctx = ScoreContext("cpu", 1, paths.cache)
    missing = score_run(
        folder, task_data, wanted, plugins, ctx, lambda e: report({**e, "method": inputs["method"]})
    )
    names = {w.name for w in wanted}
    scores = {
        s["metric"]: score_json(s)
        for s in folder.read_scores(manifest["sha256"])
        if s["frames"] == task_data.task.horizon and s["metric"] in names
    }
    for name, reason in missing.items():
        scores.setdefault(name, schema.score_json(None, n=0, fingerprint="", reason=reason))
    return {
        "method": inputs["method"],
        "kind": inputs["kind"],
        "task": task_data.task.id,
        "seed": inputs["seed"],
        "fit_seed": inputs["fit_seed"] or 0,
        "status": "ok",
        "reason": None,
        "run_dir": str(folder.path),
        "seconds": {},
        "scores": scores,
    }
