"""`vpbench measure REAL FAKE`: metrics of two folders of clips, without any method.

Clips are decoded when they are needed and not kept: the cache gets the folder's index and the
features of set metrics, each keyed by what the clips hold. The work is done by
`vpbench.harness.scoring.measure_workers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vpbench.api.errors import BadData, MissingData, UsageError
from vpbench.api.protocols import Dataset
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, TaskInfo
from vpbench.api.windows import WindowRule
from vpbench.core import schema
from vpbench.core.names import format_name
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.provenance import cores
from vpbench.core.registry import Registry
from vpbench.core.tasks import SPLITS, Item, Task
from vpbench.data.folder.dataset import FolderDataset
from vpbench.data.folder.media_notes import clip_notes, rates_of_two
from vpbench.harness.inputs.task_data import open_dataset
from vpbench.harness.scoring.measure_workers import Measurement, score_in_workers
from vpbench.harness.scoring.score import Wanted
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

    @property
    def notes(self) -> list[str]:
        """What a reader decided about clips of either folder, and frame rates that differ."""
        sides = [list(side.clips.values()) for side in (self.real, self.fake)]
        notes = [
            f"{name}: {note}"
            for name, clips in zip(("REAL", "FAKE"), sides, strict=True)
            for note in clip_notes(clips)
        ]
        apart = rates_of_two(*sides)
        return [*notes, apart] if apart else notes

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "schema": schema.MEASURE,
            "real": {"path": self.real.path, "n": len(self.real.clips)},
            "fake": {"path": self.fake.path, "n": len(self.fake.clips)},
            "frames": self.frames,
            "notes": self.notes,
            "scores": self.scores,
        }


def open_side(text: str, registry: Registry, paths: Paths, *, fresh: bool = False) -> Side:
    """Open a folder of clips, or `folder:PATH[layout=...]`; all splits together.

    Args:
        fresh: hash and decode every clip again, whatever an earlier call has stored.

    Raises:
        MissingData, BadData: no clips, or invalid ones.
    """
    named = text
    if not text.startswith("folder:"):
        # A path with brackets of its own is a path; one that is not there may have options.
        named = format_name(f"folder:{text}", {}) if Path(text).is_dir() else f"folder:{text}"
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
    *,
    workers: int | None = None,
    device: str = "cpu",
) -> Measured:
    """Score two folders in worker processes.

    Args:
        frames: the first so many frames of every clip; None = all, if all have the same number.
        size: short side in pixels after resizing; None = native, if all have the same size.
        workers: processes at once; None is one a core. The scores are the same for any number.
        device: torch device of the networks of set metrics.

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
    measurement = Measurement(
        datasets=(real.dataset, fake.dataset),
        items=items,
        task=_task(real, count, geometry, items[0]),
        geometry=geometry,
        cache=paths.cache,
        device=device,
    )
    scores = score_in_workers(measurement, wanted, registry, workers or cores(), report)
    return Measured(real, fake, count, {w.name: scores[w.name] for w in wanted})


def _items(real: Side, fake: Side, count: int) -> tuple[dict[str, Item], dict[str, Item]]:
    window = tuple(range(count))
    sides = (
        {k: Item(k, clip, (), window) for k, clip in sorted(side.clips.items())}
        for side in (real, fake)
    )
    first, second = sides
    return first, second


def _frames(real: Side, fake: Side, wanted: int | None) -> int:
    lengths = {
        c.frames: f"{side.path}/{c.id}" for side in (real, fake) for c in side.clips.values()
    }
    if wanted is None:
        few, many = min(lengths), max(lengths)
        if few < many:
            raise UsageError(
                f"the clips have {few} ({lengths[few]}) to {many} ({lengths[many]}) frames.",
                fix="Set the number of frames with --frames N.",
            )
        return few
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
    shapes = {
        (c.height, c.width): f"{side.path}/{c.id}"
        for side in (real, fake)
        for c in side.clips.values()
    }
    if len(shapes) > 1:
        (h, w), (h2, w2) = sorted(shapes)[:2]
        raise UsageError(
            f"the clips have {len(shapes)} different sizes: {shapes[h, w]} is {w}x{h} px, "
            f"{shapes[h2, w2]} {w2}x{h2} px.",
            fix="Bring them to one with --size N.",
        )
    ((height, width),) = shapes
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
