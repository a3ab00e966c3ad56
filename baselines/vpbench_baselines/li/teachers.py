"""Where the flow comes from that both networks learn: OpenCV's DIS, RAFT or SPyNet."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from vpbench.api import Corrupt, Frames, MissingDependency, UnknownName
from vpbench.kit import to_tensor

Flows = npt.NDArray[np.float32]


class Teacher(Protocol):
    """Estimates optical flow.

    Attributes:
        name: with all that can move its numbers; part of the key of stored flows.
    """

    name: str

    def between(self, first: Frames, second: Frames) -> Flows:
        """uint8 [N,H,W,3] twice -> float32 [N,2,H,W], px: first(q) ~ second(q + flow(q))."""
        ...


def make_teacher(name: str, weights: Callable[[str], Path], device: str = "cpu") -> Teacher:
    """The teacher of a name.

    Args:
        weights: gives the file of pretrained weights (`FitContext.weights`).

    Raises:
        UnknownName: there is none.
        MissingDependency, MissingWeights: what it needs is not here.
    """
    if name == "dis":
        return Dis()
    if name == "raft-small":
        return Raft(weights("raft-small"), device)
    if name == "spynet":
        from vpbench_baselines.li.spynet import LEVELS

        return SpyNet([weights(f"spynet-{k + 1}") for k in range(LEVELS)], device)
    raise UnknownName("flow teacher", name, ("dis", "raft-small", "spynet"))


def enlargement(height: int, width: int, least: int) -> int:
    """The whole factor that brings the short side to `least` px or more."""
    return max(1, -(-least // min(height, width)))


class Dis:
    """Dense inverse search (Kroeger et al. 2016), preset medium of OpenCV; no weights.

    Small frames are enlarged, because its finest grid is half of the size it is given. It always
    runs on one thread: its stripes, and with them its result, depend on the number of threads.

    Raises:
        MissingDependency: OpenCV is not installed, or was built without it.
    """

    LEAST = 192

    def __init__(self) -> None:
        try:
            import cv2
        except ImportError as error:
            raise MissingDependency(
                "the flow teacher dis needs OpenCV, which is not installed.",
                fix="pip install opencv-python-headless, or choose teacher=raft-small.",
            ) from error
        self._cv2: Any = cv2
        self.name = f"dis medium {self.LEAST} px, OpenCV {cv2.__version__}"

    def between(self, first: Frames, second: Frames) -> Flows:
        """See `Teacher`."""
        cv2 = self._cv2
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            pairs = zip(first, second, strict=True)
            return np.stack([self._pair(a, b) for a, b in pairs])
        finally:
            cv2.setNumThreads(threads)

    def _pair(self, first: Frames, second: Frames) -> Flows:
        cv2 = self._cv2
        height, width = first.shape[:2]
        factor = enlargement(height, width, self.LEAST)
        grey = [cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in (first, second)]
        if factor > 1:
            size = (width * factor, height * factor)
            grey = [cv2.resize(g, size, interpolation=cv2.INTER_CUBIC) for g in grey]
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow = search.calc(grey[0], grey[1], None)
        if factor > 1:
            flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / factor
        return np.ascontiguousarray(flow.transpose(2, 0, 1), np.float32)


def _small_flow(flow: torch.Tensor, size: tuple[int, int]) -> Flows:
    """Flow at another size: values shrink with it."""
    rate = torch.tensor([size[1] / flow.shape[3], size[0] / flow.shape[2]]).view(1, 2, 1, 1)
    small = F.interpolate(flow.cpu(), size, mode="area") if flow.shape[2:] != size else flow.cpu()
    return (small * rate).numpy().astype(np.float32)


class _Network:
    """A teacher that is a network: enlarges frames, goes through them a few at a time."""

    name = ""
    least, multiple = 128, 8
    _AT_ONCE = 8

    def __init__(self, device: str) -> None:
        self.device = device
        self.net: Any = None

    @torch.inference_mode()
    def between(self, first: Frames, second: Frames) -> Flows:
        """See `Teacher`."""
        flows: list[Flows] = []
        for start in range(0, len(first), self._AT_ONCE):
            pair = [
                to_tensor(x[start : start + self._AT_ONCE], self.device) for x in (first, second)
            ]
            size = (pair[0].shape[2], pair[0].shape[3])
            factor = enlargement(*size, self.least)
            wanted = tuple(-(-s * factor // self.multiple) * self.multiple for s in size)
            if wanted != size:
                pair = [F.interpolate(x, wanted, mode="bilinear", antialias=False) for x in pair]
            flows.append(_small_flow(self.net(*pair), size))
        return np.concatenate(flows)


class Raft(_Network):
    """RAFT, small (Teed and Deng 2020), torchvision's weights C_T_V2.

    Raises:
        MissingDependency: torchvision is not installed.
        Corrupt: the file holds other weights.
    """

    name = "raft-small C_T_V2"

    def __init__(self, path: Path, device: str) -> None:
        super().__init__(device)
        try:
            from torchvision.models.optical_flow import raft_small
        except ImportError as error:
            raise MissingDependency(
                "the flow teacher raft-small needs torchvision, which is not installed.",
                fix="pip install torchvision, or choose teacher=dis.",
            ) from error
        model = raft_small(weights=None, progress=False).eval().requires_grad_(False)
        load_frozen(model, path)
        model.to(device)
        self.net = lambda a, b: model(2 * a - 1, 2 * b - 1)[-1]


class SpyNet(_Network):
    """SPyNet (Ranjan and Black 2017), the five levels trained on clean Flying Chairs.

    Raises:
        Corrupt: the file holds other weights.
    """

    name = "spynet chairsClean"
    multiple = 16

    def __init__(self, paths: Sequence[Path], device: str) -> None:
        super().__init__(device)
        from vpbench_baselines.li.spynet import Pyramid

        self.net = Pyramid().eval().requires_grad_(False)
        for level, path in zip(self.net.levels, paths, strict=True):
            load_frozen(level, path, by_order=True)
        self.net.to(device)


def load_frozen(model: torch.nn.Module, path: Path, by_order: bool = False) -> None:
    """Give a network the weights of a converted file.

    Args:
        by_order: tensors are known by their order and number of values, not by name and shape.

    Raises:
        Corrupt: it holds those of another network.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            order = json.loads((file.metadata() or {}).get("order", "null")) or list(file.keys())
            state = {name: file.get_tensor(name) for name in order}
        if by_order:
            own = model.state_dict()
            pairs = zip(own.items(), state.values(), strict=True)
            state = {name: value.reshape(place.shape) for (name, place), value in pairs}
        model.load_state_dict(state)
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise Corrupt(
            f"{path} does not hold the weights of this flow network ({first:.120}).",
            fix="Delete it and fetch it again.",
        ) from error
