"""list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vpbench.cli import options
from vpbench.cli.pages import beside, heading
from vpbench.cli.show import print_json

if TYPE_CHECKING:
    from vpbench.core.registry import Entry

_OURS = ("builtin", "vpbench")
"""Origins that the list does not mention."""

_NAME = 20
"""Characters of names in the list."""

_KINDS = {
    "methods": "method",
    "components": "component",
    "datasets": "dataset",
    "metrics": "metric",
    "executors": "executor",
}


@click.command("list", epilog="\b\nExamples:\n  vpbench list\n  vpbench list methods --broken")
@click.argument("kind", required=False, type=click.Choice(list(_KINDS)))
@click.option("--broken", is_flag=True, help="List only plugins that cannot be used.")
@options.output
def list_(kind: str | None, broken: bool, as_json: bool, debug: bool) -> int:
    """List plugins, where each comes from, and why a broken one cannot be used."""
    from vpbench.core.registry import registry

    plugins = registry()
    kinds = [_KINDS[kind]] if kind else list(_KINDS.values())
    rows = [e for k in kinds for e in plugins.of(k) if not broken or e.status != "ok"]
    if as_json:
        print_json(
            {
                "schema": "vpbench.list/1",
                "items": [
                    {
                        "name": e.name,
                        "kind": e.kind,
                        "source": e.origin,
                        "status": e.status,
                        "reason": e.reason or None,
                    }
                    for e in rows
                ],
            }
        )
        return 0
    _print_list(rows)
    return 0


def _print_list(rows: Sequence[Entry]) -> None:
    """Kind by kind; where something comes from is said where it is not vpbench."""
    colours = {"ok": "", "broken": "red", "shadowed": "dim"}
    headings = {kind: plural for plural, kind in _KINDS.items()}
    for kind in dict.fromkeys(entry.kind for entry in rows):
        heading(headings[kind])
        for entry in (e for e in rows if e.kind == kind):
            what = entry.spec.summary if entry.spec is not None else ""
            if entry.status != "ok":
                what = f"{entry.status}: {entry.reason}"
            foreign = entry.origin.partition(" ")[0] not in _OURS
            texts = [what, f"from {entry.origin}"] if foreign else [what]
            beside(entry.name, texts, _NAME, style=colours[entry.status], indent=2)
        click.echo()
