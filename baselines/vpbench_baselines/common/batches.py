"""Training batches as tensors: the harness's on a CPU, drawn from clips on the device on a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vpbench.api import NO_AUGMENT, Augment, Batch, Clip, FitContext, Pair, TaskInfo, TrainView
from vpbench.kit import pose_to_tensor, to_tensor

MOST_BYTES = 8 << 30
"""Clips that take more than this on the device are read batch by batch instead."""
_AHEAD = 2
"""Batches that the harness makes while the networks compute."""
_LUMA = (0.299, 0.587, 0.114)
_EDGE = 1 + 1e-5
"""Outer pixel centres lie at -1 and 1; a point beyond this has left the frame."""


@dataclass(frozen=True)
class TensorBatch:
    """A batch on the device.

    Attributes:
        frames: float32 [B,T,3,H,W] in [0,1].
        pose: float32 [B,T,J,3] in [-1,1], or None.
        label: int64 [B], or None.
        index: clip numbers, int64 [B], for messages.
        extra: what belongs to the frames besides, [B,T,...], or None.
    """

    frames: Tensor
    pose: Tensor | None
    label: Tensor | None
    index: npt.NDArray[np.int64]
    extra: Tensor | None = None


def resident(device: str) -> bool:
    """Whether clips lie in the memory of a device rather than come batch by batch."""
    return torch.device(device).type == "cuda"


def on_device(batch: Batch, device: str) -> TensorBatch:
    """A batch of the harness as tensors."""
    label = None if batch.label is None else torch.from_numpy(np.array(batch.label)).to(device)
    pose = pose_to_tensor(batch.pose, device)
    return TensorBatch(to_tensor(batch.frames, device), pose, label, batch.index)


def tensor_batches(
    data: TrainView,
    ctx: FitContext,
    window: Clip | Pair,
    batch: int,
    augment: Augment,
) -> tuple[Callable[[int], Iterator[Any]], int]:
    """Where a training's batches come from.

    On a CPU they are the harness's. On a GPU all clips lie in its memory, and batches are drawn and
    augmented there: by the same rules from other random numbers, which come from torch's generator
    on the CPU and so from the seed of the step.

    Returns:
        A function of the steps that are made, as `training_steps` takes it, which yields `Batch` or
        `TensorBatch`; and how many of them to make ahead.
    """
    clips = ResidentClips.of(data, ctx, window) if resident(ctx.device) else None
    if clips is None:
        return lambda done: data.batches("train", window, batch, augment, done), _AHEAD
    return lambda done: clips.batches(batch, augment), 0


def as_tensors(batch: Batch | TensorBatch, device: str) -> TensorBatch:
    """Whichever of the two it is, on the device."""
    return batch if isinstance(batch, TensorBatch) else on_device(batch, device)


class ResidentClips:
    """The training clips that are long enough for a window, in the memory of a device.

    Args:
        frames: uint8 [N,H,W,3], all clips' frames one behind the other.
        pose: float32 [N,J,3] or None.
        offsets, lengths, strides: int64 [C], where each clip begins, how many frames it has and how
            far apart neighbouring frames of the window are in it.
        index, label: int64 [C], the clips' numbers, and their classes or None.
        pairs: joints that change places in a mirror.
        extra: [N,...], what belongs to the frames besides, or None.
    """

    def __init__(
        self,
        frames: Tensor,
        pose: Tensor | None,
        offsets: Tensor,
        lengths: Tensor,
        strides: Tensor,
        index: npt.NDArray[np.int64],
        label: Tensor | None,
        window: Clip | Pair,
        pairs: tuple[tuple[int, int], ...] = (),
        extra: Tensor | None = None,
    ) -> None:
        self.frames, self.pose, self.extra = frames, pose, extra
        self.offsets, self.lengths, self.strides = offsets, lengths, strides
        self.index, self.label, self.window, self.pairs = index, label, window, pairs

    @staticmethod
    def of(
        data: TrainView,
        ctx: FitContext,
        window: Clip | Pair,
        extra_of: Callable[[int, int], npt.NDArray[Any]] | None = None,
    ) -> ResidentClips | None:
        """Read all training clips; None where they are too large or too odd for it.

        Odd is a window that a clip fills by repeating itself.

        Args:
            extra_of: clip number and frames between neighbours -> an array [L,...] of its frames.
        """
        usable = _strides(data, window)
        sizes = [data.length("train", i) for i in usable]
        side = ctx.task.size
        if None in usable.values() or sum(sizes) * side * side * 3 > MOST_BYTES:
            return None
        frames, poses, extra = [], [], []
        for clip, length in zip(usable, sizes, strict=True):
            frames.append(torch.from_numpy(np.array(data.read("train", clip, range(length)))))
            poses.append(data.pose("train", clip, range(length)))
            if extra_of is not None:
                extra.append(torch.from_numpy(np.array(extra_of(clip, usable[clip] or 1))))
        labels = [data.label("train", i) for i in usable]
        ends = np.cumsum(sizes)
        there = [torch.from_numpy(np.array(p)) for p in poses if p is not None]
        return ResidentClips(
            torch.cat(frames).to(ctx.device),
            torch.cat(there).to(ctx.device) if len(there) == len(poses) else None,
            torch.from_numpy(ends - sizes),
            torch.tensor(sizes),
            torch.tensor([s or 1 for s in usable.values()]),
            np.array(list(usable), np.int64),
            None if None in labels else torch.tensor(labels),
            window,
            mirror_pairs(ctx.task),
            torch.cat(extra).to(ctx.device) if extra else None,
        )

    def batches(self, batch: int, augment: Augment = NO_AUGMENT) -> Iterator[TensorBatch]:
        """Endless random batches; what a batch is depends on torch's generator alone."""
        while True:
            yield self.batch(batch, augment)

    def batch(self, batch: int, augment: Augment = NO_AUGMENT) -> TensorBatch:
        """Draw clips, then a place in each, then what is done to it."""
        clip = torch.randint(len(self.index), (batch,))
        times = self._times(clip)
        draws = torch.rand(batch, 8)
        device = self.frames.device
        rows = (self.offsets[clip][:, None] + times).to(device, non_blocking=True)
        frames = self.frames[rows].movedim(-1, -3).float() / 255
        pose = None if self.pose is None else self.pose[rows]
        if augment != NO_AUGMENT:
            changes = Changes.drawn(draws, augment).to(device)
            frames = changes.frames(frames)
            pose = None if pose is None else changes.points(pose, self.pairs)
        label = None if self.label is None else self.label[clip].to(device, non_blocking=True)
        extra = None if self.extra is None else self.extra[rows]
        return TensorBatch(frames.contiguous(), pose, label, self.index[clip.numpy()], extra)

    def _times(self, clip: Tensor) -> Tensor:
        """Frame numbers [B,T] within the clips."""
        lengths, words = self.lengths[clip], torch.rand(2, len(clip), dtype=torch.float64)
        if isinstance(self.window, Pair):
            longest = (lengths - 1).clamp(max=self.window.max_gap)
            gap = _below(words[1], longest - self.window.min_gap + 1) + self.window.min_gap
            start = _below(words[0], lengths - gap)
            return torch.stack([start, start + gap], 1)
        stride, count = self.strides[clip], self.window.length
        start = _below(words[0], lengths - (count - 1) * stride)
        return start[:, None] + stride[:, None] * torch.arange(count)


def _below(draw: Tensor, bound: Tensor) -> Tensor:
    """Whole numbers from 0 to `bound` - 1 from numbers in [0,1)."""
    return torch.minimum((draw * bound).long(), bound - 1)


def _strides(data: TrainView, window: Clip | Pair) -> dict[int, int | None]:
    """Clip number -> frames between neighbours in a window; None where there is no such number."""
    seen: dict[int, int | None] = {}
    for made in data.batches("train", window, 1, stream="resident"):
        clip = int(made.index[0])
        if clip in seen:
            return dict(sorted(seen.items()))
        steps = set(np.diff(made.times[0]).tolist()) or {1}
        even = len(steps) == 1 and min(steps) > 0
        seen[clip] = steps.pop() if even or isinstance(window, Pair) else None
    return seen


def mirror_pairs(task: TaskInfo) -> tuple[tuple[int, int], ...]:
    """Joints that change places in a mirror: their names differ in "left" and "right" alone."""
    numbers = {name.lower(): k for k, name in enumerate(task.joint_names)}
    pairs = (
        (k, numbers.get(n.replace("left", "right"))) for n, k in numbers.items() if "left" in n
    )
    return tuple((a, b) for a, b in pairs if b is not None)


@dataclass(frozen=True)
class Changes:
    """What is done to each of B clips: flip, rotation and crop in one warp, then colours.

    The same as the harness does to clips on a CPU (`Augment`), apart from the rounding to levels.

    Attributes:
        sign: -1 where mirrored, else 1; angle: radians; scale: part of each side that stays; shift
            [B,2]: its centre in [-1,1]; gains [B,3]: brightness, contrast, saturation.
    """

    sign: Tensor
    angle: Tensor
    scale: Tensor
    shift: Tensor
    gains: Tensor

    @staticmethod
    def drawn(draws: Tensor, augment: Augment) -> Changes:
        """From numbers in [0,1), [B,8]."""
        sign = torch.where(draws[:, 0] < 0.5, -1.0, 1.0) if augment.flip else draws[:, 0] * 0 + 1
        scale = 1 - augment.crop * draws[:, 2]
        return Changes(
            sign,
            math.radians(augment.rotate_deg) * (2 * draws[:, 1] - 1),
            scale,
            (1 - scale)[:, None] * (2 * draws[:, 3:5] - 1),
            1 + augment.colour * (2 * draws[:, 5:8] - 1),
        )

    def to(self, device: torch.device) -> Changes:
        """On a device."""
        parts = (self.sign, self.angle, self.scale, self.shift, self.gains)
        return Changes(*(p.to(device, non_blocking=True) for p in parts))

    def _rotation(self) -> Tensor:
        """[B,2,2]: flip, then rotation."""
        cos, sin = self.angle.cos(), self.angle.sin()
        rows = [torch.stack([self.sign * cos, -sin], 1), torch.stack([self.sign * sin, cos], 1)]
        return torch.stack(rows, 1)

    def frames(self, frames: Tensor) -> Tensor:
        """[B,T,3,H,W] in [0,1]; bilinear, borders repeated."""
        times = frames.shape[1]
        back = self._rotation().transpose(1, 2)
        offset = back @ self.shift[:, :, None]
        matrix = torch.cat([self.scale[:, None, None] * back, offset], 2)
        shape = [len(frames), 3 * times, *frames.shape[3:]]
        grid = F.affine_grid(matrix, shape, align_corners=True)
        warped = F.grid_sample(
            frames.flatten(1, 2), grid, padding_mode="border", align_corners=True
        )
        return self._recoloured(warped.view_as(frames))

    def _recoloured(self, frames: Tensor) -> Tensor:
        brightness, contrast, saturation = self.gains.view(-1, 3, 1, 1, 1, 1).unbind(1)
        luma = frames.new_tensor(_LUMA).view(3, 1, 1)
        grey = (frames * luma).sum(2, keepdim=True)
        mean = grey.mean((1, 2, 3, 4), keepdim=True) * brightness
        gain = brightness * contrast
        out = (
            frames * (gain * saturation) + grey * (gain * (1 - saturation)) + mean * (1 - contrast)
        )
        return out.clamp(0, 1)

    def points(self, points: Tensor, pairs: tuple[tuple[int, int], ...] = ()) -> Tensor:
        """[B,T,J,3]; those that leave the frame get confidence 0."""
        places = points[..., :2] @ self._rotation().transpose(1, 2)[:, None]
        moved = (places - self.shift[:, None, None]) / self.scale.view(-1, 1, 1, 1)
        left = _inside(points[..., :2]) & ~_inside(moved)
        out = torch.cat([moved, points[..., 2:].masked_fill(left[..., None], 0.0)], -1)
        if not pairs:
            return out
        order = torch.arange(points.shape[2], device=points.device)
        one, other = (list(side) for side in zip(*pairs, strict=True))
        order[one], order[other] = order[other].clone(), order[one].clone()
        return torch.where(self.sign.view(-1, 1, 1, 1) < 0, out[:, :, order], out)


def _inside(places: Tensor) -> Tensor:
    return (places.abs() <= _EDGE).all(-1)
