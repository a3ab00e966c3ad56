"""Stages that wait for others: which may start, and which never will."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from vpbench.core.checkpoints import StagePlan
from vpbench.harness.jobs.dispatch import Job


def ready(jobs: Collection[Job], done: Collection[Path]) -> list[Job]:
    """Jobs of stages that have not begun and wait for none.

    Args:
        done: folders of the stages that are there.
    """
    found: list[Job] = []
    for job in jobs:
        if job.stage is None or job.handle is not None or job.resumes:
            continue
        by_key = {s.node.key: s for s in job.runs[0].stages}
        if all(by_key[k].folder.path in done for k in job.stage.node.needs):
            found.append(job)
    return found


def drop_dependants(jobs: list[Job], failed: StagePlan, alive: Collection[str]) -> None:
    """Take out the stages that wait for one that failed; their runs have failed.

    Args:
        jobs: all jobs, changed in place.
        alive: folders of the runs that have not failed.
    """
    dead = {failed.node.key}
    for job in [j for j in jobs if j.stage is not None and j.handle is None]:
        assert job.stage is not None  # filtered above
        living = [run for run in job.runs if str(run.folder.path) in alive]
        if dead & set(job.stage.node.needs) or len(living) < len(job.runs):
            dead.add(job.stage.node.key)
            job.runs = living
            if not job.runs:
                jobs.remove(job)
