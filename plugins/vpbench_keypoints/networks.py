"""The networks of the published method: Q, T, the two discriminators, M."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench_keypoints.layers import (
    Conv,
    Encoder,
    Lstm,
    blocks,
    gaussian_maps,
    grid,
    linear,
    upsample,
)


class KeypointNetwork(nn.Module):
    """Q: a U-Net from an image to one logit map a keypoint.

    Args:
        points: K.
        width: of the first encoder level (paper: 32).
        decoder: width of the first decoder level (paper: 128).
        momentum: of batch normalisation (paper: 0.001 in torch's terms).
    """

    def __init__(self, points: int, width: int, decoder: int, momentum: float) -> None:
        super().__init__()
        self.encoder = Encoder(width, 4, momentum)
        d = decoder
        self.d1 = blocks((8 * width, d, d, d, d), momentum)
        self.d2 = blocks((d + 4 * width, *(d // 2,) * 4), momentum)
        self.d3 = blocks((d // 2 + 2 * width, *(d // 4,) * 4), momentum)
        self.d4 = blocks((d // 4 + width, d // 8, d // 8), momentum)
        self.out = Conv(d // 8, points, 1)

    def forward(self, image: Tensor) -> Tensor:
        """[B,3,H,W] in [-1,1] -> logits [B,K,H,W]."""
        full, half, quarter, eighth = self.encoder(image)
        x = upsample(self.d1(eighth))
        x = upsample(self.d2(torch.cat([x, quarter], 1)))
        x = upsample(self.d3(torch.cat([x, half], 1)))
        return self.out(self.d4(torch.cat([x, full], 1)))


def soft_argmax_marginal(logits: Tensor) -> Tensor:
    """The published read-out: a softmax along each axis of the logits' mean over the other.

    Args:
        logits: [B,K,H,W].

    Returns:
        [B,K,2], (x, y) in [-1,1].
    """
    px = logits.mean(2).softmax(-1)
    py = logits.mean(3).softmax(-1)
    x, y = grid(logits.shape[3], logits), grid(logits.shape[2], logits)
    return torch.stack([(px * x).sum(-1), (py * y).sum(-1)], -1)


def soft_argmax_plane(logits: Tensor, temperature: float) -> Tensor:
    """Equation 1 of the paper: one softmax over the plane; a low temperature sharpens it."""
    plane = (logits.flatten(2) / temperature).softmax(-1).view_as(logits)
    x, y = grid(logits.shape[3], logits), grid(logits.shape[2], logits)
    return torch.stack([(plane.sum(2) * x).sum(-1), (plane.sum(3) * y).sum(-1)], -1)


class TranslatorNetwork(nn.Module):
    """T: appearance of one image, two sets of keypoints -> coarse image and mask.

    Args:
        points: K.
        width: of the image encoder's first level (paper: 32).
        decoder: width of the decoder's first level (paper: 256).
        reference: whether the source's keypoints are given too.
        mask: whether the source shows through a mask.
        skips: whether the decoder also sees the image encoder's finer maps; not in the paper.
    """

    def __init__(
        self,
        points: int,
        width: int,
        decoder: int,
        momentum: float,
        *,
        reference: bool = True,
        mask: bool = True,
        skips: bool = False,
    ) -> None:
        super().__init__()
        d = decoder
        finer = (2 * width, width) if skips else (0, 0)
        self.encoder = Encoder(width, 3, momentum)
        joint = 4 * width + points * (2 if reference else 1)
        self.t1 = blocks((joint, d, d, d, d), momentum)
        self.t2 = blocks((d + finer[0], *(d // 2,) * 4), momentum)
        self.t3 = blocks((d // 2 + finer[1], d // 4, d // 4), momentum)
        # "crude" is the name of these weights in checkpoints that are published already
        self.crude = Conv(d // 4, 3, 3)
        self.mask = Conv(d // 4, 1, 3) if mask else None
        self.reference = reference
        self.skips = skips

    def encode(self, image: Tensor) -> list[Tensor]:
        """[B,3,H,W] in [-1,1] -> appearance [B,4 width,H/4,W/4], last of the maps returned."""
        maps: list[Tensor] = self.encoder(image)
        return maps if self.skips else maps[-1:]

    def decode(
        self, appearance: list[Tensor], source: Tensor, target: Tensor, sharpness: float
    ) -> tuple[Tensor, Tensor | None]:
        """Crude image [B,3,H,W] (unbounded) and mask [B,1,H,W] (1 keeps the source)."""
        size = appearance[-1].shape[-1]
        maps = [appearance[-1]]
        if self.reference:
            maps.append(gaussian_maps(source, size, sharpness))
        maps.append(gaussian_maps(target, size, sharpness))
        joint = torch.cat(maps, 1).contiguous(memory_format=torch.channels_last)
        half, full = (appearance[1:2], appearance[0:1]) if self.skips else ([], [])
        x = torch.cat([upsample(self.t1(joint)), *half], 1)
        x = self.t3(torch.cat([upsample(self.t2(x)), *full], 1))
        return self.crude(x), None if self.mask is None else torch.sigmoid(self.mask(x))


def blend(image: Tensor, coarse: Tensor, mask: Tensor | None) -> Tensor:
    """m * v + (1 - m) * s; without a mask the coarse image."""
    return coarse if mask is None else mask * image + (1.0 - mask) * coarse


class ImageDiscriminator(nn.Module):
    """D_im: 4x4 convolutions of stride 2 that double the width, then a 3x3 one to a logit map.

    Every convolution gets a border of one zero besides its own padding: at 128 pixels the maps are
    65, 34, 18, 10, 6, 4 and the logits 6x6.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        inside = 3
        for level in range(depth):
            self.layers.append(Conv(inside, width * 2**level, 4, 2, border=1))
            inside = width * 2**level
        self.logit = Conv(inside, 1, 3, bias=False, border=1)

    def forward(self, image: Tensor) -> Tensor:
        """[B,3,H,W] in [-1,1] -> logits [B,1,h,w]."""
        for layer in self.layers:
            image = F.leaky_relu(layer(image), 0.01)
        return self.logit(image)


class SequenceDiscriminator(nn.Module):
    """D_seq: a two-layer LSTM over the keypoints; the logit of its last step counts."""

    def __init__(self, points: int, hidden: int, relu_head: bool = False) -> None:
        super().__init__()
        self.lstm = Lstm(2 * points, hidden)
        self.head = linear(hidden, 1)
        self.relu_head = relu_head

    def forward(self, path: Tensor) -> Tensor:
        """[B,T,2K] -> logits [B]."""
        logit = self.head(self.lstm(path)[0][:, -1])[:, 0]
        return logit.relu() if self.relu_head else logit


class MotionNetwork(nn.Module):
    """M: a conditional variational auto-encoder of keypoint paths.

    Args:
        points: K.
        classes: A; 0 for none.
        hidden: units of each LSTM layer (paper: 1024).
        latent: of z (paper: 64).
        inlet: units of the decoder's only input (paper: 32).
        relu_heads: ReLU on mean and deviation, as the published code has by accident.
        residual: the decoder sees its conditions at every step and moves k_0; not in the paper.
    """

    def __init__(
        self,
        points: int,
        classes: int,
        hidden: int,
        latent: int,
        inlet: int,
        *,
        relu_heads: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.points, self.classes, self.latent, self.inlet = points, classes, latent, inlet
        self.relu_heads, self.residual = relu_heads, residual
        self.encoder = Lstm(2 * points, hidden)
        self.posterior = linear(hidden + 2 * points + classes, 2 * latent)
        self.entry = linear(latent + 2 * points + classes, inlet)
        self.decoder = Lstm(inlet, hidden)
        self.out = nn.Linear(hidden, 2 * points)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    def encode(self, path: Tensor, first: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of z.

        Args:
            path: k_1 .. k_T, [B,T,2K].
            first: k_0, [B,2K].
            label: one-hot [B,A].
        """
        last = self.encoder(path)[0][:, -1]
        mean, spread = self.posterior(torch.cat([last, first, label], 1)).chunk(2, 1)
        if self.relu_heads:
            return mean.relu(), spread.relu()
        return mean, torch.exp(0.5 * spread.clamp(-8.0, 8.0))

    def decode(self, z: Tensor, first: Tensor, label: Tensor, horizon: int) -> Tensor:
        """Absolute coordinates [B,T,2K] in (-1,1); only the first step has an input."""
        entry = F.relu(self.entry(torch.cat([z, first, label], 1)))
        if self.residual:
            steps = entry[:, None].expand(-1, horizon, -1)
            return first[:, None] + self.out(self.decoder(steps)[0])
        steps = torch.cat([entry[:, None], entry.new_zeros(len(z), horizon - 1, self.inlet)], 1)
        return torch.tanh(self.out(self.decoder(steps)[0]))


def kl_to_normal(mean: Tensor, deviation: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) || N(0, 1)), summed over the latent and averaged over the batch."""
    square = deviation.square()
    return 0.5 * (mean.square() + square - torch.log(1e-8 + square) - 1.0).sum(1).mean()


def active_units(mean: Tensor, least: float = 0.01) -> int:
    """Units of the latent whose posterior mean varies between paths: variance above `least`.

    The count of Burda, Grosse and Salakhutdinov (ICLR 2016), A_u = Cov_x(E[z_u | x]) > 0.01. A
    collapsed posterior has none: it equals the prior whatever the path.

    Args:
        mean: [N,latent], of N different paths.
    """
    return int((mean.var(0, unbiased=False) > least).sum()) if len(mean) else 0
