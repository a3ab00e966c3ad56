"""run, fit and plan, and what they share with other verbs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.hints import next_command
from vpbench.cli.opening import Opened, open_task, run_options, task_ref
from vpbench.cli.progress import Progress
from vpbench.cli.show import print_json
from vpbench.cli.tables import print_comparison
from vpbench.core.options import RunOptions, Step, TaskRef

_RUN_EPILOG = """\b
Examples:
  vpbench run copy-last nearest-train --dataset puppets
  vpbench run my-method --dataset 'folder:clips[group=person,size=96]' --seeds 0-2
  vpbench run ./my_method.py:SPEC --dataset folder:clips --limit 8"""


def execute(
    until: Step,
    methods: Sequence[str],
    as_json: bool,
    metrics: str | None,
    references: bool,
    strict: bool,
    **fields: Any,
) -> int:
    """Plan and carry out runs up to `until`; the exit code."""
    from vpbench.core.plan import make_plan
    from vpbench.core.tasks import SPLITS
    from vpbench.harness.inputs.fetch import fetch_metric_weights
    from vpbench.harness.inputs.preprocess import preprocess_clips
    from vpbench.harness.jobs.scheduler import Scheduler
    from vpbench.harness.results.run_result import floors, refusal_json, run_json
    from vpbench.harness.scoring.score import wanted_metrics

    opened = open_task(
        methods,
        _task_ref(fields),
        fields["runs"],
        fields["offline"],
        prepare=True,
        recompute=fields.get("recompute", False),
    )
    chosen = run_options(until, opened.plugins, metrics, references, **fields)
    opened.registry.find("executor", chosen.executor)  # a wrong name ends the command here
    task = opened.task_data.task
    wanted = (
        wanted_metrics(chosen.metrics, opened.registry, task.info.n_classes)
        if until == "score"
        else []
    )
    plan = make_plan(
        opened.methods, chosen, task, opened.registry, opened.paths.runs, opened.paths.cache
    )
    _report_excluded(task)
    for refusal in plan.refused:
        if refusal.requested:
            click.echo(f"{refusal.name} refused: {'; '.join(refusal.reasons)}", err=True)
    if not _agreed(plan, chosen, yes=bool(fields.get("yes")) or as_json):
        click.echo("Nothing was started.", err=True)
        return 130
    with Progress() as progress:
        absent = fetch_metric_weights(
            [f for w in wanted for f in w.weights], opened.paths, progress
        )
        fits = any(s.origin == "to fit" for r in plan.runs for s in r.stages)
        needed = [s for s in SPLITS if (until != "fit" if s == "test" else fits)]
        preprocess_clips(opened.task_data, needed, chosen.workers, progress)
        results = Scheduler(
            plan, opened.task_data, opened.registry, opened.paths, chosen, wanted, progress, absent
        ).run()
    floor = floors(results)
    rows = [run_json(r, wanted, floor) for r in results]
    rows += [refusal_json(r, task.id) for r in plan.refused]
    if as_json:
        print_json({"schema": "vpbench.run/1", "runs": rows})
    elif until == "score":
        _table(opened, chosen, results, next_command("compare", methods, fields))
    if not as_json:
        _farewell(results, methods, until, fields)
    return _exit_code(results, plan, chosen.metrics is not None or strict)


_LONG = 2.0
"""Hours of training from which `run` asks on a terminal."""


def _agreed(plan: Any, chosen: RunOptions, *, yes: bool) -> bool:
    """Say what will be trained and for how long; ask on a terminal where that is long."""
    from vpbench.core.training_time import span
    from vpbench.harness.training.estimate import training_estimates

    estimates = training_estimates(plan, chosen.device)
    for estimate in estimates:
        click.echo(estimate.text(), err=True)
    hours = sum(e.hours or 0.0 for e in estimates)
    unknown = any(e.steps and (e.hours is None or e.basis == "at least") for e in estimates)
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if yes or not terminal or (hours <= _LONG and not unknown):
        return True
    time = f"at least {span(hours)}" if hours else "an unknown time"
    return click.confirm(f"Train for {time}? (--yes does not ask)", err=True)


def _task_ref(fields: dict[str, Any]) -> TaskRef:
    return task_ref(
        fields["dataset"],
        fields["task_name"],
        fields["root"],
        fields["limit"],
        fields["train_on"],
    )


def _report_excluded(task: Any) -> None:
    short = {split: n for split, n in task.excluded.items() if n}
    if short:
        what = ", ".join(f"{n} in {split}" for split, n in short.items())
        click.echo(
            f"{sum(short.values())} clips are too short for this task and excluded ({what}).",
            err=True,
        )


def _table(opened: Opened, chosen: RunOptions, results: Sequence[Any], command: str) -> None:
    from vpbench.harness.results.compare import compare
    from vpbench.render.model import View

    task = opened.task_data.task
    failed = {r.run.name: str(r.reason) for r in results if r.status == "failed"}
    comparison = compare(
        opened.methods,
        chosen,
        opened.registry,
        opened.paths,
        replace(opened.task_data.ref, task=task.id),
        failed=failed,
        folders=frozenset(r.run.folder.path for r in results),
        now=task,
    )
    if comparison.groups:
        names = [str(method) for method in opened.methods]
        print_comparison(comparison.json(), View(names=names), command=command)


def _farewell(
    results: Sequence[Any], methods: Sequence[str], until: str, fields: dict[str, Any]
) -> None:
    done = [r for r in results if r.status == "ok" and r.run.requested]
    for result in results:
        for name, reason in result.missing.items():
            if result.run.requested:
                click.echo(f"{result.run.name} {name}: {reason}", err=True)
    if not done:
        return
    click.echo(f"Results: {done[0].run.folder.path.parent.parent}")
    if until == "fit":
        click.echo(f"Next: {next_command('run', methods, fields)}")
        return
    for result in done:
        click.echo(f"Images of {result.run.name}: {result.run.folder.preview}")
    verb = "compare" if until == "score" else "score"
    click.echo(f"Next: {next_command(verb, methods, fields)}")


def _exit_code(results: Sequence[Any], plan: Any, insist: bool) -> int:
    failed = [o.code or 1 for o in results if o.status == "failed"]
    if failed:
        return failed[0]
    if any(r.requested for r in plan.refused):
        return 2
    if insist and any(o.missing for o in results if o.run.requested):
        return 5
    return 0


@click.command(epilog=_RUN_EPILOG)
@options.methods
@options.task
@options.effort
@options.metrics
@click.option("--no-references", is_flag=True, help="Omit the reference rows.")
@click.option(
    "--again",
    is_flag=True,
    help="Predict and score again even if a run is finished; the old one is set aside.",
)
@click.option(
    "--recompute",
    is_flag=True,
    help="Hash all clips again, and ignore features bundled with vpbench.",
)
@click.option("--strict", is_flag=True, help="Exit with 5 if any metric was not scored.")
@options.yes
@options.storage
@options.output
def run(methods: tuple[str, ...], no_references: bool, debug: bool, **fields: Any) -> int:
    """Fit if needed, predict the test clips, score, and print the table.

    Runs the missing reference rows too. Finished runs are skipped; interrupted runs resume. Where
    code has changed since, a few clips are first predicted again and compared.
    """
    return execute("score", methods, references=not no_references, **fields)


@click.command(
    epilog="\b\nExample:\n  vpbench fit my-method --dataset folder:clips --fit-seeds 0-2"
)
@options.methods
@options.task
@options.effort
@options.yes
@options.storage
@options.output
def fit(methods: tuple[str, ...], debug: bool, **fields: Any) -> int:
    """Train the stages of methods; no predictions."""
    return execute("fit", methods, metrics=None, references=False, strict=False, **fields)


@click.command(epilog="\b\nExample:\n  vpbench plan my-method --dataset folder:clips")
@options.methods
@options.task
@options.effort
@click.option("--no-references", is_flag=True, help="Omit the reference rows.")
@options.storage
@options.output
def plan(
    methods: tuple[str, ...], no_references: bool, debug: bool, as_json: bool, **fields: Any
) -> int:
    """Show what would run, what is finished, and what is refused and why. Computes nothing."""
    from vpbench.core.plan import make_plan
    from vpbench.harness.inputs.fetch import absent_metric_weights
    from vpbench.harness.prediction.shards import shard_done, shards
    from vpbench.harness.scoring.score import wanted_metrics

    opened = open_task(methods, _task_ref(fields), fields["runs"], fields["offline"])
    chosen = run_options("score", opened.plugins, None, not no_references, **fields)
    task = opened.task_data.task
    made = make_plan(
        opened.methods, chosen, task, opened.registry, opened.paths.runs, opened.paths.cache
    )
    wanted = wanted_metrics(None, opened.registry, task.info.n_classes)
    absent = absent_metric_weights((f for w in wanted for f in w.weights), opened.paths)
    rows = [
        {
            "method": r.name,
            "seed": r.seed,
            "fit_seed": r.fit_seed if r.stages else None,
            "stages": [_stage_json(s, task.spec.size) for s in r.stages],
            "shards": len(shards(task)),
            "shards_done": sum(shard_done(r.folder, s.index) for s in shards(task)),
            "folder": str(r.folder.path),
            **_state_json(r, task, wanted, opened.paths, absent, again=chosen.again),
        }
        for r in made.runs
    ]
    rows += [
        {
            "method": r.name,
            "status": "refused",
            "seed": r.seed,
            "fit_seed": None,
            "stages": [],
            "shards": 0,
            "shards_done": 0,
            "folder": None,
            "reason": "; ".join(r.reasons),
        }
        for r in made.refused
    ]
    if as_json:
        print_json(
            {
                "schema": "vpbench.plan/1",
                "task": task.fields(),
                "runs": rows,
                "excluded": dict(task.excluded),
            }
        )
    else:
        from vpbench.harness.training.estimate import training_estimates

        _print_plan(task, rows)
        for estimate in training_estimates(made, chosen.device):
            click.echo(estimate.text())
    return 2 if any(r.requested for r in made.refused) else 0


def _state_json(
    run: Any,
    task: Any,
    wanted: Sequence[Any],
    paths: Any,
    absent: Mapping[str, str],
    *,
    again: bool,
) -> dict[str, Any]:
    """The status of a planned run, and the reason."""
    from vpbench.harness.results.plan_state import plan_state

    if again:
        return {"status": "to run", "reason": None}
    state = plan_state(run, task, wanted, paths, absent)
    return {"status": state.status, "reason": state.reason or None}


def _stage_json(stage: Any, size: int) -> dict[str, Any]:
    """A stage of a planned run; `training` is None where nothing is known, or nothing to train."""
    from vpbench.core.training_time import training_time

    time = training_time(stage.node, size) if stage.origin == "to fit" else None
    return {
        "stage": stage.node.label,
        "origin": stage.origin,
        "key": stage.node.key,
        "training": None
        if time is None
        else {"steps": time.steps, "hours": dict(time.hours), "gib": time.gib},
    }


def _training_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each stage whose training time is known."""
    from vpbench.core.training_time import span

    lines: dict[str, str] = {}
    for stage in (stage for row in rows for stage in row["stages"]):
        training = stage["training"]
        if training is not None:
            spans = " or ".join(f"{span(h)} on {d}" for d, h in training["hours"].items())
            lines[stage["key"]] = (
                f"{stage['stage']}: {training['steps']:,} steps, about {spans}; "
                f"{training['gib']:.1f} GiB a step"
            )
    return list(lines.values())


def _print_plan(task: Any, rows: Sequence[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from vpbench.cli.show import console

    fields = task.fields()
    stride = f", stride {fields['stride']}" if fields["stride"] != 1 else ""
    title = (
        f"{task.id}: {fields['n']} test clips, {fields['size']} px, up to {fields['n_max']} given, "
        f"{fields['horizon']} predicted frames{stride}"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    fits = any(row["fit_seed"] for row in rows)  # else all have the first, which needs no column
    for name in ("method", "seed", *(["fit seed"] * fits), "status", "stages", "shards"):
        table.add_column(name)
    for row in rows:
        stages = ", ".join(f"{s['stage']} {s['origin']}" for s in row["stages"]) or "-"
        colour = {"refused": "red", "finished": "green"}.get(row["status"], "")
        status = row["status"] if row["reason"] is None else f"{row['status']}: {row['reason']}"
        table.add_row(
            Text(row["method"]),
            str(row["seed"]),
            *(["-" if row["fit_seed"] is None else str(row["fit_seed"])] * fits),
            Text(status, style=colour),
            Text(stages),
            f"{row['shards_done']}/{row['shards']}",
        )
    out = console()
    out.print(title, markup=False)
    out.print(table)
    lines = _training_lines(rows)
    if lines:
        out.print("Estimated training (one CPU core was measured, a GPU was not):", markup=False)
    for line in lines:
        out.print(f"  {line}", markup=False, highlight=False)
    _report_excluded(task)
