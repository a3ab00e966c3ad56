"""weights: list, fetch, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.cli import options
from vpbench.cli.groups import OrderedGroup
from vpbench.cli.pages import beside
from vpbench.cli.progress import Progress
from vpbench.cli.show import console, print_json
from vpbench.core.paths import Paths
from vpbench.metrics.weights.known import KnownWeights, Owner, find_known, known_weights
from vpbench.metrics.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from vpbench.metrics.weights.verify import Verified

_OURS = ("builtin", "vpbench")
"""Origins that the list does not mention."""

_EPILOG = """\b
Examples:
  vpbench weights list
  vpbench weights fetch i3d
  vpbench weights verify"""


@click.group(cls=OrderedGroup, epilog=_EPILOG)
def weights() -> None:
    """List, fetch and verify pretrained weights.

    These are the files that installed plugins declare. Your own copies are used from the folder
    that VPBENCH_WEIGHTS names.
    """


_LIST_EPILOG = """\b
Examples:
  vpbench weights list
  vpbench weights list --json"""


@weights.command("list", epilog=_LIST_EPILOG)
@options.storage
@options.output
def list_(runs: str | None, offline: bool, as_json: bool, debug: bool) -> int:
    """List the weights that plugins use, with size, licence, availability and owners."""
    from vpbench.core.registry import registry

    paths = options.folders(runs, offline)
    rows, problems = known_weights(registry())
    items = [_item(row, paths) for row in rows]
    if as_json:
        print_json({"schema": "vpbench.weights-list/1", "items": items, "problems": problems})
        return 0
    _print_list(rows, items)
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    return 0


def _item(row: KnownWeights, paths: Paths) -> dict[str, Any]:
    """One row; nothing is converted or verified."""
    from vpbench.metrics.weights.fetch import candidates, locate
    from vpbench.metrics.weights.weight_cache import recorded_pin

    file = row.file
    path = next(iter(candidates(file)), None) or locate(file, paths.cache, verify=False)
    return {
        "name": file.name,
        "owners": [
            {"kind": o.kind, "name": o.name, "source": o.origin, "when": dict(o.when)}
            for o in row.owners
        ],
        "size": file.download,
        "licence": file.licence,
        "pinned": file.pinned,
        "sha256": file.sha256,
        "recorded_sha256": None if file.pinned else recorded_pin(file, paths.cache),
        "path": str(path) if path else None,
        "sources": [s.title for s in file.sources],
        "note": file.note,
        "terms": file.terms,
    }


def _print_list(rows: list[KnownWeights], items: list[dict[str, Any]]) -> None:
    wide = max((len(item["name"]) for item in items), default=0)
    for row, item in zip(rows, items, strict=True):
        here = "here" if item["path"] else "not here"
        used_by = ", ".join(dict.fromkeys(map(_owner, row.owners)))
        left = f" {item['name']:{wide}}  {_size(row.file):>12}  {here:8}"
        style = "" if item["path"] else "dim"
        beside(left, [item["licence"], f"used by {used_by}"], len(left), style=style)
    own = [row.file.name for row in rows if row.file.own is not None]
    prefixes = [row.file.name for row in rows if not row.file.pinned and row.file.own is None]
    if prefixes:
        click.echo(
            "Published with 8 digits of their hash; the rest is pinned at the first download:"
        )
        click.echo(f"  {', '.join(prefixes)}")
    if own:
        click.echo(
            "Published without a hash, so not downloaded; put your own into VPBENCH_WEIGHTS:"
        )
        click.echo(f"  {', '.join(own)}")


def _owner(owner: Owner) -> str:
    """`fvd`, `my-metric (vpbench-my-metric 0.1.0)`."""
    foreign = owner.origin.partition(" ")[0] not in _OURS
    return f"{owner.name} ({owner.origin})" if foreign else owner.name


def _size(file: WeightFile) -> str:
    """What is downloaded, as people write it: "54 kB", "47 MB", "about 575 MB", "2.0 GB"."""
    size = file.download
    if not size:
        return "size unknown"
    if size >= 1e9:
        return f"{'' if file.size_known else 'about '}{size / 1e9:.1f} GB"
    text = f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
    return text if file.size_known else f"about {text}"


_FETCH_EPILOG = """\b
Examples:
  vpbench weights fetch i3d
  vpbench weights fetch vgg16-hed efficientnet-lite0
  vpbench weights fetch spynet-1 spynet-2 spynet-3 spynet-4 spynet-5 --agree

Some weights come with terms: they are shown, and you are asked before anything is downloaded
(--agree answers yes). PLUGIN:NAME chooses between plugins that use one name for two files."""


@weights.command(epilog=_FETCH_EPILOG)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--agree", is_flag=True, help="Agree to the terms of weights that come with terms.")
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
    """Put weights into the cache, from your own files or else the first source that works.

    Every file is checked by its hash and kept as safetensors; nothing in it is executed.
    """
    from vpbench.core.registry import registry

    files = [find_known(name, registry()).file for name in dict.fromkeys(names)]
    paths = options.folders(runs, offline)
    items: list[dict[str, Any]] = []
    for file in files:
        path = _fetch(file, paths, agree or _agreed(file, paths, as_json))
        items.append(_fetched(file, path))
        if not as_json:
            click.echo(f"{file.name}  {path}")
    if as_json:
        print_json({"schema": "vpbench.weights-fetch/1", "items": items})
    return 0


def _agreed(file: WeightFile, paths: Paths, as_json: bool) -> bool:
    """Ask on a terminal, where there is something to agree to and something to download."""
    from vpbench.metrics.weights.fetch import locate

    screen = console(stderr=True)
    if not file.terms or as_json or paths.offline or not screen.is_terminal:
        return False
    if locate(file, paths.cache, verify=False) is not None:
        return False
    return click.confirm(f"{file.label}: {file.terms}. Do you agree?", err=True)


def _fetch(file: WeightFile, paths: Paths, agreed: bool) -> Path:
    """Fetch one, with a bar on standard error; in a log, with lines."""
    from vpbench.metrics.weights.fetch import fetch as get

    with Progress(f"fetching {file.name}") as progress:
        begun = False

        def show(done: int, total: int | None) -> None:
            nonlocal begun
            if not begun and not progress.interactive:
                click.echo(f"fetching {file.name}, {_size(file)}", err=True)
            begun = True
            event = {"event": "progress", "what": file.name, "done": done, "total": total}
            progress({**event, "unit": "B"})

        return get(file, paths.cache, offline=paths.offline, progress=show, agreed=agreed)


def _fetched(file: WeightFile, path: Path) -> dict[str, Any]:
    from vpbench.api.errors import HashMismatch
    from vpbench.metrics.weights.weight_cache import record_of

    try:
        record = record_of(path)
    except HashMismatch:  # the content is known and was checked; only the record is gone
        record = {}
    return {
        "name": file.name,
        "path": str(path),
        "source": record.get("source"),
        "content": file.content or record.get("content"),
        "licence": file.licence,
    }


_VERIFY_EPILOG = """\b
Examples:
  vpbench weights verify
  vpbench weights verify i3d --json

Exit codes: 0 all files verified, 4 a file is corrupt or not the right one, 5 named weights are
missing."""


@weights.command(epilog=_VERIFY_EPILOG)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@options.storage
@options.output
def verify(
    names: tuple[str, ...], runs: str | None, offline: bool, as_json: bool, debug: bool
) -> int:
    """Verify all files in the cache and in the folder VPBENCH_WEIGHTS.

    The I3D network is checked tensor by tensor against the original's 230 checksums.
    """
    from vpbench.core.registry import registry
    from vpbench.metrics.weights.verify import verify as check

    files = [find_known(name, registry()).file for name in dict.fromkeys(names)]
    paths = options.folders(runs, offline)
    results = check(files or [row.file for row in known_weights(registry())[0]], paths.cache)
    here = {result.name for result in results}
    absent = [file.name for file in files if file.name not in here]
    if as_json:
        print_json(_verify_json(results, absent))
    else:
        _print_results(results, absent)
    if any(result.problem for result in results):
        return 4
    return 5 if absent else 0


def _verify_json(results: list[Verified], absent: list[str]) -> dict[str, Any]:
    problems = [
        {"level": "error", "path": str(r.path), "what": r.problem, "fix": r.fix}
        for r in results
        if r.problem
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
            {"name": r.name, "path": str(r.path), "ok": not r.problem, "proof": r.proof}
            for r in results
        ],
    }


def _print_results(results: list[Verified], absent: list[str]) -> None:
    for result in results:
        if result.problem:
            click.echo(f"{result.name}: {result.problem} {result.fix or ''}".rstrip(), err=True)
        else:
            click.echo(f"{result.name}  ok  {result.proof}  {result.path}")
    for name in absent:
        click.echo(f"{name}: not here (`vpbench weights fetch {name}`)", err=True)
    if not results and not absent:
        click.echo("No weights have been fetched yet. See: vpbench weights list")
