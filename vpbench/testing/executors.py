"""Checks of executors, with small real jobs."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.core.files import write_bytes
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths
from vpbench.core.plan import make_plan
from vpbench.harness.inputs.task_data import open_task_data
from vpbench.harness.jobs.executors.local import Slots
from vpbench.harness.jobs.job import JobSpec, PlannedRun
from vpbench.testing.clips import SampleClips
from vpbench.testing.model import Check, CheckFailed, NotApplicable
from vpbench.testing.report import where_defined
from vpbench.testing.specs import check_signature
from vpbench.testing.subject import Subject

EXECUTOR = ("executor",)
PATIENCE = 60.0
ONE = Slots(1, 0, 8.0)


@functools.lru_cache(maxsize=1)
def _clips(work: Path) -> str:
    """A folder of test clips, as a dataset."""
    data = SampleClips()
    folder = work / "given" / "clips" / "test"
    for k, clip in enumerate(data.clips("test")):
        buffer = io.BytesIO()
        np.savez(buffer, frames=data.read(clip, range(clip.frames)))
        write_bytes(folder / f"{k}.npz", buffer.getvalue())
    return f"folder:{folder.parent}[conditioning=1,horizon=8,size=64]"


def _jobs(subject: Subject, count: int, what: str) -> list[Path]:
    """Job files: each predicts noise with a seed of its own, into a folder of its own."""
    paths = Paths(subject.folder(what) / "runs", subject.request.work / "given" / "cache", True)
    ref = TaskRef(dataset=_clips(subject.request.work))
    task_data = open_task_data(ref, subject.registry, paths)
    options = RunOptions(seeds=range(count), references=False)
    noise = [MethodRef("noise", {})]
    job_files: list[Path] = []
    for run in make_plan(noise, options, task_data.task, subject.registry, paths.runs).runs:
        name = f"{what}-{run.seed}"
        job = JobSpec(
            kind="predict",
            id=name,
            ref=ref,
            paths=paths,
            plugins=subject.request.plugins,
            run=PlannedRun.of(run),
            events=str(paths.runs / f"{name}.jsonl"),
        )
        job_files.append(job.write(paths.runs / f"{name}.json"))
    return job_files


def _did(job: Path) -> bool:
    """Whether a job has left its predictions."""
    return (Path(JobSpec.read(job).run.folder) / "predictions" / "00000.json").is_file()


def _times(job: Path) -> tuple[float, float]:
    """When a job started and ended."""
    path = Path(JobSpec.read(job).events)
    lines = [json.loads(x) for x in path.read_text().splitlines()] if path.is_file() else []
    times = {x["event"]: float(x["time"]) for x in lines}
    return times.get("start", 0.0), times.get("end", 0.0)


def _make(subject: Subject, slots: Slots = ONE) -> Any:
    create = subject.registry.factory("executor", subject.row.name)
    return subject.call("the factory", create, slots)


@contextlib.contextmanager
def _open(subject: Subject, slots: Slots = ONE) -> Iterator[Any]:
    executor = _make(subject, slots)
    try:
        yield executor
    finally:
        subject.call("close", executor.close)


def _submit(subject: Subject, executor: Any, jobs: Sequence[Path]) -> list[Any]:
    return [subject.call("submit", executor.submit, job, 1, 0, 0.1) for job in jobs]


def _wait(subject: Subject, executor: Any, handles: Sequence[Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not all(h.done() for h in handles):
        subject.call("poll", executor.poll, 0.2)
        if time.monotonic() > end:
            done = sum(h.done() for h in handles)
            raise CheckFailed(
                f"{len(handles)} jobs done within {PATIENCE:g} s",
                f"{done}",
                _at(executor, "poll"),
                "`poll` starts what fits and notices what has ended.",
            )


def _at(executor: Any, name: str) -> str:
    return where_defined(getattr(type(executor), name, type(executor)))


def methods(subject: Subject) -> None:
    """It has submit, poll and close."""
    with _open(subject) as executor:
        check_signature(executor, "submit", ("job", "cpus", "gpus", "memory_gib"))
        check_signature(executor, "poll", ("seconds",))
        check_signature(executor, "close", ())


def runs(subject: Subject) -> None:
    """Jobs that were submitted are done, without an error."""
    jobs = _jobs(subject, 2, "runs")
    with _open(subject) as executor:
        handles = _submit(subject, executor, jobs)
        _wait(subject, executor, handles)
        for job, handle in zip(jobs, handles, strict=True):
            if handle.error() is not None or not _did(job):
                raise CheckFailed(
                    "jobs that are done, without an error",
                    str(handle.error() or "a job that was not run"),
                    _at(executor, "submit"),
                    "Run `vpbench _job JOB` and look at its exit code.",
                )


def failure(subject: Subject) -> None:
    """A failed job is reported, and the others go on."""
    first, second = _jobs(subject, 2, "failure")
    job = JobSpec.read(first)
    broken = replace(job, run=replace(job.run, method="no-such-method")).write(first)
    with _open(subject) as executor:
        handles = _submit(subject, executor, [broken, second])
        _wait(subject, executor, handles)
        if not handles[0].error():
            raise CheckFailed(
                "an error text of the job that failed",
                repr(handles[0].error()),
                _at(executor, "poll"),
                "The last event of a job holds its status and reason.",
            )
        if handles[1].error() is not None or not _did(second):
            raise CheckFailed(
                "the other job to go on",
                str(handles[1].error() or "it was not run"),
                _at(executor, "poll"),
                "One job may not take others with it.",
            )


def cancel(subject: Subject) -> None:
    """A job that is cancelled while it waits never runs."""
    jobs = _jobs(subject, 3, "cancel")
    with _open(subject) as executor:
        handles = _submit(subject, executor, jobs)
        subject.call("cancel", handles[2].cancel)
        _wait(subject, executor, handles)
        if _did(jobs[2]):
            raise CheckFailed(
                "a cancelled job that does not run",
                "it ran",
                _at(handles[2], "cancel"),
                "Take it out of the queue.",
            )
        if not _did(jobs[1]):
            raise CheckFailed("the other jobs to run", "one did not", _at(handles[2], "cancel"))


def _one_by_one(subject: Subject) -> tuple[list[tuple[float, float]], Any]:
    jobs = _jobs(subject, 3, "limits")
    with _open(subject) as executor:
        _wait(subject, executor, _submit(subject, executor, jobs))
    return [_times(job) for job in jobs], executor


def limits(subject: Subject) -> None:
    """With one core, one job runs at a time."""
    times, executor = _one_by_one(subject)
    for (_, end), (start, _) in zip(sorted(times), sorted(times)[1:], strict=False):
        if start < end:
            raise CheckFailed(
                "one job at a time with one core",
                f"two for {end - start:.3f} s",
                _at(executor, "submit"),
                "Start a job when its cores and its memory are free.",
            )


def order(subject: Subject) -> None:
    """With one core, jobs run in the order in which they were submitted."""
    times, executor = _one_by_one(subject)
    if times != sorted(times):
        raise CheckFailed(
            "jobs in the order of submission",
            "another order",
            _at(executor, "submit"),
            "First in, first out: later jobs wait for earlier ones.",
        )


def close(subject: Subject) -> None:
    """Nothing is left after close."""
    jobs = _jobs(subject, 1, "close")
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    if not sys.platform.startswith("linux") or not children.exists():
        raise NotApplicable("processes are counted on Linux only")
    before = set(children.read_text().split())
    with _open(subject) as executor:
        handles = _submit(subject, executor, jobs)
        _wait(subject, executor, handles)
    left = set(children.read_text().split()) - before
    if left:
        raise CheckFailed(
            "no process after close",
            f"{len(left)} process",
            _at(executor, "close"),
            "End and reap every worker in `close`.",
        )


CHECKS = (
    Check("methods", "basic", EXECUTOR, "The harness calls these.", methods, ("factory",)),
    Check(
        "runs", "basic", EXECUTOR, "Running jobs is the purpose of an executor.", runs, ("methods",)
    ),
    Check(
        "failure", "basic", EXECUTOR, "One broken method must not end a table.", failure, ("runs",)
    ),
    Check(
        "cancel", "basic", EXECUTOR, "What depends on a failed job must not run.", cancel, ("runs",)
    ),
    Check(
        "limits",
        "basic",
        EXECUTOR,
        "Too many jobs at once are slower, or killed.",
        limits,
        ("runs",),
    ),
    Check(
        "order",
        "basic",
        EXECUTOR,
        "The method named first should finish first.",
        order,
        ("limits",),
    ),
    Check(
        "close", "basic", EXECUTOR, "Workers left behind hold memory and GPUs.", close, ("runs",)
    ),
)
