"""Strict reading of JSON into frozen dataclasses: one sentence for each fault, with its place.

Files of strangers are read with this. Unknown and missing fields, wrong types, numbers that are not
finite and control characters are refused; nothing is converted or guessed.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vpbench.api.errors import Corrupt

T = TypeVar("T")

_REORDERS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows: a name with them does not read as it is."""

_DEPTH = 12
"""Levels of nested JSON in a field that is free in its form; fingerprints have three."""

_PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def decode(cls: type[T], value: Any, where: str) -> T:
    """A dataclass from the JSON object that `encode` made of one.

    Args:
        where: names the file in messages.

    Raises:
        Corrupt: the first fault, such as "x.json: runs[0].seed must be a whole number, not 'a'.".
    """
    return cast("T", _Decoder(where).read(cls, value, ""))


def encode(value: Any) -> Any:
    """JSON of a dataclass; fields that are None or empty and have that default are left out."""
    if dataclasses.is_dataclass(value):
        return {
            f.name: encode(own)
            for f in dataclasses.fields(value)
            if not _is_default(own := getattr(value, f.name), f)
        }
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {name: encode(own) for name, own in mapping.items()}
    if isinstance(value, tuple | list):
        return [encode(own) for own in cast("list[Any]", value)]
    return value


def _is_default(value: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether a field may be left out: it says nothing."""
    if field.default is None:
        return value is None
    if field.default is not dataclasses.MISSING or field.default_factory is dataclasses.MISSING:
        return False
    return not value


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls)


@functools.cache
def _required(cls: type[Any]) -> frozenset[str]:
    return frozenset(
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )


def text_fault(text: str) -> str:
    """Why a text may not be printed as it is; "" where it may."""
    if text.isprintable() and _REORDERS.isdisjoint(text):
        return ""
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"):
            return f"holds the control character U+{ord(letter):04X}"
        if letter in _REORDERS:
            return f"holds U+{ord(letter):04X}, which changes the order of what is read"
    return ""


class _Decoder:
    """Reads one file."""

    def __init__(self, where: str) -> None:
        self._where = where

    def read(self, kind: Any, value: Any, at: str) -> Any:
        """One value of some type.

        Args:
            at: the path of the field, "" at the top.
        """
        origin = get_origin(kind)
        if kind is Any:
            return self._free(value, at, 0)
        if dataclasses.is_dataclass(kind):
            return self._object(cast("type[Any]", kind), value, at)
        if origin in (Union, types.UnionType):
            return self._union(get_args(kind), value, at)
        if origin is Literal:
            if value not in get_args(kind) or isinstance(value, bool):
                allowed = ", ".join(map(str, get_args(kind)))
                self._fail(at, f"must be one of {allowed}, not {_brief(value)}")
            return value
        if origin is tuple:
            return self._tuple(get_args(kind), value, at)
        if origin is not None and issubclass(origin, Mapping):
            return self._mapping(get_args(kind)[1], value, at)
        return self._plain(kind, value, at)

    def _object(self, cls: type[Any], value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            self._fail(at, f"must be an object, not {_brief(value)}")
        fields, hints = cast("dict[str, Any]", value), _hints(cls)
        for name in fields:
            if name not in hints:
                self._fail(_join(at, name), "is not a field of this schema")
        for name in sorted(_required(cls) - fields.keys()):
            self._fail(_join(at, name), "is missing")
        own = {n: self.read(hints[n], v, _join(at, n)) for n, v in fields.items()}
        return cls(**own)

    def _union(self, kinds: tuple[Any, ...], value: Any, at: str) -> Any:
        if value is None and type(None) in kinds:
            return None
        rest = [kind for kind in kinds if kind is not type(None)]
        for kind in rest[:-1]:
            if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
                return self.read(kind, value, at)
        return self.read(rest[-1], value, at)

    def _tuple(self, kinds: tuple[Any, ...], value: Any, at: str) -> Any:
        if not isinstance(value, list):
            self._fail(at, f"must be a list, not {_brief(value)}")
        items = cast("list[Any]", value)
        if kinds[-1] is not Ellipsis:
            if len(items) != len(kinds):
                self._fail(at, f"must hold {len(kinds)} values, not {len(items)}")
            pairs = zip(kinds, items, strict=True)
            return tuple(self.read(k, v, f"{at}[{i}]") for i, (k, v) in enumerate(pairs))
        return tuple(self.read(kinds[0], v, f"{at}[{i}]") for i, v in enumerate(items))

    def _mapping(self, kind: Any, value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            self._fail(at, f"must be an object, not {_brief(value)}")
        entries = cast("dict[str, Any]", value)
        return {
            self._plain(str, name, at): self.read(kind, own, _join(at, name))
            for name, own in entries.items()
        }

    def _plain(self, kind: Any, value: Any, at: str) -> Any:
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return value
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self._fail(at, f"must be {_PLAIN[kind]}, not {_brief(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            self._fail(at, "is not a finite number")
        if isinstance(value, str) and (fault := text_fault(value)):
            self._fail(at, fault)
        return value

    def _free(self, value: Any, at: str, depth: int) -> Any:
        """JSON of any form, such as a parameter or a fingerprint."""
        if depth > _DEPTH:
            self._fail(at, "is nested too deeply")
        if isinstance(value, dict):
            entries = cast("dict[str, Any]", value)
            return {
                self._plain(str, name, at): self._free(own, _join(at, name), depth + 1)
                for name, own in entries.items()
            }
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self._free(own, f"{at}[{i}]", depth + 1) for i, own in enumerate(items)]
        return value if value is None else self._plain(type(value), value, at)

    def _fail(self, at: str, what: str) -> None:
        raise Corrupt(f"{self._where}: {at or 'the file'} {what}.")


def _join(at: str, name: str) -> str:
    short = name if len(name) <= 60 else f"{name[:60]}…"
    return f"{at}.{short}" if at else short


def _brief(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
