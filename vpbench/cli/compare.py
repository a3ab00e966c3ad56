"""compare."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vpbench.cli import completion, options
from vpbench.cli.confusion import print_recognition
from vpbench.cli.curves import print_curves
from vpbench.cli.html_page import media_options, room_of, write_page
from vpbench.cli.opening import local_dataset, parse_methods, task_ref
from vpbench.cli.show import Progress, print_json
from vpbench.cli.tables import print_comparison
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths, user_paths
from vpbench.core.schema import CompareJson

if TYPE_CHECKING:
    from vpbench.core.registry import Registry
    from vpbench.harness.results.compare import Comparison
    from vpbench.render.latex import Notes
    from vpbench.render.model import View

_EPILOG = """\b
Examples:
  vpbench compare
  vpbench compare my-method copy-last --notes
  vpbench compare my-method other-method --vs my-method
  vpbench compare my-method other-method --dataset folder:clips --format tex > table.tex
  vpbench compare my-method copy-last --one-table --json
  vpbench compare my-method copy-last --format html --out results.html
  vpbench compare my-method real copy-last --metrics action --per-class
  vpbench compare my-method copy-last --metrics psnr,ssim --curves
  vpbench compare my-method --dataset penn --subset villegas70,no-neighbour
  vpbench compare my-method theirs.vpb leaderboards/puppets/copy-last-9149719f.json"""


@click.command(epilog=_EPILOG)
@click.argument(
    "methods",
    nargs=-1,
    metavar="[METHOD|RUN|BUNDLE|ENTRY...]",
    shell_complete=completion.names("method"),
)
@click.option("--dataset", metavar="D", help="Show only runs on this dataset.")
@click.option("--task", "task_name", metavar="T", help="Show only this task.")
@click.option(
    "--root",
    type=click.Path(),
    metavar="DIR",
    help="The dataset's folder; commands for missing runs repeat it.",
)
@click.option("--preset", metavar="P", help="Preset of all named methods.")
@options.metrics
@click.option(
    "--format",
    "form",
    type=click.Choice(["rich", "md", "tex", "csv", "json", "html"]),
    default="rich",
    show_default=True,
    help="Output format of the tables; html is a page with the clips, in one file.",
)
@click.option(
    "--vs",
    "versus",
    metavar="NAME",
    help="Also the paired differences of all rows to this one, and the smallest difference that so "
    "many clips would show.",
)
@click.option(
    "--notes",
    is_flag=False,
    flag_value="all",
    default="short",
    metavar="[METHOD|all|short|none]",
    help="All notes, or those of one row.  [default: short]",
)
@click.option(
    "--references",
    type=click.Choice(["few", "all", "none"]),
    default="few",
    show_default=True,
    help="Reference rows; few leaves out those that say little.",
)
@click.option("--no-references", is_flag=True, help="The same as --references none.")
@click.option(
    "--all-groups",
    is_flag=True,
    help="Also the tables of other horizons than the task's own, and those of subsets in full.",
)
@click.option(
    "--subset",
    "subsets",
    metavar="a,b",
    help="Named parts of the test split to show besides: names, all or none.  [default: "
    "the one that the dataset always shows]",
)
@click.option(
    "--columns",
    type=click.IntRange(1),
    metavar="N",
    help="Metrics side by side in LaTeX.  [default: as many as fit one column of a paper]",
)
@click.option("--fingerprints", is_flag=True, help="Also the fingerprint of each metric's recipe.")
@click.option(
    "--per-class",
    is_flag=True,
    help="Recognised actions in full: per class and stream, with McNemar tests of all pairs.",
)
@click.option("--curves", is_flag=True, help="Also metrics over time, frame by frame.")
@click.option("--one-table", is_flag=True, help="Exit with 3 unless all rows can share one table.")
@media_options("standard output")
@options.storage
@options.output
def compare(
    methods: tuple[str, ...],
    dataset: str | None,
    task_name: str | None,
    root: str | None,
    preset: str | None,
    metrics: str | None,
    form: str,
    versus: str | None,
    notes: str,
    references: str,
    no_references: bool,
    all_groups: bool,
    subsets: str | None,
    columns: int | None,
    fingerprints: bool,
    per_class: bool,
    curves: bool,
    one_table: bool,
    out: Path | None,
    clips: int | None,
    media_folder: bool,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Print the scores of finished runs as tables; computes nothing.

    Without a METHOD, everything in the runs folder. One table for each task that has a run of any
    of the methods. Rows that differ in anything that affects a number get different columns
    or tables, and the difference is named. A missing run is a dash with the command that makes it.

    Run folders, bundles (`vpbench pack`) and leaderboard entries may be given beside methods of the
    runs folder; what two of them have in common is compared clip by clip.
    """
    from vpbench.board.sources import is_source, open_sources
    from vpbench.core.registry import registry
    from vpbench.harness.results import compare as harness
    from vpbench.render.model import View

    if form != "html" and (out or clips or media_folder):
        raise click.UsageError("--out, --clips and --media-folder go with --format html.")
    if curves and form not in ("rich", "json"):
        raise click.UsageError("--curves is for the terminal and --json; pictures: vpbench figure")
    if per_class and form not in ("rich", "json", "html"):
        raise click.UsageError("--per-class is for the terminal and --json, which has all of it.")
    given = [text for text in methods if is_source(text)]
    refs, plugins = parse_methods([text for text in methods if text not in given])
    chosen_row, more = parse_methods([versus] if versus else [])
    dataset, own = local_dataset(dataset or "")
    paths = options.folders(runs, offline)
    names = options.split_names(metrics)
    chosen = RunOptions(
        preset=preset,
        references=not no_references and references != "none",
        metrics=None if names is None else tuple(names),
        plugins=(*plugins, *more, *own),
    )
    ref = task_ref(dataset, task_name, root)
    known = registry(chosen.plugins)
    # Bundles are unpacked until the command ends, for a page needs their frames.
    more_runs = click.get_current_context().with_resource(open_sources(given))
    result = harness.compare(
        refs,
        chosen,
        known,
        paths,
        ref,
        options.split_names(subsets),
        versus=chosen_row[0] if chosen_row else None,
        more=more_runs,
        curves=curves,
    )
    if as_json or form == "json":
        print_json(result.json())
    if not result.groups:
        _report_no_runs(methods, ref, preset, metrics, paths)
        return 5
    if one_table:
        harness.one_table(result)
    if not as_json and form != "json":
        asked = [str(r) for r in (*refs, *chosen_row)] + [r.inputs["method"] for r in more_runs]
        everything = references == "all"
        view = View("all" if everything else "few", tuple(asked), all_groups)
        if form == "html":
            _write_page(result, view, known, paths, out, clips, media_folder)
            return _report_unscored(names, result, methods, ref, paths)
        _print(result.json(), form, view, notes, columns, fingerprints)
        if per_class:
            print_recognition(result.groups)
        if curves:
            print_curves(result.groups, all_groups)
    return _report_unscored(names, result, methods, ref, paths)


def _report_no_runs(
    methods: tuple[str, ...], ref: TaskRef, preset: str | None, metrics: str | None, paths: Paths
) -> None:
    given = {
        "--dataset": ref.dataset or "puppets",
        "--task": ref.task,
        "--root": ref.root,
        "--preset": preset,
        "--metrics": metrics,
    }
    command = _command("run", methods, given, paths)
    what = f"No finished run of {', '.join(methods)}" if methods else "No finished run"
    click.echo(f"{what} in {paths.runs}. Make them with:\n  {command}", err=True)


def _report_unscored(
    metrics: list[str] | None,
    result: Comparison,
    methods: tuple[str, ...],
    ref: TaskRef,
    paths: Paths,
) -> int:
    """Name the metrics asked for that no row has, and how to score them; the exit code."""
    from vpbench.harness.results.asked_metrics import OWN_COMMANDS, without_column

    missing = without_column(metrics, result.groups)
    if not missing:
        return 0
    scored = [name for name in missing if name not in OWN_COMMANDS]
    given = {"--dataset": ref.dataset, "--task": ref.task, "--metrics": ",".join(scored)}
    lines = [_command("score", methods, given, paths)] if scored else []
    lines += [OWN_COMMANDS[name] for name in missing if name in OWN_COMMANDS]
    click.echo(f"No row has {', '.join(missing)}. Score with:\n  " + "\n  ".join(lines), err=True)
    return 5


def _command(
    verb: str, methods: tuple[str, ...], given: Mapping[str, str | None], paths: Paths
) -> str:
    """A command on the same runs.

    Args:
        given: option -> value; those without one are left out.
    """
    words = ["vpbench", verb, *(methods or ("METHOD",))]
    for option, value in given.items():
        words += [option, value] if value else []
    if paths.runs != user_paths().runs:
        words += ["--runs", str(paths.runs)]
    return shlex.join(words)


def _write_page(
    result: Comparison,
    view: View,
    known: Registry,
    paths: Paths,
    out: Path | None,
    clips: int | None,
    media_folder: bool,
) -> None:
    from vpbench.board.compare_page import compare_page

    room = room_of(out, clips, media_folder)
    with Progress("page") as progress:
        page = compare_page(result, view, known, paths, room, progress)
    if out is None:
        click.echo(page, nl=False)
    else:
        click.echo(write_page(out, page)["file"])


def _print(
    comparison: CompareJson,
    form: str,
    view: View,
    notes: str,
    columns: int | None,
    fingerprints: bool,
) -> None:
    from vpbench.render import tables

    if form == "rich":
        print_comparison(comparison, view, notes, fingerprints=fingerprints)
        return
    if form == "csv":
        click.echo(tables.to_csv(comparison), nl=False)
        return
    which = _known_notes(notes)
    if form == "tex":
        click.echo(tables.to_latex(comparison, view, which, columns), nl=False)
    else:
        click.echo(tables.to_markdown(comparison, view, which), nl=False)


def _known_notes(notes: str) -> Notes:
    match notes:
        case "none" | "short" | "all":
            return notes
        case _:
            raise click.UsageError(
                f"--notes {notes} is for the terminal; --format {{md,tex}} take none, short or all."
            )
