"""new-plugin."""

from __future__ import annotations

import importlib.util
import keyword
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from string import Template

import click

from vpbench.api.errors import UsageError
from vpbench.cli import options
from vpbench.cli.show import print_json
from vpbench.core.names import PLUGIN_NAME

LONGEST = 40
"""Most characters of a name: it becomes part of file names and of lines of at most 100."""

_SUFFIX = ".tmpl"
_UNTRAINED_SPACE = (10, "unsupervised")
_HOST = "METHOD"


@dataclass(frozen=True)
class Kind:
    """What can be generated. `{name}`, `{host}` and `{package}` are filled in.

    Attributes:
        group: the entry-point group, without "vpbench.".
        registry: the kind of plugin that it becomes.
        run: the command that tries it.
        rows: what to name in `compare` after that run.
        more: an option for `compare`.
        check: options for `check`.
        before: a command between installing and checking.
    """

    group: str
    registry: str
    run: str
    rows: str = ""
    more: str = ""
    check: str = ""
    before: str = ""


_METHOD = Kind("methods", "method", "vpbench run {name} --dataset puppets", "{name}")


def _part(slot: str) -> Kind:
    rows = f"'{{host}}[{slot}={{name}}]'"
    return Kind("components", "component", f"vpbench run {rows} --dataset puppets", rows)


def _metric() -> Kind:
    run = "vpbench run copy-last --dataset puppets --metrics {name}"
    return Kind("metrics", "metric", run, "copy-last", " --metrics {name}")


KINDS = {
    "end-to-end": _METHOD,
    "trainable": _METHOD,
    "composed": _METHOD,
    "folder": _METHOD,
    "detector": _part("detector"),
    "motion": _part("motion"),
    "translator": _part("translator"),
    "metric": _metric(),
    "set-metric": _metric(),
    "dataset": Kind(
        "datasets",
        "dataset",
        "vpbench run copy-last --dataset {name} --root data/{name}",
        "copy-last",
        check=" --root data/{name}",
        before="python -m {package}.tiny data/{name}",
    ),
    "executor": Kind(
        "executors", "executor", "vpbench run copy-last --dataset puppets --on {name}", "copy-last"
    ),
}

EPILOG = """\b
Examples:
  vpbench new-plugin my-method
  vpbench new-plugin my-network --kind trainable
  vpbench new-plugin my-motion --kind motion --out ~/plugins
  vpbench new-plugin my-detector --kind detector --into my-method
  vpbench new-plugin my-metric --kind metric --json
  vpbench new-plugin my-videos --kind folder"""


@click.command("new-plugin", epilog=EPILOG)
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    metavar="KIND",
    default="end-to-end",
    show_default=True,
    help="A method without training (end-to-end), with training (trainable), in three parts "
    "(composed) or for videos of another program (folder); a part of a composed method (detector, "
    "motion, translator); a metric of clips (metric) or of sets (set-metric); a dataset; an "
    "executor, which decides where jobs run.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    default=".",
    metavar="DIR",
    help="Parent folder of the new package.  [default: here]",
)
@click.option(
    "--into",
    metavar="METHOD",
    help="The method that a detector, motion model or translator is written for.  "
    "[default: the first that is installed]",
)
@options.output
def new_plugin(name: str, kind: str, out: str, into: str | None, as_json: bool, debug: bool) -> int:
    """Write a complete package with a working plugin, its test and its check in CI.

    NAME is lower-case letters, digits and dashes. The package is vpbench-NAME in a folder of the
    same name; nothing that exists is overwritten.
    """
    host, space = _host(kind, into)
    check_name(name, kind)
    folder = Path(out).expanduser() / f"vpbench-{name}"
    words = _words(name, kind, host, space)
    written = write_package(kind, folder, words)
    install = f"pip install --no-build-isolation -e {shlex.quote(str(folder))}"
    following = [c for c in (install, words["before"], words["check"], words["run"]) if c]
    if as_json:
        print_json(
            {
                "schema": "vpbench.new-plugin/1",
                "name": name,
                "kind": kind,
                "folder": str(folder),
                "files": written,
                "next": following,
            }
        )
        return 0
    click.echo(f"{folder}: {len(written)} files, a working {kind} plugin.")
    click.echo(f"Places to edit are marked EDIT in {words['package']}/.")
    click.echo("Next:")
    for command in following:
        click.echo(f"  {command}")
    return 0


def check_name(name: str, kind: str) -> None:
    """Refuse a name that cannot be used or is taken.

    Raises:
        UsageError: it is not a plugin name, or a plugin or Python package has it already.
    """
    from vpbench.core.registry import RESERVED, registry

    shape = PLUGIN_NAME.fullmatch(name) and "--" not in name and not name.endswith("-")
    if not shape or len(name) > LONGEST:
        raise UsageError(
            f"{name!r} is not a plugin name: lower-case letters, digits and single dashes, "
            f"a letter first, at most {LONGEST} characters.",
            fix="Example: my-method.",
        )
    if name in RESERVED:
        raise UsageError(f"the name {name!r} is reserved by vpbench.")
    taken = [e for e in registry().of(KINDS[kind].registry) if e.name == name]
    if taken:
        raise UsageError(
            f"there is a {KINDS[kind].registry} {name!r} already, from {taken[0].origin}.",
            fix="Choose another name.",
        )
    package = package_name(name)
    if importlib.util.find_spec(package) is not None:
        raise UsageError(f"a Python package {package} exists already.", fix="Choose another name.")


def package_name(name: str) -> str:
    """`my-method` -> `vpbench_my_method`, the package that is imported."""
    package = f"vpbench_{name.replace('-', '_')}"
    assert package.isidentifier() and not keyword.iskeyword(package)  # by the shape of names
    return package


def write_package(kind: str, folder: Path, words: dict[str, str]) -> list[str]:
    """Fill in the templates of a kind.

    Args:
        kind: one of `KINDS`.
        folder: is created.
        words: what `$word` in file names and contents becomes.

    Returns:
        Paths of the files inside `folder`, sorted.

    Raises:
        UsageError: `folder` exists.
        Unwritable: it cannot be written.
    """
    from vpbench.core.files import make_folder, storage, write_bytes
    from vpbench.core.outdir import named_output

    content = {
        Template(path).substitute(words): Template(text).substitute(words)
        for path, text in _templates(kind).items()
    }
    with named_output():
        make_folder(folder.parent)
        with storage(folder):
            try:
                folder.mkdir()
            except FileExistsError:
                raise UsageError(
                    f"{folder} exists; nothing was written.",
                    fix="Choose another name or --out DIR.",
                ) from None
        for path, text in content.items():
            write_bytes(folder / path, text.encode())
    return sorted(content)


def _templates(kind: str) -> dict[str, str]:
    """Path below the package's folder -> template, those for all kinds included."""
    top = files("vpbench").joinpath("templates")
    templates: dict[str, str] = {}
    for part in ("common", kind):
        templates |= dict(_walk(top.joinpath(part), PurePosixPath()))
    return templates


def _walk(folder: Traversable, prefix: PurePosixPath) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, prefix / entry.name)
        elif entry.name.endswith(_SUFFIX):
            path = prefix / entry.name.removesuffix(_SUFFIX)
            yield str(path), entry.read_text(encoding="utf-8")


def _words(name: str, kind: str, host: str, space: tuple[int, str]) -> dict[str, str]:
    """What `$word` stands for in the templates of a kind."""
    what = KINDS[kind]
    fill = {"name": name, "host": host, "package": package_name(name)}
    rows = what.rows.format(**fill)
    return {
        "name": name,
        "dist": f"vpbench-{name}",
        "package": package_name(name),
        "group": f"vpbench.{what.group}",
        "host": host,
        "points": str(space[0]),
        "convention": space[1],
        "before": what.before.format(**fill),
        "check": f"vpbench check {name}{what.check.format(**fill)}",
        "run": what.run.format(**fill),
        "compare": f"vpbench compare {rows}{what.more.format(**fill)}",
    }


def _host(kind: str, into: str | None) -> tuple[str, tuple[int, str]]:
    """A method with a slot for this kind of component, and the keypoint space of its detector.

    Raises:
        UnknownName: `into` is not installed.
    """
    from vpbench.api.errors import VpbenchError
    from vpbench.api.specs import MethodSpec
    from vpbench.core.names import MethodRef
    from vpbench.core.registry import registry
    from vpbench.core.resolve import resolve

    if KINDS[kind].registry != "component":
        return _HOST, _UNTRAINED_SPACE
    plugins = registry()
    if into is not None:
        plugins.method(into)
    for entry in plugins.of("method"):
        if into is not None and entry.name != into:
            continue
        spec = entry.spec
        if entry.status != "ok" or not isinstance(spec, MethodSpec) or kind not in spec.slots:
            continue
        try:
            slots = resolve(MethodRef(spec.name, {}), plugins, 64).slots
        except VpbenchError:
            continue
        spaces = [c.space for c in slots.values() if c.space is not None]
        return spec.name, spaces[0] if spaces else _UNTRAINED_SPACE
    return _HOST, _UNTRAINED_SPACE
