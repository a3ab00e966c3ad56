"""What `run` would do with a planned run, as far as stored results say; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vpbench.core.code import describe_change
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.tasks import Task
from vpbench.harness.results.run_state import inspect_run
from vpbench.harness.results.score_state import inspect_scores
from vpbench.harness.scoring.score import Wanted


@dataclass(frozen=True)
class PlanState:
    """What is there of a planned run.

    Attributes:
        status: "to run", "predicted" (scores are missing), "to check" (finished by other code, so
            that a part is computed again and compared) or "finished".
        reason: why it is not finished though something is there; "" where nothing has to be said.
    """

    status: str
    reason: str = ""


def plan_state(
    run: RunPlan,
    task: Task,
    metrics: Sequence[Wanted],
    paths: Paths,
    absent_weights: Mapping[str, str],
) -> PlanState:
    """Look at a run's folder.

    Args:
        metrics: those to be scored.
        absent_weights: name of weights -> why they are not here; metrics that need them are not
            counted as missing.

    Raises:
        HashMismatch, Corrupt: a file in it is not what was written; names it.
    """
    if any(s.needed and not s.folder.complete() for s in run.stages):
        return PlanState("to run")
    state = inspect_run(run, task, paths)
    if state.status in ("new", "partial", "stale"):
        again = f"{state.reason}, so all is predicted again" if state.reason else ""
        return PlanState("to run", again)
    if state.status == "changed":
        return PlanState("to check", describe_change(state.modules))
    scores = inspect_scores(run.folder, task, metrics, paths, absent_weights)
    if scores.todo:
        return PlanState("predicted", f"{', '.join(scores.todo)} to be scored")
    if scores.changed:
        modules = sorted({name for names in scores.changed.values() for name in names})
        return PlanState("to check", f"{describe_change(modules)} ({', '.join(scores.changed)})")
    return PlanState("finished")
