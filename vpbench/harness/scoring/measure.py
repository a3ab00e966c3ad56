"""`vpbench measure REAL FAKE`: metrics of two folders of clips, without any method.

It keeps no cache of its own: clips come through the folder's index and the clip cache, features
from the feature cache; each is keyed by what the clips hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vpbench.api.errors import BadData, Missing, MissingData, UsageError
from vpbench.api.optional import HasFloor
from vpbench.api.protocols import Dataset
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, Frames, TaskInfo
from vpbench.api.windows import WindowRule
from vpbench.core import schema
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.registry import Registry
from vpbench.core.tasks import SPLITS, Item, Task
from vpbench.data.folder.dataset import FolderDataset
from vpbench.harness.inputs.clip_cache import ClipCache
from vpbench.harness.inputs.task_data import open_dataset
from vpbench.harness.scoring.score import (
    Running,
    Wanted,
    start_metric,
    update_all,
)
from vpbench.harness.scoring.score_record import score_json, score_record, with_floor
from vpbench.harness.training.context import ScoreContext
from vpbench.media.geometry import Geometry


@dataclass
class Side:
    """One of the two folders."""

    path: str
    dataset: Dataset
    clips: dict[str, ClipInfo]


@dataclass(frozen=True)
class Measured:
    """Scores of FAKE against REAL."""

    real: Side
    fake: Side
    frames: int
    scores: dict[str, schema.ScoreJson]

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "schema": schema.MEASURE,
            "real": {"path": self.real.path, "n": len(self.real.clips)},
            "fake": {"path": self.fake.path, "n": len(self.fake.clips)},
            "frames": self.frames,
            "scores": self.scores,
        }


def open_side(text: str, registry: Registry, paths: Paths, *, fresh: bool = False) -> Side:
    """Open a folder of clips, or `folder:PATH[layout=...]`; all splits together.

    Args:
        fresh: hash and decode every clip again, whatever an earlier call has stored.

    Raises:
        MissingData, BadData: no clips, or invalid ones.
    """
    named = text if text.startswith("folder:") else f"folder:{text}"
    dataset, _ = open_dataset(named, registry, paths)
    if fresh and isinstance(dataset, FolderDataset):
        dataset.prepare(fresh=True)
    clips = {c.id: c for s in SPLITS if s in dataset.splits() for c in dataset.clips(s)}
    if not clips:
        raise MissingData(f"{text} holds no clips.")
    return Side(text, dataset, clips)


def measure(
    real: Side,
    fake: Side,
    wanted: Sequence[Wanted],
    frames: int | None,
    size: int | None,
    registry: Registry,
    paths: Paths,
    report: Report,
) -> Measured:
    """Score two folders.

    Args:
        frames: the first so many frames of every clip; None = all, if all have the same number.
        size: short side in pixels after resizing; None = native, if all have the same size.

    Raises:
        BadData: clips that are too short, of different sizes, or without a partner.
        UsageError: `frames` or `size` is needed.
    """
    count = _frames(real, fake, frames)
    geometry = _geometry(real, fake, size)
    paired = [w for w in wanted if w.spec.kind == "clip"]
    if paired:
        _check_pairs(real, fake, paired[0].name)
    items = _items(real, fake, count)
    task = _task(real, count, geometry, items[0])
    ctx = ScoreContext("cpu", 1, paths.cache)
    running: list[Running] = []
    scores: dict[str, schema.ScoreJson] = {}
    for one in wanted:
        try:
            running.append(start_metric(one, count, task, registry, ctx))
        except (Missing, UsageError) as error:
            reason = f"not scored: {error.message}"
            scores[one.name] = schema.score_json(None, n=0, fingerprint="", reason=reason)
    caches = [
        ClipCache(s.dataset, geometry, paths.cache) if geometry is not None else None
        for s in (real, fake)
    ]
    _feed(running, items, (real, fake), caches, report)
    clusters = {i.id: i.cluster for i in items[0].values()}
    for metric in running:
        record = score_record(metric, metric.instance.result(), clusters)
        if isinstance(metric.instance, HasFloor):
            record = with_floor(record, metric.instance.real_floor())
        scores[metric.wanted.name] = score_json(record)
    return Measured(real, fake, count, scores)


def _items(real: Side, fake: Side, count: int) -> tuple[dict[str, Item], dict[str, Item]]:
    window = tuple(range(count))
    sides = (
        {k: Item(k, clip, (), window) for k, clip in sorted(side.clips.items())}
        for side in (real, fake)
    )
    first, second = sides
    return first, second


def _frames(real: Side, fake: Side, wanted: int | None) -> int:
    lengths = {c.frames for side in (real, fake) for c in side.clips.values()}
    if wanted is None:
        if len(lengths) > 1:
            raise UsageError(
                f"the clips have {min(lengths)} to {max(lengths)} frames.",
                fix="Set the number of frames with --frames N.",
            )
        return lengths.pop()
    if wanted < 1:
        raise UsageError(f"--frames {wanted} must be at least 1.")
    for side in (real, fake):
        for clip in side.clips.values():
            if clip.frames < wanted:
                raise BadData(
                    f"{side.path}: the clip {clip.id!r} has {clip.frames} frames, {wanted} are "
                    "needed.",
                    fix="Lower --frames or take the clip out.",
                )
    return wanted


def _geometry(real: Side, fake: Side, size: int | None) -> Geometry | None:
    if size is not None:
        return Geometry(size)
    shapes = {(c.height, c.width) for side in (real, fake) for c in side.clips.values()}
    if len(shapes) > 1:
        raise UsageError(
            f"the clips have {len(shapes)} different sizes.", fix="Bring them to one with --size N."
        )
    height, width = shapes.pop()
    return Geometry(height, native=True) if height == width else None


def _check_pairs(real: Side, fake: Side, metric: str) -> None:
    for side, other in ((real, fake), (fake, real)):
        alone = sorted(side.clips.keys() - other.clips.keys())
        if alone:
            raise BadData(
                f"{metric} compares clips of equal names; {side.path} has {alone[0]!r}"
                f"{f' and {len(alone) - 1} more' if len(alone) > 1 else ''} without a partner in "
                f"{other.path}.",
                fix="Name the files alike, or ask for set metrics only.",
            )


def _task(real: Side, frames: int, geometry: Geometry | None, items: dict[str, Item]) -> Task:
    size = geometry.size if geometry is not None else next(iter(real.clips.values())).height
    spec = TaskSpec("measure", WindowRule(1, frames), size)
    names = real.dataset.class_names()
    info = TaskInfo("measure", size, frames, 1, None, len(names), names, 0, ())
    fields = geometry.fingerprint() if geometry is not None else {"name": "native"}
    return Task(
        id="measure",
        dataset=real.path,
        name="measure",
        spec=spec,
        geometry=fields,
        items={"train": (), "val": (), "test": tuple(items.values())},
        excluded={},
        info=info,
    )


def _feed(
    running: Sequence[Running],
    items: tuple[dict[str, Item], dict[str, Item]],
    sides: tuple[Side, Side],
    caches: Sequence[ClipCache | None],
    report: Report,
) -> None:
    names = sorted({*items[0], *items[1]})
    for done, name in enumerate(names, 1):
        real, fake = (
            _read(side, cache, own.get(name))
            for side, cache, own in zip(sides, caches, items, strict=True)
        )
        if real is not None and fake is not None:
            update_all(running, fake[None], real, items[0][name])
        else:
            clip = (items[0].get(name) or items[1][name]).clip
            for metric in running:
                metric.instance.update(None if fake is None else fake[None], real, clip)
        report({"event": "progress", "what": "measure", "done": done, "total": len(names)})


def _read(side: Side, cache: ClipCache | None, item: Item | None) -> Frames | None:
    if item is None:
        return None
    if cache is None:  # all clips of one size that is not square: taken as they are
        return side.dataset.read(item.clip, list(item.targets))
    return cache.window(item.clip, item.targets)
