"""Makes an entry of finished runs: what they say, and nothing that they do not."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vpbench import __version__
from vpbench.api.errors import Incomparable, MissingData, UsageError, printable
from vpbench.api.specs import MethodSpec
from vpbench.api.types import Frames
from vpbench.board.decode import text_fault
from vpbench.board.entry import (
    ENTRY,
    Cost,
    Entry,
    EntryRun,
    Recogniser,
    Reported,
    Trust,
    entry_bytes,
    parse_entry,
)
from vpbench.board.parts import (
    EntryCheck,
    EntryMachine,
    EntryMethod,
    EntryStage,
    EntryTask,
    RowKind,
    Tier,
)
from vpbench.board.scores import entry_scores, labels_of
from vpbench.board.structure import TIME_FORMAT
from vpbench.core.hashing import digest
from vpbench.core.names import MethodRef, format_name, parse_name, safe_name
from vpbench.core.paths import Paths
from vpbench.core.records import RunInputs, StageRow
from vpbench.core.registry import Entry as Plugin
from vpbench.core.registry import Registry
from vpbench.core.rundir import RunDir, read_object
from vpbench.harness.prediction.shards import read_shard
from vpbench.harness.results.finished_runs import FinishedRun

ISOLATION = "a worker process of its own, which is not handed the true future"

_TASK = (
    *("id", "name", "split", "n", "n_max", "t0", "horizon", "stride", "start", "windows"),
    *("short", "size", "geometry", "rendered", "limit", "train_on", "trained_as"),
)
"""Fields of run.json's task that an entry has under the same name."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What runs do not say, from whoever makes the entry.

    Attributes:
        entry_id: None for one made of the method's name and the run id.
        by: who ran it.
        scored_by: who scored it, where that is somebody else.
        tier: None for "reimplementation" where the method comes with vpbench, else "original".
        url: where the bundle is published.
    """

    entry_id: str | None = None
    by: str | None = None
    scored_by: str | None = None
    tier: Tier | None = None
    url: str | None = None
    notes: tuple[str, ...] = ()
    reported: tuple[Reported, ...] = ()


def make_entry(
    runs: Sequence[FinishedRun], registry: Registry, paths: Paths, about: About | None = None
) -> Entry:
    """The entry of runs that differ in nothing but their seeds; the same runs give the same entry.

    Raises:
        Incomparable: they differ in more.
        MissingData: a run has no score.
        Corrupt: something in them does not fit an entry, such as a name with a control character.
    """
    about = about or About()
    ordered = sorted(runs, key=lambda r: (r.inputs["fit_seed"] or 0, r.inputs["seed"]))
    first = ordered[0]
    _check_alike(ordered)
    clips = sorted(item for shard in first.manifest["shards"] for item in shard["items"])
    classes, labels = labels_of(first, clips)
    entry = Entry(
        schema=ENTRY,
        id=about.entry_id or entry_id(ordered),
        created=timestamp(max(run.closed for run in ordered)),
        vpbench=__version__,
        task=entry_task(first.inputs),
        method=_method(first, registry, about),
        trust=Trust(
            sampled_by=about.by,
            scored_by=about.scored_by or about.by,
            level="self-reported",
            isolation=ISOLATION,
        ),
        clips=tuple(clips),
        runs=tuple(_run(run, clips, about.url) for run in ordered),
        classes=classes,
        labels=labels,
        cost=_cost(first),
        recognisers=_recognisers(ordered, paths),
        reported=about.reported,
        notes=tuple(map(one_line, about.notes)),
    )
    return parse_entry(entry_bytes(entry), Path(f"{entry.id}.json"))


def entry_id(runs: Sequence[FinishedRun]) -> str:
    """`my-method-0c30f7cd`: the method's name and the run id, or a hash of several."""
    keys = [run.folder.read_record()["key"] for run in runs]
    name = safe_name(runs[0].inputs["method"])[:100].lstrip("+._-") or "method"
    return f"{name}-{keys[0][:8] if len(keys) == 1 else digest(keys)[:8]}"


def timestamp(seconds: float) -> str:
    """`2026-11-26T22:29:37Z`."""
    return time.strftime(TIME_FORMAT, time.gmtime(seconds))


def group_key(run: FinishedRun) -> tuple[str, str, str, int, str, str]:
    """What all runs of one entry share."""
    inputs = run.inputs
    own = digest([inputs["spec"], inputs["preset"], inputs["data"], inputs["task"]])
    task = inputs["task"]
    return task["id"], inputs["method"], run.train_on, inputs["samples"], own, task["split_hash"]


def clip_hashes(folder: RunDir) -> dict[str, str]:
    """sha256 of the predicted frames of each clip, with their shape.

    Raises:
        HashMismatch: a shard is not what was written.
    """
    hashes: dict[str, str] = {}
    for row in folder.read_manifest()["shards"]:
        frames = read_shard(folder, row)
        for item, clip in zip(row["items"], frames, strict=True):
            hashes[item] = _frames_hash(clip)
    return hashes


def predictions_hash(clips: Mapping[str, str]) -> str:
    """sha256 over the ids and hashes of all clips: the predicted frames and nothing else."""
    return digest(sorted([clip, sha] for clip, sha in clips.items()))


def _frames_hash(frames: Frames) -> str:
    total = hashlib.sha256(f"{list(frames.shape)}\n".encode())
    total.update(frames.tobytes())
    return total.hexdigest()


def _check_alike(runs: Sequence[FinishedRun]) -> None:
    if not runs:
        raise UsageError("an entry needs at least one run.")
    if len({group_key(run) for run in runs}) > 1:
        names = ", ".join(sorted({run.inputs["method"] for run in runs}))
        raise Incomparable(
            f"the runs of {names} differ in more than their seeds.", fix="Add them one by one."
        )
    seeds = [(run.inputs["fit_seed"], run.inputs["seed"]) for run in runs]
    if len(set(seeds)) < len(seeds):
        raise Incomparable("two runs have the same seeds.", fix="Name each run once.")
    for run in runs:
        if not run.scores:
            raise MissingData(
                f"{run.folder.path} has no scores.", fix="Make them with: vpbench score"
            )


def entry_task(inputs: RunInputs) -> EntryTask:
    """The task of a run."""
    task = inputs["task"]
    named = parse_name(inputs["dataset"])
    kind, colon, path = named.base.partition(":")
    own = {name: task[name] for name in _TASK if name in task}
    return EntryTask(
        **own,
        dataset=format_name(f"{kind}:{Path(path).name}", named.params) if colon else named.base,
        dataset_version=inputs["data"],
        split_sha256=task["split_hash"],
        label=inputs["gives"]["label"],
        pose=inputs["gives"]["pose"],
        notes=task.get("notes", {}),
    )


def _method(run: FinishedRun, registry: Registry, about: About) -> EntryMethod:
    inputs = run.inputs
    identity = inputs["spec"]
    plugin = _plugin(inputs["method"], registry)
    spec = plugin.spec if plugin and isinstance(plugin.spec, MethodSpec) else None
    of_vpbench = plugin is not None and plugin.of_vpbench
    git = _env(run.folder, "git.json", "vpbench") if of_vpbench else {}
    return EntryMethod(
        name=inputs["method"],
        kind=_kind(inputs["kind"]),
        tier=about.tier or _tier(inputs["kind"], of_vpbench),
        version=identity.get("version", 1),
        api=identity.get("api"),
        factory=_factory(identity["factory"]),
        preset=inputs["preset"],
        params=identity["params"],
        conditioning_frames=inputs["conditioning_frames"],
        uses=tuple(inputs["uses"]),
        samples=inputs["samples"],
        dist=_dist(plugin),
        source_sha256=_source(run.folder, identity),
        commit=git.get("commit"),
        dirty=git.get("dirty"),
        licence=spec.licence or None if spec else None,
        citation=spec.citation or None if spec else None,
        slots=identity.get("slots", {}),
        weights=identity.get("weights", {}),
        notes=tuple(map(one_line, inputs["notes"])),
    )


def _kind(kind: str) -> RowKind:
    match kind:
        case "reference" | "ceiling" | "floor" | "null" | "oracle" | "imported":
            return kind
        case _:
            return "method"


def _tier(kind: str, of_vpbench: bool) -> Tier | None:
    if kind not in ("method", "oracle", "imported"):
        return None
    return "reimplementation" if of_vpbench else "original"


def _plugin(method: str, registry: Registry) -> Plugin | None:
    try:
        return registry.find("method", MethodRef.parse(method).base)
    except UsageError:
        return None


def _dist(plugin: Plugin | None) -> str | None:
    if plugin is None:
        return None
    if plugin.ref.source == "builtin":
        return f"vpbench=={__version__}"
    return f"{plugin.ref.dist}=={plugin.ref.version}" if plugin.ref.dist else None


def _factory(factory: str) -> str:
    """Without the folders of a single file, which say where somebody's home is."""
    module, colon, name = factory.rpartition(":")
    return f"{Path(module).name}{colon}{name}" if module.endswith(".py") else factory


def _source(folder: RunDir, identity: Mapping[str, Any]) -> str | None:
    """sha256 over the modules of the method's package, or of vpbench where it is part of that."""
    modules: set[tuple[str, str]] = set()
    for table in {row["code"] for row in folder.read_manifest()["shards"]}:
        code = folder.read_code(table)
        if code is None:
            return None
        modules |= set(code["modules"].items())
    inside = identity["factory"].startswith("vpbench.")
    own = sorted([n, d] for n, d in modules if (n.partition(".")[0] == "vpbench") == inside)
    return digest(own) if own else None


def _env(folder: RunDir, name: str, part: str = "") -> dict[str, Any]:
    """A file of env/, or an object in it; {} where it is not there."""
    path = folder.path / "env" / name
    value = read_object(path) if path.is_file() else {}
    inner = value.get(part) if part else value
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}


def _run(run: FinishedRun, clips: Sequence[str], url: str | None) -> EntryRun:
    record, manifest = run.folder.read_record(), run.manifest
    hashes = clip_hashes(run.folder)
    machine = _env(run.folder, "machine.json")
    return EntryRun(
        seed=run.inputs["seed"],
        fit_seed=run.inputs["fit_seed"],
        key=record["key"],
        vpbench=manifest["vpbench"],
        manifest_sha256=manifest["sha256"],
        predictions_sha256=predictions_hash(hashes),
        clip_sha256=tuple(hashes[clip] for clip in clips),
        closed=timestamp(run.closed),
        predict_seconds=round(sum(row["seconds"] for row in manifest["shards"]), 3),
        device=", ".join(sorted({row["device"] for row in manifest["shards"]})),
        scores=entry_scores(run, clips),
        predictions_url=url,
        hardware=EntryMachine(
            **{k: machine[k] for k in EntryMachine.__dataclass_fields__ if k in machine}
        ),
        stages=tuple(_stage(row, record["stage_hashes"]) for row in manifest["stages"]),
        notes=tuple(map(one_line, manifest["notes"])),
        discovered={_discovered(f["path"]): f["sha256"] for f in manifest["inputs"]},
    )


def _discovered(path: str) -> str:
    return printable(Path(path).name)


def _stage(row: StageRow, hashes: Mapping[str, str]) -> EntryStage:
    names = EntryCheck.__dataclass_fields__
    return EntryStage(
        stage=row["stage"],
        origin=row["origin"],
        seconds=row["seconds"],
        device=row["device"],
        threads=row["threads"],
        sha256=hashes.get(row["stage"]),
        checks=tuple(EntryCheck(**{n: check[n] for n in names}) for check in row["checks"]),
        notes=tuple(map(one_line, row["notes"])),
        not_comparable=tuple(map(one_line, row["not_comparable"])),
    )


def one_line(text: str) -> str:
    """One line of text without control characters."""
    line = printable(" ".join(text.split()))
    return line if not text_fault(line) else ascii(line)[1:-1]


def _cost(run: FinishedRun) -> Cost:
    """Hours of training and seconds of prediction, as the run states them."""
    rows = run.manifest["stages"]
    gpu = [row["seconds"] for row in rows if row["device"].startswith("cuda")]
    cpu = [row["seconds"] for row in rows if not row["device"].startswith("cuda")]
    predict = sum(row["seconds"] for row in run.manifest["shards"])
    return Cost(
        train_gpu_h=_hours(gpu),
        train_cpu_h=_hours(cpu),
        predict_s_per_clip=round(predict / max(1, run.manifest["n"]), 4),
    )


def _hours(seconds: Sequence[float]) -> float | None:
    return round(sum(seconds) / 3600, 4) if seconds else None


def _recognisers(runs: Iterable[FinishedRun], paths: Paths) -> tuple[Recogniser, ...]:
    """Of each score that names the weights of a recogniser, the clips that it was trained on."""
    wanted: dict[tuple[str, str], None] = {}
    for run in runs:
        for record in run.scores.values():
            weights = record["fingerprint"].get("recogniser")
            if isinstance(weights, str):
                wanted[record["metric"], weights] = None
    if not wanted:
        return ()
    from vpbench.metrics.action.two_stream.store import all_recognisers

    trained_on = {
        one.record["weights"]: tuple(row[0] for row in one.record["train"])
        for one in all_recognisers(paths.cache)
    }
    return tuple(
        Recogniser(metric=metric, sha256=weights, train=trained_on.get(weights, ()))
        for metric, weights in wanted
    )
