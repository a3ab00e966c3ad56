"""The worker processes of `vpbench measure`.

Metrics that come with vpbench share processes; each one of a plugin has one of its own. Their work
has two steps. In the first, any number of processes take a few clips at a time: metrics of clips
are computed, and features of set metrics fill the cache. In the second, one process puts them
together. A plugin's metric, and whatever one process does alone, has the second step only.

The parts are the same for any number of processes, a metric gives the same bits for any order of
its parts, and a feature depends on its clip alone: so the scores do not depend on that number.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from vpbench.api.errors import MethodFailed, Missing, UsageError, VpbenchError
from vpbench.api.optional import CachesFeatures, HasFloor, HasPermutationTest
from vpbench.api.protocols import Dataset, TrainingClips
from vpbench.api.specs import WeightSpec
from vpbench.api.types import Frames
from vpbench.core import schema
from vpbench.core.loading import first_line
from vpbench.core.pools import in_processes
from vpbench.core.progress import Event, Report
from vpbench.core.registry import Registry, limited_registry
from vpbench.core.tasks import Item, Task, clip_of
from vpbench.harness.inputs.clip_cache import ReadsEach
from vpbench.harness.scoring.score import (
    Running,
    Wanted,
    start_metric,
    update_all,
    wanted_metrics,
)
from vpbench.harness.scoring.score_record import finite, score_json, score_record, with_floor
from vpbench.harness.training.context import ScoreContext
from vpbench.media.geometry import Geometry

PART = 16
"""Clips of each folder that a process takes at a time. Fixed: parts are the same for any number of
processes."""

PART_BYTES = 32 * 2**20
"""Bytes of one folder's frames above which it takes fewer: a dozen large clips are parts, too."""

Names = tuple[str, ...]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Scored:
    """The figure of one metric.

    Attributes:
        json: as `--json` prints it.
        kind: "clip", "set", or "" where it was not scored.
        per_clip: the value of each clip; of a set metric, the value without each cluster.
    """

    json: schema.ScoreJson
    kind: str = ""
    per_clip: dict[str, float | None] = field(default_factory=dict[str, float | None])


Scores = dict[str, Scored]


def not_scored(reason: str) -> Scored:
    """A dash with its reason."""
    return Scored(schema.score_json(None, n=0, fingerprint="", reason=f"not scored: {reason}"))


@dataclass(frozen=True)
class Measurement:
    """What is compared: real and generated clips by name. Picklable.

    Attributes:
        datasets, items: of the real and of the generated clips.
        geometry: how clips are brought to size; None takes them as they are.
        device: torch device of networks.
        here: this process may compute what one process does alone: it was made for that, and loads
            no plugin's metric.
        permutations: relabellings behind the p-value of set metrics that have none in their score
            and offer one; 0 for none.
    """

    datasets: tuple[Dataset, Dataset]
    items: tuple[dict[str, Item], dict[str, Item]]
    task: Task
    geometry: Geometry | None
    cache: Path
    device: str
    here: bool = False
    permutations: int = 0

    @property
    def training(self) -> TrainingClips | None:
        """The training clips; None without a task."""
        return None

    @property
    def parts(self) -> list[Names]:
        """All names, some at a time."""
        names = sorted({*self.items[0], *self.items[1]})
        step = self._at_once() if names else PART
        return [tuple(names[k : k + step]) for k in range(0, len(names), step)]

    def _at_once(self) -> int:
        """Clips of each folder to a part."""
        item, fit = next(iter((self.items[0] or self.items[1]).values())), self.geometry
        pixels = item.clip.height * item.clip.width if fit is None else fit.size**2
        return max(1, min(PART, PART_BYTES // (len(item.targets) * pixels * 3)))

    def clips(self, names: Names) -> Iterator[tuple[Item, Frames | None, Frames | None]]:
        """Item, real clip [T,H,W,3] and generated clip [T,H,W,3] of each name."""
        for name in names:
            real, fake = (self._read(side, name) for side in (0, 1))
            yield self.items[0].get(name) or self.items[1][name], real, fake

    def _read(self, side: int, name: str) -> Frames | None:
        item = self.items[side].get(name)
        if item is None:
            return None
        return read_item(self.datasets[side], self.geometry, item)


def read_item(dataset: Dataset, geometry: Geometry | None, item: Item) -> Frames:
    """The target frames of a window, uint8 [T,H,W,3]; native where there is no geometry."""
    if geometry is not None and isinstance(dataset, ReadsEach):
        return dataset.read_each(item.clip, list(item.targets), geometry.frames)
    frames = dataset.read(item.clip, list(item.targets))
    return frames if geometry is None else geometry.frames(frames)


def score_context(
    cache: Path,
    device: str,
    training: TrainingClips | None,
    declared: Sequence[WeightSpec] = (),
) -> ScoreContext:
    """What metrics get; features of another device are kept apart from those of the CPU.

    Args:
        cache: the user's.
        device: torch device of networks, or "auto".
        training: the training clips, where there is a task.
        declared: the weights that may be asked for; a metric's own are added when it is made.
    """
    if device != "cpu":
        from vpbench.kit.threads import pick_device

        device = pick_device(device)
    kind = device.partition(":")[0]
    own = None if kind == "cpu" else cache / f"features-{kind}"
    return ScoreContext(device, 1, cache, features=own, declared=declared, training=training)


@dataclass(frozen=True)
class _Group:
    """Metrics that share processes.

    Attributes:
        sets: some are metrics of sets.
        sources: where the specs of plugins stand; no others are imported.
    """

    names: Names
    sets: bool
    sources: Names = ()

    @property
    def foreign(self) -> bool:
        """Whether it is the metric of a plugin."""
        return bool(self.sources)


def score_in_workers(
    measurement: Measurement,
    wanted: Sequence[Wanted],
    registry: Registry,
    workers: int,
    report: Report,
) -> Scores:
    """Score everything; this process computes nothing.

    Raises:
        VpbenchError: a clip cannot be read, or a process was killed.
        MethodFailed: the metric of a plugin raised.
    """
    scores: Scores = {}
    for group in _groups(wanted, registry):
        scores |= _score(measurement, group, workers, report)
    return scores


def _groups(wanted: Sequence[Wanted], registry: Registry) -> Iterator[_Group]:
    own = [w for w in wanted if w.built_in]
    if own:
        yield _Group(tuple(w.name for w in own), any(w.spec.kind == "set" for w in own))
    for one in wanted:
        if not one.built_in:
            source = registry.find("metric", one.spec.name).ref.value
            yield _Group((one.name,), one.spec.kind == "set", (source,))


def _score(measurement: Measurement, group: _Group, workers: int, report: Report) -> Scores:
    parts = measurement.parts
    alone = group.foreign or min(workers, len(parts)) == 1
    named = f"measure {group.names[0]}" if group.foreign else "measure"
    pieces: list[bytes] = []
    if not alone:
        for piece in _run(_part, parts, min(workers, len(parts)), measurement, group):
            pieces.append(piece)
            report(_progress(named, len(pieces), len(parts)))
        named = "measure sets"
    steps = [_Step(part, clips=alone) for part in parts] if alone or group.sets else []
    steps.append(_Step(pieces=tuple(pieces), last=True))
    result: Scores | None = None
    for done, result in enumerate(_run(_step, steps, 1, measurement, group), 1):
        if result is None:
            report(_progress(named, done, len(parts)))
    assert result is not None  # of the last step
    return result


def _progress(what: str, done: int, total: int) -> Event:
    return {"event": "progress", "what": what, "done": done, "total": total}


def _run(
    work: Callable[[Any], Result | VpbenchError],
    items: Sequence[Any],
    workers: int,
    measurement: Measurement,
    group: _Group,
) -> Iterator[Result]:
    """Results in order; errors come as values, because not all of them survive a pickle."""
    if workers == 1 and measurement.here and not group.foreign:
        _worker[:] = [_Worker(measurement, group)]
        results = map(work, items)
    else:
        results = in_processes(
            work, items, workers, "scores clips", begin=_begin, arguments=(measurement, group)
        )
    for result in results:
        if isinstance(result, VpbenchError):
            raise result
        yield result
    _worker.clear()  # frames and features of one call are not kept for the next


# in a worker -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """One request to the process that puts scores together.

    Attributes:
        names: clips to read.
        clips: give them to metrics of clips, too.
        pieces: states of clip metrics, from the processes of the first step.
        last: compute the scores.
    """

    names: Names = ()
    clips: bool = False
    pieces: tuple[bytes, ...] = ()
    last: bool = False


@dataclass
class _Worker:
    """What a worker process keeps."""

    measurement: Measurement
    group: _Group
    running: list[Running] = field(default_factory=list[Running])
    missing: Scores = field(default_factory=dict[str, Scored])

    def metrics(self) -> tuple[list[Running], Scores]:
        """New instances, and the reasons of those that cannot be scored."""
        plugins = limited_registry((), self.group.sources)
        task, ctx = self.measurement.task, self.context()
        running: list[Running] = []
        missing: Scores = {}
        for wanted in wanted_metrics(self.group.names, plugins):
            try:
                running.append(start_metric(wanted, task.horizon, task, plugins, ctx))
            except (Missing, UsageError) as error:
                missing[wanted.name] = not_scored(error.message)
        return running, missing

    def context(self) -> ScoreContext:
        """What the metrics get."""
        measurement = self.measurement
        return score_context(measurement.cache, measurement.device, measurement.training)

    def open(self) -> None:
        """Make the metrics, once."""
        if not (self.running or self.missing):
            self.running, self.missing = self.metrics()

    def update(self, names: Names, metrics: Sequence[Running]) -> None:
        """Give some clips to metrics."""
        for item, real, fake in self.measurement.clips(names):
            if real is not None and fake is not None:
                update_all(metrics, fake[None], real, item)
                continue
            for metric in metrics:
                metric.instance.update(None if fake is None else fake[None], real, clip_of(item))

    def part(self, names: Names) -> bytes:
        """The state of clip metrics after some clips; features of set metrics go to the cache."""
        self.open()
        fresh = [m for m in self.metrics()[0] if m.wanted.spec.kind == "clip"]
        sets = [m for m in self.running if isinstance(m.instance, CachesFeatures)]
        self.update(names, [*fresh, *sets])
        for metric in sets:
            metric.flush()
        return pickle.dumps([metric.instance for metric in fresh])

    def finish(self, pieces: Sequence[bytes]) -> Scores:
        """The scores of all that this process and others have been given."""
        clip = [m for m in self.running if m.wanted.spec.kind == "clip"]
        for piece in pieces:
            for metric, state in zip(clip, pickle.loads(piece), strict=True):
                metric.instance.merge(state)
        clusters = {i.id: i.cluster for i in self.measurement.items[0].values()}
        scores = dict(self.missing)
        for metric in self.running:
            record = score_record(metric, metric.instance.result(), clusters)
            if isinstance(metric.instance, HasFloor):
                record = with_floor(record, metric.instance.real_floor())
            if record["p"] is None and isinstance(metric.instance, HasPermutationTest):
                record["p"] = self.permuted(metric.instance)
            scores[metric.wanted.name] = Scored(
                score_json(record), record["kind"], dict(record["per_clip"])
            )
        return scores

    def permuted(self, metric: HasPermutationTest) -> float | None:
        """The p-value that a metric computes on request; None where it is not wanted."""
        count = self.measurement.permutations
        return finite(metric.permutation_p(count)) if count else None


_worker: list[_Worker] = []
"""In a worker process: what it keeps."""


def _begin(measurement: Measurement, group: _Group) -> None:
    os.dup2(2, 1)  # what a plugin prints must not end up among the results
    _worker[:] = [_Worker(measurement, group)]


def _guarded(work: Callable[[_Worker], Result]) -> Result | VpbenchError:
    """Do something; errors are values. What a plugin raises becomes a sentence."""
    worker = _worker[0]
    try:
        return work(worker)
    except VpbenchError as error:
        return portable(error)
    except BaseException as error:
        if not worker.group.foreign:
            raise
        return MethodFailed(f"the metric {worker.group.names[0]!r} failed: {first_line(error)}")


def portable(error: VpbenchError) -> VpbenchError:
    """The same error, of a class whose pickle can be read."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever its constructor wants
        plain = VpbenchError(error.message, fix=error.fix)
        plain.exit_code = error.exit_code
        return plain


def _part(names: Names) -> bytes | VpbenchError:
    return _guarded(lambda worker: worker.part(names))


def _step(step: _Step) -> Scores | VpbenchError | None:
    return _guarded(lambda worker: _do(worker, step))


def _do(worker: _Worker, step: _Step) -> Scores | None:
    worker.open()
    worker.update(
        step.names, [m for m in worker.running if step.clips or m.wanted.spec.kind == "set"]
    )
    return worker.finish(step.pieces) if step.last else None
