"""Predicts finished runs under wrong labels and scores that: one worker each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from vpbench.api.errors import MissingData, Refused, VpbenchError
from vpbench.core.command_names import typed_name
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Event, Report
from vpbench.core.records import ScoreRecord
from vpbench.core.registry import Registry
from vpbench.harness.inputs.task_data import TaskData, index_ref
from vpbench.harness.jobs.dispatch import Dispatcher, Job
from vpbench.harness.jobs.executors.local import Slots
from vpbench.harness.jobs.job import JobSpec, Kind, PlannedRun, code_of
from vpbench.harness.jobs.needed import job_plugins


def check_run(run: RunPlan, task_data: TaskData) -> None:
    """Refuse a method that is given no label, and a run that is not finished.

    Raises:
        Refused: the method or the dataset has no use for labels.
        MissingData: with the command that makes the run.
    """
    uses = {use.partition(" ")[0] for use in run.method.uses}
    if "label" not in uses or not task_data.task.has_label or run.method.capabilities.oracle:
        raise Refused(f"{run.name} is given no label on {task_data.task.id}.")
    if not run.folder.manifest.is_file():
        typed = typed_name(run.name, run.method.home)
        words = ["vpbench", "run", typed, *task_data.ref.words]
        raise MissingData(
            f"{run.name} has no finished run on {task_data.task.id}.",
            fix=f"Make one with: {shlex.join(words)}",
        )


def control(
    run: RunPlan,
    task_data: TaskData,
    count: int,
    registry: Registry,
    paths: Paths,
    options: RunOptions,
    report: Report,
) -> ScoreRecord:
    """Predict and score one run under `count` wrong labels a clip; the score.

    Raises:
        Refused, MissingData: as `check_run`.
        VpbenchError: a worker failed; keeps its exit code.
    """
    check_run(run, task_data)

    def heard(job: Job, event: Event) -> None:
        report({**event, "method": run.name, "run": str(run.folder.path)})

    dispatch = Dispatcher(registry.factory("executor", "local"), Slots.of_machine(1), heard)
    kinds: Sequence[tuple[Kind, tuple[int, int, float]]] = (
        ("wrong-labels", (1, 0, run.method.capabilities.memory_gib)),
        ("controllability", (1, 0, 2.0)),
    )
    try:
        for kind, needs in kinds:
            spec = JobSpec(
                kind=kind,
                id=kind,
                ref=task_data.ref,
                paths=paths,
                plugins=options.plugins,
                run=PlannedRun.of(run),
                device=options.device,
                sources=job_plugins(kind, run, [registry.metric("action")], registry),
                index=index_ref(task_data),
                code=code_of(kind, run),
                labels=count,
            )
            job = dispatch.add(Job(spec, needs, []))
            while dispatch.jobs:
                dispatch.ended()
            if job.trouble is not None:
                error = VpbenchError(str(job.trouble))
                error.exit_code = job.end.get("code") or error.exit_code
                raise error
    finally:
        dispatch.close()
    return _score(run, count)


def _score(run: RunPlan, count: int) -> ScoreRecord:
    scores = run.folder.all_scores(run.folder.read_manifest()["sha256"])
    own = [s for s in scores if s["fingerprint"].get("wrong_labels") == count]
    if not own:
        raise VpbenchError(f"{run.folder.path} has no score of controllability.")
    return own[-1]
