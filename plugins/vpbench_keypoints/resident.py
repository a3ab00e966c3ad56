"""Training clips that lie on the device, where batches are cut out, turned and coloured.

A GPU trains these networks faster than one process can read and warp clips. Here the clips are sent
to it once; afterwards a step sends it a few numbers a clip. What is drawn follows from the seed and
the number of the step, so that a training resumes to the same batches. The changes are those of the
harness (`vpbench.media.augment`), in floating point; other clips, windows and angles are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from vpbench.api import Augment, BadData, Clip, KeypointView, Pair, Refused, TrainView
from vpbench_keypoints.layers import grid

_MOST_BYTES = 16 * 2**30
"""More training clips than this do not lie on a device beside the networks."""
_POOL = 8192
"""Windows of keypoints that a pool holds: each of a small dataset's, many of a large one's."""
_POOL_BATCH = 256
_GREY = (0.299, 0.587, 0.114)
"""ITU-R 601 luma, as in the harness."""

Uniforms = npt.NDArray[np.float64]


def uniforms(seed: int, step: int, rows: int, columns: int) -> Uniforms:
    """Numbers in [0,1), float64 [rows,columns], of one step; the same on every machine."""
    # raw bits are stable between releases of numpy, distributions are not
    words = np.random.PCG64(np.random.SeedSequence([seed % 2**64, step])).random_raw(rows * columns)
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(rows, columns)


def to_device(array: npt.NDArray[Any], device: str | torch.device) -> Tensor:
    """A small array as a tensor on the device, without waiting for what the device has to do.

    The driver copies pageable memory away before it returns, so the array may go.
    """
    return torch.from_numpy(array).to(device, non_blocking=True)


@dataclass(frozen=True)
class Change:
    """What happens to each clip of a batch: flip, rotation, crop, colour.

    Attributes:
        matrix: [B,2,2], from old to new directions, before the crop.
        shift: [B,2], centre of the part that the crop keeps.
        scale: [B], part of each side that it keeps.
        gains: [B,3], brightness, contrast, saturation; None leaves colours as they are.
    """

    matrix: Tensor
    shift: Tensor
    scale: Tensor
    gains: Tensor | None

    @staticmethod
    def draw(augment: Augment, numbers: Uniforms, device: str | torch.device) -> Change:
        """From numbers in [0,1), [B,8]."""
        sign = np.where(numbers[:, 0] < 0.5, -1.0, 1.0) if augment.flip else np.ones(len(numbers))
        angle = math.radians(augment.rotate_deg) * (2.0 * numbers[:, 1] - 1.0)
        scale = 1.0 - augment.crop * numbers[:, 2]
        shift = (1.0 - scale)[:, None] * (2.0 * numbers[:, 3:5] - 1.0)
        cos, sin = np.cos(angle), np.sin(angle)
        rows = [np.stack([sign * cos, -sin], 1), np.stack([sign * sin, cos], 1)]
        gains = 1.0 + augment.colour * (2.0 * numbers[:, 5:8] - 1.0)
        # one transfer instead of four
        table = np.concatenate([np.stack(rows, 1).reshape(-1, 4), shift, scale[:, None], gains], 1)
        sent = to_device(table.astype(np.float32), device)
        colours = sent[:, 7:10] if augment.colour > 0 else None
        return Change(sent[:, :4].view(-1, 2, 2), sent[:, 4:6], sent[:, 6], colours)

    def points(self, points: Tensor) -> Tensor:
        """[B,...,2] in [-1,1], (x, y) -> where they are afterwards."""
        flat = points.reshape(len(points), -1, 2)
        moved = flat @ self.matrix.transpose(1, 2) - self.shift[:, None]
        return (moved / self.scale[:, None, None]).view(points.shape)

    def images(self, images: Tensor) -> Tensor:
        """[B,T,3,S,S] in [0,1]; bilinear, borders repeated, all frames of a clip alike."""
        size = images.shape[-1]
        y, x = torch.meshgrid(grid(size, images), grid(size, images), indexing="ij")
        raster = torch.stack([x, y], -1).view(1, -1, 2)
        kept = raster * self.scale[:, None, None] + self.shift[:, None]
        # the matrix is a rotation of a mirror image: its transpose undoes both
        places = (kept @ self.matrix).view(-1, size, size, 2)
        wide = images.flatten(1, 2)
        warped = F.grid_sample(wide, places, padding_mode="border", align_corners=True)
        return self._coloured(warped.view(images.shape))

    def _coloured(self, images: Tensor) -> Tensor:
        if self.gains is None:
            return images
        brightness, contrast, saturation = (g.view(-1, 1, 1, 1, 1) for g in self.gains.unbind(1))
        red, green, blue = images.split(1, 2)
        grey = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
        mean = grey.mean((1, 2, 3, 4), keepdim=True) * brightness
        gain = brightness * contrast
        out = images * (gain * saturation) + grey * (gain * (1.0 - saturation))
        return (out + mean * (1.0 - contrast)).clamp(0.0, 1.0)


@dataclass(frozen=True)
class DeviceBatch:
    """A batch on the device.

    Attributes:
        values: frames [B,2,3,S,S] in [0,1], or paths of keypoints [B,1+T,2K].
        label: int64 [B], or None.
        index: numbers of the clips.
    """

    values: Tensor
    label: Tensor | None
    index: npt.NDArray[np.int64]


class ResidentPairs:
    """All training frames on a device; batches of pairs of them.

    Args:
        window: pairs as the harness cuts them.
        augment: without filters.

    Raises:
        BadData: no clip is long enough.
        Refused: filters, or more frames than a device holds.
    """

    def __init__(
        self,
        data: TrainView,
        device: str | torch.device,
        window: Pair,
        size: int,
        augment: Augment,
        seed: int,
    ) -> None:
        if augment.filters:
            raise Refused("image filters are not there for clips that lie on the device.")
        self.window, self.size, self.augment, self.seed = window, size, augment, seed
        self.device = device
        lengths = [data.length("train", i) for i in range(data.len("train"))]
        least = 1 if window.wrap else window.min_gap + 1
        self.clips = np.array([i for i, n in enumerate(lengths) if n >= least], np.int64)
        if not len(self.clips):
            raise BadData(f"none of the {len(lengths)} training clips is long enough for {window}.")
        self.lengths = np.array(lengths, np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.frames = self._sent(data, lengths)

    def _sent(self, data: TrainView, lengths: list[int]) -> Tensor:
        """uint8 [all frames,S,S,3] on the device."""
        first = data.read("train", int(self.clips[0]), [0])
        total = sum(lengths) * first[0].nbytes
        if total > _MOST_BYTES:
            raise Refused(
                f"the training clips take {total / 2**30:.0f} GiB, more than a device holds.",
                fix="Take augment=light, which reads them as they are needed.",
            )
        frames = torch.empty((sum(lengths), *first.shape[1:]), dtype=torch.uint8)
        for i, (offset, length) in enumerate(zip(self.offsets, lengths, strict=True)):
            clip = data.read("train", i, list(range(length)))
            frames[int(offset) : int(offset) + length] = torch.from_numpy(np.array(clip))
        return frames.to(self.device)

    def times(self, step: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Clip numbers [B] and frame numbers [B,2] of a step; clips with replacement."""
        numbers = uniforms(self.seed, 2 * step, self.size, 3)
        index = self.clips[(numbers[:, 0] * len(self.clips)).astype(np.int64)]
        length, low = self.lengths[index], self.window.min_gap
        longest = self.window.max_gap
        most = np.full(len(index), longest) if self.window.wrap else np.minimum(longest, length - 1)
        gap = low + (numbers[:, 1] * (most - low + 1)).astype(np.int64)
        if self.window.wrap:
            start = (numbers[:, 2] * length).astype(np.int64)
            return index, np.stack([start, (start + gap) % length], 1)
        start = (numbers[:, 2] * (length - gap)).astype(np.int64)
        return index, np.stack([start, start + gap], 1)

    def batches(self, done: int) -> Iterator[DeviceBatch]:
        """Batches from step `done` on, without end."""
        step = done
        while True:
            index, times = self.times(step)
            rows = to_device(self.offsets[index][:, None] + times, self.device)
            images = self.frames[rows].movedim(-1, 2).float() / 255.0
            numbers = uniforms(self.seed, 2 * step + 1, self.size, 8)
            change = Change.draw(self.augment, numbers, self.device)
            yield DeviceBatch(change.images(images), None, index)
            step += 1


class ResidentPaths:
    """A pool of keypoint paths on a device, cut from training clips; batches of them.

    Raises:
        BadData: no clip is long enough.
    """

    def __init__(
        self,
        data: KeypointView,
        device: str | torch.device,
        window: Clip,
        size: int,
        augment: Augment,
        seed: int,
    ) -> None:
        self.size, self.augment, self.seed, self.device = size, augment, seed, device
        batches = data.batches("train", window, _POOL_BATCH, stream="pool")
        drawn = [next(batches) for _ in range(_POOL // _POOL_BATCH)]
        points = [b.keypoints[..., :2] for b in drawn if b.keypoints is not None]
        if len(points) < len(drawn):
            raise BadData("a motion model is fitted on keypoints, the batch has none.")
        self.points = torch.from_numpy(np.concatenate(points).astype(np.float32)).to(device)
        labels = [b.label for b in drawn if b.label is not None]
        self.label = None
        if len(labels) == len(drawn):
            self.label = torch.from_numpy(np.concatenate(labels).astype(np.int64)).to(device)
        self.index = np.concatenate([b.index for b in drawn])

    def batch(self, step: int, size: int | None = None) -> DeviceBatch:
        """The batch of one step, paths of `size` windows drawn with replacement."""
        numbers = uniforms(self.seed, step, size or self.size, 9)
        rows = (numbers[:, 0] * len(self.points)).astype(np.int64)
        where = to_device(rows, self.device)
        change = Change.draw(self.augment, numbers[:, 1:], self.device)
        paths = change.points(self.points[where]).flatten(2)
        label = None if self.label is None else self.label[where]
        return DeviceBatch(paths, label, self.index[rows])

    def batches(self, done: int) -> Iterator[DeviceBatch]:
        """Batches from step `done` on, without end."""
        step = done
        while True:
            yield self.batch(step)
            step += 1
