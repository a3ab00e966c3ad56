"""May an old result be used again? What is declared, what was read, and which code made it.

Declared inputs are in the run id, so another input is another folder. The rest is checked here:
stages that were trained again, files that the method read by itself, and code. Nothing is computed;
a probe decides on code that has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from vpbench.core import schema
from vpbench.core.checkpoints import loads
from vpbench.core.code import CodeTable, changed_modules, digest_cache
from vpbench.core.hashing import digest
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.records import Accepted, DiscoveredFile, ShardRecord
from vpbench.core.rundir import RunDir, read_object, read_sealed, write_sealed
from vpbench.harness.prediction.inputs import changed_inputs, file_hashes, new_beside

Which = Literal["predictions", "scores"]

UNRECORDED = "(not recorded)"


@dataclass(frozen=True)
class RunState:
    """What exists of a run.

    Attributes:
        status: "new", "partial" (to go on with), "finished", "changed" (finished by other code:
            a probe decides), "stale" (never to be used again).
        reason: why it is stale.
        modules: what has changed of the code.
    """

    status: Literal["new", "partial", "finished", "changed", "stale"]
    reason: str = ""
    modules: tuple[str, ...] = ()


def stage_hashes(run: RunPlan) -> dict[str, str]:
    """Content of the trained stages that a run's predictions come from."""
    return {
        s.node.label: digest(read_object(s.folder.record)["files"])
        for s in run.stages
        if s.folder.complete() and loads(s.node, run.method)
    }


def inspect_run(run: RunPlan, paths: Paths) -> RunState:
    """Look at a run's folder.

    Raises:
        HashMismatch, Corrupt: a file in it is not what was written; names it.
    """
    folder = run.folder
    if not folder.record.is_file():
        return RunState("new")
    if folder.read_record()["stage_hashes"] != stage_hashes(run):
        return RunState("stale", "its stages were trained again")
    hashes = file_hashes(paths.cache)
    if not folder.manifest.is_file():
        return _partial(run, paths)
    manifest = folder.check()
    files = changed_inputs(manifest["inputs"], hashes)
    files += new_beside(manifest["inputs"], run.method, hashes, (paths.runs, paths.cache))
    if files:
        return RunState("stale", f"{_files(files)} changed")
    modules = changed_code(
        folder, (row["code"] for row in manifest["shards"]), "predictions", paths
    )
    return RunState("changed", modules=tuple(modules)) if modules else RunState("finished")


def _partial(run: RunPlan, paths: Paths) -> RunState:
    """An interrupted run goes on only with the code and files that it began with."""
    records = [
        cast("ShardRecord", read_sealed(path, schema.SHARD))
        for path in sorted(run.folder.predictions.glob("[0-9]*.json"))
    ]
    if not records:
        return RunState("partial")
    read: list[DiscoveredFile] = [f for record in records for f in record["inputs"]]
    files = changed_inputs(read, file_hashes(paths.cache))
    if files:
        return RunState("stale", f"{_files(files)} changed while it was interrupted")
    modules = changed_code(run.folder, (r["code"] for r in records), "predictions", paths)
    if modules:
        return RunState("stale", "code changed while it was interrupted", tuple(modules))
    return RunState("partial")


def _files(paths: Sequence[str]) -> str:
    names = ", ".join(dict.fromkeys(Path(p).name for p in paths[:3]))
    return names + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def changed_code(folder: RunDir, tables: Iterable[str], which: Which, paths: Paths) -> list[str]:
    """Modules that differ from all code that is known to make a run's results; sorted.

    Args:
        tables: ids of the code tables that the results were made with.
    """
    digests = digest_cache(paths.cache)
    accepted = read_accepted(folder)[which]
    changed: set[str] = set()
    for name in dict.fromkeys(tables):
        names = (name, *accepted.get(name, []))
        known = [t for n in names if (t := folder.read_code(n)) is not None]
        # what has changed since the nearest of them, of equal ones the last
        since = min((changed_modules(t, digests) for t in reversed(known)), key=len, default=None)
        changed.update([UNRECORDED] if since is None else since)
    return sorted(changed)


def read_accepted(folder: RunDir) -> Accepted:
    """Code that was probed and gives the same results.

    Raises:
        HashMismatch: the file was changed, or is that of another run.
    """
    if not folder.accepted.is_file():
        return {"schema": schema.ACCEPTED, "run": "", "predictions": {}, "scores": {}}
    accepted = cast("Accepted", read_sealed(folder.accepted, schema.ACCEPTED))
    folder.check_bound(folder.accepted, accepted["run"])
    return accepted


def accept_code(folder: RunDir, tables: Iterable[str], which: Which, now: CodeTable) -> None:
    """Record that other code makes the same as the code of some tables did.

    Args:
        now: the code that was loaded when the probe found them equal. It may have modules that
            the tables do not name.
    """
    accepted = read_accepted(folder)
    known = accepted[which]
    other = folder.write_code(now)
    for name in dict.fromkeys(tables):
        known[name] = [*(n for n in known.get(name, []) if n != other), other]
    accepted["run"] = folder.read_record()["key"]
    write_sealed(folder.accepted, cast("dict[str, Any]", accepted))


def other_environment(folder: RunDir, tables: Iterable[str], now: CodeTable) -> bool:
    """Whether a result was made with other packages or on another processor, as far as is known."""
    here = now["environment"]
    for name in dict.fromkeys(tables):
        table = folder.read_code(name)
        there = {} if table is None else table["environment"]
        if any(there.get(k) != here.get(k) for k in ("python", "processor")):
            return True
        mine, theirs = here.get("packages", {}), there.get("packages", {})
        if any(mine[k] != theirs[k] for k in mine.keys() & theirs.keys()):
            return True
    return False
