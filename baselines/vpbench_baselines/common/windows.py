"""Training windows that stay on the device, and changes to them that are made there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vpbench.api import Clip, FitContext, TrainView
from vpbench.kit import to_tensor, validation_clips

_SHIFT = 1 / 16
"""Largest shift, of the side."""
_BRIGHTNESS = 0.1
"""Largest change of a clip's brightness, as a part of it."""


class Windows(NamedTuple):
    """Clips of equal length.

    Attributes:
        frames: uint8 [B,T,H,W,3], on the device.
        label: int64 [B], on the device; -1 where there is none.
        index: numbers of the clips, for messages.
    """

    frames: Tensor
    label: Tensor
    index: list[int]

    @property
    def video(self) -> Tensor:
        """The frames for networks, unchanged: float32 [B,T,3,H,W] in [0,1]."""
        return to_tensor(self.frames, self.frames.device)


class Source:
    """Random windows of training clips.

    Args:
        length: frames in a window, a stride of the task apart.
        pool: so many windows of each clip are drawn once and then stay on the device, so that a
            step neither reads nor copies anything; 0 reads the windows of each step.

    Attributes:
        ahead: batches to be made ahead in a thread, for `training_steps`.
    """

    def __init__(self, data: TrainView, ctx: FitContext, length: int, pool: int = 0) -> None:
        self.data, self.device, self.pool = data, ctx.device, pool
        self.window = Clip(length, "task", "random")
        self.ahead = 0 if pool else 2
        self._kept: Windows | None = None

    def batches(self, batch: int, done: int) -> Iterator[Windows]:
        """Endless batches after `done` steps; those of a pool follow torch's global generator."""
        if not self.pool:
            for made in self.data.batches("train", self.window, batch, start_step=done):
                yield _moved([(made.frames, made.label, made.index)], self.device)
            return
        if self._kept is None:
            # numbers of clips of the same split: every clip comes once before any comes again
            epochs = self.data.batches("train", self.window, self.data.len("train"), stream="pool")
            drawn = [next(epochs) for _ in range(self.pool)]
            self._kept = _moved([(b.frames, b.label, b.index) for b in drawn], self.device)
        kept = self._kept
        while True:
            rows = torch.randint(len(kept.index), (batch,))
            there = rows.to(self.device)
            numbers = [kept.index[k] for k in rows.tolist()]
            yield Windows(kept.frames[there], kept.label[there], numbers)

    def held_out(self, ctx: FitContext, most: int) -> Windows | None:
        """Validation clips as the task cuts them, the last given frame first; None without any."""
        clips = list(validation_clips(self.data, ctx.task, most))
        first, last = ctx.task.n_max - 1, ctx.task.n_max - 1 + self.window.length
        cut = [(b.frames[:, first:last], b.label, b.index) for b in clips]
        return _moved(cut, self.device) if cut else None


def _moved(parts: list[tuple[np.ndarray, np.ndarray | None, np.ndarray]], device: str) -> Windows:
    frames = torch.cat([torch.from_numpy(np.array(f)).to(device) for f, _, _ in parts])
    labels = [np.full(len(i), -1, np.int64) if y is None else y for _, y, i in parts]
    label = torch.from_numpy(np.concatenate(labels)).to(device)
    return Windows(frames, label, np.concatenate([i for _, _, i in parts]).tolist())


def some_frames(frames: Tensor, count: int) -> Tensor:
    """The first frame and `count` random others of each clip [B,T,...]: [B,1+count,...]."""
    picked = torch.randint(1, frames.shape[1], (len(frames), 1 + count))
    picked[:, 0] = 0
    clips = torch.arange(len(frames), device=frames.device)
    return frames[clips[:, None], picked.to(frames.device)]


def augmented(frames: Tensor) -> Tensor:
    """Mirror half of the clips, shift each by whole pixels, change its brightness.

    A shift by parts of a pixel, a turn or a zoom would blur what a model learns to draw. Draws come
    from torch's global generator on the CPU, so that every device sees the same clips.

    Args:
        frames: uint8 [B,T,H,W,3].

    Returns:
        float32 [B,T,3,H,W] in [0,1].
    """
    b, _, h, w, _ = frames.shape
    gain = 1 + _BRIGHTNESS * (2 * torch.rand(b) - 1)
    rows = [_places(b, n, flip) for n, flip in ((h, False), (w, True))]
    y, x = (r.to(frames.device, non_blocking=True) for r in rows)
    clip = torch.arange(b, device=frames.device)
    # one look-up for both axes; time comes along
    moved = frames.transpose(1, 2)[clip[:, None, None], y[:, :, None], :, x[:, None, :]]
    video = to_tensor(moved.permute(0, 3, 1, 2, 4), frames.device)
    return (video * gain.to(frames.device)[:, None, None, None, None]).clamp(max=1.0)


def _places(clips: int, side: int, flip: bool) -> Tensor:
    """[B,side]: where each pixel of a line comes from; borders are repeated."""
    most = int(side * _SHIFT)
    places = torch.arange(side) + torch.randint(-most, most + 1, (clips, 1))
    places = places.clamp(0, side - 1)
    turned = (torch.rand(clips, 1) < 0.5) & flip
    return torch.where(turned, side - 1 - places, places)
