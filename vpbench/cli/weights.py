"""weights: list, fetch, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.show import console, emit_json
from vpbench.core.paths import Paths
from vpbench.metrics.weights.registry import Entry, find, known

_EPILOG = """\b
Examples:
  vpbench weights list
  vpbench weights fetch i3d
  vpbench weights verify"""


@click.group(epilog=_EPILOG)
def weights() -> None:
    """Pretrained weights: what there is, fetch it, verify it.

    Files that you have already are found in the folder that VPBENCH_WEIGHTS names.
    """


_LIST_EPILOG = """\b
Examples:
  vpbench weights list
  vpbench weights list --json"""


@weights.command("list", epilog=_LIST_EPILOG)
@options.storage
@options.output
def list_(runs: str | None, offline: bool, as_json: bool, debug: bool) -> int:
    """List all known weights: what for, size, licence, whether they are here."""
    paths = options.folders(runs, offline)
    items = [_item(entry, paths) for entry in known().values()]
    if as_json:
        emit_json({"schema": "vpbench.weights-list/1", "items": items})
        return 0
    _print_list(items)
    return 0


def _item(entry: Entry, paths: Paths) -> dict[str, Any]:
    """One row; nothing is read or verified."""
    from vpbench.metrics.weights.fetch import candidates, locate
    from vpbench.metrics.weights.store import recorded_pin

    path = next(iter(candidates(entry)), None) or locate(entry, paths.cache, verify=False)
    return {
        "name": entry.name,
        "purpose": entry.purpose,
        "size": entry.download,
        "licence": entry.licence,
        "pinned": entry.pinned,
        "sha256": entry.sha256,
        "recorded_sha256": None if entry.pinned else recorded_pin(entry, paths.cache),
        "path": str(path) if path else None,
        "sources": [s.title for s in entry.sources],
        "note": entry.note,
        "terms": entry.terms,
    }


def _print_list(items: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("name", "what for", "size", "licence", "hash", "where"):
        table.add_column(
            name,
            no_wrap=name in ("name", "size"),
            overflow="fold",
            justify="right" if name == "size" else "left",
        )
    for item in items:
        pin = "pinned" if item["pinned"] else "prefix-pinned"
        if item["recorded_sha256"]:
            pin += ", whole hash recorded"
        cells = (
            item["name"],
            item["purpose"],
            _size(find(item["name"])),
            item["licence"],
            pin,
            item["path"] or "not here",
        )
        table.add_row(*(Text(c) for c in cells), style="" if item["path"] else "dim")
    console().print(table)


def _size(entry: Entry) -> str:
    """What is downloaded, as people write it: "54 kB", "47 MB", "about 575 MB"."""
    size = entry.download
    text = f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
    return text if entry.size_known else f"about {text}"


_FETCH_EPILOG = """\b
Examples:
  vpbench weights fetch i3d
  vpbench weights fetch lpips-alex alexnet
  vpbench weights fetch spynet-1 spynet-2 spynet-3 spynet-4 spynet-5 --agree

Some weights are for a purpose only: their terms are shown, and you are asked before anything is
downloaded (or say --agree)."""


@weights.command(epilog=_FETCH_EPILOG)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--agree", is_flag=True, help="You agree to the terms of weights that have some.")
@options.storage
@options.output
def fetch(
    names: tuple[str, ...],
    agree: bool,
    runs: str | None,
    offline: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Get weights into the cache: your own files, else the first source that works.

    Every file is checked by its hash and kept as safetensors; nothing in it is executed.
    """
    entries = [find(name) for name in dict.fromkeys(names)]
    paths = options.folders(runs, offline)
    items: list[dict[str, Any]] = []
    for entry in entries:
        path = _fetch(entry, paths, agree or _agreed(entry, paths, as_json))
        items.append(_fetched(entry, path))
        if not as_json:
            click.echo(f"{entry.name}  {path}")
    if as_json:
        emit_json({"schema": "vpbench.weights-fetch/1", "items": items})
    return 0


def _agreed(entry: Entry, paths: Paths, as_json: bool) -> bool:
    """Ask on a terminal, where there is something to agree to and something to download."""
    from vpbench.metrics.weights.fetch import locate

    screen = console(stderr=True)
    if not entry.terms or as_json or paths.offline or not screen.is_terminal:
        return False
    if locate(entry, paths.cache, verify=False) is not None:
        return False
    return click.confirm(f"{entry.label}: {entry.terms}. Do you agree?", err=True)


def _fetch(entry: Entry, paths: Paths, agreed: bool) -> Path:
    """Fetch one, with a bar on standard error."""
    from rich import progress as rp

    from vpbench.metrics.weights.fetch import fetch as get

    screen = console(stderr=True)
    with rp.Progress(
        rp.TextColumn("[bold]{task.description}"),
        rp.BarColumn(),
        rp.DownloadColumn(),
        rp.TransferSpeedColumn(),
        rp.TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
    ) as bars:
        bar: rp.TaskID | None = None

        def show(done: int, total: int | None) -> None:
            nonlocal bar
            if bar is None:
                bar = bars.add_task(entry.name, total=total)
                if not screen.is_terminal:
                    click.echo(f"fetching {entry.name}, {_size(entry)}", err=True)
            bars.update(bar, completed=done, total=total)

        return get(entry, paths.cache, offline=paths.offline, progress=show, agreed=agreed)


def _fetched(entry: Entry, path: Path) -> dict[str, Any]:
    from vpbench.api.errors import HashMismatch
    from vpbench.metrics.weights.store import record_of

    try:
        record = record_of(path)
    except HashMismatch:  # the content is known and was checked; only the record is gone
        record = {}
    return {
        "name": entry.name,
        "path": str(path),
        "source": record.get("source"),
        "content": entry.content or record.get("content"),
        "licence": entry.licence,
    }


_VERIFY_EPILOG = """\b
Examples:
  vpbench weights verify
  vpbench weights verify i3d --json

Exit codes: 0 all is well, 4 a file is damaged or another one, 5 named weights are not here."""


@weights.command(epilog=_VERIFY_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.storage
@options.output
def verify(
    names: tuple[str, ...], runs: str | None, offline: bool, as_json: bool, debug: bool
) -> int:
    """Check every file in the cache and in the folder VPBENCH_WEIGHTS again.

    The I3D network is checked tensor by tensor against the original's 230 checksums.
    """
    from vpbench.metrics.weights.verify import verify as check

    entries = [find(name) for name in dict.fromkeys(names)]
    paths = options.folders(runs, offline)
    findings = check(entries, paths.cache) if entries else check(known().values(), paths.cache)
    if entries:
        here = {finding.name for finding in findings}
        absent = [entry.name for entry in entries if entry.name not in here]
    else:
        absent = []
    if as_json:
        emit_json(_verify_json(findings, absent))
    else:
        _print_findings(findings, absent)
    if any(finding.problem for finding in findings):
        return 4
    return 5 if absent else 0


def _verify_json(findings: list[Any], absent: list[str]) -> dict[str, Any]:
    problems = [
        {"level": "error", "path": str(f.path), "what": f.problem, "fix": f.fix}
        for f in findings
        if f.problem
    ]
    problems += [
        {"level": "error", "path": name, "what": "not here", "fix": f"vpbench weights fetch {name}"}
        for name in absent
    ]
    return {
        "schema": "vpbench.verify/1",
        "ok": not problems,
        "published": {},
        "counts": {},
        "excluded": {},
        "problems": problems,
        "items": [
            {"name": f.name, "path": str(f.path), "ok": not f.problem, "proof": f.proof}
            for f in findings
        ],
    }


def _print_findings(findings: list[Any], absent: list[str]) -> None:
    for finding in findings:
        if finding.problem:
            click.echo(f"{finding.name}: {finding.problem} {finding.fix or ''}".rstrip(), err=True)
        else:
            click.echo(f"{finding.name}  ok  {finding.proof}  {finding.path}")
    for name in absent:
        click.echo(f"{name}: not here (`vpbench weights fetch {name}`)", err=True)
    if not findings and not absent:
        click.echo("No weights are here yet. See: vpbench weights list")
