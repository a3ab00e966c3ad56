"""From a published file's format to named arrays, and to the one format of the cache."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import Corrupt, MissingDependency
from vpbench.api.specs import WeightFormat
from vpbench.core.hashing import canonical_json
from vpbench.metrics.weights.pickle_depth import nests_deeper
from vpbench.metrics.weights.weight_file import WeightFile

Arrays = dict[str, npt.NDArray[Any]]

MAX_DEPTH = 100
"""No deeper nesting is read in a PyTorch file."""

_VGG16 = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Paths of the 13 convolutions in the usual PyTorch VGG16 (`features.N`)."""


def require_reader(form: WeightFormat, what: str) -> None:
    """Make sure that a format can be read here, before anything is downloaded.

    Raises:
        MissingDependency: a package is not installed.
    """
    if form == "keras-h5" and importlib.util.find_spec("h5py") is None:
        raise MissingDependency(
            f"{what} needs the package h5py.",
            fix="Install it with: pip install 'vpbench[perceptual]'",
        )


def convert(file: WeightFile, data: bytes, form: WeightFormat, what: str) -> Arrays:
    """Arrays of a source file, in the file's order.

    Args:
        data: the whole file; its hash has been checked where one is known.
        what: the file's name in messages.

    Raises:
        Corrupt: the file does not hold what it should; nothing in it is executed.
        MissingDependency: a package for reading its format is not installed.
    """
    if form == "flax-pickle":
        from vpbench.metrics.weights import restricted

        arrays = restricted.load(data, what)
    elif form == "torch":
        arrays = _torch(data, what)
    elif form == "torch7":
        from vpbench.metrics.weights import torch7

        arrays = torch7.load(data, what)
    elif form == "keras-h5":
        arrays = _keras(data, what)
        if file.layout == "vgg16-hed":
            arrays = _torch_vgg16(arrays, what)
    elif form == "safetensors":
        arrays = _safetensors(data, what)
    else:
        raise Corrupt(f"{what} is one of several files and is not read alone.")
    return prove(file, arrays, form, what)


def convert_bundle(file: WeightFile, prefix: Path) -> Arrays:
    """Arrays of a TensorFlow checkpoint (`PREFIX.index` and its data files).

    Raises:
        Corrupt, MissingWeights: see `tf_bundle.read_bundle` and `i3d.check_i3d`.
    """
    from vpbench.metrics.weights.tf_bundle import read_bundle

    return prove(file, read_bundle(prefix), "tf-bundle", prefix.name)


def convert_part(file: WeightFile, path: Path) -> Arrays:
    """Arrays of one entry of a PyTorch file; the others, such as an optimiser's, stay on disk.

    Raises:
        Corrupt: the file does not hold what it should; nothing in it is executed.
    """
    import torch

    what, size = path.name, path.stat().st_size
    try:
        mapped = zipfile.is_zipfile(path)
        _check_depth(path if mapped else path.read_bytes())
        whole = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        raise _refused(what, error) from error
    if not isinstance(whole, Mapping) or not isinstance(whole.get(file.part), Mapping):
        raise Corrupt(f"{what} is refused: it has no state dict {file.part!r}.")
    return prove(file, _tensors(whole[file.part], what, size), "torch", what)


def prove(file: WeightFile, arrays: Arrays, form: WeightFormat, what: str) -> Arrays:
    """The arrays under the network's own names, proven where they can be.

    Raises:
        Corrupt: they are other weights.
    """
    if file.layout == "i3d":
        from vpbench.metrics.weights import i3d

        if form == "flax-pickle":
            arrays = i3d.from_flax(arrays)
        elif form == "torch":
            arrays = i3d.from_torch(arrays)
        try:
            i3d.check_i3d(arrays)
        except Corrupt as error:
            raise Corrupt(f"{what}: {error.message}", fix=error.fix) from None
        arrays = {name: arrays[name] for name in sorted(arrays)}
    if file.content and content_sha256(arrays) != file.content:
        raise Corrupt(f"{what} does not hold the {file.label} weights.")
    return arrays


def _torch(data: bytes, what: str) -> Arrays:
    """A state dict, read without executing the file."""
    import torch

    try:
        _check_depth(data)
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise _refused(what, error) from error
    return _tensors(state, what, len(data))


def _refused(what: str, error: Exception) -> Corrupt:
    first = str(error).strip().splitlines()[:1]
    reason = first[0] if first else type(error).__name__
    return Corrupt(f"{what} is refused: it is not a plain PyTorch state dict ({reason:.200}).")


def _tensors(state: Any, what: str, size: int) -> Arrays:
    """The arrays of a state dict from a file of `size` bytes."""
    import torch

    if not isinstance(state, Mapping) or not state:
        raise Corrupt(f"{what} is refused: it is not a plain PyTorch state dict.")
    arrays: Arrays = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise Corrupt(f"{what} is refused: {name!r:.80} is not a tensor.")
        if tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > size:
            raise Corrupt(f"{what} is refused: {name!r:.80} is not a plain, whole tensor.")
        try:
            arrays[name] = np.asarray(tensor.detach().numpy(), order="C")
        except (TypeError, RuntimeError) as error:
            raise Corrupt(
                f"{what} is refused: {name!r:.80} has numbers of the type {tensor.dtype}, which "
                "numpy does not have."
            ) from error
    return arrays


def _check_depth(data: bytes | Path) -> None:
    """Refuse a PyTorch file whose pickles nest so deep that they would end the interpreter.

    Raises:
        ValueError: they do.
    """
    place = io.BytesIO(data) if isinstance(data, bytes) else data
    pickles: list[bytes] = [data] if isinstance(data, bytes) else []
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            pickles = [
                archive.read(info) for info in archive.infolist() if info.filename.endswith(".pkl")
            ]
    for content in pickles:
        stream = io.BytesIO(content)
        # The old format has four pickles in a row, before the numbers.
        for _ in range(1 if content is not data else 4):
            if nests_deeper(stream, MAX_DEPTH):
                raise ValueError("it is nested too deeply")


def _keras(data: bytes, what: str) -> Arrays:
    """The arrays of an HDF5 file, by their path in it."""
    require_reader("keras-h5", what)
    import h5py  # pyright: ignore[reportMissingImports]

    stored: Arrays = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            stored[name] = np.asarray(item[()])

    try:
        with h5py.File(io.BytesIO(data), "r") as opened:
            opened.visititems(keep)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise Corrupt(f"{what} is not a complete HDF5 file ({error!s:.200}).") from error
    strange = [name for name, array in stored.items() if array.dtype.kind not in "biuf"]
    if strange or not stored:
        named = f"{strange[0]!r:.80} is not numbers" if strange else "it holds no arrays"
        raise Corrupt(f"{what} is refused: {named}.")
    return dict(sorted(stored.items()))


def _torch_vgg16(stored: Arrays, what: str) -> Arrays:
    """PyTorch's names and layout (out, in, h, w) for the VGG-16 of HED from Keras."""
    try:
        return {_vgg_name(name): _out_first(array) for name, array in stored.items()}
    except (KeyError, IndexError) as error:
        raise Corrupt(f"{what} has an unknown layer ({error!s:.80}).") from None


def _vgg_name(path: str) -> str:
    """`block3/layers/conv2d_1/vars/0` -> `features.12.weight`; `dsn1/vars/1` -> `dsn1.bias`."""
    match = re.fullmatch(r"(?:block(\d)/layers/conv2d(?:_(\d))?|(dsn\d|fuse))/vars/([01])", path)
    if match is None:
        raise KeyError(path)
    block, conv, side, kind = match.groups()
    leaf = ("weight", "bias")[int(kind)]
    if side:
        return f"{side}.{leaf}"
    before = (0, 2, 4, 7, 10)[int(block) - 1]
    return f"features.{_VGG16[before + int(conv or 0)]}.{leaf}"


def _out_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array


def _safetensors(data: bytes, what: str) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
        order = _order(data, arrays)
    except (
        *(SafetensorError, ValueError, KeyError, TypeError, AttributeError, IndexError),
        *(OverflowError, MemoryError, RecursionError),
    ) as error:
        raise Corrupt(f"{what} is not a complete safetensors file ({error!s:.200}).") from error
    return {name: arrays[name] for name in order}


def _order(data: bytes, arrays: Mapping[str, Any]) -> list[str]:
    """The names in the source's order, which safetensors itself does not keep."""
    size = int.from_bytes(data[:8], "little")
    meta = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    order = json.loads(meta.get("order", "null"))
    return order if isinstance(order, list) and sorted(order) == sorted(arrays) else sorted(arrays)


def read(path: Path) -> Arrays:
    """Arrays of a converted file, in the order of the file that they came from.

    Raises:
        Corrupt: it is not a complete safetensors file.
    """
    return _safetensors(path.read_bytes(), path.name)


def write(path: Path, arrays: Arrays) -> None:
    """Write arrays as safetensors; their order is kept in its header."""
    from safetensors.numpy import save_file

    save_file(arrays, path, metadata={"order": json.dumps(list(arrays), ensure_ascii=False)})


def content_sha256(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """sha256 of names, types, shapes and little-endian bytes, the same for every source file."""
    return _content((name, arrays[name]) for name in sorted(arrays))


def content_of(path: Path) -> str:
    """`content_sha256` of a converted file, one array at a time: files may hold gigabytes.

    Raises:
        Corrupt: it is not a complete safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return _content((name, file.get_tensor(name)) for name in sorted(file.keys()))
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise Corrupt(
            f"{path.name} is not a complete safetensors file ({error!s:.200})."
        ) from error


def _content(arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> str:
    total = hashlib.sha256()
    for name, stored in arrays:
        array = np.asarray(stored, order="C")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(canonical_json([name, array.dtype.str, array.shape]))
        total.update(array.data if array.ndim else array.tobytes())
    return total.hexdigest()
