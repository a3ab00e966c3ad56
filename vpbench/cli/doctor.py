"""doctor."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from vpbench.cli import options
from vpbench.cli.show import console, print_json
from vpbench.core.paths import Paths

_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "av",
    "opencv-python-headless",
    "click",
    "rich",
    "safetensors",
    "timm",
    "pytorch-fid",
    "entrypoints",
)


@click.command(epilog="\b\nExample:\n  vpbench doctor --json")
@options.storage
@options.output
def doctor(runs: str | None, offline: bool, as_json: bool, debug: bool) -> int:
    """Check the installation, folders and plugins, and print a fix for each problem."""
    paths = options.folders(runs, offline)
    checks: list[dict[str, Any]] = []
    for check in _checks(paths):  # each is shown as it comes: the last ones take their time
        checks.append(check)
        if not as_json:
            _show(check)
    problems = [c for c in checks if c["level"] == "error"]
    if as_json:
        print_json({"schema": "vpbench.doctor/1", "ok": not problems, "checks": checks})
    return 5 if problems else 0


def _checks(paths: Paths) -> Iterator[dict[str, Any]]:
    yield from _machine()
    yield from _folders(paths)
    yield from _data()
    yield from _packages()
    yield from _plugins()


_SIGNS = {"ok": ("ok  ", "green"), "warning": ("warn", "yellow"), "error": ("FAIL", "red")}


def _show(check: dict[str, Any]) -> None:
    from rich.text import Text

    sign, colour = _SIGNS[check["level"]]
    line = Text(sign, style=colour) + Text(f"  {check['what']}: {check['value']}", style="")
    if check["fix"]:
        line += Text(f"  {check['fix']}", style="yellow")
    console().print(line, soft_wrap=True)


def _check(what: str, state: str, level: str = "ok", fix: str = "") -> dict[str, Any]:
    return {"what": what, "value": state, "level": level, "fix": fix}


def _machine() -> list[dict[str, Any]]:
    from vpbench import __version__
    from vpbench.core.provenance import machine

    here = machine()
    text = f"{here['system']}, {here['cores']} cores, {here['memory_gib']} GiB, {here['processor']}"
    level = "warning" if sys.platform == "win32" else "ok"
    fix = "Windows is untested." if level == "warning" else ""
    return [
        _check("vpbench", f"{__version__} on Python {here['python']}"),
        _check("machine", text, level, fix),
    ]


def _packages() -> Iterator[dict[str, Any]]:
    from importlib.metadata import PackageNotFoundError, version

    for name in _PACKAGES:
        try:
            yield _check(name, version(name))
        except PackageNotFoundError:
            yield _check(name, "not installed", "error", f"pip install {name}")
    try:
        from vpbench.kit.threads import device_name

        yield _check("device", device_name())
    except (ImportError, OSError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        yield _check(
            "device",
            f"torch does not import: {first}",
            "error",
            "pip install --force-reinstall torch torchvision",
        )


def _folders(paths: Paths) -> list[dict[str, Any]]:
    return [
        _writable("runs", paths.runs, "--runs DIR"),
        *_set_aside(paths.runs),
        _writable("cache", paths.cache, "VPBENCH_HOME"),
    ]


def _set_aside(runs: Path) -> list[dict[str, Any]]:
    """Out-of-date results that were set aside, and their size on disk."""
    from vpbench.core.run_folders import folder_size, retired

    kept = retired(runs)
    if not kept:
        return []
    size = sum(folder_size(folder) for folder in kept) / 1e6
    text = f"{len(kept)} set aside, {size:.0f} MB"
    return [_check("retired runs", text, fix="Remove them: vpbench prune")]


def _writable(what: str, folder: Path, switch: str) -> dict[str, Any]:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return _check(
            what,
            f"{folder} cannot be written ({error.strerror})",
            "error",
            f"Choose another folder with {switch}.",
        )
    import shutil

    return _check(what, f"{folder} ({shutil.disk_usage(there).free / 2**30:.0f} GiB free)")


def _data() -> list[dict[str, Any]]:
    checks: list[dict[str, Any]] = []
    for name in ("VPBENCH_DATA", "VPBENCH_WEIGHTS"):
        value = os.environ.get(name)
        if value and not Path(value).is_dir():
            checks.append(_check(name, f"{value} is not a folder", "error", "Correct or unset it."))
        elif value:
            inside = ", ".join(sorted(p.name for p in Path(value).iterdir())[:12])
            checks.append(_check(name, f"{value}: {inside or 'empty'}"))
    return checks


def _plugins() -> list[dict[str, Any]]:
    from vpbench.core.discovery import culprits
    from vpbench.core.registry import registry

    plugins = registry()
    good = [e for e in plugins.entries if e.status == "ok"]
    checks = [_check("plugins", f"{len(good)} loaded, discovered with {plugins.finder}")]
    if plugins.trouble:
        for package in culprits() or [plugins.trouble]:
            checks.append(
                _check("entry points", package, "warning", "importlib.metadata is used instead.")
            )
    checks += [
        _check(f"{e.kind} {e.name}", f"broken: {e.reason}", "warning", f"From {e.origin}.")
        for e in plugins.entries
        if e.status == "broken"
    ]
    return checks
