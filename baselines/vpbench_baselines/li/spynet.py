"""SPyNet's network: a pyramid of small convolutional networks, each adding to the flow."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench_baselines.li.refiner import warp

LEVELS = 5
_CHANNELS = (8, 32, 64, 32, 16, 2)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _level() -> nn.Sequential:
    """[N,8,H,W] (first, warped second, flow) -> what is to be added to the flow."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(_CHANNELS):
        layers += [nn.Conv2d(inputs, outputs, 7, padding=3), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Pyramid(nn.Module):
    """Five levels of 240 050 numbers each, from a sixteenth of the size up."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_level() for _ in range(LEVELS))
        self.mean: Tensor
        self.deviation: Tensor
        for name, value in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(value).view(1, 3, 1, 1), persistent=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """[N,3,H,W] in [0,1] twice -> [N,2,H,W] px; H and W divisible by 16."""
        pyramid = [((first - self.mean) / self.deviation, (second - self.mean) / self.deviation)]
        for _ in range(LEVELS - 1):
            pyramid.append(tuple(F.avg_pool2d(x, 2) for x in pyramid[-1]))  # pyright: ignore[reportArgumentType]
        a, b = pyramid[-1]
        flow = a.new_zeros(len(a), 2, *a.shape[2:])
        for level, (a, b) in zip(self.levels, reversed(pyramid), strict=True):
            if flow.shape[2:] != a.shape[2:]:
                flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            flow = flow + level(torch.cat([a, warp(b, flow), flow], 1))
        return flow
