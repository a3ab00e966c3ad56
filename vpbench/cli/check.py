"""check: the conformance checks of one plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vpbench.cli import options
from vpbench.cli.show import console, emit_json

if TYPE_CHECKING:
    from vpbench.testing.model import CheckResult

_EPILOG = """\b
Examples:
  vpbench check my-method
  vpbench check my-method --full
  vpbench check metric:psnr --json
  VPBENCH_PLUGINS=./my_method.py vpbench check my-method

Exit codes: 0 all checks hold, 1 one does not, 2 there is no such plugin."""

_MARKS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "expected-failure": ("x", "yellow"),
    "unexpected-pass": ("✗", "red"),
}


@click.command(epilog=_EPILOG)
@click.argument("name", metavar="NAME")
@click.option("--full", is_flag=True, help="The slow checks as well.")
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=120.0,
    metavar="S",
    show_default=True,
    help="Seconds after which a check counts as hung.",
)
@options.output
def check(name: str, full: bool, timeout: float, as_json: bool, debug: bool) -> int:
    """Check that a plugin holds what the benchmark relies on.

    NAME is a plugin, or kind:NAME where several kinds share it. It is run on a few small clips, in
    a process of its own.
    """
    from vpbench.core.registry import registry
    from vpbench.testing.model import GOOD
    from vpbench.testing.runner import kind_and_name, run_checks

    found = registry()
    kind, short = kind_and_name(name, found)
    results = run_checks(kind, short, full, found, timeout=timeout)
    ok = all(r.status in GOOD for r in results)
    if as_json:
        emit_json(
            {
                "schema": "vpbench.check/1",
                "kind": kind,
                "name": short,
                "ok": ok,
                "full": full,
                "checks": results,
            }
        )
    else:
        _print(kind, short, full, results)
    return 0 if ok else 1


def _print(kind: str, name: str, full: bool, results: Sequence[CheckResult]) -> None:
    from rich.text import Text

    from vpbench.testing.suite import checks_of

    out: Any = console()
    why = {c.id: c.why for c in checks_of(kind, full=True)}
    wide = max(len(r.id) for r in results)
    for result in results:
        mark, style = _MARKS[result.status]
        tail = why[result.id]
        if result.status == "skipped":
            tail = f"skipped: {result.got or result.expected}"
        out.print(Text.assemble((f"{mark} {result.id:{wide}}", style), f"  {tail}"))
        if result.status not in ("passed", "skipped"):
            _print_details(out, result, wide)
    counts = {s: sum(r.status == s for r in results) for s in _MARKS}
    said = ", ".join(f"{n} {s.replace('-', ' ')}" for s, n in counts.items() if n)
    seconds = sum(r.seconds for r in results)
    out.print(Text(f"{kind} {name}: {said} in {seconds:.1f} s"))
    if not full:
        out.print(Text("Slow checks are left out; add --full for them.", style="dim"))


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
