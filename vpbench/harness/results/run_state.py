"""May an old result be used again? What is declared, what was read, and which code made it.

Declared inputs are in the run id, so another input is another folder. The rest is checked here:
stages that were trained again, files that the method read by itself, and code. Nothing is computed;
a probe decides on code that has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from vpbench.core import schema
from vpbench.core.checkpoints import loads
from vpbench.core.code import (
    UNRECORDED,
    CodeTable,
    changed_modules,
    digest_cache,
    factory_modules,
)
from vpbench.core.hashing import digest
from vpbench.core.input_files import changed_inputs, file_hashes, file_names
from vpbench.core.methods import ResolvedMethod
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan
from vpbench.core.records import (
    Accepted,
    DiscoveredFile,
    RunInputs,
    ScoreRecord,
    ShardRecord,
)
from vpbench.core.rundir import RunDir, read_object, read_sealed, write_sealed
from vpbench.core.stat_cache import StatCache
from vpbench.core.tasks import Task
from vpbench.harness.prediction.inputs import new_beside

Which = Literal["predictions", "scores"]


@dataclass(frozen=True)
class RunState:
    """What exists of a run.

    Attributes:
        status: "new", "partial" (to continue with), "finished", "changed" (finished by other code:
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


_SHOWN = ("kind", "conditioning_frames", "uses")
"""Fields of run.json that tables print of a method and that are in no key."""

_NAMED: tuple[Literal["classes"], Literal["joints"]] = ("classes", "joints")


def inspect_run(run: RunPlan, task: Task, paths: Paths) -> RunState:
    """Look at a run's folder.

    Raises:
        HashMismatch, Corrupt: a file in it is not what was written; names it.
    """
    folder = run.folder
    if not folder.record.is_file():
        return RunState("new")
    record = folder.read_record()
    if record["stage_hashes"] != stage_hashes(run):
        return RunState("stale", "its stages were trained again")
    if _shown(record["inputs"]) != _shown(run.inputs(task)):
        return RunState("stale", "what the method declares of its inputs changed")
    told = record["inputs"].get("names", task.names)
    renamed = [what for what in _NAMED if told[what] != task.names[what]]
    if renamed:
        return RunState("stale", f"the names of {' and '.join(renamed)} changed")
    hashes = file_hashes(paths.cache)
    if not folder.manifest.is_file():
        return _partial(run, paths)
    manifest = folder.check()
    files = changed_inputs(manifest["inputs"], hashes)
    files += new_beside(
        manifest["inputs"],
        run.method,
        hashes,
        (paths.runs, paths.cache),
        linked=manifest.get("links", False),
    )
    if files:
        return RunState("stale", f"{file_names(files)} changed")
    tables = (row["code"] for row in manifest["shards"])
    modules = changed_code(folder, tables, "predictions", paths, code_of(run.method))
    return RunState("changed", modules=tuple(modules)) if modules else RunState("finished")


def _shown(inputs: RunInputs) -> list[Any]:
    return [inputs[field] for field in _SHOWN]


def _partial(run: RunPlan, paths: Paths) -> RunState:
    """An interrupted run continues only with the code and files that it began with."""
    records = [
        cast("ShardRecord", read_sealed(path, schema.SHARD))
        for path in sorted(run.folder.predictions.glob("[0-9]*.json"))
    ]
    if not records:
        return RunState("partial")
    foreign = [record["run"][:8] for record in records if record["run"] != run.key]
    if foreign:
        return RunState("stale", f"its folder contained predictions of the run {foreign[0]}")
    read: list[DiscoveredFile] = [f for record in records for f in record["inputs"]]
    files = changed_inputs(read, file_hashes(paths.cache))
    if files:
        return RunState("stale", f"{file_names(files)} changed while it was interrupted")
    tables = (record["code"] for record in records)
    modules = changed_code(run.folder, tables, "predictions", paths, code_of(run.method))
    if modules:
        return RunState("stale", "code changed while it was interrupted", tuple(modules))
    return RunState("partial")


def code_of(method: ResolvedMethod) -> list[str]:
    """Modules that a method and its components come from: all code that made it has these."""
    return factory_modules(method.factories)


Seen = dict[tuple[str, tuple[str, ...]], list[str]]
"""(table, modules it must have) -> what differs in it, for runs that are looked at together."""


def changed_code(
    folder: RunDir,
    tables: Iterable[str],
    which: Which,
    paths: Paths,
    needed: Sequence[str] = (),
    seen: Seen | None = None,
) -> list[str]:
    """Modules that differ from all code that is known to make a run's results; sorted.

    Args:
        tables: the code that the results were made with: ids of tables for predictions, and for
            scores what `score_code` gives.
        needed: modules that would make them now; a table without them is of other code.
        seen: what was found of other runs, to be used again and added to; None looks again.
    """
    seen = {} if seen is None else seen
    digests = digest_cache(paths.cache)
    accepted = read_accepted(folder)[which]
    changed: set[str] = set()
    for name in dict.fromkeys(tables):
        differing: list[list[str]] = []
        for table_id in (_table(n) for n in (name, *accepted.get(name, []))):
            table = folder.read_code(table_id)
            key = (table_id if table is not None else "", tuple(needed))
            if key not in seen:
                seen[key] = _differing(table, needed, digests)
            differing.append(seen[key])
        if all(differing):
            changed.update(min(reversed(differing), key=len))  # the latest of equals
    return sorted(changed)


def score_code(score: ScoreRecord) -> str:
    """Names the code behind a score, and which score: what is accepted of one says nothing about
    another that the same code has computed.
    """
    return f"{score['metric']}@{score['fp8']}:{score.get('code', '')}"


def _table(key: str) -> str:
    return key.rpartition(":")[2]


def _differing(table: CodeTable | None, needed: Sequence[str], digests: StatCache) -> list[str]:
    if table is None:
        return [UNRECORDED]
    return [*changed_modules(table, digests), *(n for n in needed if n not in table["modules"])]


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
