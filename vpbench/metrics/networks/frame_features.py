"""Features of single frames, by networks that see a fixed number of them at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api.errors import BadData
from vpbench.api.specs import Value
from vpbench.api.types import Frames
from vpbench.kit.perceptual_networks import whole_efficientnet_lite0
from vpbench.media.resize import resize
from vpbench.metrics.i3d.extract import full_precision
from vpbench.metrics.networks.inception import inception
from vpbench.metrics.weights.convert import content_of

AT_ONCE = 4
"""Frames in a forward pass, filled up with the last one: no feature depends on a clip's length."""


class FrameFeatures(ABC):
    """One vector for each frame of a clip; the network is built at the first call.

    Args:
        path: converted weights.
        device: where the network runs.
    """

    name: str
    dim: int
    batch = 1
    min_frames = 1

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self.path, self.device = path, torch.device(device)
        self._network: nn.Module | None = None

    def __call__(
        self, clips: Frames, names: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """float32 [n,T,dim] of uint8 [n,T,H,W,3].

        Raises:
            BadData: not such an array.
        """
        if clips.dtype != np.uint8 or clips.ndim != 5 or clips.shape[-1] != 3 or not clips.size:
            raise BadData(
                f"clips are {clips.dtype} {list(clips.shape)}, {self.name} needs uint8 [n,T,H,W,3]."
            )
        with torch.inference_mode(), full_precision():
            return np.stack([self._of_clip(clip) for clip in clips])

    def fingerprint(self) -> dict[str, Value | None]:
        """All that can move a feature; reads the file of weights once, builds no network."""
        return {
            "extractor": self.name,
            "version": 1,
            "weights": weights_hash(self.path),
            "frames_at_once": AT_ONCE,
            "dtype": "float32",
            "tf32": False,
            **self._settings(),
        }

    @abstractmethod
    def _settings(self) -> dict[str, Value | None]:
        """What happens to the pixels, and which layer is taken."""

    @abstractmethod
    def _build(self) -> nn.Module:
        """The network on [N,3,H,W], giving [N,dim]."""

    @abstractmethod
    def _prepare(self, frames: Frames) -> Tensor:
        """uint8 [N,H,W,3] to the input of the network."""

    def _of_clip(self, clip: Frames) -> npt.NDArray[np.float32]:
        if self._network is None:
            self._network = self._build().to(self.device).eval()
        parts: list[npt.NDArray[np.float32]] = []
        for start in range(0, len(clip), AT_ONCE):
            part = clip[start : start + AT_ONCE]
            filled = np.concatenate([part, *[part[-1:]] * (AT_ONCE - len(part))])
            out: Tensor = self._network(self._prepare(filled).to(self.device))
            parts.append(out[: len(part)].cpu().numpy())
        return np.concatenate(parts)


class InceptionFeatures(FrameFeatures):
    """The 2048 features of the FID, as pytorch-fid takes them from frames.

    Bilinear to 299 x 299 with half-pixel centres and without antialiasing, the aspect ratio not
    kept, then [-1,1].
    """

    name = "inception-fid"
    dim = 2048

    def _settings(self) -> dict[str, Value | None]:
        return {
            "resize": "299-half-pixel-bilinear-stretch",
            "range": "-1..1",
            "layer": "pool2048",
        }

    def _build(self) -> nn.Module:
        return inception(self.path)

    def _prepare(self, frames: Frames) -> Tensor:
        images = torch.from_numpy(frames).permute(0, 3, 1, 2).float().div(255)
        resized = F.interpolate(images, size=(299, 299), mode="bilinear", align_corners=False)
        return 2 * resized - 1


class EfficientNetFeatures(FrameFeatures):
    """The 1280 pooled features of EfficientNet-Lite0 (ImageNet).

    224 x 224 by the antialiasing triangle filter, the aspect ratio not kept, then [-1,1].
    """

    name = "efficientnet-lite0"
    dim = 1280

    def _settings(self) -> dict[str, Value | None]:
        return {"resize": "224-antialias-stretch", "range": "-1..1", "layer": "pool1280"}

    def _build(self) -> nn.Module:
        model = whole_efficientnet_lite0(self.path)
        model.reset_classifier(0)
        return model

    def _prepare(self, frames: Frames) -> Tensor:
        small = torch.from_numpy(resize(frames, 224, 224, "antialias"))
        return small.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def weights_hash(path: Path) -> str:
    """sha256 of the tensors in a converted file: the same whatever wrote it."""
    seen = path.stat()
    return _weights_hash(path, seen.st_size, seen.st_mtime_ns)


@lru_cache(maxsize=8)
def _weights_hash(path: Path, size: int, changed: int) -> str:
    return content_of(path)


@lru_cache(maxsize=4)
def shared(kind: Callable[[Path, str], FrameFeatures], path: Path, device: str) -> FrameFeatures:
    """One network for all metrics of a process."""
    return kind(path, device)
