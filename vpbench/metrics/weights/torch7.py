"""Reading Torch7 files (`.t7`): tensors in trees of tables and modules; nothing is executed.

The binary format is that of torch7's `File`: a 32-bit type number, then the value, little-endian;
tables and objects bear a number by which they are referred to again. Functions are refused.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import Corrupt

Arrays = dict[str, npt.NDArray[Any]]

MAX_DEPTH = 64
"""No deeper nesting is read."""

MAX_ITEMS = 20_000
"""No tree with more items is read."""

_NIL, _NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN = range(6)
_TYPES = {
    "Byte": "u1",
    "Char": "i1",
    "Short": "<i2",
    "Int": "<i4",
    "Long": "<i8",
    "Float": "<f4",
    "Double": "<f8",
}
_WANTED = ("weight", "bias", "running_mean", "running_var")


class _Refusal(Exception):
    """Why a file is refused."""


@dataclass
class _Module:
    """An object that is neither tensor nor storage: its class and its fields."""

    kind: str
    fields: Any = None


class _Reader:
    """One pass over the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0
        self.known: dict[int, Any] = {}

    def bytes(self, count: int) -> bytes:
        """The next bytes."""
        if count < 0 or self.place + count > len(self.data):
            raise _Refusal("it is truncated")
        self.place += count
        return self.data[self.place - count : self.place]

    def numbers(self, form: str, count: int = 1) -> tuple[Any, ...]:
        """The next numbers of one type."""
        if not 0 <= count <= MAX_DEPTH:
            raise _Refusal("a tensor has an invalid number of axes")
        return struct.unpack(f"<{count}{form}", self.bytes(count * struct.calcsize(f"<{form}")))

    def text(self) -> str:
        """The next string."""
        return self.bytes(self.numbers("i")[0]).decode("latin-1")

    def value(self, depth: int = 0) -> Any:
        """The next value, whatever it is."""
        if depth > MAX_DEPTH:
            raise _Refusal("it is nested too deep")
        kind = self.numbers("i")[0]
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return self.numbers("d")[0]
        if kind == _STRING:
            return self.text()
        if kind == _BOOLEAN:
            return bool(self.numbers("i")[0])
        if kind == _TABLE:
            return self._table(depth)
        if kind == _OBJECT:
            return self._object(depth)
        raise _Refusal(f"it holds a function or a value of type {kind}")

    def _table(self, depth: int) -> Any:
        number = self.numbers("i")[0]
        if number in self.known:
            return self.known[number]
        table: dict[Any, Any] = {}
        self.known[number] = table
        for _ in range(self.numbers("i")[0]):
            key = self.value(depth + 1)
            if not isinstance(key, str | float | bool):
                raise _Refusal("a table has an invalid key")
            table[key] = self.value(depth + 1)
        return table

    def _object(self, depth: int) -> Any:
        number = self.numbers("i")[0]
        if number in self.known:
            return self.known[number]
        kind = self.text()
        if kind.startswith("V "):  # a version, then the class
            kind = self.text()
        name = kind.removeprefix("torch.").removeprefix("Cuda")
        if kind.startswith("torch.") and name.endswith("Storage"):
            value: Any = self._storage(name.removesuffix("Storage"))
        elif kind.startswith("torch.") and name.endswith("Tensor"):
            value = self._tensor(depth)
        else:
            module = self.known[number] = _Module(kind)
            module.fields = self.value(depth + 1)
            return module
        self.known[number] = value
        return value

    def _storage(self, name: str) -> npt.NDArray[Any]:
        form = np.dtype(_TYPES.get(name or "Float", "V"))
        if form.kind == "V":
            raise _Refusal(f"it holds numbers of an unknown type {name:.20}")
        count = self.numbers("q")[0]
        return np.frombuffer(self.bytes(count * form.itemsize), form)

    def _tensor(self, depth: int) -> npt.NDArray[Any]:
        axes = self.numbers("i")[0]
        sizes, strides = self.numbers("q", axes), self.numbers("q", axes)
        start = self.numbers("q")[0] - 1
        storage = self.value(depth + 1)
        if storage is None or axes == 0:
            return np.zeros(0, np.float32)
        if not isinstance(storage, np.ndarray) or min((*sizes, *strides, start)) < 0:
            raise _Refusal("a tensor has an invalid description")
        if math.prod(sizes) > len(storage):
            raise _Refusal("a tensor has more numbers than its storage")
        last = start + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
        if 0 not in sizes and last >= len(storage):
            raise _Refusal("a tensor reaches beyond its storage")
        if 0 in sizes:
            return np.zeros(0, storage.dtype)
        steps = [s * storage.itemsize for s in strides]
        view = np.lib.stride_tricks.as_strided(storage[start:], sizes, steps, writeable=False)
        return np.ascontiguousarray(view)


def load(data: bytes, what: str = "the file") -> Arrays:
    """Weights of the modules in a file, in the file's order.

    Args:
        data: the whole file.
        what: its name in messages.

    Returns:
        Arrays by their path: "modules.1.weight". Gradients and buffers are left out.

    Raises:
        Corrupt: it is not such a file, is cut short, or holds a function.
    """
    try:
        tree = _Reader(data).value()
    except (_Refusal, struct.error, ValueError, OverflowError, RecursionError) as error:
        raise Corrupt(
            f"{what} is refused: {str(error) or 'it is not a Torch7 file'}; nothing of it "
            "was executed."
        ) from None
    arrays = dict(_walk(tree, what))
    if not arrays:
        raise Corrupt(f"{what} is refused: there are no weights in it.")
    return arrays


def _walk(tree: Any, what: str) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Tensors with their paths, in the order of the file.

    What is inside itself is not followed again. A table that many others share is followed from
    each of them, as weights may be shared; so the steps are counted, not the bytes of the file.
    """
    pending: list[tuple[Any, tuple[str, ...], tuple[int, ...]]] = [(tree, (), ())]
    steps = 0
    while pending:
        value, path, above = pending.pop()
        steps += 1
        if steps > MAX_ITEMS:
            raise Corrupt(f"{what} is refused: its tables refer to each other too often.")
        if isinstance(value, np.ndarray):
            if path and path[-1] in _WANTED and value.size:
                yield ".".join(path), value
            continue
        items = value.fields if isinstance(value, _Module) else value
        if not isinstance(items, dict) or id(items) in above:
            continue
        named = [(f"{k:g}" if isinstance(k, float) else str(k), item) for k, item in items.items()]
        inside = (*above, id(items))
        pending.extend((item, (*path, name), inside) for name, item in reversed(named))
