"""check: the conformance checks of one plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.api.errors import UnknownName
from vpbench.cli import completion, options
from vpbench.cli.controls import score_controls
from vpbench.cli.show import Progress, console, print_json
from vpbench.render.controls import control_lines

if TYPE_CHECKING:
    from vpbench.core.registry import Registry
    from vpbench.core.schema import ControlsJson
    from vpbench.testing.model import CheckResult

_EPILOG = """\b
Examples:
  vpbench check my-method
  vpbench check my-method --full
  vpbench check metric:psnr --json
  vpbench check metric:fvd --dataset 'folder:clips[horizon=16,group=subject]'
  vpbench check ./my_method.py:SPEC
  vpbench check my-videos --root data/my-videos

Exit codes: 0 all checks passed, 1 a check failed, 2 unknown plugin."""

_SYMBOLS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "expected-failure": ("x", "yellow"),
    "unexpected-pass": ("✗", "red"),
}

_controls = options.chain(
    click.option(
        "--dataset",
        metavar="D",
        help="Of a metric: the clips that it is tried on, such as puppets or 'folder:PATH"
        "[horizon=16,size=64,group=subject]'.  [default: puppets]",
    ),
    click.option(
        "--limit", type=click.IntRange(4), metavar="N", help="Of a metric: use only N clips."
    ),
    options.workers,
    click.option(
        "--controls/--no-controls",
        default=True,
        help="Of a metric: score real clips with one thing wrong.  [default: yes]",
    ),
)


@click.command(epilog=_EPILOG)
@click.argument("name", metavar="NAME", shell_complete=completion.names())
@click.option("--full", is_flag=True, help="Run the slow checks as well.")
@click.option(
    "--root", type=click.Path(file_okay=False), metavar="DIR", help="The folder of a dataset."
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=120.0,
    metavar="S",
    show_default=True,
    help="Seconds before a check counts as hung.",
)
@_controls
@options.output
def check(
    name: str,
    full: bool,
    root: str | None,
    timeout: float,
    dataset: str | None,
    limit: int | None,
    workers: int | None,
    controls: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Check the guarantees that a plugin must meet.

    NAME is a plugin, kind:NAME where several kinds share it, or ./FILE.py:SPEC. It is run on a few
    small clips, in a process of its own.

    A metric that passes is also shown real clips with one thing wrong (frozen, shuffled, reversed,
    slow, noisy, blurred, compressed): which of them can it tell from real ones? That table is
    for information and does not affect the exit code.
    """
    from vpbench.testing.model import GOOD
    from vpbench.testing.runner import run_checks

    kind, short, plugins = _subject(name)
    base, recipe = short, ""
    if kind == "metric":
        base, _, recipe = short.partition("@")
        if recipe and recipe not in plugins.metric(base).recipes:
            raise UnknownName(f"recipe of {base}", recipe, plugins.metric(base).recipes)
    elif dataset is not None or limit is not None:
        raise click.UsageError(f"--dataset and --limit are for metrics; {short} is a {kind}.")
    if root is not None and kind not in ("dataset", "metric"):
        raise click.UsageError(f"--root is for datasets; {short} is a {kind}.")
    table: ControlsJson | None = None
    with Progress(f"checking {short}") as progress:
        results = run_checks(
            kind,
            base,
            full,
            plugins,
            timeout=timeout,
            root=root if kind == "dataset" else None,
            report=progress,
        )
        ok = all(r.status in GOOD for r in results)
        if ok and kind == "metric" and controls:
            where = dataset or "puppets"
            table = score_controls(short, where, root, limit, workers, plugins, progress)
    if as_json:
        print_json(
            {
                "schema": "vpbench.check/1",
                "kind": kind,
                "name": short,
                "ok": ok,
                "full": full,
                "checks": results,
                **({"controls": table} if kind == "metric" else {}),
            }
        )
    else:
        _print(kind, short, full, results)
        if table is not None:
            click.echo()
            of_clips = plugins.metric(base).kind == "clip"
            click.echo("\n".join(control_lines(table, short, of_clips)))
    return 0 if ok else 1


def _subject(name: str) -> tuple[str, str, Registry]:
    """Kind and name of the plugin, and the registry that has it."""
    from vpbench.core.loading import load_plugin
    from vpbench.core.registry import KINDS, registry
    from vpbench.core.surroundings import plugin_output
    from vpbench.testing.runner import kind_and_name

    module, _, attribute = name.partition(":")
    if not module.endswith(".py"):
        return *kind_and_name(name, registry()), registry()
    value = f"{Path(module).expanduser().absolute()}:{attribute or 'SPEC'}"
    with plugin_output():
        spec = load_plugin(value, name, f"the module {module}")
    if not isinstance(spec, tuple(KINDS.values())):
        raise click.UsageError(f"{name} is not the spec of a plugin.")
    return spec.registry, spec.name, registry((value,))


def _print(kind: str, name: str, full: bool, results: Sequence[CheckResult]) -> None:
    from rich.text import Text

    from vpbench.testing.suite import checks_of

    out: Any = console()
    why = {c.id: c.why for c in checks_of(kind, full=True)}
    wide = max(len(r.id) for r in results)
    for result in results:
        symbol, style = _SYMBOLS[result.status]
        tail = why[result.id]
        if result.status == "skipped":
            tail = f"skipped: {result.got or result.expected}"
        out.print(Text.assemble((f"{symbol} {result.id:{wide}}", style), f"  {tail}"))
        if result.status not in ("passed", "skipped"):
            _print_details(out, result, wide)
    counts = {s: sum(r.status == s for r in results) for s in _SYMBOLS}
    summary = ", ".join(f"{n} {s.replace('-', ' ')}" for s, n in counts.items() if n)
    seconds = sum(r.seconds for r in results)
    out.print(Text(f"{kind} {name}: {summary} in {seconds:.1f} s"))
    if not full:
        out.print(Text("Slow checks were not run; add --full to run them.", style="dim"))


def _print_details(out: Any, result: CheckResult, wide: int) -> None:
    from rich.text import Text

    rows = {
        "expected": result.expected,
        "got": result.got,
        "where": result.where,
        "fix": result.fix,
    }
    for label, text in rows.items():
        if text:
            out.print(Text.assemble(" " * (wide + 4), (f"{label:9}", "dim"), text), soft_wrap=True)
