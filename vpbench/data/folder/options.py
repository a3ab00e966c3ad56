"""The options in the brackets of `folder:PATH[...]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from vpbench.api.errors import MissingData, UnknownName, UsageError
from vpbench.api.windows import WindowRule
from vpbench.data.folder import SPEC
from vpbench.media.kinds import LAYOUTS, Layout, Reading, parse_ground, parse_rate

Short = Literal["exclude", "error", "loop"]
_SHORT: tuple[Short, ...] = ("exclude", "error", "loop")


@dataclass(frozen=True)
class Options:
    """Checked options; the folder is there.

    Attributes:
        path: the resolved folder.
        window: conditioning, horizon, stride, windows and short as a window rule.
        size: of the task, in pixels.
        group, label, split: columns of labels.csv, `split` also a file; "" when not given.
        reading: how files become frames.
        one_set: all clips are one set: sub-folders are neither splits nor, unless label=folders,
            classes, and sidecars are passed over.
    """

    path: Path
    window: WindowRule
    size: int
    group: str
    label: str
    split: str
    reading: Reading
    one_set: bool = False


def parse(options: Mapping[str, Any], root: Path | None) -> Options:
    """Check options; `root` takes the place of options["path"].

    Raises:
        UnknownName: an option that does not exist.
        UsageError: a value that cannot be.
        MissingData: the folder is not there.
    """
    for name in options:
        if name not in SPEC.options:
            raise UnknownName("option of folder", name, set(SPEC.options) - {"path"})
    values = {**SPEC.options, **options}
    path = _folder(str(values["path"]) if root is None else str(root))
    window = WindowRule(
        n_max=_whole("conditioning", values["conditioning"]),
        horizon=_whole("horizon", values["horizon"]),
        gap=_whole("stride", values["stride"]),
        windows=_whole("windows", values["windows"]),
        short=cast(Short, _one_of("short", values["short"], _SHORT)),
    )
    layout = cast(Layout, _one_of("layout", values["layout"], LAYOUTS))
    return Options(
        path=path,
        window=window,
        size=_whole("size", values["size"]),
        group=str(values["group"]),
        label=str(values["label"]),
        split=str(values["split"]),
        reading=Reading(
            layout,
            _frame(str(values["frame"])),
            parse_ground(str(values["ground"])),
            parse_rate(str(values["rate"])),
            str(values["axes"]).strip().upper(),
        ),
    )


def _folder(text: str) -> Path:
    if not text:
        raise UsageError("folder needs a path.", fix="Write folder:PATH, or give --root PATH.")
    path = Path(text).expanduser()
    if not path.exists():
        raise MissingData(f"{path} is not there.", fix="Give the folder that holds the clips.")
    if not path.is_dir():
        raise UsageError(
            f"{path} is a file, not a folder of clips.", fix=f"Did you mean folder:{path.parent}?"
        )
    return path.resolve()


def _whole(name: str, value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise UsageError(f"{name}={value} must be a whole number of at least 1.")
    return int(text)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise UsageError(f"{name}={value}: one of {', '.join(allowed)}.")
    return str(value)


def _frame(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,5})[xX×]([1-9][0-9]{0,5})", text)
    if match is None:
        raise UsageError(f"frame={text} must be WIDTHxHEIGHT in pixels, such as 64x48.")
    return int(match[1]), int(match[2])
