"""Features of clips: 400 logits of I3D, averaged over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from vpbench.api.errors import BadData, MissingWeights, UnknownName, UsageError
from vpbench.api.specs import Value
from vpbench.api.types import Frames
from vpbench.metrics.i3d.folded import Folded, fold
from vpbench.metrics.i3d.network import LOGITS, MIN_FRAMES, load
from vpbench.metrics.i3d.preprocess import preprocess
from vpbench.metrics.i3d.recipes import Recipe, find_recipe

Precision = Literal["float32", "bfloat16"]
"""Arithmetic up to the last pool; bfloat16 is faster where the processor has it, and coarser."""

_VERSION = 1
"""Of the arithmetic; goes up when features change in more than the last bits."""


class I3DFeatures:
    """Turns clips into float32 [400].

    The weights are read at the first call. Every forward pass has exactly `batch` clips. One clip
    at a time is the fastest on a processor, and then no library can let a clip's neighbours touch
    its features; use several processes of one thread each.

    Args:
        path: safetensors file with the 230 variables of the TensorFlow graph.
        recipe: name of a recipe, or a recipe.
        dtype: `float32` or `bfloat16`.
        batch: clips in a forward pass; the last one is filled up with its last clip.
        device: where the network runs.

    Raises:
        MissingWeights: there is no such file.
        UnknownName: no such recipe or dtype.
        UsageError: `batch` is below 1.
    """

    name = "i3d"
    dim = LOGITS
    min_frames = MIN_FRAMES

    def __init__(
        self,
        path: Path | str,
        recipe: str | Recipe = "tf2018",
        dtype: Precision = "float32",
        batch: int = 1,
        device: str = "cpu",
    ) -> None:
        self.path = Path(path)
        self.recipe = find_recipe(recipe)
        if dtype not in get_args(Precision):
            raise UnknownName("I3D dtype", str(dtype), get_args(Precision))
        if batch < 1:
            raise UsageError(f"the batch must be at least 1, got {batch}.")
        if not self.path.is_file():
            raise MissingWeights(f"there are no I3D weights at {self.path}.")
        self.dtype: Precision = dtype
        self.batch = batch
        self.device = torch.device(device)
        self._network: Folded | None = None
        self._sha256: str | None = None

    def __call__(
        self, clips: Frames, names: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """Features of n clips; the bits of one do not depend on the others.

        Args:
            clips: uint8 [n,T,H,W,3], RGB, T at least 9.
            names: what errors call the clips; their numbers by default.

        Returns:
            float32 [n,400].

        Raises:
            UsageError: too few frames, or other than n names.
            BadData: not such an array, or a feature is not finite; names the clip.
        """
        _check(clips)
        if names is not None and len(names) != len(clips):
            raise UsageError(f"{len(clips)} clips have {len(names)} names.")
        out = np.empty((len(clips), self.dim), np.float32)
        for start in range(0, len(clips), self.batch):
            part = clips[start : start + self.batch]
            out[start : start + len(part)] = self._forward(part)[: len(part)]
        bad = np.flatnonzero(~np.isfinite(out).all(1))
        if len(bad):
            called = names[bad[0]] if names is not None else f"number {bad[0]} of {len(clips)}"
            raise BadData(f"I3D gave NaN or infinity for the clip {called!r}.")
        return out

    def fingerprint(self) -> dict[str, Value | None]:
        """All that can move a feature; reads the file of weights once, builds no network."""
        if self._sha256 is None:
            seen = self.path.stat()
            self._sha256 = _tensor_hash(self.path, seen.st_size, seen.st_mtime_ns)
        return {
            "extractor": self.name,
            "version": _VERSION,
            "weights": self._sha256,
            "recipe": self.recipe.name,
            "resize": f"224-{self.recipe.rule}-bilinear-{self.recipe.aspect}",
            "range": "-1..1",
            "eps": self.recipe.eps,
            "layer": "logits400-mean",
            "dtype": self.dtype,
            "tf32": False,
            "batch": self.batch,
        }

    def _forward(self, clips: Frames) -> npt.NDArray[np.float32]:
        """One forward pass: up to `batch` clips to float32 [batch,400]."""
        filled = [*clips, *[clips[-1]] * (self.batch - len(clips))]
        with torch.inference_mode(), full_precision():
            frames = torch.from_numpy(np.stack(filled)).to(self.device)
            return (
                self._net()(preprocess(frames, self.recipe.rule, self.recipe.aspect)).cpu().numpy()
            )

    def _net(self) -> Folded:
        if self._network is None:
            net = load(self.path, self.recipe.eps)
            self._network = fold(net, getattr(torch, self.dtype)).to(self.device)
        return self._network


@lru_cache(maxsize=4)
def _tensor_hash(path: Path, size: int, changed: int) -> str:
    """sha256 of the tensors: the same whatever release of safetensors wrote the file."""
    from vpbench.metrics.weights.convert import content_sha256, read

    return content_sha256(read(path))


@contextmanager
def full_precision() -> Iterator[None]:
    """float32 means float32: no TF32 and no bfloat16 inside products; restored afterwards."""
    switches = list(_switches())
    before = [getattr(owner, name) for owner, name, _ in switches]
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


def _switches() -> Iterator[tuple[Any, str, object]]:
    """torch's precision switches and their strict values; before torch 2.9 there were fewer."""
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        yield backends.cuda.matmul, "allow_tf32", False
        yield backends.cudnn, "allow_tf32", False
        return
    yield backends.cuda.matmul, "fp32_precision", "ieee"
    yield backends.cudnn.conv, "fp32_precision", "ieee"
    yield backends.mkldnn.matmul, "fp32_precision", "ieee"
    yield backends.mkldnn.conv, "fp32_precision", "ieee"


def _check(clips: Frames) -> None:
    shape = clips.shape
    if clips.dtype != np.uint8 or clips.ndim != 5 or shape[-1] != 3 or 0 in shape[2:]:
        raise BadData(f"clips are {clips.dtype} {list(shape)}, I3D needs uint8 [n,T,H,W,3].")
    if shape[1] < MIN_FRAMES:
        raise UsageError(f"I3D needs at least {MIN_FRAMES} frames a clip, got {shape[1]}.")
