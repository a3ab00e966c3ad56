"""How a command names a method that stands in a single file: `./mine.py:SPEC[a=1]`."""

from __future__ import annotations

from pathlib import Path

from vpbench.core.code import file_modules
from vpbench.core.loading import source_of
from vpbench.core.names import MethodRef
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir


def typed_name(method: str, value: str) -> str:
    """A method's name as a command takes it here.

    Args:
        method: its name in results: `mine[a=1]`.
        value: where its spec stands, "/home/me/mine.py:SPEC"; "" where the name alone will do.
    """
    path, colon, attribute = value.partition(":")
    if not path.endswith(".py") or not colon:  # a file of the plugin folder, say
        return method
    here = Path(path)
    if here.is_relative_to(Path.cwd()):
        path = f"./{here.relative_to(Path.cwd())}"
    return str(MethodRef(f"{path}{colon}{attribute}", MethodRef.parse(method).params))


def name_in_commands(method: str, registry: Registry) -> str:
    """The same of a method that was named on the command line; others keep their name."""
    base = MethodRef.parse(method).base
    rows = (e for e in registry.of("method") if e.name == base and e.status == "ok")
    entry = next(rows, None)
    return typed_name(method, entry.ref.value if entry and entry.ref.source == "cli" else "")


def recorded_file(folder: RunDir) -> str:
    """The single file that a finished run's method stands in: "/home/me/mine.py:SPEC".

    Of the files that its command named, the one which is part of the code that made it.

    Returns:
        "" where there is none, or it is not there any more.
    """
    for value in folder.read_record()["plugins"]:
        path = source_of(value)
        if path is None or path.suffix != ".py" or not value.startswith(str(path)):
            continue
        tables = {row["code"] for row in folder.read_manifest()["shards"]}
        made = [table for table in map(folder.read_code, tables) if table is not None]
        if path.is_file() and any(file_modules(path) & table["modules"].keys() for table in made):
            return value
    return ""


def name_of_run(folder: RunDir) -> str:
    """The name of a finished run's method as a command takes it here."""
    return typed_name(folder.read_record()["inputs"]["method"], recorded_file(folder))
