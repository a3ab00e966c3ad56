"""The leak probe within a run: for whom it is made, and what its answer means."""

from __future__ import annotations

from collections.abc import Sequence

from vpbench.api.errors import MethodFailed
from vpbench.core.plan import RunPlan
from vpbench.core.progress import Event
from vpbench.core.registry import Registry
from vpbench.core.run_folders import retire
from vpbench.harness.jobs.needed import method_rows

_NAMED = 3
"""Clips that the sentence about a leak names."""


def foreign(run: RunPlan, registry: Registry) -> bool:
    """Whether other people's code takes part in a run that must not see the future."""
    if run.method.capabilities.oracle:
        return False
    return any(not row.of_vpbench for row in method_rows(run, registry))


def judge_leaks(run: RunPlan, answers: Sequence[Event], trouble: str | None) -> list[str]:
    """Notes for the row.

    Args:
        answers: of the probe.
        trouble: why it could not be made.

    Raises:
        MethodFailed: the method sees what it must not.
    """
    if trouble is not None or not answers:
        return [f"the leak probe could not run: {trouble or 'it gave no result'}"]
    answer = answers[-1]
    clips = list(answer["clips"])
    if clips:
        retire(run.folder.path)  # else its shards would be those of a later, honest version
        more = f" and {len(clips) - _NAMED} more" if len(clips) > _NAMED else ""
        raise MethodFailed(
            f"{run.name} sees the future: its predictions of {', '.join(clips[:_NAMED])}{more} "
            "changed when noise replaced what comes after the given frames.",
            fix="A method may use nothing of a test clip but what `predict` is given.",
        )
    if not answer["reproducible"]:
        return ["not reproducible: predicting a shard again gave other frames"]
    return []
