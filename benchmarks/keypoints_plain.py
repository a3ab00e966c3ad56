"""A plain form of the first stage of Kim et al. 2019, the baseline of `keypoints_speed.py`.

What one writes from the paper and the published schedule without thinking of speed: two batches an
iteration, two calls of the detector, default memory layout, gaussian maps as one exponential over
the plane. Frozen; do not improve it. The frozen network of the perceptual loss is vpbench's, in the
layout of the rest.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench_keypoints.first_stage import FirstStage

_SAME = 1e-3
"""Largest relative difference of results with the same weights; more is not rounding."""


class _Conv(nn.Module):
    """Convolution padded as TensorFlow's SAME, after a border of zeros on every side."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int,
        stride: int = 1,
        border: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        plain = stride == 1
        self.conv = nn.Conv2d(
            n_in, n_out, kernel, stride, padding=kernel // 2 + border if plain else 0, bias=bias
        )
        self.kernel, self.stride, self.border, self.plain = kernel, stride, border, plain
        nn.init.xavier_uniform_(self.conv.weight)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.plain:
            return self.conv(x)
        pads: list[int] = []
        for size in (x.shape[3] + 2 * self.border, x.shape[2] + 2 * self.border):
            total = max((math.ceil(size / self.stride) - 1) * self.stride + self.kernel - size, 0)
            pads += [self.border + total // 2, self.border + total - total // 2]
        return self.conv(F.pad(x, pads))


def _block(n_in: int, n_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        _Conv(n_in, n_out, kernel, stride), nn.BatchNorm2d(n_out, momentum=0.1), nn.ReLU()
    )


def _blocks(*widths: int) -> nn.Sequential:
    return nn.Sequential(*[_block(a, b) for a, b in pairwise(widths)])


def _double(x: Tensor) -> Tensor:
    """Bilinear, twice the size, as TensorFlow 1: no half-pixel centres."""
    h, w = x.shape[2:]
    x = F.pad(x, (0, 1, 0, 1), mode="replicate")
    x = F.interpolate(x, (2 * h + 1, 2 * w + 1), mode="bilinear", align_corners=True)
    return x[:, :, : 2 * h, : 2 * w]


class _Encoder(nn.Module):
    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList([nn.Sequential(_block(3, width, 7), _block(width, width))])
        for k in range(1, levels):
            wide = width * 2**k
            self.levels.append(nn.Sequential(_block(wide // 2, wide, 3, 2), _block(wide, wide)))

    def forward(self, x: Tensor) -> list[Tensor]:
        out: list[Tensor] = []
        for level in self.levels:
            x = level(x)
            out.append(x)
        return out


class _Detector(nn.Module):
    def __init__(self, points: int, width: int, d: int) -> None:
        super().__init__()
        self.encoder = _Encoder(width, 4)
        self.d1 = _blocks(8 * width, d, d, d, d)
        self.d2 = _blocks(d + 4 * width, d // 2, d // 2, d // 2, d // 2)
        self.d3 = _blocks(d // 2 + 2 * width, d // 4, d // 4, d // 4, d // 4)
        self.d4 = _blocks(d // 4 + width, d // 8, d // 8)
        self.out = _Conv(d // 8, points, 1)

    def forward(self, image: Tensor) -> Tensor:
        s1, s2, s4, s8 = self.encoder(image)
        x = _double(self.d1(s8))
        x = _double(self.d2(torch.cat([x, s4], 1)))
        x = _double(self.d3(torch.cat([x, s2], 1)))
        return self.out(self.d4(torch.cat([x, s1], 1)))


class _Translator(nn.Module):
    def __init__(self, points: int, width: int, d: int) -> None:
        super().__init__()
        self.encoder = _Encoder(width, 3)
        self.t1 = _blocks(4 * width + 2 * points, d, d, d, d)
        self.t2 = _blocks(d, d // 2, d // 2, d // 2, d // 2)
        self.t3 = _blocks(d // 2, d // 4, d // 4)
        self.coarse = _Conv(d // 4, 3, 3)
        self.mask = _Conv(d // 4, 1, 3)

    def forward(self, image: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([self.encoder(image)[2], maps], 1)
        x = self.t3(_double(self.t2(_double(self.t1(x)))))
        return self.coarse(x), torch.sigmoid(self.mask(x))


class _Discriminator(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        widths = [3, *[width * 2**k for k in range(depth)]]
        self.layers = nn.ModuleList([_Conv(a, b, 4, 2, border=1) for a, b in pairwise(widths)])
        self.logit = _Conv(widths[-1], 1, 3, border=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.01)
        return self.logit(x)


def _axis(size: int) -> Tensor:
    return torch.linspace(-1, 1, size)


def _keypoints(logits: Tensor, temperature: float) -> Tensor:
    b, k, h, w = logits.shape
    plane = torch.softmax(logits.reshape(b, k, h * w) / temperature, 2).reshape(b, k, h, w)
    return torch.stack([(plane.sum(2) * _axis(w)).sum(2), (plane.sum(3) * _axis(h)).sum(2)], 2)


def _maps(points: Tensor, size: int, sharpness: float) -> Tensor:
    y, x = torch.meshgrid(_axis(size), _axis(size), indexing="ij")
    dx = x - points[:, :, 0, None, None]
    dy = y - points[:, :, 1, None, None]
    return torch.exp(-(sharpness**2) * (dx * dx + dy * dy))


class _Warp:
    """A random turn, stretch and shift with three sine waves on top."""

    def __init__(self, n: int) -> None:
        angle = (2 * torch.rand(n) - 1) * math.radians(15)
        side = torch.exp((2 * torch.rand(n, 2) - 1) * 0.15)
        cos, sin = torch.cos(angle), torch.sin(angle)
        self.matrix = torch.stack([cos * side[:, 0], -sin, sin, cos * side[:, 1]], 1).view(n, 2, 2)
        self.shift = (2 * torch.rand(n, 1, 2) - 1) * 0.15
        self.height = torch.randn(n, 1, 2, 3) * 0.06
        self.number = (2 * torch.rand(n, 1, 2, 3, 2) - 1) * 3
        self.phase = (2 * torch.rand(n, 1, 2, 3) - 1) * math.pi

    def points(self, points: Tensor) -> Tensor:
        straight = points @ self.matrix.transpose(1, 2) + self.shift
        angle = (points[:, :, None, None] * self.number).sum(4) + self.phase
        return straight + (self.height * torch.sin(angle)).sum(3)

    def images(self, images: Tensor) -> Tensor:
        n, _, h, w = images.shape
        y, x = torch.meshgrid(_axis(h), _axis(w), indexing="ij")
        places = torch.stack([x, y], 2).view(1, h * w, 2).expand(n, -1, -1)
        places = self.points(places).view(n, h, w, 2)
        return F.grid_sample(images, places, padding_mode="reflection", align_corners=True)


class Plain:
    """One training of the first stage in the plain form.

    Args:
        stage: whose widths, weights of losses, rates and precision to take.
        shared: one batch and one forward pass of the generator serve both networks.
        layout: of images and weights.
    """

    def __init__(
        self,
        stage: FirstStage,
        *,
        shared: bool = False,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        p, q = stage.p, stage.detector.params
        points = int(p["n_keypoints"])
        self.p, self.shared, self.layout, self.precision = p, shared, layout, stage.precision
        self.temperature = float(q["temperature"])
        self.detector: Any = _Detector(
            points, int(q["detector_width"]), int(q["detector_decoder"])
        ).to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.translator: Any = _Translator(
            points, int(p["translator_width"]), int(p["translator_decoder"])
        ).to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.discriminator: Any = _Discriminator(
            int(p["image_discriminator"]), int(p["image_discriminator_depth"])
        ).to(memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.perceptual: Any = copy.deepcopy(stage.perceptual)
        if self.perceptual is not None:
            self.perceptual.to(memory_format=layout)
            self.perceptual.network.memory_format = layout
        betas = (0.5, 0.999)
        made = [*self.detector.parameters(), *self.translator.parameters()]
        self.g = torch.optim.Adam(made, lr=float(p["rate"]) * 0.002, betas=betas)
        rate = float(p["discriminator_rate"]) * 0.002
        self.d = torch.optim.Adam(self.discriminator.parameters(), lr=rate, betas=betas)

    def points(self, images: Tensor) -> Tensor:
        """Keypoints [N,K,2] of images [N,3,H,W] in [-1,1]."""
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            logits = self.detector(images)
        return _keypoints(logits.float(), self.temperature)

    def draw(self, source: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """The source, redrawn at keypoints `b`."""
        size = source.shape[3] // 4
        sharpness = 14.3 * (size - 1) / 31
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            maps = torch.cat([_maps(a, size, sharpness), _maps(b, size, sharpness)], 1)
            coarse, mask = self.translator(source, maps.contiguous(memory_format=self.layout))
        coarse, mask = coarse.float(), mask.float()
        return mask * source + (1 - mask) * coarse

    def distances(self, fake: Tensor, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Terms of the generator's loss that compare images."""
        terms: dict[str, Tensor] = {}
        if float(self.p["pixel_weight"]) > 0:
            changed = ((target - source).abs().mean(1, keepdim=True) > 0.1).float()
            weight, a, b = 1 + float(self.p["changed_weight"]) * changed, fake, target
            total: Any = 0
            for _ in range(3):
                total = total + ((a - b).abs().mean(1, keepdim=True) * weight).sum() / weight.sum()
                a, b, weight = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2), F.avg_pool2d(weight, 2)
            terms["pixels"] = float(self.p["pixel_weight"]) * total / 3
        if self.perceptual is not None:
            distance = self.perceptual(fake / 2 + 0.5, target / 2 + 0.5)
            terms["perceptual"] = float(self.p["perceptual_weight"]) * distance
        return terms

    def step(self, first: Tensor, second: Tensor) -> dict[str, float]:
        """One iteration: the discriminator learns from one batch, the generator from the other.

        Args:
            first, second: [B,2,3,H,W] in [-1,1].
        """
        batch = first if self.shared else second
        source, target = (batch[:, k].contiguous(memory_format=self.layout) for k in (0, 1))
        if self.shared:
            made = self._make(source, target)
            real, fake = target, made[0].detach()
        else:
            made = None
            before, real = (first[:, k].contiguous(memory_format=self.layout) for k in (0, 1))
            with torch.no_grad():
                fake = self._make(before, real)[0]
        yes, no = self.discriminator(real), self.discriminator(fake)
        judged = F.binary_cross_entropy_with_logits(yes, torch.ones_like(yes))
        judged = judged + F.binary_cross_entropy_with_logits(no, torch.zeros_like(no))
        self.d.zero_grad()
        judged.backward()
        self.d.step()
        fake, at = made if made is not None else self._make(source, target)
        terms = self.distances(fake, source, target)
        if float(self.p["equivariance_weight"]) > 0:
            some = target[: max(1, len(target) // 2)]
            warp = _Warp(len(some))
            bent = self.points(warp.images(some))
            apart = (warp.points(bent) - at[: len(some)]).abs().mean()
            terms["equivariance"] = float(self.p["equivariance_weight"]) * apart
        self.discriminator.requires_grad_(False)
        no = self.discriminator(fake)
        self.discriminator.requires_grad_(True)
        won = F.binary_cross_entropy_with_logits(no, torch.ones_like(no))
        terms["adversarial"] = float(self.p["adversarial_weight"]) * won
        self.g.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        self.g.step()
        return {k: float(v.detach()) for k, v in {"discriminator": judged, **terms}.items()}

    def _make(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The result, and the target's keypoints."""
        a, b = self.points(source), self.points(target)
        return self.draw(source, a, b), b


@torch.no_grad()
def same_results(stage: FirstStage, frames: Tensor) -> dict[str, float]:
    """How far a plain form with the weights of `stage` is from it, in float64.

    In float32 the softmax over the plane at a low temperature turns rounding in another order into
    differences that would hide a real one.

    Args:
        frames: [B,2,3,H,W] in [-1,1].

    Returns:
        Largest difference of each result, as a part of its largest value.

    Raises:
        ValueError: the two are not the same networks and losses.
    """
    plain = Plain(stage)
    plain.precision = torch.float32
    ours = (stage.detector.net, stage.translator.net, stage.discriminator)
    theirs = (plain.detector, plain.translator, plain.discriminator)
    for a, b in zip(ours, theirs, strict=True):
        pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
        for mine, other in pairs:
            if mine.shape != other.shape:
                raise ValueError(f"{type(b).__name__}: {list(other.shape)}, ours {mine.shape}.")
            other.copy_(mine)
    modes = [net.training for net in ours]
    for net in (*ours, *theirs):
        net.eval().double()
    source, target = (frames[:, k].contiguous().double() for k in (0, 1))
    points, other_points = (f.points(torch.cat([source, target])) for f in (stage.detector, plain))
    n = len(source)
    size = source.shape[3] // 4
    fake = stage.translator.draw(source, points[:n], points[n:], 14.3 * (size - 1) / 31)[0]
    other = plain.draw(source, points[:n], points[n:])
    single = (source.float(), target.float())  # the perceptual network stays as it is
    terms = stage._distances(fake.float(), *single)
    other_terms = plain.distances(other.float(), *single)
    apart = {
        "keypoints": _apart(points, other_points),
        "image": _apart(fake, other),
        "logits": _apart(stage.discriminator(fake), plain.discriminator(fake)),
        **{name: _apart(value, other_terms[name]) for name, value in terms.items()},
    }
    for net, mode in zip(ours, modes, strict=True):
        net.train(mode).float()
    if not all(value <= _SAME for value in apart.values()):  # NaN too: nothing was to be seen
        raise ValueError(f"the plain form is another method: {apart}.")
    return apart


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / a.abs().max())
