"""`vpbench measure REAL FAKE`: metrics of two sets of clips, without any method.

Clips are decoded when they are needed and not kept: the cache gets the folder's index and the
features of set metrics, each keyed by what the clips hold. Which frames count is decided by
`vpbench.harness.scoring.sampling`; the work is done by `vpbench.harness.scoring.measure_workers`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpbench.api.errors import MissingData, UsageError
from vpbench.api.protocols import Dataset
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, TaskInfo
from vpbench.api.windows import WindowRule
from vpbench.core import schema
from vpbench.core.files import write_bytes
from vpbench.core.names import format_name, parse_name
from vpbench.core.outdir import named_output
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.provenance import cores
from vpbench.core.registry import Registry
from vpbench.core.tasks import Item, Task
from vpbench.data.folder.dataset import FolderDataset
from vpbench.data.folder.media_notes import note_counts
from vpbench.harness.scoring.array_clips import ArrayClips
from vpbench.harness.scoring.measure_workers import (
    Measurement,
    Scored,
    not_scored,
    score_in_workers,
)
from vpbench.harness.scoring.sampling import (
    Sampling,
    SideOptions,
    SideWindows,
    fingerprint_of,
    places_of,
    windows_of,
)
from vpbench.harness.scoring.score import Wanted
from vpbench.media.geometry import Geometry
from vpbench.render.text import csv_text


@dataclass
class Side:
    """One of the two sets.

    Attributes:
        options: what its brackets say about the sampling.
        passed_over: suffix -> files that are not clips and were passed over.
    """

    path: str
    dataset: Dataset
    clips: dict[str, ClipInfo]
    options: SideOptions = field(default_factory=SideOptions)
    passed_over: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class Measured:
    """Scores of FAKE against REAL.

    Attributes:
        windows: of the real and of the generated side.
        frames: of each window.
        sampling: fields that say how windows were chosen; {} for the first frames of each clip.
        notes: for readers.
    """

    real: Side
    fake: Side
    windows: tuple[SideWindows, SideWindows]
    frames: int
    sampling: Mapping[str, Any]
    scores: Mapping[str, Scored]
    notes: Sequence[str]

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "schema": schema.MEASURE,
            "real": self._side(0),
            "fake": self._side(1),
            "frames": self.frames,
            "sampling": dict(self.sampling),
            "notes": list(self.notes),
            "scores": {name: score.json for name, score in self.scores.items()},
        }

    def _side(self, k: int) -> dict[str, Any]:
        windows = self.windows[k]
        path = (self.real, self.fake)[k].path
        return {"path": path, "n": len(windows.items), "videos": windows.videos}

    def per_clip(self) -> list[tuple[str, str, str, float | None]]:
        """Metric, clip, what the value is, and the value, of every clip and metric."""
        return [
            (name, clip, "value" if score.kind == "clip" else "value without it", value)
            for name, score in self.scores.items()
            for clip, value in sorted(score.per_clip.items())
        ]


def open_side(text: str, paths: Paths, *, fresh: bool = False) -> Side:
    """Open a folder of clips, or `folder:PATH[layout=...]`; sub-folders are clips of one set.

    Args:
        fresh: hash and decode every clip again, whatever an earlier call has stored.

    Raises:
        MissingData, BadData: no clips, or invalid ones.
        UsageError: an option in the brackets that cannot be obeyed.
    """
    named = text
    if not text.startswith("folder:"):
        # A path with brackets of its own is a path; one that is not there may have options.
        named = format_name(f"folder:{text}", {}) if Path(text).is_dir() else f"folder:{text}"
    parsed = parse_name(named)
    options = SideOptions.parse(parsed.params)
    path = parsed.base.partition(":")[2]
    dataset = FolderDataset({**parsed.params, "path": path}, None, paths.cache, one_set=True)
    if fresh:
        dataset.prepare(fresh=True)
    clips = {clip.id: clip for clip in dataset.clips("test")}
    if not clips:
        raise MissingData(f"{text} holds no clips.")
    return Side(text, dataset, clips, options, dataset.passed_over)


def array_side(name: str, dataset: ArrayClips) -> Side:
    """Clips that a program gives as arrays."""
    return Side(name, dataset, {clip.id: clip for clip in dataset.clips("test")})


def measure(
    real: Side,
    fake: Side,
    wanted: Sequence[Wanted],
    sampling: Sampling,
    registry: Registry,
    paths: Paths,
    report: Report,
    *,
    workers: int | None = None,
    device: str = "cpu",
    here: bool = False,
) -> Measured:
    """Score two sets in worker processes.

    Args:
        workers: processes at once; None is one a core. The scores are the same for any number.
        device: torch device of the networks of set metrics.
        here: this process was made for the work, and may do alone what one process does.

    Raises:
        BadData: clips that are too short.
        UsageError: `frames` or `size` is needed, or options contradict each other.
    """
    both = aligned(real, fake, sampling)
    measurement = Measurement(
        datasets=(real.dataset, fake.dataset),
        items=both.items,
        task=both.task,
        geometry=both.geometry,
        cache=paths.cache,
        device=device,
        here=here,
    )
    scores = _unpaired((real, fake), both.items, wanted)
    todo = [w for w in wanted if w.name not in scores]
    scores |= score_in_workers(measurement, todo, registry, workers or cores(), report)
    ordered = {w.name: scores[w.name] for w in wanted}
    fields = both.task.sampling
    return Measured(real, fake, both.windows, both.task.horizon, fields, ordered, both.notes)


@dataclass(frozen=True)
class Aligned:
    """Two sides, cut into windows of equal length and size.

    Attributes:
        windows: of the real and of the generated side.
        geometry: how clips are brought to size; None takes them as they are.
        task: of the real windows; `horizon` is the frames of each, `sampling` how they were chosen.
        notes: for readers.
    """

    windows: tuple[SideWindows, SideWindows]
    geometry: Geometry | None
    task: Task
    notes: Sequence[str]

    @property
    def items(self) -> tuple[dict[str, Item], dict[str, Item]]:
        """The windows by name."""
        return self.windows[0].items, self.windows[1].items


def aligned(real: Side, fake: Side, sampling: Sampling) -> Aligned:
    """Choose the windows of two sides.

    Raises:
        BadData: clips that are too short.
        UsageError: `frames` or `size` is needed, or options contradict each other.
    """
    sides = (real, fake)
    if sampling.given == "exclude" and not any(side.options.given for side in sides):
        raise UsageError(
            "which frames were given is not known.",
            fix=f"Say it in brackets: 'folder:{real.path}[conditioning=1]'.",
        )
    merged = [side.options.merged(sampling, side.path) for side in sides]
    rules = (merged[0], merged[1])
    count, windows = _windows(sides, rules)
    geometry = _geometry(sides, rules)
    fields = fingerprint_of(rules, [side.options for side in sides], count)
    task = _task(real, count, geometry, windows[0].items, fields)
    return Aligned(windows, geometry, task, _notes(sides, rules, windows))


Pair = tuple[Side, Side]
Rules = tuple[Sampling, Sampling]


def _windows(sides: Pair, rules: Rules) -> tuple[int, tuple[SideWindows, SideWindows]]:
    """Frames of a window, and the windows of both sides."""
    skips = [side.options.skipped(rule) for side, rule in zip(sides, rules, strict=True)]
    count = _frames(sides, rules, skips)
    places: list[dict[str, int]] = [
        {name: places_of(clip, count, rule.stride, skip) for name, clip in side.clips.items()}
        for side, rule, skip in zip(sides, rules, skips, strict=True)
    ]
    if rules[0].start == "random":
        for name in places[0].keys() & places[1].keys():
            places[0][name] = places[1][name] = min(places[0][name], places[1][name])
    made = [
        windows_of(side.clips, rule, count, skip, at, side.path)
        for side, rule, skip, at in zip(sides, rules, skips, places, strict=True)
    ]
    for side, one in zip(sides, made, strict=True):
        if not one.items:
            raise MissingData(f"{side.path}: all {one.short} clips are too short.")
    return count, (made[0], made[1])


def _frames(sides: Pair, rules: Rules, skips: Sequence[int]) -> int:
    asked = sorted({rule.frames for rule in rules if rule.frames is not None})
    if len(asked) > 1:
        raise UsageError(f"the sides have horizon={asked[0]} and horizon={asked[1]}.")
    if asked:
        return asked[0]
    lengths = {
        (clip.frames - skip - 1) // rule.stride + 1: f"{side.path}: {clip.id}"
        for side, rule, skip in zip(sides, rules, skips, strict=True)
        for clip in side.clips.values()
    }
    if len(lengths) > 1:
        least, most = min(lengths), max(lengths)
        raise UsageError(
            f"the clips have {least} to {most} frames ({lengths[least]}, {lengths[most]}).",
            fix="Set the number of frames with --frames N.",
        )
    length = lengths.popitem()[0]
    if length < 1:
        raise UsageError("no frames are left without the given ones.")
    return length


def _geometry(sides: Pair, rules: Rules) -> Geometry | None:
    sizes = sorted({rule.size for rule in rules if rule.size is not None})
    if len(sizes) > 1:
        raise UsageError(f"the sides have size={sizes[0]} and size={sizes[1]}.")
    if sizes:
        return Geometry(sizes[0])
    shapes = {(c.height, c.width): f"{s.path}: {c.id}" for s in sides for c in s.clips.values()}
    if len(shapes) > 1:
        (one, first), (two, second) = list(shapes.items())[:2]
        raise UsageError(
            f"the clips have {len(shapes)} different sizes ({first} has {one[1]}x{one[0]} px, "
            f"{second} {two[1]}x{two[0]}).",
            fix="Bring them to one with --size N.",
        )
    height, width = shapes.popitem()[0]
    return Geometry(height, native=True) if height == width else None


def _unpaired(
    sides: Pair, items: tuple[dict[str, Item], dict[str, Item]], wanted: Sequence[Wanted]
) -> dict[str, Scored]:
    """Metrics that compare clips of equal names, where the names are not equal."""
    for k in (0, 1):
        alone = sorted(items[k].keys() - items[1 - k].keys())
        if alone:
            more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
            reason = (
                f"it compares clips of equal names; {sides[k].path} has {alone[0]!r}{more} without "
                f"a partner in {sides[1 - k].path}"
            )
            return {w.name: not_scored(reason) for w in wanted if w.spec.kind == "clip"}
    return {}


def _notes(sides: Pair, rules: Rules, windows: tuple[SideWindows, SideWindows]) -> list[str]:
    notes: list[str] = []
    for side, rule, own in zip(sides, rules, windows, strict=True):
        counts = note_counts(side.clips.values())
        total = len(side.clips)
        notes += [f"{side.path}: {n} of {total} clips {note}" for note, n in counts.items()]
        if side.passed_over:
            listed = ", ".join(f"{n} {suffix}" for suffix, n in sorted(side.passed_over.items()))
            notes.append(f"{side.path}: files that are not clips were passed over: {listed}")
        if own.short:
            notes.append(f"{side.path}: {own.short} clips are too short and were left out")
        if rule.clips and own.videos < rule.clips:
            notes.append(
                f"{rule.protocol} takes {rule.clips} videos a side, {side.path} has {own.videos}: "
                "not comparable with published figures"
            )
    return [*notes, *_rates(sides, rules)]


def _rates(sides: Pair, rules: Rules) -> list[str]:
    """Frame rates that differ: the same movement then takes another number of frames."""
    known: list[list[float]] = [
        sorted({round(c.fps / rule.stride, 2) for c in side.clips.values() if c.fps})
        for side, rule in zip(sides, rules, strict=True)
    ]
    notes = [
        f"{side.path} mixes frame rates: {', '.join(f'{r:g}' for r in rates)} a second"
        for side, rates in zip(sides, known, strict=True)
        if len(rates) > 1
    ]
    if len(known[0]) == len(known[1]) == 1 and known[0] != known[1]:
        notes.append(
            f"frame rates differ: {sides[0].path} has {known[0][0]:g} frames a second, "
            f"{sides[1].path} {known[1][0]:g}"
        )
    return notes


def _task(
    real: Side,
    frames: int,
    geometry: Geometry | None,
    items: dict[str, Item],
    sampling: Mapping[str, Any],
) -> Task:
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
        sampling=sampling,
    )


def write_per_clip(path: Path, measured: Measured) -> None:
    """The values of all clips as a table: metric, clip, what the value is, value.

    Raises:
        Unwritable: the file cannot be written.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("metric", "clip", "statistic", "value"))
    for metric, clip, statistic, value in measured.per_clip():
        figure = "" if value is None else repr(value)
        writer.writerow((metric, csv_text(clip), statistic, figure))
    with named_output("another file with --per-clip FILE"):
        write_bytes(path, out.getvalue().encode())
