"""info: what a plugin declares, as a page, JSON or BibTeX; what a run holds."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vpbench.cli import completion, options
from vpbench.cli.opening import parse_methods, recorded_files
from vpbench.cli.pages import beside, heading, plain_text
from vpbench.cli.run_page import print_run
from vpbench.cli.show import print_json
from vpbench.core.command_names import name_in_commands
from vpbench.core.names import MethodRef, parse_name

if TYPE_CHECKING:
    from vpbench.api.capabilities import Capabilities
    from vpbench.api.specs import MethodSpec
    from vpbench.core.methods import ResolvedMethod
    from vpbench.core.registry import Entry, Registry
    from vpbench.harness.training.estimate import PresetCost

_EPILOG = """\b
Examples:
  vpbench info my-method
  vpbench info 'my-method[motion=frozen]' --json
  vpbench info metric:psnr --bibtex
  vpbench info ./my_method.py:SPEC
  vpbench info runs/folder-clips-1a2b3c4d/copy-last/0f1e2d3c"""

_SIZE = 64
"""Pixels for which a bare name is resolved."""

_LEFT = 10
"""Characters of the names at the left of a page."""

_ELSEWHERE = (
    *("name", "kind", "source", "summary", "capabilities", "uses", "presets", "default_preset"),
    *("effort", "costs", "stages", "slots", "weights", "checkpoints", "params", "notes"),
    *("citation", "licence", "factory", "registry", "overrides", "version", "api", "trials"),
    *("later", "expected_failures"),
)
"""Fields that the page shows in its own words, or that only plugin authors need (`--json`)."""


@click.command(epilog=_EPILOG)
@click.argument("what", metavar="NAME|RUN", shell_complete=completion.names())
@click.option("--bibtex", is_flag=True, help="Print only the citation, as BibTeX.")
@options.output
def info(what: str, bibtex: bool, as_json: bool, debug: bool) -> int:
    """Show what a plugin declares, or what a run folder holds.

    What a method needs is shown for its parameters and with the components in its slots, by default
    those that it takes at 64 px; NAME[key=value] changes them.
    """
    from vpbench.core.registry import registry

    if (Path(what) / "run.json").is_file():
        return _run_info(Path(what), as_json)
    plugins = registry()
    named = parse_name(what) if ".py" not in what else None
    if named is None or "." in named.base:
        refs, values = parse_methods([what])
        plugins, named = registry(values), parse_name(str(refs[0]))
    elif not _known(named.base, plugins):
        plugins = registry(recorded_files([named.base], options.folders(None, True).runs))
    entry = _find(named.base, plugins)
    assert entry.spec is not None  # find() refuses broken rows
    ref = MethodRef(named.base.removeprefix("method:"), named.params)
    method = _resolved(entry, ref, plugins)
    if bibtex:
        from vpbench.render.bibtex import bibtex as written

        cited = entry.spec.citation
        click.echo(written(cited, entry.name) if cited else f"{entry.name} has no citation.")
        return 0
    record = _record(entry, method)
    if as_json:
        print_json({"schema": "vpbench.info/1", **record})
    else:
        _print_page(entry, method, record, plugins)
    return 0


def _record(entry: Entry, method: ResolvedMethod | None) -> dict[str, Any]:
    """All that is declared, with the parameters in the name of a method applied."""
    record = {"name": entry.name, "kind": entry.kind, "source": entry.origin}
    record |= {f.name: getattr(entry.spec, f.name) for f in fields(entry.spec) if f.name != "name"}  # pyright: ignore[reportArgumentType]
    if method is not None:
        record |= {
            "name": method.name,
            "capabilities": method.capabilities,
            "uses": method.uses,
            "notes": method.notes,
        }
    return record


def _resolved(entry: Entry, ref: MethodRef, plugins: Registry) -> ResolvedMethod | None:
    """The method with the parameters in its name; None for another kind of plugin.

    Raises:
        UsageError: another kind of plugin has no parameters in brackets.
    """
    from vpbench.api.errors import UsageError
    from vpbench.core.resolve import resolve

    if entry.kind != "method":
        if ref.params:
            raise UsageError(
                f"{ref.base} is a {entry.kind}; only methods take parameters in brackets."
            )
        return None
    return resolve(ref, plugins, _SIZE)


# The page.


def _print_page(
    entry: Entry, method: ResolvedMethod | None, record: Mapping[str, Any], plugins: Registry
) -> None:
    heading(f"{record['name']}: {record['summary']}")
    origin = "" if entry.of_vpbench else f" from {entry.origin}"
    _line("what", f"{entry.kind}{origin}")
    if method is not None:
        _print_method(method, plugins)
    elif "capabilities" in record:
        _line("needs", needs(record["capabilities"]))
    for key, value in record.items():
        if key not in _ELSEWHERE and value not in ("", None, (), {}, []):
            _line(key, plain_text(value))
    _line("licence", record.get("licence"))
    cited = [part.strip() for part in str(record.get("citation") or "").split("; ")]
    quoted = shlex.quote(name_in_commands(entry.name, plugins))
    _line("cite", [*cited, f"BibTeX: vpbench info {quoted} --bibtex"] if cited[0] else "")
    if method is not None and not method.capabilities.oracle:
        _line("run it", f"vpbench run {quoted} --dataset puppets")


def _print_method(method: ResolvedMethod, plugins: Registry) -> None:
    from vpbench.harness.training.estimate import preset_costs

    spec = method.spec
    _line("needs", needs(method.capabilities))
    if method.slots:
        _line("parts", ", ".join(f"{slot} {p.spec.name}" for slot, p in method.slots.items()))
    costs = preset_costs(method, plugins)
    if costs:
        from vpbench.render.text import aligned

        head = ("preset", "taken at", "steps", "2 CPU cores", "one H100")
        rows = [
            (c.preset or "-", _taken(spec, c.preset), f"{c.steps:,}", c.cpu, c.gpu) for c in costs
        ]
        _line("presets", aligned([head, *rows]))
        _line("", f"times at {_sizes(costs)}")
        _line("", "trained from nothing; what is bundled is not trained again")
    _line("stages", " -> ".join(_stages(method)))
    _line("weights", _weights(method))
    _line("bundled", _bundled(method))
    shown = {k: v for k, v in method.params.items()}
    _line("set to", ", ".join(f"{k}={plain_text(v)}" for k, v in shown.items()))
    _line("notes", method.notes)


def _sizes(costs: Sequence[PresetCost]) -> str:
    """`64 px, of preset paper at 128 px`."""
    others = [f"of preset {c.preset} at {c.size} px" for c in costs if c.size != _SIZE]
    return ", ".join([f"{_SIZE} px", *others])


def _taken(spec: MethodSpec, preset: str) -> str:
    """The sizes at which a bare name takes a preset."""
    smaller = 0
    for largest, name in spec.default_preset:
        if name == preset:
            above = f"over {smaller} px" if smaller else "any size"
            return f"up to {largest} px" if largest else above
        smaller = largest or smaller
    return "-"


def _stages(method: ResolvedMethod) -> list[str]:
    own = [stage.name for stage in method.spec.stages if stage.kind == "fit"]
    return own or [p.spec.name for p in method.slots.values() if p.spec.trained_by == "self"]


def _weights(method: ResolvedMethod) -> list[str]:
    from vpbench.metrics.weights.fetch import candidates, locate
    from vpbench.metrics.weights.weight_file import weight_file

    lines: list[str] = []
    for spec in method.weights():
        file = weight_file(spec)
        cache = options.folders(None, True).cache
        here = any(candidates(file)) or locate(file, cache, verify=False) is not None
        size = f"{file.download / 1e6:.0f} MB"
        lines.append(f"{file.name} ({size}, {'here' if here else 'not here'}), for training")
    return lines


def _bundled(method: ResolvedMethod) -> str:
    """How many trained stages come with the method, and their size on disk."""
    folder = method.folder
    paths = [folder / c.source for c in method.spec.checkpoints] if folder else []
    found = [path for path in paths if path.is_dir()]
    if not found:
        return ""
    size = sum(f.stat().st_size for path in found for f in path.rglob("*") if f.is_file())
    plural = "" if len(found) == 1 else "s"
    return f"{len(found)} trained stage{plural}, {size / 1e6:.1f} MB"


def needs(capabilities: Capabilities) -> str:
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


def _line(name: str, texts: str | Iterable[str] | None) -> None:
    lines = [texts] if isinstance(texts, str) else list(texts or ())
    if any(lines):
        beside(name, lines, _LEFT)


def _find(what: str, plugins: Registry) -> Entry:
    """`name`, or `kind:name` where several kinds share it."""
    from vpbench.api.errors import UnknownName, UsageError
    from vpbench.core.registry import KINDS

    kind, colon, name = what.partition(":")
    if colon and kind in KINDS:
        return plugins.find(kind, name)
    kinds = [k for k in KINDS if what in plugins.names(k)]
    if len(kinds) > 1:
        raise UsageError(f"{what!r} is a {' and a '.join(kinds)}.", fix=f"Write {kinds[0]}:{what}.")
    if not kinds:
        known = [n for k in KINDS for n in plugins.names(k)]
        raise UnknownName("plugin", what, known, hint="See all with: vpbench list")
    return plugins.find(kinds[0], what)


def _known(what: str, plugins: Registry) -> bool:
    """Whether any plugin has that name."""
    from vpbench.core.registry import KINDS

    return ":" in what or any(what in plugins.names(kind) for kind in KINDS)


# Runs.


def _run_info(path: Path, as_json: bool) -> int:
    from vpbench.core.command_names import name_of_run
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
        print_run(path, record, name_of_run(run.folder))
    return 0


def _stage_code(run: Any) -> dict[str, str]:
    """Stage -> what is known of the code that trained it, for stages that are still here."""
    from vpbench.core.registry import registry
    from vpbench.harness.results.finished_runs import stage_folders
    from vpbench.harness.training.attest import code_of_stage

    paths = options.folders(None, True)
    folders = stage_folders(run, registry())
    return {label: code_of_stage(folder, paths) for label, folder in folders.items()}
