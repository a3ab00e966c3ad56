"""study export, serve, import, analyse."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.groups import OrderedGroup
from vpbench.cli.pages import heading, screen_width
from vpbench.cli.show import Progress, print_json
from vpbench.core.surroundings import plugin_output

_EPILOG = """\b
Examples:
  vpbench study export my-method copy-last --dataset puppets --out ranking
  vpbench study serve ranking
  vpbench study import ranking answers-*.json
  vpbench study analyse ranking --html ranking.html"""

_STUDY = click.argument("study_dir", type=click.Path(path_type=Path), metavar="DIR")


@click.group(cls=OrderedGroup, epilog=_EPILOG)
def study() -> None:
    """Ask people to rank the predictions of methods, and analyse what they say.

    `export` writes DIR, a web page with opaque names that may be public, and DIR.private with the
    key. `serve` collects answers; any web space serves DIR, too. `analyse` opens the key.
    """


_EXPORT_EPILOG = """\b
Examples:
  vpbench study export my-method copy-last --dataset puppets --out ranking
  vpbench study export a b c d --dataset penn --design kim2019 --out table3
  vpbench study export a b --clips 12 --raters 8 --settings study.toml --out small"""


@study.command(epilog=_EXPORT_EPILOG)
@options.methods
@click.option(
    "--dataset", default="puppets", show_default=True, metavar="D", help="Dataset of the runs."
)
@click.option(
    "--task", "task_name", metavar="T", help="A task of the dataset.  [default: its first]"
)
@click.option("--root", type=click.Path(), metavar="DIR", help="The dataset's folder.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder of the study; the key goes into DIR.private.",
)
@click.option(
    "--design",
    type=click.Choice(["ranking", "kim2019"]),
    default="ranking",
    show_default=True,
    help="kim2019: one ranking by both criteria, 15 raters, the 70 clips, random slots.",
)
@click.option("--raters", type=click.IntRange(1, 999), metavar="N", help="Raters.  [default: 15]")
@click.option(
    "--clips", type=click.IntRange(1), metavar="N", help="How many clips.  [default: all in common]"
)
@click.option("--subset", metavar="NAME", help="Only a named part of the test split.")
@click.option(
    "--horizon",
    type=click.IntRange(1),
    metavar="T",
    help="Frames.  [default: the shortest method's]",
)
@click.option(
    "--gold",
    type=click.IntRange(0),
    metavar="N",
    help="Trials with a known answer.  [default: 1 in 15]",
)
@click.option(
    "--repeats", type=click.IntRange(0), metavar="N", help="Repeated trials.  [default: 1 in 15]"
)
@click.option(
    "--fps",
    type=click.FloatRange(1, 60),
    metavar="F",
    help="Frames a second.  [default: the task's, or 8]",
)
@click.option(
    "--order-seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of the orders of clips and slots.",
)
@click.option(
    "--settings",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A study.toml: texts, questions, exclusions.  [default: texts to be completed]",
)
@click.option("--preset", metavar="P", help="Preset of all named methods.")
@options.seed
@options.fit_seed
@options.storage
@options.output
def export(
    methods: tuple[str, ...],
    dataset: str,
    task_name: str | None,
    root: str | None,
    out: Path,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
    **fields: Any,
) -> int:
    """Make a study of finished runs: the page, the videos, the orders and the key.

    Needs predictions of every method on the same clips (`vpbench run`). Says which differences the
    number of raters can find.
    """
    from vpbench.cli.opening import open_task, task_ref
    from vpbench.study.export import Request, export_study

    opened = open_task(methods, task_ref(dataset, task_name, root), runs, offline, prepare=True)
    request = Request(opened.methods, out.expanduser().absolute(), **fields)
    # what a plugin prints must not end up in the JSON
    with Progress() as progress, plugin_output():
        made = export_study(request, opened.task_data, opened.registry, opened.paths, progress)
    if as_json:
        print_json(made)
    else:
        _print_export(made)
    return 0


def _print_export(made: dict[str, Any]) -> None:
    checks = f"{made['gold']} with a known answer, {made['repeats']} repeated"
    lines = [
        f"Study {made['study']}: {len(made['methods'])} methods, {made['clips']} clips, "
        f"{made['raters']} raters, {made['frames']} frames at {made['fps']:g} a second.",
        f"Each rater: {made['trials']} screens ({checks}).",
        f"Questions: {', '.join(made['questions'])}.",
        f"{made['out']}: {made['megabytes']} MB, may be public.",
        f"{made['private']}: key, settings and answers; keep it to yourself.",
        f"Hash of the key: {made['key_sha256']}",
        f"Hash of questions, design and exclusions: {made['preregistration_sha256']}",
        "Write both down, or register them, before the first answer.",
        "",
        *_advice(made),
    ]
    if made["unset"]:
        lines += [
            "",
            f"Before you invite anybody: {' and '.join(made['unset'])} are not filled in. Copy "
            f"{made['private']}/study.toml, complete it, and export again with --settings FILE.",
        ]
    lines += ["", f"Next: vpbench study serve {shlex.quote(made['out'])}"]
    for line in lines:
        click.echo(line)


def _advice(made: dict[str, Any]) -> list[str]:
    power = made["power"]
    lines = [
        "Smallest difference of two mean ranks that 80 % of simulated studies with "
        f"{made['clips']} clips find:"
    ]
    for row in power["advice"]:
        gap = "none" if row["detectable"] is None else f"{row['detectable']:.2f}"
        planned = "  <- planned" if row["raters"] == made["raters"] else ""
        lines.append(f"  {row['raters']:>3} raters: {gap}{planned}")
    lines.append(
        f"(assumed: log-worths vary by {power['rater_sd']} between raters, {power['clip_sd']} "
        "between clips; docs/study.md)"
    )
    return lines


@study.command(
    epilog="\b\nExamples:\n  vpbench study serve ranking\n  vpbench study serve ranking --port 8080"
)
@_STUDY
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="H",
    help="The address to listen on; 0.0.0.0 for all networks.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8000,
    show_default=True,
    metavar="N",
    help="The port to listen on.",
)
@click.option("--proxy", is_flag=True, help="Behind a reverse proxy on this machine, for https.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def serve(study_dir: Path, host: str, port: int, proxy: bool, debug: bool) -> int:
    """Serve the page and collect answers, until Ctrl-C.

    Every answer is on the disk before the page hears that it was stored; after a crash, start the
    same command again.
    """
    from vpbench.study.require import need_server

    need_server()
    from vpbench.study.server import StudyServer, check_open
    from vpbench.study.server import serve as work

    server = StudyServer(study_dir.expanduser().absolute())
    check_open(server, host)
    click.echo(f"Study {server.bundle.study}: http://{host}:{port}/  (Ctrl-C to stop)", err=True)
    click.echo(f"Answers: {server.private.answers}", err=True)
    work(server, host, port, proxy=proxy)
    return 0


@study.command(
    "import",
    epilog="\b\nExamples:\n  vpbench study import ranking answers-*.json\n"
    "  vpbench study import ranking Batch_1234_batch_results.csv",
)
@_STUDY
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@options.output
def import_(study_dir: Path, files: tuple[Path, ...], as_json: bool, debug: bool) -> int:
    """Take answers from files: downloads of the page, or results of Mechanical Turk (CSV).

    A file that was imported before changes nothing.
    """
    from vpbench.study.files import PrivatePaths, open_bundle
    from vpbench.study.imports import import_file

    folder = study_dir.expanduser().absolute()
    bundle, private = open_bundle(folder), PrivatePaths.of(folder)
    done = [import_file(bundle, private, file) for file in files]
    if as_json:
        print_json({"schema": "vpbench.study-import/1", "files": [one.json() for one in done]})
        return 0
    for one in done:
        known = f", {one.known} known already" if one.known else ""
        click.echo(f"{one.file}: {one.answers} answers of {one.sessions} raters{known}")
        for reason, count in one.refused.items():
            click.echo(f"  {count} refused: {reason}")
    return 0


@study.command(
    "mturk-batch",
    epilog="\b\nExample:\n"
    "  vpbench study mturk-batch ranking https://example.org/ranking > batch.csv",
)
@_STUDY
@click.argument("base_url", metavar="URL")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def mturk_batch(study_dir: Path, base_url: str, debug: bool) -> int:
    """Print the CSV of a study's trials in the layout of Mechanical Turk (closed since 2026).

    URL is where DIR can be reached. docs/study.md has the form that goes with it.
    """
    from vpbench.study.files import open_bundle
    from vpbench.study.imports import mturk_batch as work

    click.echo(work(open_bundle(study_dir.expanduser().absolute()), base_url), nl=False)
    return 0


@study.command(
    epilog="\b\nExamples:\n  vpbench study analyse ranking\n"
    "  vpbench study analyse ranking --html ranking.html --csv answers.csv"
)
@_STUDY
@click.option("--question", metavar="Q", help="Only one question.  [default: all]")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Page with plots.")
@click.option("--csv", type=click.Path(path_type=Path), metavar="FILE", help="All answers.")
@click.option("--nemenyi", is_flag=True, help="Nemenyi's critical differences, too.")
@click.option(
    "--resamples",
    type=click.IntRange(100, 100_000),
    default=2000,
    show_default=True,
    metavar="N",
    help="Resamples of the bootstrap.",
)
@click.option("--no-store", is_flag=True, help="Do not add the column `study` to compare.")
@options.storage
@options.output
def analyse(
    study_dir: Path,
    question: str | None,
    html: Path | None,
    csv: Path | None,
    nemenyi: bool,
    resamples: int,
    no_store: bool,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Mean ranks with intervals, tests, Plackett-Luce worths, agreement, raters' quality.

    Twice: without the raters that the exclusion rules of study.toml leave out, and with them. The
    main question's mean ranks become the column `study` of `vpbench compare`, beside the
    predictions that were ranked.
    """
    from vpbench.api.errors import UnknownName
    from vpbench.core.files import write_bytes
    from vpbench.core.outdir import named_output
    from vpbench.study.analysis import analyse as work
    from vpbench.study.analysis import answers_csv, collect
    from vpbench.study.report import to_html
    from vpbench.study.store import store_scores

    collected = collect(study_dir.expanduser().absolute())
    if question is not None and question not in collected.bundle.questions:
        raise UnknownName("question", question, collected.bundle.questions)
    result = work(collected, n_resamples=resamples, nemenyi=nemenyi)
    written: list[Path] = []
    if html is not None:
        with named_output("another file with --html FILE"):
            write_bytes(html, to_html(result).encode())
        written.append(html)
    if csv is not None:
        with named_output("another file with --csv FILE"):
            write_bytes(csv, answers_csv(collected).encode())
        written.append(csv)
    stored = None if no_store else store_scores(result, options.folders(runs, offline).runs)
    if as_json:
        print_json(result)
        return 0
    _print_analysis(result, question)
    for path in written:
        click.echo(f"Written: {path}")
    if stored is not None:
        click.echo(f"In `vpbench compare`: {stored}")
    return 0


def _print_analysis(result: dict[str, Any], question: str | None) -> None:
    from vpbench.study.report import test_lines

    raters = result["raters"]
    click.echo(
        f"Study {result['study']}: {raters['answered']} raters ({raters['planned']} planned), "
        f"{raters['excluded']} left out, {raters['withdrawn']} withdrew."
    )
    for name, record in result["questions"].items():
        if question in (None, name):
            _print_table(result["titles"][name], record["kept"])
            if raters["excluded"]:
                _print_table(f"{result['titles'][name]}, no one left out", record["all"])
            if record["kept"]["votes"]:
                for line in test_lines(record["kept"]):
                    click.echo(f"  {line}")
    for note in result["notes"]:
        click.echo(f"note: {note}")


def _print_table(title: str, summary: dict[str, Any]) -> None:
    from vpbench.render.text import blocks, clean
    from vpbench.study.report import TABLE_COLUMNS, table_rows

    counts = f"{summary['votes']} votes, {summary['raters']} raters, {summary['clips']} clips"
    heading(f"{title}: {counts}")
    cells = [tuple(map(clean, row)) for row in table_rows(summary)]
    for head, *rows in blocks([TABLE_COLUMNS, *cells], screen_width() - 1):
        rule = "─" * max(map(len, (head, *rows)))
        click.echo("\n " + "\n ".join((head, rule, *rows)))
    click.echo()
