"""Image parts: the encoder of frames and the analogy network that decodes encodings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.kit import conv3x3, glorot, upconv3x3
from vpbench_baselines.wichers.recurrent import EPSILON

_MEAN = (123.68, 116.78, 103.94)
"""Mean red, green and blue of ImageNet, subtracted from pixels times 256."""

_VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_WEAK = 1e-4


def norm(channels: int) -> nn.GroupNorm:
    """Normalises each frame over height, width and channels; one gain and bias a channel."""
    return nn.GroupNorm(1, channels, EPSILON)


class Encoder(nn.Module):
    """Frames to encodings, each frame alone: five blocks of convolution and pooling, one dense.

    Args:
        blocks: output channels of the convolutions of each block.
        size: height and width of the frames.
        encoding: numbers of an encoding.
        dropout: part of the features that is dropped before the dense layer in training.
        imagenet: pixels as VGG-16 takes them, and dense weights of 1e-4 as in the original; only
            with pretrained convolutions.
    """

    def __init__(
        self,
        blocks: Sequence[Sequence[int]],
        size: int,
        encoding: int,
        dropout: float,
        imagenet: bool,
    ) -> None:
        super().__init__()
        self.imagenet = imagenet
        layers: list[nn.Module] = []
        channels = 3
        for block in blocks:
            for width in block:
                layers += [conv3x3(channels, width), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.blocks = nn.Sequential(*layers)
        side = size >> len(blocks)
        self.dropout = nn.Dropout(dropout)
        self.leave = glorot(nn.Linear(channels * side * side, encoding))
        if imagenet:
            nn.init.trunc_normal_(self.leave.weight, std=_WEAK, a=-2 * _WEAK, b=2 * _WEAK)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, frames: Tensor, unit: bool = False) -> Tensor:
        """[B,T,3,H,W] in [0,1] -> [B,T,encoding], of length 1 where asked for."""
        pixels = frames.flatten(0, 1)
        pixels = pixels * 256 - self.mean if self.imagenet else 2 * pixels - 1
        codes = self.leave(self.dropout(self.blocks(pixels).flatten(1)))
        codes = codes.view(*frames.shape[:2], -1)
        return F.normalize(codes, dim=2) if unit else codes


def vgg_blocks() -> tuple[tuple[int, ...], ...]:
    """The thirteen convolutions of VGG-16 (Simonyan and Zisserman 2015)."""
    return _VGG16


def small_blocks(width: int) -> tuple[tuple[int, ...], ...]:
    """One convolution a block."""
    return (width,), (2 * width,), (4 * width,), (4 * width,), (4 * width,)


class _Features(nn.Module):
    """An encoding as a map of features (F_enc), and the two maps that the critic looks at."""

    def __init__(self, encoding: int, d: int, size: int) -> None:
        super().__init__()
        self.side = size // 16
        numbers = self.side**2 * d
        self.enter = glorot(nn.Linear(encoding, numbers))
        self.norm0 = nn.LayerNorm(numbers, EPSILON)
        self.one, self.norm1 = conv3x3(d, d), norm(d)
        self.two = upconv3x3(d, 2 * d)
        self.three, self.norm3 = conv3x3(2 * d, 2 * d), norm(2 * d)
        self.four = conv3x3(2 * d, 4 * d)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """[N,encoding] -> h2 [N,2d,H/8,W/8] and h4 [N,4d,H/8,W/8]; h4 is the result."""
        x = self.norm0(F.relu(self.enter(F.relu(codes))))
        x = self.norm1(F.relu(self.one(x.view(len(x), -1, self.side, self.side))))
        h2 = F.relu(self.two(x))
        h4 = F.relu(self.four(self.norm3(F.relu(self.three(h2)))))
        return h2, h4


def _image_features(d: int, dropout: float) -> nn.Sequential:
    """F_img: [N,3,H,W] -> [N,4d,H/8,W/8]."""
    drop, pool = nn.Dropout(dropout), nn.MaxPool2d(2)

    def act() -> nn.ReLU:
        return nn.ReLU(inplace=True)

    return nn.Sequential(
        conv3x3(3, d),
        act(),
        norm(d),
        conv3x3(d, d),
        act(),
        pool,
        drop,
        norm(d),
        conv3x3(d, 2 * d),
        act(),
        conv3x3(2 * d, 2 * d),
        act(),
        pool,
        drop,
        norm(2 * d),
        conv3x3(2 * d, 4 * d),
        act(),
        conv3x3(4 * d, 4 * d),
        act(),
        conv3x3(4 * d, 4 * d),
        act(),
        pool,
    )


def _decoder(d: int, bottleneck: int, dropout: float) -> nn.Sequential:
    """[N,4d,H/8,W/8] -> [N,4,H,W]."""
    drop = nn.Dropout(dropout)

    def act() -> nn.ReLU:
        return nn.ReLU(inplace=True)

    return nn.Sequential(
        upconv3x3(4 * d, 4 * d),
        act(),
        drop,
        norm(4 * d),
        conv3x3(4 * d, 4 * d),
        act(),
        drop,
        conv3x3(4 * d, 2 * d),
        act(),
        drop,
        norm(2 * d),
        upconv3x3(2 * d, 2 * d),
        act(),
        drop,
        conv3x3(2 * d, d),
        act(),
        drop,
        norm(d),
        upconv3x3(d, bottleneck),
        act(),
        drop,
        conv3x3(bottleneck, 4),
    )


class AnalogyNetwork(nn.Module):
    """Decodes an encoding by analogy (VAN): first frame - first encoding + wanted encoding.

    The result is blended with the first frame by a mask of its own.

    Args:
        encoding: numbers of an encoding.
        d: base width; the original has 64.
        size: height and width of frames, a multiple of 16.
        bottleneck: channels before the last convolution; the original's 4 rectified ones can all
            die in a small network.
        dropout: in training.
    """

    def __init__(self, encoding: int, d: int, size: int, bottleneck: int, dropout: float) -> None:
        super().__init__()
        self.image = _image_features(d, dropout)
        self.features = _Features(encoding, d, size)
        self.first, self.wanted = conv3x3(4 * d, 4 * d), conv3x3(4 * d, 4 * d)
        self.join = nn.Sequential(
            conv3x3(8 * d, 4 * d),
            nn.ReLU(inplace=True),
            norm(4 * d),
            conv3x3(4 * d, 4 * d),
            nn.ReLU(inplace=True),
            conv3x3(4 * d, 4 * d),
            nn.ReLU(inplace=True),
        )
        self.decode = _decoder(d, bottleneck, dropout)

    def ways(self) -> tuple[nn.Module, ...]:
        """The layers that a picture takes to the last but one; the last makes the mask too."""
        return self.image, self.first, self.join, self.decode[:-1]

    def maps(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """What the critic sees beside encodings [B,T,E]: h2 and h4, [B,T,channels,H/8,W/8]."""
        h2, h4 = self.features(codes.flatten(0, 1))
        return h2.unflatten(0, codes.shape[:2]), h4.unflatten(0, codes.shape[:2])

    def forward(self, frame: Tensor, code: Tensor, codes: Tensor) -> Tensor:
        """Frames of encodings.

        Args:
            frame: [B,3,H,W], the first given frame.
            code: [B,E], its encoding.
            codes: [B,T,E], the wanted encodings.

        Returns:
            [B,T,3,H,W], not clipped.
        """
        coarse, mask = self.coarse_and_mask(frame, code, codes)
        return mask * coarse + (1 - mask) * frame[:, None]

    def coarse_and_mask(self, frame: Tensor, code: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, before blending: drawn frames [B,T,3,H,W], mask [B,T,1,H,W] in (0,1)."""
        times = codes.shape[1]
        a = F.relu(self.first(self.image(frame) - self.features(code)[1]))
        a = a[:, None].expand(-1, times, -1, -1, -1).flatten(0, 1)
        x = self.features(codes.flatten(0, 1))[1]
        b = F.relu(self.wanted(x))
        drawn = self.decode(x + self.join(torch.cat([a, b], 1))).unflatten(0, (-1, times))
        return drawn[:, :, :3], torch.sigmoid(drawn[:, :, 3:])
