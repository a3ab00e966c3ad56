"""list and info."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.cli import options
from vpbench.cli.show import console, print_json
from vpbench.core.names import MethodRef, parse_name

if TYPE_CHECKING:
    from vpbench.api.capabilities import Capabilities

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
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("kind", "name", "what it is", "from"):
        table.add_column(name, no_wrap=name != "what it is")
    colours = {"ok": "", "broken": "red", "shadowed": "dim"}
    for entry in rows:
        what = entry.spec.summary if entry.spec is not None else ""
        if entry.status != "ok":
            what = f"{entry.status}: {entry.reason}"
        cells = (entry.kind, entry.name, what, entry.origin)
        table.add_row(*(Text(c) for c in cells), style=colours[entry.status])
    console().print(table)
    return 0


_INFO_EPILOG = """\b
Examples:
  vpbench info my-method
  vpbench info 'my-method[motion=frozen]' --json
  vpbench info metric:psnr --bibtex
  vpbench info runs/folder-clips-1a2b3c4d/copy-last/0f1e2d3c"""


@click.command(epilog=_INFO_EPILOG)
@click.argument("what", metavar="NAME|RUN")
@click.option("--bibtex", is_flag=True, help="Print only the citation.")
@options.output
def info(what: str, bibtex: bool, as_json: bool, debug: bool) -> int:
    """Show what a plugin declares, or what a run folder holds.

    What a method needs is shown for its parameters and with the components in its slots, by default
    those that it takes at 64 px; NAME[key=value] changes them.
    """
    if (Path(what) / "run.json").is_file():
        return _run_info(Path(what), as_json)
    named = parse_name(what)
    entry = _find(named.base)
    assert entry.spec is not None  # find() refuses broken rows
    if bibtex:
        click.echo(entry.spec.citation or f"{entry.name} has no citation.")
        return 0
    record = {"name": entry.name, "kind": entry.kind, "source": entry.origin}
    record |= {f.name: getattr(entry.spec, f.name) for f in fields(entry.spec) if f.name != "name"}
    record |= _with_parameters(
        entry.kind, MethodRef(named.base.removeprefix("method:"), named.params)
    )
    if as_json:
        print_json({"schema": "vpbench.info/1", **record})
        return 0
    if "capabilities" in record:
        record = {**record, "capabilities": _needs(record["capabilities"])}
    _print_record(record)
    return 0


def _with_parameters(kind: str, ref: MethodRef) -> dict[str, Any]:
    """What a method needs and uses, and its notes, with the parameters in its name applied.

    Raises:
        UsageError: another kind of plugin has no parameters in brackets.
    """
    from vpbench.api.errors import UsageError
    from vpbench.core.registry import registry
    from vpbench.core.resolve import resolve

    if kind != "method":
        if ref.params:
            raise UsageError(f"{ref.base} is a {kind}; only methods take parameters in brackets.")
        return {}
    method = resolve(ref, registry(), 64)
    return {
        "name": method.name,
        "capabilities": method.capabilities,
        "uses": method.uses,
        "notes": method.notes,
    }


def _needs(capabilities: Capabilities) -> str:
    """`1 given frame; label: optional; stochastic; sizes divisible by 8, at least 16 px`."""
    fewest, most = capabilities.conditioning_frames
    count = str(most) if fewest == most else f"{fewest} to {most}"
    words = [f"{count} given frame{'s' * (most > 1)}"]
    for name, need in (("label", capabilities.label), ("pose", capabilities.pose)):
        if need != "no":
            words.append(f"{name}: {'in training only' if need == 'training' else need}")
    words += ["stochastic"] if capabilities.stochastic else ["deterministic"]
    if capabilities.max_horizon is not None:
        words.append(f"at most {capabilities.max_horizon} frames ahead")
    if capabilities.size_multiple > 1 or capabilities.min_size > 1:
        words.append(
            f"sizes divisible by {capabilities.size_multiple}, at least {capabilities.min_size} px"
        )
    if capabilities.oracle:
        words.append("sees the true future")
    return "; ".join(words)


def _find(what: str) -> Any:
    """`name`, or `kind:name` where several kinds share it."""
    from vpbench.api.errors import UnknownName, UsageError
    from vpbench.core.registry import registry

    plugins = registry()
    kind, colon, name = what.partition(":")
    if colon and kind in _KINDS.values():
        return plugins.find(kind, name)
    kinds = [k for k in _KINDS.values() if what in plugins.names(k)]
    if len(kinds) > 1:
        raise UsageError(f"{what!r} is a {' and a '.join(kinds)}.", fix=f"Write {kinds[0]}:{what}.")
    if not kinds:
        known = [n for k in _KINDS.values() for n in plugins.names(k)]
        raise UnknownName("plugin", what, known, hint="See all with: vpbench list")
    return plugins.find(kinds[0], what)


def _run_info(path: Path, as_json: bool) -> int:
    from vpbench.core.registry import registry
    from vpbench.harness.results.finished_runs import doubt, stored_run, training
    from vpbench.harness.scoring.score_record import score_json

    run = stored_run(path)
    record = {
        **run.folder.read_record(),
        "training": training(run),
        "verified": True,
        "doubt": doubt(run, registry(), options.folders(None, True)),
        "code of stages": _stage_code(run),
        "scores": {f"{m} over {f} frames": score_json(s) for (m, f), s in run.scores.items()},
    }
    if as_json:
        print_json({**record, "schema": "vpbench.info/1"})
    else:
        inputs = record.pop("inputs")
        _print_record({**inputs, **record})
    return 0


def _stage_code(run: Any) -> dict[str, str]:
    """Stage -> what is known of the code that trained it, for stages that are still here."""
    from vpbench.core.registry import registry
    from vpbench.harness.results.finished_runs import stage_folders
    from vpbench.harness.training.attest import code_of_stage

    paths = options.folders(None, True)
    folders = stage_folders(run, registry())
    return {label: code_of_stage(folder, paths) for label, folder in folders.items()}


def _print_record(record: dict[str, Any]) -> None:
    import json

    from vpbench.core.hashing import plain

    wide = max(len(key) for key in record)
    for key, value in record.items():
        if value in ("", None, (), {}, []):
            continue
        shown = plain(value)
        text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
        click.echo(f"{key:{wide}}  {text}")
