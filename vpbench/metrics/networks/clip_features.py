"""Features of whole clips by V-JEPA and VideoMAE v2; a clip at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vpbench.api.errors import BadData, UsageError
from vpbench.api.specs import Value
from vpbench.api.types import Frames
from vpbench.metrics.i3d.extract import full_precision
from vpbench.metrics.i3d.preprocess import resize
from vpbench.metrics.networks import transformer
from vpbench.metrics.networks.frame_features import weights_hash

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, red, green, blue."""


class ClipFeatures(ABC):
    """One vector a clip; the network is built at the first call.

    Frames become 224 x 224 by two taps with half-pixel centres, the aspect ratio not kept. An odd
    last frame is not seen: blocks are two frames long.

    Args:
        paths: converted weights.
        device: where the network runs.
        size: of the network.
    """

    name: str
    batch = 1
    min_frames = transformer.TUBELET
    normalised: ClassVar[bool]

    def __init__(self, paths: Sequence[Path], device: str, size: transformer.Size) -> None:
        self.paths, self.device, self.size = tuple(paths), torch.device(device), size
        self._network: nn.Module | None = None

    @property
    def dim(self) -> int:
        """Length of a feature."""
        return self.size.dim

    def __call__(
        self, clips: Frames, names: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """float32 [n,dim] of uint8 [n,T,H,W,3].

        Raises:
            BadData: not such an array.
            UsageError: too few frames.
        """
        if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[-1] != 3 or not clips.size:
            raise BadData(
                f"clips are {clips.dtype} {list(clips.shape)}, {self.name} needs uint8 [n,T,H,W,3]."
            )
        if clips.shape[1] < self.min_frames:
            raise UsageError(f"{self.name} needs at least {self.min_frames} frames a clip.")
        if self._network is None:
            self._network = self._build().to(self.device)
        with torch.inference_mode(), full_precision():
            features = [self._network(self._prepare(clip))[0].cpu().numpy() for clip in clips]
        return np.stack(features)

    def fingerprint(self) -> dict[str, Value | None]:
        """All that can move a feature; reads the files of weights once, builds no network."""
        return {
            "extractor": self.name,
            "version": 1,
            "weights": " ".join(weights_hash(path) for path in self.paths),
            "resize": "224-half-pixel-bilinear-stretch",
            "range": "imagenet" if self.normalised else "0..1",
            "dtype": "float32",
            "tf32": False,
        }

    @abstractmethod
    def _build(self) -> nn.Module:
        """The network on [1,3,T,224,224]."""

    def _prepare(self, clip: Frames) -> Tensor:
        side = transformer.SIDE
        frames = torch.from_numpy(clip).to(self.device).float()
        pixels = resize(frames, side, side, "half-pixel").div(255)
        if self.normalised:
            pixels = (pixels - pixels.new_tensor(_MEAN)) / pixels.new_tensor(_DEVIATION)
        return pixels.permute(3, 0, 1, 2)[None]


class VJepaFeatures(ClipFeatures):
    """The pooled token of V-JEPA's probe of Something-Something v2, as JEDi takes it."""

    name = "v-jepa"
    normalised = True

    def _build(self) -> nn.Module:
        encoder, probe = self.paths
        return transformer.vjepa(encoder, probe, self.size)


class VideoMaeFeatures(ClipFeatures):
    """The normalised mean token of VideoMAE v2, as the content-debiased FVD takes it.

    Pixels are in [0,1], without ImageNet's mean and deviation, with which the network was tuned:
    so does the program whose figures are quoted.
    """

    name = "videomae-v2"
    normalised = False

    def _build(self) -> nn.Module:
        return transformer.videomae(self.paths[0], self.size)


@lru_cache(maxsize=1)
def open_vjepa(encoder: Path, probe: Path, device: str) -> VJepaFeatures:
    """One network for all metrics of a process."""
    return VJepaFeatures((encoder, probe), device, transformer.VITH16)


@lru_cache(maxsize=1)
def open_videomae(path: Path, device: str) -> VideoMaeFeatures:
    """One network for all metrics of a process."""
    return VideoMaeFeatures((path,), device, transformer.VITG14)
