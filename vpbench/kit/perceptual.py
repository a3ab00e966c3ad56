"""Perceptual networks with frozen weights, and the distance that a translator is trained on.

A network reads images float [N,3,H,W] in [0,1] and gives one feature map a layer. Its weights are
neither parameters nor part of `state_dict()`: no optimiser changes them, no checkpoint repeats
them. Gradients flow to the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api import UsageError

_CALIBRATION_BATCH = 32
"""Frames at once, which bounds the memory."""


class FeatureNetwork(nn.Module):
    """A frozen network: images float [N,3,H,W] in [0,1] -> one feature map a layer.

    Values outside [0,1] are not clipped. It is in evaluation mode whatever `train` says.

    Attributes:
        name: as in `vpbench weights list`.
        layers: names of the feature maps, from shallow to deep.
        smallest: fewest pixels that height and width may have.
        memory_format: in which it is fastest on a CPU; images of another one are converted.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        name: str,
        layers: Sequence[str],
        parts: Sequence[nn.Module],
        smallest: int,
        mean: Sequence[float],
        scale: Sequence[float],
    ) -> None:
        super().__init__()
        self.name, self.layers, self.smallest = name, tuple(layers), smallest
        self.memory_format = torch.channels_last
        self.parts = nn.ModuleList(parts)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1))
        _freeze(self)
        self.to(memory_format=self.memory_format)  # pyright: ignore[reportCallIssue]
        self.eval()

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The feature maps [N,C,h,w], as many as `layers`.

        Raises:
            UsageError: no [N,3,H,W] of floating point, or too small.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise UsageError(
                f"images must be floating point [N,3,H,W], not {images.dtype} {list(images.shape)}."
            )
        if min(images.shape[2:]) < self.smallest:
            raise UsageError(
                f"{self.name} with the layer {self.layers[-1]} needs images of at least "
                f"{self.smallest} px, not {images.shape[3]}x{images.shape[2]}.",
                fix="Choose shallower layers.",
            )
        features = images.contiguous(memory_format=self.memory_format)
        features = (features - self.mean) * self.scale
        maps: list[Tensor] = []
        for part in self.parts:
            features = part(features)
            maps.append(features)
        return maps


def _freeze(module: nn.Module) -> None:
    """Turn all parameters and buffers into buffers of float32 that no checkpoint holds."""
    for part in module.modules():
        for name, value in [*part._parameters.items(), *part._buffers.items()]:
            part._parameters.pop(name, None)
            part._buffers.pop(name, None)
            fixed = None if value is None else value.detach().float()
            part.register_buffer(name, fixed, persistent=False)


class PerceptualLoss(nn.Module):
    """Mean over layers of the mean absolute difference of features (Kim et al. 2019).

    Features are divided by their mean magnitude on real frames, one number a layer, and the sum is
    multiplied by one constant; `calibrate` finds both. `state_dict()` holds these numbers only.

    Attributes:
        network: the frozen network.
        scales: float32 [L], what the features of each layer are multiplied with.
        constant: float32 [], what the mean over layers is multiplied with.
        calibrated: bool [], whether `calibrate` has been called (or its result loaded).
    """

    scales: Tensor
    constant: Tensor
    calibrated: Tensor

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scales", torch.ones(len(network.layers)))
        self.register_buffer("constant", torch.ones(()))
        self.register_buffer("calibrated", torch.zeros((), dtype=torch.bool))

    def forward(self, fake: Tensor, real: Tensor | Sequence[Tensor]) -> Tensor:
        """The distance, a scalar >= 0, zero for identical images.

        Args:
            fake: float [N,3,H,W] in [0,1], not clipped; gradients flow to it.
            real: as fake, or what `features` gave for it; no gradient flows to it.
        """
        return self.constant * self.terms(fake, real).mean()

    def terms(self, fake: Tensor, real: Tensor | Sequence[Tensor]) -> Tensor:
        """[L]: the scaled distance of each layer, without the constant.

        Raises:
            UsageError: `fake` and `real` have different shapes, or are not images.
        """
        if isinstance(real, Tensor):
            if real.shape != fake.shape:
                raise UsageError(f"fake {list(fake.shape)} and real {list(real.shape)} differ.")
            real = self.features(real)
        pairs = zip(self.network(fake), real, strict=True)
        return self.scales * torch.stack([F.l1_loss(a, b) for a, b in pairs])

    def features(self, real: Tensor) -> list[Tensor]:
        """Features of real images, for several calls of `terms`; no gradient."""
        with torch.no_grad():
            return self.network(real)

    @torch.no_grad()
    def calibrate(
        self, frames: Tensor, source: Tensor, target: Tensor, copying: float = 10.0
    ) -> dict[str, float]:
        """Set the scale of each layer, and the constant.

        Afterwards the mean |feature| of every layer is 1 on `frames`, and showing `source` where
        `target` was to be shown costs `copying`.

        Args:
            frames: float [N,3,H,W] in [0,1], real training frames; 256 are usual.
            source, target: float [P,3,H,W] in [0,1], real frames of the same clips.

        Returns:
            The figures, for a training record: "scale LAYER" and "constant".

        Raises:
            UsageError: a layer is zero on all frames, or every source is its target.
        """
        sizes = torch.zeros(len(self.scales), dtype=torch.float64)
        for part in frames.split(_CALIBRATION_BATCH):
            means = [f.abs().mean(dtype=torch.float64).cpu() for f in self.network(part)]
            sizes += torch.stack(means) * len(part) / len(frames)
        if not bool((sizes > 0).all()):
            raise UsageError("a layer is zero, or NaN, on all frames.", fix="Use real frames.")
        self.scales.copy_(1 / sizes)
        cost = 0.0
        for a, b in self._pairs(source, target):
            cost += float(self.terms(a, b).double().mean()) * len(a) / len(source)
        if not cost > 0:
            raise UsageError("every source frame equals its target.", fix="Use moving pairs.")
        self.constant.fill_(copying / cost)
        self.calibrated.fill_(True)
        scales = dict(zip(self.network.layers, self.scales.tolist(), strict=True))
        return {f"scale {k}": v for k, v in scales.items()} | {"constant": self.constant.item()}

    def _pairs(self, source: Tensor, target: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        if source.shape != target.shape or not len(source):
            raise UsageError(
                f"source {list(source.shape)} and target {list(target.shape)} differ or are empty."
            )
        split = (x.split(_CALIBRATION_BATCH) for x in (source, target))
        return cast("Iterable[tuple[Tensor, Tensor]]", zip(*split, strict=True))
