"""Training data as methods see it: batches that depend on names and numbers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UsageError
from vpbench.api.types import (
    NO_AUGMENT,
    Augment,
    Batch,
    Clip,
    ClipInfo,
    Frames,
    Pair,
    Pose,
)
from vpbench.api.windows import WindowRule
from vpbench.core.seeding import seed_of
from vpbench.harness.inputs.clip_cache import ClipCache

Times = npt.NDArray[np.int64]


def _raw(seed: int, n: int) -> npt.NDArray[np.uint64]:
    """n raw 64-bit words: raw bits are stable between releases of numpy, distributions are not."""
    return np.random.PCG64(seed).random_raw(n)


class Sampler:
    """Which clips and frames are in batch k."""

    def __init__(
        self, clips: Sequence[ClipInfo], rule: WindowRule, base: Sequence[str | int]
    ) -> None:
        self.clips, self.rule, self.base = clips, rule, tuple(base)

    def usable(self, window: Pair | Clip) -> npt.NDArray[np.int64]:
        """Numbers of the clips that are long enough for a window."""
        return np.array(
            [i for i, c in enumerate(self.clips) if self.times(window, c.frames, 0, 0) is not None],
            np.int64,
        )

    def batch(
        self, usable: npt.NDArray[np.int64], window: Pair | Clip, size: int, k: int, stream: str
    ) -> tuple[npt.NDArray[np.int64], Times]:
        """Clip numbers [B] and frame numbers [B,T] of batch `k`: an endless shuffled sequence."""
        positions = np.arange(k * size, (k + 1) * size)
        epochs = {
            int(e): self._order(len(usable), int(e), stream) for e in set(positions // len(usable))
        }
        index = np.array(
            [usable[epochs[int(p // len(usable))][p % len(usable)]] for p in positions]
        )
        words = _raw(seed_of(*self.base, stream, "window", k), 2 * size)
        rows = [
            self.times(window, self.clips[i].frames, int(words[2 * j]), int(words[2 * j + 1]))
            for j, i in enumerate(index)
        ]
        return index, np.array(rows, np.int64)

    def _order(self, n: int, epoch: int, stream: str) -> npt.NDArray[np.int64]:
        return np.argsort(_raw(seed_of(*self.base, stream, "epoch", epoch), n), kind="stable")

    def times(self, window: Pair | Clip, frames: int, a: int, b: int) -> list[int] | None:
        """Frame numbers for two random words; None when the clip is too short."""
        if isinstance(window, Pair):
            return _pair(window, frames, a, b)
        return self._clip(window, frames, a)

    def _clip(self, window: Clip, frames: int, word: int) -> list[int] | None:
        rule, length = self.rule, window.length
        if window.start == "task":
            if length > rule.length:
                raise UsageError(f"Clip(length={length}) is longer than the task's {rule.length}.")
            whole = rule.indices(frames) if rule.short != "error" else _quiet(rule, frames)
            return list(whole[word % len(whole)][:length]) if whole else None
        step = rule.step(frames) if window.stride == "task" else int(window.stride)
        span = (length - 1) * step + 1
        if span <= frames:
            start = word % (frames - span + 1) if window.start == "random" else int(window.start)
            return [start + k * step for k in range(length)] if start + span <= frames else None
        if window.stride != "task" or length > rule.length:
            return None
        whole = _quiet(rule, frames)
        return list(whole[0][:length]) if whole else None


def _quiet(rule: WindowRule, frames: int) -> list[tuple[int, ...]]:
    """The task's windows; none where the rule calls a short clip an error."""
    try:
        return rule.indices(frames)
    except UsageError:
        return []


def _pair(window: Pair, frames: int, a: int, b: int) -> list[int] | None:
    if not 0 <= window.min_gap <= window.max_gap:
        raise UsageError(f"Pair({window.min_gap}, {window.max_gap}): 0 <= min_gap <= max_gap.")
    if window.wrap:
        gap = window.min_gap + b % (window.max_gap - window.min_gap + 1)
        return [a % frames, (a % frames + gap) % frames] if frames > 0 else None
    longest = min(window.max_gap, frames - 1)
    if longest < window.min_gap:
        return None
    gap = window.min_gap + b % (longest - window.min_gap + 1)
    start = a % (frames - gap)
    return [start, start + gap]


@dataclass
class _View:
    """What both views share. `base` names seed and stage; `skipped` counts clips too short."""

    clip_cache: ClipCache
    clips: dict[str, list[ClipInfo]]
    rule: WindowRule
    base: tuple[str | int, ...]
    pairs: tuple[tuple[int, int], ...] = ()
    skipped: dict[str, int] = field(default_factory=dict[str, int])

    def len(self, split: str) -> int:
        """Number of clips in "train" or "val"."""
        return len(self._of(split))

    def label(self, split: str, i: int) -> int | None:
        """Class number of clip `i`."""
        return self._of(split)[i].label

    def length(self, split: str, i: int) -> int:
        """Number of source frames of clip `i`."""
        return self._of(split)[i].frames

    def _of(self, split: str) -> list[ClipInfo]:
        if split not in self.clips:
            raise UsageError(f"there is no split {split!r} to train on.", fix="Use train or val.")
        return self.clips[split]

    def _plan(
        self, split: str, window: Pair | Clip, batch: int, start_step: int, stream: str
    ) -> Iterator[tuple[int, npt.NDArray[np.int64], Times]]:
        clips = self._of(split)
        sampler = Sampler(clips, self.rule, (*self.base, split))
        usable = sampler.usable(window)
        if batch < 1:
            raise UsageError(f"batch={batch} must be at least 1.")
        if len(usable) < len(clips):
            self.skipped[f"{split} {window}"] = len(clips) - len(usable)
        if not len(usable):
            raise BadData(
                f"none of the {len(clips)} clips of {split!r} is long enough for {window}."
            )
        k = start_step
        while True:
            yield (k, *sampler.batch(usable, window, batch, k, stream))
            k += 1

    def _labels(self, split: str, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        labels = [self._of(split)[i].label for i in index]
        return None if None in labels else np.array(labels, np.int64)

    def _seed(self, split: str, stream: str, k: int, row: int) -> int:
        return seed_of(*self.base, split, stream, "augment", k, row)


class FrameView(_View):
    """The `TrainView` of `vpbench.api`."""

    def read(self, split: str, i: int, frames: Sequence[int]) -> Frames:
        """uint8 [len(frames),H,W,3] of clip `i`."""
        return self.clip_cache.whole(self._of(split)[i], frames)

    def pose(self, split: str, i: int, frames: Sequence[int]) -> Pose | None:
        """float32 [len(frames),J,3] in [-1,1], or None."""
        return self.clip_cache.pose(self._of(split)[i], frames)

    def batches(
        self,
        split: str,
        window: Pair | Clip,
        batch: int,
        augment: Augment = NO_AUGMENT,
        start_step: int = 0,
        stream: str = "",
    ) -> Iterator[Batch]:
        """Endless shuffled batches; batch k depends on (seed, stage, stream, k) only."""
        from vpbench.media.augment import augment as apply_augment

        for k, index, times in self._plan(split, window, batch, start_step, stream):
            frames = [self.read(split, int(i), list(t)) for i, t in zip(index, times, strict=True)]
            poses = [self.pose(split, int(i), list(t)) for i, t in zip(index, times, strict=True)]
            if augment != NO_AUGMENT:
                for j in range(batch):
                    seed = self._seed(split, stream, k, j)
                    frames[j], (poses[j],) = apply_augment(
                        frames[j], [poses[j]], augment, seed, [self.pairs]
                    )
            known = [p for p in poses if p is not None]
            yield Batch(
                np.stack(frames),
                np.stack(known) if len(known) == batch else None,
                self._labels(split, index),
                index,
                times,
            )


@dataclass
class PointView(_View):
    """The `KeypointView` of `vpbench.api`: one array [L,K,3] a clip, stored by a labels stage."""

    folder: Path = Path()
    _loaded: dict[tuple[str, int], Pose] = field(default_factory=dict[tuple[str, int], Pose])

    def read(self, split: str, i: int, frames: Sequence[int]) -> Pose:
        """float32 [len(frames),K,3] of clip `i`."""
        self._of(split)
        # points of a dataset are a few MB, and opening a file takes longer than a training step
        if (split, i) not in self._loaded:
            with np.load(self.folder / f"{split}-{i:05d}.npz", allow_pickle=False) as stored:
                self._loaded[split, i] = stored["keypoints"]
        return self._loaded[split, i][list(frames)]

    def batches(
        self,
        split: str,
        window: Pair | Clip,
        batch: int,
        augment: Augment = NO_AUGMENT,
        start_step: int = 0,
        stream: str = "",
    ) -> Iterator[Batch]:
        """As `FrameView.batches`, with `keypoints`; `frames` has no pixels."""
        from vpbench.media.augment import draw_warp

        size = self.clip_cache.geometry.size
        for k, index, times in self._plan(split, window, batch, start_step, stream):
            rows = [(int(i), list(t)) for i, t in zip(index, times, strict=True)]
            points = [self.read(split, i, t) for i, t in rows]
            poses = [self.clip_cache.pose(self._of(split)[i], t) for i, t in rows]
            if augment != NO_AUGMENT:
                for j in range(batch):
                    warp = draw_warp(augment, self._seed(split, stream, k, j), size, size)
                    points[j] = warp.points(points[j], ())
                    pose = poses[j]
                    poses[j] = None if pose is None else warp.points(pose, self.pairs)
            empty = np.zeros((batch, times.shape[1], 0, 0, 3), np.uint8)
            known = [p for p in poses if p is not None]
            yield Batch(
                empty,
                np.stack(known) if len(known) == batch else None,
                self._labels(split, index),
                index,
                times,
                np.stack(points),
            )
