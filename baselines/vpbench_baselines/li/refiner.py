"""The second network (flow2rgb): an image, warped by a flow, is redrawn in the light of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def warp(frames: Tensor, flow: Tensor) -> Tensor:
    """Backward warp: out(q) = frames(q + flow(q)), bilinear, places clamped to the border.

    Exact where the flow is a whole number: a zero flow gives the very frames back.

    Args:
        frames: [N,C,H,W].
        flow: [N,2,H,W], x before y, px.

    Returns:
        [N,C,H,W].
    """
    height, width = frames.shape[-2:]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)
    x = (columns + flow[:, 0]).clamp(0, width - 1)
    y = (rows[:, None] + flow[:, 1]).clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    a, b = (x - left)[:, None], (y - top)[:, None]
    flat = frames.flatten(2)

    def at(down: int, right: int) -> Tensor:
        i = (top.long() + down).clamp(max=height - 1) * width
        i = i + (left.long() + right).clamp(max=width - 1)
        index = i.flatten(1)[:, None].expand(-1, frames.shape[1], -1)
        return flat.gather(2, index).view_as(frames)

    upper = torch.lerp(at(0, 0), at(0, 1), a.to(frames.dtype))
    lower = torch.lerp(at(1, 0), at(1, 1), a.to(frames.dtype))
    return torch.lerp(upper, lower, b.to(frames.dtype))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return layer


def _repeats(level: int) -> int:
    """Convolutions at a resolution, as in VGG-19: two at the first two, four below."""
    return 2 if level < 2 else 4


def _tower(channels: int, width: int, levels: int) -> nn.Sequential:
    """C (of the image) and F (of the flow): [N,channels,H,W] -> [N,w*2^levels,h,w]."""
    layers: list[nn.Module] = []
    for level in range(levels):
        for _ in range(_repeats(level)):
            wide = width << level
            layers += [_conv(channels, wide), nn.ReLU(inplace=True)]
            channels = wide
        layers.append(nn.MaxPool2d(2))
    layers += [_conv(channels, width << levels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _decoder(width: int, levels: int) -> nn.Sequential:
    """Both towers' results, one behind the other -> [N,3,H,W]; the last layer is linear."""
    widest = width << levels
    layers: list[nn.Module] = [
        _conv(2 * widest, widest),
        nn.ReLU(inplace=True),
        _conv(widest, widest // 2),
        nn.ReLU(inplace=True),
    ]
    for level in reversed(range(levels)):
        layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        wide = width << level
        for _ in range(_repeats(level) - 1):
            layers += [_conv(wide, wide), nn.ReLU(inplace=True)]
        layers += [_conv(wide, wide // 2 if level else 3), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class Refiner(nn.Module):
    """frame i and the flow to frame i+1 -> frame i+1 = DEC(C(warp(frame)), F(flow)).

    In the original no path leads past the network: all pixels are drawn again, also those that
    stand still.

    Args:
        width: channels at full resolution; 64 in the original.
        levels: halvings; 3 in the original, at 128 px.
        start: "network", the original; with "warp" the warped frame is added to what the decoder
            draws, which is nothing before training.
    """

    def __init__(self, width: int, levels: int, start: str = "network") -> None:
        super().__init__()
        self.corrects = start == "warp"
        self.image = _tower(3, width, levels)
        self.flow = _tower(2, width, levels)
        self.decoder = _decoder(width, levels)
        if self.corrects:
            nn.init.zeros_(self.decoder[-1].weight)  # pyright: ignore[reportArgumentType]

    def forward(self, frame: Tensor, flow: Tensor) -> Tensor:
        """[N,3,H,W], [N,2,H,W] px -> [N,3,H,W], not clipped."""
        seen = warp(frame, flow).contiguous(memory_format=torch.channels_last)
        shift = flow.contiguous(memory_format=torch.channels_last)
        drawn = self.decoder(torch.cat([self.image(seen), self.flow(shift)], 1)).float()
        return seen + drawn if self.corrects else drawn

    def rollout(self, frame: Tensor, flows: Tensor) -> Tensor:
        """Frames one after the other, each from the one before, never clipped in between.

        Args:
            frame: [B,3,H,W].
            flows: [B,T,2,H,W] px.

        Returns:
            [B,T,3,H,W].
        """
        return _chained(self, frame, flows)


def warped(frame: Tensor, flows: Tensor) -> Tensor:
    """Frames one after the other, each the one before along its flow and nothing else.

    Args:
        frame: [B,3,H,W].
        flows: [B,T,2,H,W] px.

    Returns:
        [B,T,3,H,W].
    """
    return _chained(warp, frame, flows)


def _chained(step: Callable[[Tensor, Tensor], Tensor], frame: Tensor, flows: Tensor) -> Tensor:
    """Frames [B,T,3,H,W], each made of the one before and the flow [B,2,H,W] that leads on."""
    frames: list[Tensor] = []
    for flow in flows.unbind(1):
        frame = step(frame, flow)
        frames.append(frame)
    return torch.stack(frames, 1)


def squared_distances(
    network_fake: list[Tensor], network_real: list[Tensor], scales: Tensor
) -> Tensor:
    """Sum over layers of the mean squared difference of features with a mean magnitude of 1."""
    parts = [
        s.square() * F.mse_loss(a, b)
        for s, a, b in zip(scales, network_fake, network_real, strict=True)
    ]
    return torch.stack(parts).sum()
