"""Reads the specs of dataset plugins in a process of their own.

A dataset decides what all rows of a table are measured on, so its module is imported neither by a
command nor by workers that predict or score: see `vpbench.harness.inputs.stored_dataset`. What its
spec says is kept in the cache.

key: where the spec stands, the module path, and the stamps of all files that importing it loaded or
opened.
What a spec takes from the environment is not in it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vpbench import __version__
from vpbench.api.errors import Unwritable, VpbenchError
from vpbench.api.specs import DatasetSpec, Spec
from vpbench.core.child import Child, Send, serve
from vpbench.core.dataset_json import dataset_spec, to_json
from vpbench.core.files import write_bytes
from vpbench.core.hashing import canonical_json, digest
from vpbench.core.loading import absolute_value, first_line, source_of
from vpbench.core.paths import cache_folder
from vpbench.core.stamps import file_stamp, joint_stamp

WORD = "_specs"
"""Hidden verb of the command line."""

_WRITES = os.O_WRONLY | os.O_RDWR
"""Flags of files that are opened to be written."""

_KEPT = 64
"""Plugins whose specs are kept in the cache."""


@dataclass(frozen=True)
class SpecsRead:
    """What a process found where a plugin's specs stand.

    Attributes:
        specs: the specs of datasets.
        others: there are specs of other plugins, too; they are read by importing the module.
        broken: why it cannot be imported; "" if it can.
    """

    specs: tuple[DatasetSpec, ...] = ()
    others: bool = False
    broken: str = ""


def read_specs(value: str) -> SpecsRead:
    """The specs of datasets at a place, from the cache or from a process that imports it."""
    path = cache_folder() / "dataset-specs.json"
    where = digest([str(source_of(value)), value.partition(":")[2], sys.path, __version__])
    rows = _read_rows(path)
    row = rows.get(where)
    if row is None or row["stamp"] != _stamp(row["files"]):
        row = _ask(value)
        if row["stamp"]:
            rows.pop(where, None)
            _write_rows(path, {**rows, where: row})
    try:
        specs = tuple(dataset_spec(stored) for stored in row["specs"])
    except (TypeError, ValueError, KeyError, AttributeError, VpbenchError) as error:
        return SpecsRead(broken=f"its spec cannot be read: {error}")
    return SpecsRead(specs, row["others"], row["broken"])


def _ask(value: str) -> dict[str, Any]:
    child = Child(WORD, value)
    try:
        answer, _ = child.ask({"value": absolute_value(value), "path": sys.path})
    except VpbenchError as error:
        return {"specs": [], "others": False, "broken": str(error), "files": [], "stamp": ""}
    finally:
        child.close()
    return {**answer, "stamp": _stamp(answer["files"])}


def _stamp(files: Sequence[str]) -> str:
    """One stamp of some files; "" where one has changed a moment ago, or there are none."""
    stamp = joint_stamp((name, file_stamp(Path(name))) for name in files)
    return stamp.text if files and stamp.settled else ""


def _read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """What is kept; a file that is not what was written only costs time."""
    try:
        stored = json.loads(path.read_bytes())
        rows = cast("dict[str, dict[str, Any]]", stored["rows"])
        whole = stored["sha256"] == digest(rows)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return rows if whole else {}


def _write_rows(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    kept = dict(list(rows.items())[-_KEPT:])
    try:
        write_bytes(path, canonical_json({"rows": kept, "sha256": digest(kept)}))
    except (OSError, Unwritable):  # a read-only cache only costs time
        return


def main(load: Callable[[str], Sequence[Spec]]) -> int:
    """Answer `read_specs` of another process.

    Args:
        load: imports what stands at a place and gives its specs.
    """

    opened: set[str] = set()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str) and not args[2] & _WRITES:
            opened.add(args[0])

    def answer(request: dict[str, Any], send: Send) -> tuple[dict[str, Any], bytes]:
        sys.path[:] = request["path"]
        before = set(sys.modules)
        sys.addaudithook(hook)
        row: dict[str, Any] = {"specs": [], "others": False, "broken": ""}
        try:
            specs = load(request["value"])
            row["others"] = any(not isinstance(spec, DatasetSpec) for spec in specs)
            row["specs"] = [to_json(spec) for spec in specs if isinstance(spec, DatasetSpec)]
            json.dumps(row["specs"], allow_nan=False)
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
            row |= {"specs": [], "broken": first_line(error)}
        row["files"] = sorted(_loaded_since(before) | _data(opened))
        return row, b""

    serve(answer, lambda: "reading the spec")
    return 0


def _loaded_since(before: set[str]) -> set[str]:
    """Source files of the modules that were loaded since, those of vpbench left out."""
    files: set[str] = set()
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if name not in before and origin and name.partition(".")[0] != "vpbench":
            files.add(str(Path(origin).absolute()))
    return files


def _data(opened: Iterable[str]) -> set[str]:
    """Opened files that are neither compiled modules nor part of the installation."""
    system = (sys.prefix, sys.base_prefix, "/proc", "/dev")
    paths = {os.path.realpath(name) for name in opened if not name.endswith(".pyc")}
    return {path for path in paths if os.path.isfile(path) and not path.startswith(system)}
