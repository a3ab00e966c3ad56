"""The contexts that are passed to a stage while it is fitted, and to a metric."""

from __future__ import annotations

import io
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import Corrupt, UsageError
from vpbench.api.protocols import TrainingClips
from vpbench.api.specs import WeightSpec
from vpbench.api.types import Frames, TaskInfo
from vpbench.core.acceptance import Check, StageNotes
from vpbench.core.files import make_folder, write_bytes
from vpbench.core.progress import Report
from vpbench.core.rundir import StageDir
from vpbench.harness.inputs.opened_files import OpenedFiles

STOP = threading.Event()
"""Set when this process is asked to end; a fit checkpoints and returns."""

_META = "__meta__"

_REPORT_EVERY_S = 0.25
"""Seconds between progress events: fast enough to look live, and thousands of steps stay cheap."""


@dataclass
class StageContext:
    """The `FitContext` of `vpbench.api`."""

    task: TaskInfo
    trains: tuple[str, ...]
    device: str
    threads: int
    seed: int
    stage: StageDir
    label: str
    cache_root: Path
    report: Report
    slots: Mapping[str, Any] = field(default_factory=dict[str, Any])
    guard: Callable[[], None] = lambda: None
    notes: StageNotes = field(default_factory=StageNotes)
    earlier: float = 0.0
    """Seconds that earlier processes spent up to the checkpoint that this one resumed from."""
    declared: Sequence[WeightSpec] = ()
    """The pretrained files that the specs of the method and of its components name."""
    _begun: float = field(default_factory=time.monotonic)
    _step: int = 0
    _total: int | None = None
    _reported: float = 0.0

    @property
    def workdir(self) -> Path:
        """Scratch folder of this stage; deleted when the stage is complete."""
        return make_folder(self.stage.path / "scratch")

    @property
    def should_stop(self) -> bool:
        """True once the job is asked to end."""
        return STOP.is_set()

    def step(self, total: int | None = None) -> int:
        """Count one training step and report how many are done."""
        self._step += 1
        self._total = total if total is not None else self._total
        now = time.monotonic()
        if now - self._reported > _REPORT_EVERY_S or self._step == self._total:
            self._reported = now
            self.report(
                {"event": "progress", "what": self.label, "done": self._step, "total": self._total}
            )
        return self._step

    def log(self, values: Mapping[str, float]) -> None:
        """Append figures of the current step to train.jsonl; NaN is written as null."""
        clean = {k: float(v) if math.isfinite(v) else None for k, v in values.items()}
        line = json.dumps({"step": self._step, **clean}, allow_nan=False)
        make_folder(self.stage.path)
        with (self.stage.path / "train.jsonl").open("a") as stream:
            stream.write(line + "\n")
        self.report(
            {
                "event": "progress",
                "what": self.label,
                "done": self._step,
                "total": self._total,
                "values": clean,
            }
        )

    def image(self, name: str, array: Frames) -> None:
        """Store a picture uint8 [H,W,3] beside the stage."""
        from vpbench.media.encode import write_png

        if "/" in name or name.startswith("."):
            raise UsageError(f"the picture name {name!r} must not be a path.")
        write_png(make_folder(self.stage.path / "pictures") / f"{name}.png", array)

    def check(
        self,
        name: str,
        value: float,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        unit: str = "",
    ) -> bool:
        """An acceptance check; stored with the stage, printed in tables where it is missed."""
        check = Check(name, float(value), at_least, at_most, unit)
        passed = self.notes.add_check(check)
        verdict = "passed" if passed else "missed"
        text = f"{self.label}: acceptance check {verdict}: {check.text()}"
        self.report({"event": "note", "text": text})
        return passed

    def note(self, text: str) -> None:
        """Print a note beside every row that uses this stage."""
        self.notes.add_note(text)

    def not_comparable(self, reason: str) -> None:
        """Exclude every row that uses this stage from rankings; tables print the reason."""
        self.notes.add_not_comparable(reason)

    def checkpoint(self, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Store the state inside the stage in one file, whole or not at all."""
        seconds = round(self.earlier + time.monotonic() - self._begun, 2)
        head = {"step": self._step, "seconds": seconds, "meta": dict(meta)}
        state = json.dumps(head, allow_nan=False).encode()
        buffer = io.BytesIO()
        np.savez(buffer, **{_META: np.frombuffer(state, np.uint8)}, **dict(arrays))  # pyright: ignore[reportArgumentType]
        write_bytes(self.stage.resume / "state.npz", buffer.getvalue(), self.guard)

    def resume(self) -> tuple[dict[str, npt.NDArray[np.generic]], dict[str, Any]] | None:
        """The last checkpoint, or None; later lines of train.jsonl are dropped."""
        path = self.stage.resume / "state.npz"
        if not path.is_file():
            (self.stage.path / "train.jsonl").unlink(missing_ok=True)
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            state = json.loads(arrays.pop(_META).tobytes())
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise Corrupt(
                f"{path} cannot be read ({error}).",
                fix="Delete it; the stage starts again from its beginning.",
            ) from error
        self._step = int(state["step"])
        self.earlier = float(state.get("seconds", 0.0))
        self._trim_log()
        return arrays, state["meta"]

    def _trim_log(self) -> None:
        path = self.stage.path / "train.jsonl"
        if path.is_file():
            kept: list[str] = []
            for line in path.read_text().splitlines():
                try:
                    if json.loads(line)["step"] <= self._step:
                        kept.append(line + "\n")
                except ValueError:
                    continue  # cut short when the job was killed
            write_bytes(path, "".join(kept).encode())

    def weights(self, name: str) -> Path:
        """File of verified pretrained weights named in the spec."""
        return find_weights(name, self.declared, self.cache_root)

    def cache(self, kind: str, key: str) -> Path:
        """A folder of the user's cache."""
        return cache_folder(self.cache_root, kind, key)

    def component(self, name: str) -> Any:
        """The component in a slot, trained and loaded."""
        slot = name.partition(":")[0]
        if slot not in self.slots:
            raise UsageError(f"{self.label} has no slot {slot!r}; it has {', '.join(self.slots)}.")
        return self.slots[slot]


@dataclass(frozen=True)
class ScoreContext:
    """The `MetricContext` of `vpbench.api`.

    Attributes:
        recompute: do not use features that come with vpbench.
        features: keep what a metric computes here instead of in the cache.
    """

    device: str
    workers: int
    cache_root: Path
    recompute: bool = False
    features: Path | None = None
    declared: Sequence[WeightSpec] = ()
    """The pretrained files that the metric's spec names."""
    training: TrainingClips | None = None
    """The training clips of the task; None without a task."""
    opened: OpenedFiles | None = field(default=None, compare=False, repr=False)
    """Sees what the metric of a plugin reads; None for built-in ones."""
    queues: MutableMapping[tuple[Path, bool], Any] = field(
        default_factory=WeakValueDictionary[tuple[Path, bool], Any], compare=False, repr=False
    )
    """What metrics with the same features have in common, while any of them is there."""

    def weights(self, name: str) -> Path:
        """File of verified pretrained weights named in the spec."""
        return find_weights(name, self.declared, self.cache_root)

    def cache(self, kind: str, key: str) -> Path:
        """A folder of the user's cache."""
        return cache_folder(self.features or self.cache_root, kind, key)


def cache_folder(root: Path, kind: str, key: str) -> Path:
    """A folder of the cache for things of one kind and key."""
    for word in (kind, key):
        if not word or "/" in word or word.startswith("."):
            raise UsageError(f"a cache kind or key must not be a path: {word!r}.")
    return make_folder(root / kind / key)


def find_weights(name: str, declared: Sequence[WeightSpec], cache: Path) -> Path:
    """Pretrained weights that are on this machine, verified; nothing is fetched here.

    Args:
        declared: the files that the plugin may ask for.

    Raises:
        UsageError: the plugin's spec does not declare them, or two specs declare different files
            under the name.
        MissingWeights: they have not been fetched.
    """
    from vpbench.metrics.weights.fetch import locate
    from vpbench.metrics.weights.weight_cache import missing
    from vpbench.metrics.weights.weight_file import weight_file

    files = {weight_file(spec).sha256: spec for spec in declared if spec.name == name}
    if not files:
        raise UsageError(
            f"the plugin asks for the weights {name!r}, which its spec does not declare.",
            fix="Declare them: weights=(WeightSpec(...),).",
        )
    if len(files) > 1:
        raise UsageError(
            f"the method and a component of it declare different files as weights {name!r}.",
            fix="Rename one of them.",
        )
    (spec,) = files.values()
    path = locate(spec, cache)
    if path is None:
        raise missing(weight_file(spec))
    return path
