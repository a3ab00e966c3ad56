"""Names with parameters: `mine[preset=cpu,motion=frozen]`, `folder:PATH[group=subject]`."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vpbench.api.errors import UsageError

PLUGIN_NAME = re.compile(r"[a-z][a-z0-9-]*")
MAX_SEEDS = 1000

_MAX_LENGTH = 120
"""Characters of a folder name; file systems allow 255 bytes, and names grow suffixes."""

_NAMED = re.compile(
    r"""(?P<base>(?:[^\[\]"]|"[^"]*")+)(?:\[(?P<inside>(?:[^\[\]"]|"[^"]*")*)\])?""", re.DOTALL
)
_PART = re.compile(r"""(?:[^,"]|"[^"]*")+""", re.DOTALL)
_QUOTED = re.compile(r'"([^"]*)"', re.DOTALL)


@dataclass(frozen=True)
class Named:
    """A name and what stands in its brackets, still as text."""

    base: str
    params: Mapping[str, str]

    def __str__(self) -> str:
        return format_name(self.base, self.params)


@dataclass(frozen=True)
class MethodRef(Named):
    """A reference to a method: `mine[preset=cpu,motion=frozen]`, parsed once and passed on."""

    @classmethod
    def parse(cls, text: str) -> MethodRef:
        """Read a method's name as typed.

        Raises:
            UsageError: as `parse_name`.
        """
        named = parse_name(text)
        return cls(named.base, named.params)

    def with_params(self, changes: Mapping[str, object]) -> MethodRef:
        """The same method with some parameters set, or set otherwise."""
        texts = {key: format_value(value) for key, value in changes.items()}
        return MethodRef(self.base, {**self.params, **texts})


def parse_name(text: str) -> Named:
    """Split `base[key=value,...]`.

    Double quotes keep brackets and commas together: `folder:"clips [v2]"[size=64]`.

    Raises:
        UsageError: unbalanced brackets or quotes, a part without "=", a key given twice.
    """
    match = _NAMED.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"cannot read {text!r}.",
            fix="Write NAME or NAME[key=value,key=value]; quote what has brackets of its own: "
            'folder:"clips [v2]"[size=64].',
        )
    params: dict[str, str] = {}
    for part in _PART.findall(match["inside"] or ""):
        key, equals, value = part.partition("=")
        key, value = key.strip(), _unquoted(value)
        if not (equals and key and value):
            raise UsageError(f"cannot read {part!r} in {text!r}.", fix="Write key=value.")
        if key in params:
            raise UsageError(f"{key} is given twice in {text!r}.")
        params[key] = value
    return Named(_unquoted(match["base"]), params)


def format_name(base: str, params: Mapping[str, object]) -> str:
    """`base[key=value,...]` in the order given; `base` alone without parameters."""
    inside = ",".join(f"{key}={_quoted(format_value(v), ',')}" for key, v in params.items())
    return f"{_quoted(base)}[{inside}]" if inside else _quoted(base)


def _unquoted(text: str) -> str:
    return _QUOTED.sub(r"\1", text.strip()).strip()


def _quoted(text: str, more: str = "") -> str:
    """A text with brackets in double quotes; those of a dataset start behind its colon."""
    if not any(letter in text for letter in f"[]{more}"):
        return text
    kind, colon, rest = text.partition(":")
    return f'{kind}:"{rest}"' if colon and PLUGIN_NAME.fullmatch(kind) else f'"{text}"'


def format_value(value: object) -> str:
    """A parameter value as it is typed: on/off for booleans."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def parse_value(key: str, text: str, default: object) -> str | int | float | bool:
    """Read a value as the type of its default.

    Raises:
        UsageError: the text is not such a value.
    """
    try:
        if isinstance(default, bool):
            words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
            return words[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return _finite(text)
    except (KeyError, ValueError):
        wanted = "a number" if isinstance(default, float) else "a whole number"
        wanted = "on or off" if isinstance(default, bool) else wanted
        raise UsageError(f"{key}={text!r} must be {wanted}.") from None
    return text


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def safe_name(name: str) -> str:
    """A folder name for a method's name: `mine[motion=frozen]` -> `mine+motion-frozen`.

    Names of more than 120 characters are cut, with a hash of the whole in place of the rest.
    """
    text = name.replace("[", "+").replace("]", "").replace("=", "-").replace(",", "+")
    text = re.sub(r"[^A-Za-z0-9.+_-]+", "_", text).strip(".") or "_"
    if len(text) <= _MAX_LENGTH:
        return text
    suffix = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{text[: _MAX_LENGTH - 9]}-{suffix}"


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0-2`, `0,3,7` or `1` -> seeds, ascending and unique.

    Raises:
        UsageError: not such a list, or more than 1000 seeds.
    """
    seeds: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part)
        if match is None:
            raise UsageError(f"cannot read the seeds {text!r}.", fix="Write 0, 0-2 or 0,3,7.")
        first = int(match[1])
        last = int(match[2] or first)
        if last < first or last - first >= MAX_SEEDS:
            raise UsageError(f"the seeds {part.strip()!r} are not a valid range.")
        seeds.update(range(first, last + 1))
        if len(seeds) > MAX_SEEDS:
            raise UsageError(f"{text!r} are more than {MAX_SEEDS} seeds.")
    return tuple(sorted(seeds))
