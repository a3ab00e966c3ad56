"""Nested state <-> safetensors + JSON, without pickles.

A state is any nesting of dict, list and tuple around tensors, NumPy arrays, numbers, strings and
None: `module.state_dict()`, `optimiser.state_dict()`, the state of a random generator. Tensors go
into one flat table under the path they have in the state; the nesting becomes a tree of JSON:

    None, True, 3, 0.5, "text", [..]    themselves
    {"float": "nan" | "inf" | "-inf"}   JSON has no such numbers
    {"tuple": [..]}                     a tuple
    {"dict": {..}}                      a dict whose keys are strings, in its order
    {"items": [[key, value], ..]}       any other dict: keys are None, bool, int or str
    {"tensor": name, "dtype": ..}       a torch tensor; equal names are one shared tensor
    {"array": name, "dtype": ..}        a NumPy array
    {"scalar": name, "dtype": ..}       a NumPy number
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vpbench.api import Corrupt, HashMismatch, MissingData, UsageError

SCHEMA = "vpbench.state/1"
TENSORS = "tensors.safetensors"
TREE = "state.json"

Array = npt.NDArray[Any]
Key = str | int | None

_NUMPY = {
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.uint16,
    torch.int32,
    torch.uint32,
    torch.int64,
    torch.uint64,
    torch.float16,
    torch.float32,
    torch.float64,
    torch.complex64,
}
"""Types that both torch and NumPy have."""

_VIEWED = {
    torch.bfloat16: torch.uint16,
    torch.float8_e4m3fn: torch.uint8,
    torch.float8_e5m2: torch.uint8,
}
"""Types that NumPy lacks, and the integers that carry their bits."""

_RESERVED = {"__metadata__", "file", "allow_pickle"}
"""Names that safetensors and `numpy.savez` keep for themselves."""

_DTYPES = {str(d).removeprefix("torch."): d for d in (*_NUMPY, *_VIEWED)}


def save_state(folder: Path | str, state: Any) -> None:
    """Write `tensors.safetensors` and `state.json` into `folder`, which is created.

    The same state gives the same bytes. Each file is whole or not there, and the second holds the
    hash of the first, so that two halves of different states are never taken for one. Tensors that
    are one and the same are stored once; other views of shared memory become copies. Gradients,
    devices and the classes of mappings are not kept.

    Raises:
        UsageError: something in the state cannot be stored; the message says where.
        Unwritable: the folder cannot be written.
    """
    from safetensors.torch import save

    from vpbench.core.files import write_bytes, write_json

    tensors, tree = _pack(state)
    data = save(tensors)
    folder = Path(folder)
    write_bytes(folder / TENSORS, data)
    head = {"schema": SCHEMA, "sha256": hashlib.sha256(data).hexdigest()}
    write_json(folder / TREE, {**head, "tree": tree})


def load_state(folder: Path | str, device: str | torch.device = "cpu") -> Any:
    """Read what `save_state` wrote; tensors land on `device`, arrays stay NumPy.

    Raises:
        MissingData: the folder holds no state.
        HashMismatch: the tensors are not those that belong to the tree.
        Corrupt: the tree cannot be read.
    """
    from safetensors.torch import load

    from vpbench.core.files import read_json

    folder = Path(folder)
    try:
        meta = read_json(folder / TREE)
        data = (folder / TENSORS).read_bytes()
    except FileNotFoundError as error:
        raise MissingData(f"{folder} holds no saved state: {error.filename} is missing.") from error
    _check_schema(meta, str(folder / TREE))
    if hashlib.sha256(data).hexdigest() != meta.get("sha256"):
        raise HashMismatch(f"{folder / TENSORS} does not belong to {TREE} beside it.")
    return _Unpacker(load(data), device).value(meta["tree"])


def to_arrays(state: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """A state as arrays and JSON, for `FitContext.checkpoint`.

    The arrays are copies. Types that NumPy lacks (bfloat16) travel as integers of their bits.

    Raises:
        UsageError: something in the state cannot be stored; the message says where.
    """
    tensors, tree = _pack(state)
    arrays = {
        name: (t.view(_VIEWED[t.dtype]) if t.dtype in _VIEWED else t).numpy()
        for name, t in tensors.items()
    }
    return arrays, {"schema": SCHEMA, "tree": tree}


def from_arrays(
    arrays: Mapping[str, Array], meta: Mapping[str, Any], device: str | torch.device = "cpu"
) -> Any:
    """The inverse of `to_arrays`; nothing is shared with `arrays`.

    Raises:
        Corrupt: arrays and meta do not belong together.
    """
    _check_schema(meta, "the checkpoint")
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    return _Unpacker(tensors, device).value(meta["tree"])


def _check_schema(meta: Any, where: str) -> None:
    if not isinstance(meta, Mapping) or meta.get("schema") != SCHEMA or "tree" not in meta:
        raise Corrupt(f"{where} is not a {SCHEMA}.")


def _pack(state: Any) -> tuple[dict[str, Tensor], Any]:
    packer = _Packer()
    tree = packer.node(state, ())
    return packer.tensors, tree


class _Packer:
    """Walks a state once; fills `tensors` with contiguous copies on the CPU."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[tuple[Any, ...], str] = {}

    def node(self, value: Any, path: tuple[Key, ...]) -> Any:
        """The JSON of `value`, which stands at `path`."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, Tensor):
            return self._tensor(value, path)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value, path)
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, list):
            return [self.node(v, (*path, i)) for i, v in enumerate(value)]
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return {"tuple": [self.node(v, (*path, i)) for i, v in enumerate(value)]}
        fix = "Pass its state_dict()." if hasattr(value, "state_dict") else None
        raise UsageError(f"{_where(path)} is a {_type(value)}, which cannot be stored.", fix=fix)

    def _mapping(self, value: Mapping[Any, Any], path: tuple[Key, ...]) -> Any:
        for key in value:
            if key is not None and type(key) not in (bool, int, str):
                raise UsageError(
                    f"{_where(path)} has the key {key!r}, a {_type(key)}; "
                    "keys are strings, integers or None."
                )
        items = [[k, self.node(v, (*path, k))] for k, v in value.items()]
        return {"dict": dict(items)} if all(isinstance(k, str) for k in value) else {"items": items}

    def _tensor(self, value: Tensor, path: tuple[Key, ...]) -> Any:
        if value.layout is not torch.strided or value.is_meta or value.is_quantized:
            raise UsageError(f"{_where(path)} is a sparse, meta or quantised tensor.")
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype not in _DTYPES:
            raise UsageError(f"{_where(path)} is a tensor of {dtype}, which cannot be stored.")
        same: tuple[Any, ...] = (id(value),)
        if value.numel():
            view = (value.shape, value.stride(), value.is_conj(), value.is_neg())
            same = (value.data_ptr(), str(value.device), dtype, *view)
        if same not in self._names:
            self._names[same] = self._add(value.detach().resolve_conj().resolve_neg().cpu(), path)
        return {"tensor": self._names[same], "dtype": dtype}

    def _array(self, value: Array | np.generic, path: tuple[Key, ...]) -> Any:
        array = np.asarray(value)
        if array.dtype.name not in _DTYPES:
            raise UsageError(
                f"{_where(path)} is an array of {array.dtype}, which cannot be stored."
            )
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        copy = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        return {kind: self._add(torch.from_numpy(copy), path), "dtype": array.dtype.name}

    def _add(self, tensor: Tensor, path: tuple[Key, ...]) -> str:
        name = "/".join(_escaped(key) for key in path) or "state"
        if name in _RESERVED:
            name = f"%{name}"
        self.tensors[name] = tensor.clone(memory_format=torch.contiguous_format)
        return name


def _escaped(key: Key) -> str:
    """A part of a tensor's name: no two keys of one dict share one."""
    if not isinstance(key, str):
        return f"#{key}"
    text = key.replace("%", "%25").replace("/", "%2F")
    if not text:
        return "%"
    return text.replace("#", "%23", 1) if text.startswith("#") else text


def _where(path: tuple[Key, ...]) -> str:
    return "state" + "".join(f"[{key!r}]" for key in path)


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


class _Unpacker:
    """Builds a state from a tree and the tensors that it names."""

    def __init__(self, tensors: Mapping[str, Tensor], device: str | torch.device) -> None:
        self._tensors = tensors
        self._device = device
        self._made: dict[str, Tensor] = {}

    def value(self, node: Any) -> Any:
        """The part of the state that `node` stands for."""
        if isinstance(node, list):
            return [self.value(n) for n in node]
        if not isinstance(node, Mapping):
            return node
        match node:
            case {"float": word}:
                return float(word)
            case {"tuple": parts}:
                return tuple(self.value(n) for n in parts)
            case {"dict": parts}:
                return {k: self.value(n) for k, n in parts.items()}
            case {"items": parts}:
                return {k: self.value(n) for k, n in parts}
            case {"tensor": name, "dtype": dtype}:
                if name not in self._made:
                    self._made[name] = self._stored(name, dtype).to(self._device)
                return self._made[name]
            case {"array": name, "dtype": dtype}:
                return self._stored(name, dtype).numpy()
            case {"scalar": name, "dtype": dtype}:
                return self._stored(name, dtype).numpy()[()]
        raise Corrupt(f"the saved state holds {json.dumps(node)[:80]}, an unknown node.")

    def _stored(self, name: str, dtype: str) -> Tensor:
        if name not in self._tensors or dtype not in _DTYPES:
            raise Corrupt(f"the saved state names {name!r} ({dtype}), which is not there.")
        tensor, wanted = self._tensors[name], _DTYPES[dtype]
        if tensor.dtype == _VIEWED.get(wanted):
            tensor = tensor.view(wanted)
        if tensor.dtype != wanted:
            raise Corrupt(f"the saved state has {name!r} as {tensor.dtype}, not {dtype}.")
        return tensor
