"""Reading pickled arrays without executing anything in the file.

A pickle is a program. Before it is touched, its instructions are listed and every one that a tree
of numpy arrays has no use for is refused, as are lengths and places beyond the file. Then it is
read with stand-ins for the three names that such a tree needs (numpy's `_reconstruct`, `ndarray`,
`dtype`); every other name is refused. numpy itself takes no part until plain bytes, a shape and a
number type have been checked.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import Corrupt
from vpbench.metrics.weights.pickle_depth import nests_deeper

MAX_BYTES = 1 << 30
"""No larger pickle is read, bytes."""

MAX_STEPS = 200_000
"""No pickle with more instructions is read."""

MAX_DEPTH = 32
"""No deeper nesting of containers is read."""

MAX_ITEMS = 100_000
"""No tree with more items is read."""

_STEPS = (
    "PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG1 "
    "BINFLOAT SHORT_BINUNICODE BINUNICODE SHORT_BINBYTES BINBYTES BINBYTES8 EMPTY_DICT EMPTY_LIST "
    "EMPTY_TUPLE DICT LIST TUPLE TUPLE1 TUPLE2 TUPLE3 SETITEM SETITEMS APPEND APPENDS MEMOIZE "
    "BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD"
)
_NUMBERS = re.compile(r"[fiu][1248]|b1")


class _Refusal(Exception):
    """Why a pickle is refused."""


class _ArrayType:
    """Stands for the name `numpy.ndarray`."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise _Refusal("it changes a type")


class _NumberType:
    """A number type being read."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(cast("tuple[Any, ...]", state)) in (8, 9)):
            raise _Refusal("a dtype has an invalid description")
        _, order, subtype, names, fields = state[:5]
        if order not in ("<", ">", "|", "=") or (subtype, names, fields) != (None, None, None):
            raise _Refusal("it holds arrays of records")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        """The numpy type."""
        kind = np.dtype(self.code)
        return kind if self.order in "|=" else kind.newbyteorder(self.order)  # pyright: ignore[reportArgumentType]


class _Array:
    """An array being read; its content comes from `__setstate__`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: npt.NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(cast("tuple[Any, ...]", state)) == 5):
            raise _Refusal("an array has an invalid description")
        _, shape, number, fortran, data = cast("tuple[Any, ...]", state)
        if not isinstance(number, _NumberType) or not isinstance(data, bytes):
            raise _Refusal("it holds an array of objects")
        if not isinstance(shape, tuple) or len(cast("tuple[Any, ...]", shape)) > MAX_DEPTH:
            raise _Refusal("an array has an invalid shape")
        sizes = cast("tuple[Any, ...]", shape)
        if not all(type(n) is int and n >= 0 for n in sizes):
            raise _Refusal("an array has an invalid shape")
        dtype = number.dtype()
        if math.prod(sizes) * dtype.itemsize != len(data):
            raise _Refusal("an array's shape does not fit its bytes")
        order = "F" if fortran is True else "C"
        self.value = np.frombuffer(data, dtype).reshape(sizes, order=order)


class _MakeArray:
    """Stands for numpy's `_reconstruct`."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        if not isinstance(kind, _ArrayType) or shape != (0,) or code not in (b"b", "b"):
            raise _Refusal("an array has an invalid constructor")
        return _Array()

    def __setstate__(self, state: Any) -> None:
        raise _Refusal("it changes a function")


class _MakeNumberType:
    """Stands for the name `numpy.dtype`."""

    __slots__ = ()

    def __call__(self, code: Any, align: Any = False, copy: Any = False) -> _NumberType:
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            what = "an array of objects" if str(code).startswith("O") else f"arrays of {code!r:.40}"
            raise _Refusal(f"it holds {what}")
        return _NumberType(code)

    def __setstate__(self, state: Any) -> None:
        raise _Refusal("it changes a function")


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _MakeArray(),
    ("numpy._core.multiarray", "_reconstruct"): _MakeArray(),
    ("numpy", "ndarray"): _ArrayType(),
    ("numpy", "dtype"): _MakeNumberType(),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise _Refusal(
                f"it asks for {ascii(f'{module_name}.{global_name}')[1:-1]:.80}"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise _Refusal("it refers to things outside the file")


def load(data: bytes, what: str = "the file") -> dict[str, npt.NDArray[Any]]:
    """Read a pickled tree of dicts of arrays.

    Args:
        data: the whole file.
        what: its name in messages.

    Returns:
        Arrays by their path in the tree, joined with "/"; they are read-only.

    Raises:
        Corrupt: it is not a pickle, or holds anything but nested dicts of numbers' arrays.
            Nothing of it was executed.
    """
    try:
        _inspect(data)
        tree = _Unpickler(io.BytesIO(data)).load()
        return _flatten(tree)
    except _Refusal as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - a broken pickle can raise nearly anything
        reason = f"it is not a complete pickle ({type(error).__name__})"
    raise Corrupt(f"{what} is refused: {reason}; nothing of it was executed.")


def _inspect(data: bytes) -> None:
    """Look through the instructions without following them."""
    if len(data) > MAX_BYTES:
        raise _Refusal(f"it has {len(data)} bytes, more than {MAX_BYTES}")
    stream = io.BytesIO(data)
    allowed = frozenset(_STEPS.split())
    for count, (step, argument, _) in enumerate(pickletools.genops(stream)):
        if step.name not in allowed:
            raise _Refusal(f"a tree of arrays has no use for its instruction {step.name}")
        if count >= MAX_STEPS:
            raise _Refusal(f"it has more than {MAX_STEPS} instructions")
        if step.name in ("BINPUT", "LONG_BINPUT") and int(argument or 0) > MAX_STEPS:
            raise _Refusal("it uses an invalid memo index")
        if step.name == "FRAME" and int(argument or 0) > len(data):
            raise _Refusal("it is truncated")
    if stream.read(1):
        raise _Refusal("there is data after its end")
    if nests_deeper(data, MAX_DEPTH + 8):
        raise _Refusal("it is nested too deeply")


def _flatten(tree: Any) -> dict[str, npt.NDArray[Any]]:
    """Arrays by path; the tree may hold nothing but string-keyed dicts and arrays."""
    if not isinstance(tree, dict):
        raise _Refusal("it is not a dict of arrays")
    arrays: dict[str, npt.NDArray[Any]] = {}
    pending: list[tuple[str, int, Any]] = [("", 0, tree)]
    seen = 0
    while pending:
        prefix, depth, node = pending.pop()
        seen += 1
        if seen > MAX_ITEMS or depth > MAX_DEPTH:
            raise _Refusal("it is nested too deeply or has too many items")
        if isinstance(node, dict):
            for key, value in cast("dict[Any, Any]", node).items():
                if not isinstance(key, str) or not key:
                    raise _Refusal(f"it has the key {key!r:.60}")
                pending.append((f"{prefix}/{key}" if prefix else key, depth + 1, value))
        elif prefix in arrays:
            raise _Refusal(f"it holds {prefix!r:.80} twice")
        elif isinstance(node, _Array) and node.value is not None:
            arrays[prefix] = node.value
        else:
            raise _Refusal(f"{prefix or 'its root'} is not an array")
    return dict(sorted(arrays.items()))
