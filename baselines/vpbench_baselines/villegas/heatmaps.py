"""The heat-map regressor: network, targets, loss and read-out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 2
"""Pixels of a cell of the heat maps."""
_REACH = 2
"""A place is the mean over so many cells on each side of the highest one."""


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class HeatMapNetwork(nn.Module):
    """Images to one heat map a point, at half size, and whether each point can be seen.

    Args:
        count: points.
        width: channels of the first convolution; up to four times as many.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        w = width
        self.down2 = nn.Sequential(_block(3, w), _block(w, 2 * w, 2), _block(2 * w, 2 * w))
        self.down4 = nn.Sequential(_block(2 * w, 4 * w, 2), _block(4 * w, 4 * w))
        self.down8 = nn.Sequential(_block(4 * w, 4 * w, 2), _block(4 * w, 4 * w))
        self.up4 = _block(8 * w, 4 * w)
        self.up2 = _block(6 * w, 2 * w)
        self.maps = nn.Conv2d(2 * w, count, 1)
        self.seen = nn.Linear(4 * w, count)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N,3,H,W] in [-1,1] -> heat maps [N,count,H/2,W/2] and whether seen [N,count]: logits."""
        features, deep = self._look(images)
        return self.maps(features), self.seen(deep.mean((2, 3)))

    def features(self, images: Tensor) -> Tensor:
        """What the heat maps are read from, [N,2 width,H/2,W/2]."""
        return self._look(images)[0]

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        half = self.down2(images.contiguous(memory_format=torch.channels_last))
        quarter = self.down4(half)
        deep = self.down8(quarter)
        up = self.up4(torch.cat([F.interpolate(deep, scale_factor=2.0), quarter], 1))
        return self.up2(torch.cat([F.interpolate(up, scale_factor=2.0), half], 1)), deep


def _cells(points: Tensor, size: int) -> Tensor:
    """Paths in [-1,1] as places on the heat map, 0 = centre of its first cell."""
    pixels = (points[..., :2] + 1) / 2 * (size - 1)
    return (pixels + 0.5) / CELL - 0.5


def heat_map_loss(
    logits: Tensor, seen: Tensor, points: Tensor, spread: float, visible_weight: float
) -> Tensor:
    """Cross entropy between heat maps and gaussians; points that are missing have none.

    Args:
        logits, seen: as `HeatMapNetwork` gives them.
        points: [N,count,3] in [-1,1], confidence 0 = missing.
        spread: standard deviation of the gaussians, in cells.
        visible_weight: of the binary cross entropy of `seen`.
    """
    there = points[..., 2] > 0
    height = logits.shape[-1]
    cells = _cells(torch.where(there[..., None], points[..., :2], 0.0), CELL * height)
    axis = torch.arange(height, device=logits.device, dtype=torch.float32)
    far = (cells[..., None] - axis).square() / (2 * spread**2)  # [N,count,2,h]
    target = F.softmax((-far[:, :, 1, :, None] - far[:, :, 0, None, :]).flatten(2), 2)
    entropy = -(target * F.log_softmax(logits.float().flatten(2), 2)).sum(2)
    placed = (entropy * there).sum() / there.sum().clamp_min(1)
    visible = F.binary_cross_entropy_with_logits(seen.float(), there.float())
    return placed + visible_weight * visible


def read_points(logits: Tensor, seen: Tensor) -> Tensor:
    """Heat maps to points.

    A place is the mean of the probabilities around the highest cell, so that it lies between cells
    and a second bump elsewhere does not move it.

    Args:
        logits: [N,K,h,w].
        seen: logits [N,K].

    Returns:
        [N,K,3] in [-1,1]; the confidence is the probability of being seen, 0 where it is below a
        half.
    """
    height, width = logits.shape[2:]
    best = logits.flatten(2).argmax(2)
    row, column = best // width, best % width
    near = torch.arange(-_REACH, _REACH + 1, device=logits.device)
    rows, columns = row[..., None] + near, column[..., None] + near  # [N,K,5]
    inside = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[
        ..., None, :
    ]
    places = (
        rows.clamp(0, height - 1)[..., :, None] * width + columns.clamp(0, width - 1)[..., None, :]
    )
    values = logits.flatten(2).gather(2, places.flatten(2))
    weights = F.softmax(values.masked_fill(~inside.flatten(2), -torch.inf), 2).unflatten(
        2, (len(near), len(near))
    )
    y = (weights.sum(3) * rows).sum(2)
    x = (weights.sum(2) * columns).sum(2)
    size = torch.tensor([width, height], device=logits.device) * CELL
    pixels = (torch.stack([x, y], -1) + 0.5) * CELL - 0.5
    sure = torch.sigmoid(seen)
    confidence = torch.where(sure >= 0.5, sure, 0.0)
    return torch.cat([(pixels / (size - 1) * 2 - 1).clamp(-1, 1), confidence[..., None]], -1)
