"""Train all stages of all methods for the tasks on puppets, side by side, and bundle them.

    python tools/train_all.py --device cuda --preset gpu --out trained --minutes 8
    python tools/train_all.py --device cpu --preset cpu --out trained            # overnight

Methods come from the registry, so that an installed plugin is trained as well; `--methods` names
others, or variants. One process trains one stage, through vpbench's own worker; stages start when
those that they need are there, the longest way first. The four tasks on puppets are one training.

    OUT/runs/puppets/stages/   the stages; run the command again to continue with those not finished
    OUT/bundles/METHOD/        finished stages, as `vpbench bundle` takes them, and METHOD.zip
    OUT/logs/                  what each process wrote
    OUT/summary.json           minutes, steps a second, losses, checkpoints, what is missing

`--equal-minutes M` first makes a few steps of everything (a rehearsal) and then multiplies the
steps of each method so that its longest chain of stages lasts M minutes beside all the others. The
steps that were trained stand in the summary; they are part of the keys, so a preset must name them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rehearsal
from stage_jobs import StageJob, Stages
from stage_results import LIMIT_MB, bundle, stage_row, write_zip

from vpbench import __version__
from vpbench.api.errors import UsageError, VpbenchError
from vpbench.api.specs import MethodSpec
from vpbench.core import provenance
from vpbench.core.files import write_json
from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import MethodRef, parse_seeds
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths, user_paths
from vpbench.core.plan import RunPlan, make_plan
from vpbench.core.registry import Registry, registry
from vpbench.core.resolve import resolve
from vpbench.core.run_folders import retire
from vpbench.harness.inputs.fetch import fetch_for_run
from vpbench.harness.inputs.task_data import (
    TaskData,
    absolute,
    index_ref,
    open_dataset,
    open_task_data,
)
from vpbench.harness.jobs.job import JobSpec, PlannedRun
from vpbench.harness.jobs.needed import job_plugins

VARIANTS: Mapping[str, tuple[str, ...]] = {
    "ours": ("label=off", "motion=flow-matching", "skips=on,residual=on"),
    "villegas": ("label=on",),
    "wichers": ("variant=adversarial", "label=on"),
}
"""Rows of the main tables besides each method as it is; what a method has not is left out."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    dataset: str
    device: str
    preset: str
    out: Path
    methods: tuple[str, ...]
    fit_seeds: tuple[int, ...]
    minutes: float | None
    equal_minutes: float | None
    rehearsal_steps: int
    processes: int
    threads: int


@dataclass(frozen=True)
class Desk:
    """An opened task with the registry, and where results go."""

    options: Options
    registry: Registry
    paths: Paths
    task_data: TaskData

    def in_folder(self, runs: Path) -> Desk:
        """The same with another runs folder."""
        return replace(self, paths=replace(self.paths, runs=runs))

    def resolved(self, ref: MethodRef) -> ResolvedMethod:
        """The method of a name."""
        return resolve(ref, self.registry, self.task_data.task.spec.size)


def say(text: str) -> None:
    """One line on standard error, with the time."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def all_methods(plugins: Registry, preset: str) -> tuple[list[MethodRef], dict[str, str]]:
    """Every trainable method with the preset, its variants, and why others are left out."""
    chosen: list[MethodRef] = []
    left_out: dict[str, str] = {}
    for entry in plugins.of("method"):
        spec = entry.spec
        if not isinstance(spec, MethodSpec) or spec.kind != "method" or entry.status != "ok":
            continue
        if not spec.capabilities.trainable:
            continue
        for variant in ("", *VARIANTS.get(entry.name, ())):
            name = f"{entry.name}[{variant}]" if variant else entry.name
            try:
                chosen.append(with_preset(MethodRef.parse(name), plugins, preset))
            except VpbenchError as error:
                left_out[name] = error.message
    return chosen, left_out


def with_preset(ref: MethodRef, plugins: Registry, preset: str) -> MethodRef:
    """A method with the preset, unless its name has one.

    Raises:
        VpbenchError: it has no such preset or parameter.
    """
    ref = ref if "preset" in ref.params else ref.with_params({"preset": preset})
    resolve(ref, plugins, 64)
    return ref


def open_desk(options: Options) -> Desk:
    """Render what is not there yet, and open the task."""
    ref = TaskRef(dataset=absolute(options.dataset))
    plugins, paths = registry(()), user_paths(options.out / "runs")
    open_dataset(ref.dataset, plugins, paths)[0].prepare()
    return Desk(options, plugins, paths, open_task_data(ref, plugins, paths))


def plan_jobs(desk: Desk, methods: Sequence[MethodRef]) -> tuple[list[StageJob], list[RunPlan]]:
    """One job for each stage that some method needs, and the runs that need them."""
    task = desk.task_data.task
    runs: list[RunPlan] = []
    for refit in (False, True):  # the first says what there is, the second leaves out bundles
        asked = RunOptions(fit_seeds=desk.options.fit_seeds, references=False, refit=refit)
        plan = make_plan(methods, asked, task, desk.registry, desk.paths.runs, desk.paths.cache)
        for refusal in plan.refused:
            raise UsageError(f"{refusal.name} refused: {'; '.join(refusal.reasons)}")
        if not refit:
            for stage in {s.folder.path: s for r in plan.runs for s in r.stages}.values():
                if stage.stale and stage.folder.complete():
                    say(f"{stage.folder.path} is out of date, kept in {retire(stage.folder.path)}")
        runs = list(plan.runs)
    jobs: dict[str, StageJob] = {}
    for run in runs:
        fetch_for_run(run, desk.paths, lambda event: None, refit=True)
        for stage in run.stages:
            if stage.needed and stage.node.key not in jobs:
                jobs[stage.node.key] = make_job(desk, run, stage.node.key)
    return list(jobs.values()), runs


def make_job(desk: Desk, run: RunPlan, key: str) -> StageJob:
    """The job of one stage."""
    stage = next(s for s in run.stages if s.node.key == key)
    spec = JobSpec(
        kind="stage",
        id=f"stage-{key}",
        ref=desk.task_data.ref,
        paths=desk.paths,
        plugins=(),
        run=PlannedRun.of(run),
        code=run.name,
        stage=key,
        sources=job_plugins("stage", run, (), desk.registry),
        index=index_ref(desk.task_data),
        threads=desk.options.threads,
        device=desk.options.device,
    )
    status = "there" if stage.folder.complete() else "waiting"
    return StageJob(stage, run, spec, frozenset(stage.node.needs), status)


def recorded_seconds(jobs: Iterable[StageJob]) -> dict[str, float]:
    """Label -> seconds that the bundled stage of that name was trained, where there is one."""
    known: dict[str, float] = {}
    for job in jobs:
        method = job.stage.node.method
        for checkpoint in method.spec.checkpoints:
            folder = method.folder
            record = None if folder is None else folder / checkpoint.source / "stage.json"
            if record is not None and record.is_file():
                stored = json.loads(record.read_text())
                known[f"{stored['owner']}:{stored['stage']}"] = float(stored["seconds"])
    return known


# -- equal minutes -----------------------------------------------------------------------------


def rehearse(desk: Desk, methods: Sequence[MethodRef]) -> dict[str, rehearsal.Pace]:
    """Label of a method's stage -> its pace, from a few steps of everything side by side."""
    options = desk.options
    folder = options.out / "rehearsal"
    shutil.rmtree(folder, ignore_errors=True)
    short = [rehearsal.rehearsed(desk.resolved(ref), options.rehearsal_steps) for ref in methods]
    jobs, _ = plan_jobs(desk.in_folder(folder / "runs"), short)
    Stages(jobs, options.processes, folder / "logs", say=say).run()
    full: dict[str, dict[int, int]] = {}
    for ref in methods:
        steps = rehearsal.step_params(desk.resolved(ref))
        totals = {options.rehearsal_steps + k: v for k, v in enumerate(steps.values())}
        full.setdefault(ref.base, {}).update(totals)
    return {pace_name(job): rehearsal.pace_of(job, full[job.run.method.spec.name]) for job in jobs}


def pace_name(job: StageJob) -> str:
    """What a stage is called in a rehearsal and in the training: its keys differ."""
    node = job.stage.node
    parts = {slot: part.spec.name for slot, part in sorted(node.method.slots.items())}
    trained = ",".join(parts[slot] for slot in node.trains)
    return f"{job.run.method.spec.name}/{node.label}/{trained}"


def equal_minutes(desk: Desk, methods: Sequence[MethodRef]) -> list[MethodRef]:
    """The methods with the steps that let each last `--equal-minutes` beside the others."""
    assert desk.options.equal_minutes is not None
    paces = rehearse(desk, methods)
    jobs, runs = plan_jobs(desk, methods)
    by_key = {job.key: paces[pace_name(job)] for job in jobs if pace_name(job) in paces}
    scaled: list[MethodRef] = []
    factors: dict[str, float] = {}
    for ref in methods:
        if ref.base not in factors:  # variants share stages with it, so they share its steps
            keys = [s.node.key for r in runs if r.method.ref.base == ref.base for s in r.stages]
            mine = rehearsal.all_needs(jobs, keys)
            seconds = 60 * desk.options.equal_minutes
            factors[ref.base] = rehearsal.factor_for(mine, by_key, seconds)
            say(
                f"{ref.base}: {rehearsal.longest(mine, by_key, 1.0) / 60:.1f} minutes as it is; "
                f"steps times {factors[ref.base]:.3g}"
            )
        scaled.append(rehearsal.scaled(desk.resolved(ref), factors[ref.base]))
    return scaled


# -- results -----------------------------------------------------------------------------------


def summarise(
    desk: Desk,
    methods: Sequence[MethodRef],
    jobs: Sequence[StageJob],
    left_out: Mapping[str, str],
    started: float,
) -> dict[str, Any]:
    """Write bundles and summary.json."""
    options = desk.options
    bundles = options.out / "bundles"
    shutil.rmtree(bundles, ignore_errors=True)
    rows = [stage_row(job, options.out) for job in jobs]
    checkpoints: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        made = bundle(job, bundles)
        if made is not None:
            checkpoints.setdefault(job.run.method.spec.name, []).append(made)
    sizes = {m: write_zip(bundles / m, bundles / f"{m}.zip") for m in checkpoints}
    summary = {
        "schema": "vpbench.train-all/1",
        "vpbench": __version__,
        "task": desk.task_data.task.id,
        "preset": options.preset,
        "device": options.device,
        "machine": provenance.machine(),
        "minutes": round((time.time() - started) / 60, 3),
        "methods": {
            str(ref): {"steps": rehearsal.step_params(desk.resolved(ref))} for ref in methods
        },
        "left_out": dict(left_out),
        "stages": rows,
        "incomplete": [r["key"] for r in rows if r["status"] not in ("done", "there")],
        "bundles": {
            m: {"bytes": sizes[m], "too_large": sizes[m] > LIMIT_MB * 1e6, "checkpoints": c}
            for m, c in checkpoints.items()
        },
    }
    write_json(options.out / "summary.json", summary)
    return summary


def train_all(options: Options) -> int:
    """Train, bundle and report; 0 when every stage is there."""
    started = time.time()
    desk = open_desk(options)
    left_out: dict[str, str] = {}
    if options.methods:
        refs = [MethodRef.parse(name) for name in options.methods]
        methods = [with_preset(ref, desk.registry, options.preset) for ref in refs]
    else:
        methods, left_out = all_methods(desk.registry, options.preset)
    for name, reason in left_out.items():
        say(f"{name} is left out: {reason}")
    if not methods:
        raise UsageError(f"no trainable method has the preset {options.preset!r}.")
    if options.equal_minutes is not None:
        methods = equal_minutes(desk, methods)
    jobs, _ = plan_jobs(desk, methods)
    known = recorded_seconds(jobs)
    deadline = None if options.minutes is None else started + 60 * options.minutes
    stages = Stages(
        jobs,
        options.processes,
        options.out / "logs",
        lambda job: known.get(job.stage.node.label, 60.0),
        say,
    )
    try:
        stages.run(deadline)
    finally:
        summary = summarise(desk, methods, jobs, left_out, started)
    for row in summary["stages"]:
        say(f"{row['stage']:32} {row['key']} {row['status']:10} {row['minutes']:7.2f} min")
    return 1 if summary["incomplete"] else 0


def parse(arguments: Sequence[str]) -> Options:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="puppets", help="its first task is trained for")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:N")
    parser.add_argument("--preset", default="cpu", help="of all methods that do not name one")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=(), help="instead of all trainable ones")
    parser.add_argument("--fit-seeds", default="0", help="such as 0-2")
    parser.add_argument("--minutes", type=float, help="stop running stages after so long")
    parser.add_argument("--equal-minutes", type=float, help="so long for each method")
    parser.add_argument("--rehearsal-steps", type=int, default=150)
    parser.add_argument("--processes", type=int, help="at once; default: the free cores")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    args = parser.parse_args(arguments)
    return Options(
        dataset=args.dataset,
        device=args.device,
        preset=args.preset,
        out=args.out.expanduser().absolute(),
        methods=tuple(args.methods),
        fit_seeds=tuple(parse_seeds(args.fit_seeds)),
        minutes=args.minutes,
        equal_minutes=args.equal_minutes,
        rehearsal_steps=args.rehearsal_steps,
        processes=args.processes or max(1, provenance.cores() // args.threads),
        threads=args.threads,
    )


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit code."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to end: states are stored
    try:
        return train_all(options)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return 130
    except VpbenchError as error:
        say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
