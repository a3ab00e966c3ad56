"""run, fit, plan; and what other verbs share with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.api.optional import HasWarnings, ReportsProgress
from vpbench.cli import options
from vpbench.cli.show import Progress, emit_json, print_comparison

if TYPE_CHECKING:
    from vpbench.api.protocols import Dataset

_RUN_EPILOG = """\b
Examples:
  vpbench run copy-last nearest-train --dataset puppets
  vpbench run my-method --dataset 'folder:clips[group=person,size=96]' --seeds 0-2
  vpbench run ./my_method.py:SPEC --dataset folder:clips --limit 8"""


def _plugins(methods: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """`./file.py:SPEC[k=v]` and `pkg.mod:SPEC` -> names, and the values to register."""
    from vpbench.api.specs import MethodSpec
    from vpbench.core.names import format_name, parse_name
    from vpbench.core.registry import load_object

    names: list[str] = []
    values: list[str] = []
    for text in methods:
        named = parse_name(text)
        module = named.base.partition(":")[0]
        if not module.endswith(".py") and ("." not in module or ":" not in named.base):
            names.append(text)
            continue
        value = named.base
        if module.endswith(".py"):
            path = Path(module).expanduser().absolute()
            value = f"{path}:{named.base.partition(':')[2] or 'SPEC'}"
        spec = load_object(value)
        if not isinstance(spec, MethodSpec):
            raise click.UsageError(f"{named.base} is no MethodSpec.")
        values.append(value)
        names.append(format_name(spec.name, named.params))
    return names, tuple(values)


def open_task(
    methods: Sequence[str],
    dataset: str,
    task_name: str | None,
    root: str | None,
    limit: int | None,
    runs: str | None,
    offline: bool,
    train_on: str = "train",
    prepare: bool = False,
) -> Any:
    """Names, plugin values, registry, folders and the opened task of a command.

    With `prepare` the dataset is made ready before its clips are asked for, with a bar.
    """
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.task_data import TaskRef, absolute, open_dataset, open_task_data

    names, plugins = _plugins(methods)
    found = registry(plugins)
    for name in names:
        from vpbench.core.names import parse_name

        found.find("method", parse_name(name).base)
    paths = options.folders(runs, offline)
    full_root = str(Path(root).expanduser().absolute()) if root else None
    place = TaskRef(absolute(dataset), task_name, full_root, limit, train_on)
    if prepare:
        with Progress() as progress:
            prepare_dataset(open_dataset(place.dataset, found, paths, full_root)[0], progress)
    task_data = open_task_data(place, found, paths)
    return names, plugins, found, paths, task_data


def _wish(names: Sequence[str], references: bool, **fields: Any) -> Any:
    from vpbench.core.names import parse_seeds
    from vpbench.core.plan import Wish

    checkpoint = fields["checkpoint"]
    return Wish(
        names,
        parse_seeds(fields["seeds"]),
        parse_seeds(fields["fit_seeds"]),
        fields["samples"],
        fields["preset"],
        references,
        Path(checkpoint).absolute() if checkpoint else None,
        fields["refit"],
    )


def execute(
    until: str,
    methods: Sequence[str],
    as_json: bool,
    metrics: str | None,
    references: bool,
    strict: bool,
    **fields: Any,
) -> int:
    """Plan and carry out runs up to `until`: "fit", "predict" or "score"; the exit code."""
    from vpbench.core.plan import make_plan
    from vpbench.core.tasks import SPLITS
    from vpbench.harness.inputs.fetch import fetch_metric_weights
    from vpbench.harness.inputs.preprocess import convert_clips
    from vpbench.harness.jobs.scheduler import Scheduler
    from vpbench.harness.results.run_result import Orders, floors, refusal_json, run_json
    from vpbench.harness.scoring.score import wanted_metrics

    names, plugins, found, paths, task_data = open_task(
        methods,
        fields["dataset"],
        fields["task_name"],
        fields["root"],
        fields["limit"],
        fields["runs"],
        fields["offline"],
        fields["train_on"],
        prepare=True,
    )
    asked = options.split_names(metrics)
    wanted = wanted_metrics(asked, found) if until == "score" else []
    wish = _wish(names, references, **fields)
    plan = make_plan(wish, task_data.task, found, paths.runs, paths.cache)
    orders = Orders(
        until,
        wanted,
        fields["workers"],
        fields["threads"],
        fields["device"],
        plugins,
        fields["refit"],
        str(Path(fields["checkpoint"]).absolute()) if fields["checkpoint"] else None,
        fields["preset"],
        fields.get("recompute", False),
    )
    _say_excluded(task_data.task)
    for refusal in plan.refused:
        if refusal.requested:
            click.echo(f"{refusal.name} refused: {'; '.join(refusal.reasons)}", err=True)
    with Progress() as progress:
        fetch_metric_weights([w.spec for w in wanted], paths, progress)
        fits = any(s.origin == "to fit" for r in plan.runs for s in r.stages)
        needed = [s for s in SPLITS if (until != "fit" if s == "test" else fits)]
        convert_clips(task_data, needed, fields["workers"], progress)
        outcomes = Scheduler(plan, task_data, paths, orders, progress).run()
    floor = floors(outcomes)
    results = [run_json(o, wanted, floor) for o in outcomes]
    results += [refusal_json(r, task_data.task.id) for r in plan.refused]
    if as_json:
        emit_json({"schema": "vpbench.run/1", "runs": results})
    elif until == "score":
        _table(names, found, paths, task_data.task, fields["preset"], references, asked)
    if not as_json:
        _farewell(outcomes, task_data.task, names, until)
    return _exit_code(outcomes, plan, asked is not None or strict)


def prepare_dataset(dataset: Dataset, progress: Progress) -> None:
    """Convert or render the dataset once, with a bar, and pass its warnings on."""
    reporting = reports_progress(dataset)
    if reporting is not None:
        reporting.prepare(None, progress.of(dataset.spec.name, "render"))
    else:
        dataset.prepare()
    if isinstance(dataset, HasWarnings):
        for line in dataset.warnings():
            click.echo(f"warning: {line}", err=True)


def reports_progress(dataset: object) -> ReportsProgress | None:
    """The dataset, where it says how far `prepare` and `verify` are."""
    if isinstance(dataset, ReportsProgress) and dataset.reports_progress:
        return dataset
    return None


def _say_excluded(task: Any) -> None:
    short = {split: n for split, n in task.excluded.items() if n}
    if short:
        what = ", ".join(f"{n} in {split}" for split, n in short.items())
        click.echo(
            f"{sum(short.values())} clips are too short for this task and left out ({what}).",
            err=True,
        )


def _table(
    names: Sequence[str],
    found: Any,
    paths: Any,
    task: Any,
    preset: str | None,
    references: bool,
    metrics: Sequence[str] | None,
) -> None:
    from vpbench.harness.results.compare import Request, compare

    request = Request(
        names, task=task.id, metrics=metrics, preset=preset, references=references, limit=task.limit
    )
    comparison = compare(request, found, paths.runs)
    if comparison.groups:
        print_comparison(comparison.json())


def _farewell(outcomes: Sequence[Any], task: Any, names: Sequence[str], until: str) -> None:
    done = [o for o in outcomes if o.status == "ok" and o.run.requested]
    for outcome in outcomes:
        for name, reason in outcome.missing.items():
            if outcome.run.requested:
                click.echo(f"{outcome.run.name} {name}: {reason}", err=True)
    if not done:
        return
    import shlex

    click.echo(f"Results: {done[0].run.folder.path.parent.parent}")
    if until in ("predict", "score"):
        for outcome in done:
            click.echo(f"Pictures of {outcome.run.name}: {outcome.run.folder.preview}")
    click.echo(f"Next: vpbench compare {' '.join(shlex.quote(n) for n in names)}")


def _exit_code(outcomes: Sequence[Any], plan: Any, insist: bool) -> int:
    failed = [o.code or 1 for o in outcomes if o.status == "failed"]
    if failed:
        return failed[0]
    if any(r.requested for r in plan.refused):
        return 2
    if insist and any(o.missing for o in outcomes if o.run.requested):
        return 5
    return 0


@click.command(epilog=_RUN_EPILOG)
@click.argument("methods", nargs=-1, required=True, metavar="METHOD...")
@options.task
@options.effort
@options.metrics
@click.option("--no-references", is_flag=True, help="Leave the reference rows out.")
@click.option("--recompute", is_flag=True, help="Do not use features that come with vpbench.")
@click.option("--strict", is_flag=True, help="Exit with 5 if any metric could not be scored.")
@options.storage
@options.output
def run(methods: tuple[str, ...], no_references: bool, debug: bool, **fields: Any) -> int:
    """Fit if needed, predict the test clips, score, and print the table.

    Runs the missing reference rows too. A finished run is not made again; an interrupted one goes
    on where it was.
    """
    return execute("score", methods, references=not no_references, **fields)


@click.command(
    epilog="\b\nExample:\n  vpbench fit my-method --dataset folder:clips --fit-seeds 0-2"
)
@click.argument("methods", nargs=-1, required=True, metavar="METHOD...")
@options.task
@options.effort
@options.storage
@options.output
def fit(methods: tuple[str, ...], debug: bool, **fields: Any) -> int:
    """Train the stages of methods and stop there."""
    return execute("fit", methods, metrics=None, references=False, strict=False, **fields)


@click.command(epilog="\b\nExample:\n  vpbench plan my-method --dataset folder:clips")
@click.argument("methods", nargs=-1, required=True, metavar="METHOD...")
@options.task
@options.effort
@click.option("--no-references", is_flag=True, help="Leave the reference rows out.")
@options.storage
@options.output
def plan(
    methods: tuple[str, ...], no_references: bool, debug: bool, as_json: bool, **fields: Any
) -> int:
    """Show what would run, what is there already, what is refused and why. Computes nothing."""
    from vpbench.core.plan import make_plan
    from vpbench.harness.prediction.shards import shard_done, shards

    names, _, found, paths, task_data = open_task(
        methods,
        fields["dataset"],
        fields["task_name"],
        fields["root"],
        fields["limit"],
        fields["runs"],
        fields["offline"],
        fields["train_on"],
    )
    wish = _wish(names, not no_references, **fields)
    made = make_plan(wish, task_data.task, found, paths.runs, paths.cache)
    rows = [
        {
            "method": r.name,
            "status": "finished" if r.folder.manifest.is_file() else "to run",
            "seed": r.seed,
            "fit_seed": r.fit_seed if r.stages else None,
            "stages": [
                {"stage": s.node.label, "origin": s.origin, "key": s.node.key} for s in r.stages
            ],
            "shards": len(shards(task_data.task)),
            "shards_done": sum(shard_done(r.folder, s.index) for s in shards(task_data.task)),
            "folder": str(r.folder.path),
            "reason": None,
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
        emit_json(
            {
                "schema": "vpbench.plan/1",
                "task": task_data.task.fields(),
                "runs": rows,
                "excluded": dict(task_data.task.excluded),
            }
        )
    else:
        _print_plan(task_data.task, rows)
    return 2 if any(r.requested for r in made.refused) else 0


def _print_plan(task: Any, rows: Sequence[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from vpbench.cli.show import console

    fields = task.fields()
    shown = ("n_max", "horizon", "stride", "size", "n")
    title = f"{task.id}: " + ", ".join(f"{k} {json.dumps(fields[k])}" for k in shown)
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left", pad_edge=False)
    for name in ("method", "seed", "status", "stages", "shards"):
        table.add_column(name)
    for row in rows:
        stages = ", ".join(f"{s['stage']} {s['origin']}" for s in row["stages"]) or "-"
        colour = {"refused": "red", "finished": "green"}.get(row["status"], "")
        status = row["status"] if row["reason"] is None else f"refused: {row['reason']}"
        table.add_row(
            Text(row["method"]),
            str(row["seed"]),
            Text(status, style=colour),
            Text(stages),
            f"{row['shards_done']}/{row['shards']}",
        )
    out = console()
    out.print(table)
    _say_excluded(task)
