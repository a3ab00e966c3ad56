"""LPIPS of predicted frames against the real ones, by the package `lpips` without its download."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpbench.api.errors import Corrupt, HashMismatch, MissingDependency
from vpbench.api.types import Frames, TaskInfo
from vpbench.core.hashing import file_sha256
from vpbench.metrics.frames import FrameMetric, Record, of_samples
from vpbench.metrics.networks.specs import LPIPS

if TYPE_CHECKING:
    import torch

    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import Value

AT_ONCE = 4
"""Pairs of frames in a forward pass, filled up: no value depends on a clip's length."""

_TRUNKS = {"alex": "alexnet", "vgg": "vgg16"}
"""Names of their weights."""

_SMALLEST = {"alex": 31, "vgg": 16}
"""Fewest pixels of a side, with which the trunk's last layer still has one."""

_HEADS = {
    "alex": "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    "vgg": "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
}
"""sha256 of the linear layers, version 0.1, that the package carries."""


class Lpips(FrameMetric):
    """Learned perceptual image patch similarity, version 0.1 (Zhang et al. 2018).

    Frames in [-1,1] at their own size; the spatial mean of each layer, summed over layers; the mean
    over the frames of a sample and over samples. On AlexNet; recipe `vgg` is that on VGG16.

    Raises:
        MissingDependency: the package `lpips` is not installed.
        MissingWeights: the trunk's ImageNet weights are not here.
    """

    spec = LPIPS

    def __init__(self, task: TaskInfo, params: Mapping[str, Value], ctx: MetricContext) -> None:
        super().__init__(task, params, ctx)
        if importlib.util.find_spec("lpips") is None:
            raise MissingDependency(
                "lpips needs the package lpips.",
                fix="Install it with: pip install 'vpbench[lpips]'",
            )
        self._net = "vgg" if self._recipe == "vgg" else "alex"
        self._path, self._device = ctx.weights(_TRUNKS[self._net]), ctx.device

    def fingerprint(self) -> Mapping[str, Value | None]:
        """Definition of the figure; builds no network."""
        from vpbench.metrics.networks.frame_features import weights_hash

        return {
            "metric": self.spec.name,
            "version": self.spec.version,
            "package": version("lpips"),
            "trunk": _TRUNKS[self._net],
            "weights": weights_hash(self._path),
            "heads": _HEADS[self._net],
            "frames_at_once": AT_ONCE,
            "range": "-1..1",
            "dtype": "float32",
            "tf32": False,
            "samples": of_samples(self._best),
        }

    def _measure(self, fake: Frames, real: Frames, clip_id: str) -> Record:
        few = self.too_small(real)
        if few:
            return Record.undefined(len(fake), len(real), few)
        net = self.network()
        curves = [distances(net, sample, real, self._device) for sample in fake]
        return Record.of([math.fsum(c) / len(c) for c in curves], curves)

    def too_small(self, real: Frames) -> str:
        """Why frames are too small for the trunk; "" where they are not."""
        height, width = real.shape[1:3]
        least = _SMALLEST[self._net]
        small = min(height, width) < least
        return f"frames of {width} x {height} px are smaller than {least} px" if small else ""

    def network(self) -> Any:
        """The network, one for all metrics of a process."""
        return _network(self._net, self._path, self._device)


def distances(net: Any, fake: Frames, real: Frames, device: str = "cpu") -> list[float]:
    """LPIPS of each frame [T] of uint8 [T,H,W,3]."""
    import torch

    from vpbench.metrics.i3d.extract import full_precision

    def images(frames: Frames) -> torch.Tensor:
        part = frames[start : start + AT_ONCE]
        filled = np.concatenate([part, *[part[-1:]] * (AT_ONCE - len(part))])
        pixels = torch.from_numpy(filled).to(device).permute(0, 3, 1, 2)
        return pixels.float().div(127.5).sub(1)

    values: list[float] = []
    with torch.inference_mode(), full_precision():
        for start in range(0, len(real), AT_ONCE):
            out = net(images(fake), images(real)).flatten().tolist()
            values += out[: len(real) - start]
    return values


@lru_cache(maxsize=2)
def _network(net: str, path: Path, device: str) -> Any:
    """One network for all metrics of a process."""
    return lpips_network(net, path).to(device)


def lpips_network(net: str, path: Path | str) -> Any:
    """The package's network with weights that are here: [N,3,H,W] twice, in [-1,1], to [N,1,1,1].

    Args:
        net: "alex" or "vgg".
        path: the converted file of the trunk's ImageNet weights.

    Raises:
        Corrupt: the file holds another trunk, or the package's linear layers are not version 0.1.
        MissingWeights: there is no file.
    """
    import lpips
    import torch

    from vpbench.kit.perceptual_networks import read_weights

    heads = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    if file_sha256(heads) != _HEADS[net]:
        raise HashMismatch(f"{heads} is not the file of version 0.1 of LPIPS.")
    state = read_weights(path)
    # Its constructor draws the weights that are about to be replaced.
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # It names torchvision's parameters as they were called before torchvision 0.13.
        warnings.simplefilter("ignore", UserWarning)
        model = lpips.LPIPS(pretrained=False, pnet_rand=True, net=net, verbose=False)
    linear = torch.load(heads, map_location="cpu", weights_only=True)
    # Its slices keep the places that layers have in torchvision's `features`, and its linear layers
    # have two names each.
    trunk = {
        name: state.get(f"features.{name.partition('.')[2]}") for name in model.net.state_dict()
    }
    again = {f"lins.{name[3:]}": value for name, value in linear.items()}
    fixed = {k: v for k, v in model.state_dict().items() if k.startswith("scaling_layer.")}
    try:
        whole = {f"net.{k}": v for k, v in trunk.items() if v is not None}
        model.load_state_dict({**whole, **linear, **again, **fixed})
    except RuntimeError as error:
        raise Corrupt(f"{path} holds no {_TRUNKS[net]} ({error!s:.200}).") from error
    return model.eval()
