"""Which frames of which videos `vpbench measure` compares.

Published figures of one metric differ most by how they were sampled. So every choice is an option
here, the same for both sides or in the brackets of one, and part of the fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.api.types import ClipInfo
from vpbench.core.hashing import digest
from vpbench.core.tasks import Item

Start = Literal["first", "random", "all"]
Given = Literal["include", "exclude"]
STARTS: tuple[Start, ...] = ("first", "random", "all")
GIVEN: tuple[Given, ...] = ("include", "exclude")

_REFUSED = {"split": "measure takes all clips of a folder"}


@dataclass(frozen=True)
class Sampling:
    """How windows are cut out of videos, for both sides.

    Attributes:
        frames: of each window; None is all frames, if all clips have the same number.
        stride: source frames from one frame of a window to the next.
        start: "first" takes windows from the start of a video one after the other, "random" at
            places drawn from `seed` and the clip's name, "all" as "first" until the video ends.
        clips_per_video: windows of each video, at most; None is 1, for "all" no limit.
        given: whether given frames (`conditioning=` of a side) count; None leaves them out.
        size: side in pixels after resizing and cropping; None is native.
        clips: videos of each side, at most; chosen by a hash of `seed` and their names.
        short: videos that are too short for one window are left out and counted, not refused.
        protocol: the name that these settings have in publications, "" for none.
    """

    frames: int | None = None
    stride: int = 1
    start: Start = "first"
    clips_per_video: int | None = None
    given: Given | None = None
    size: int | None = None
    clips: int | None = None
    short: bool = False
    seed: int = 0
    protocol: str = ""

    def __post_init__(self) -> None:
        for name in ("frames", "stride", "clips_per_video", "size", "clips"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} {value} must be at least 1.")
        if self.start not in STARTS:
            raise UnknownName("start", self.start, STARTS)
        if self.given not in (None, *GIVEN):
            raise UnknownName("treatment of given frames", str(self.given), GIVEN)


PROTOCOLS: Mapping[str, Sampling] = {
    f"fvd2048_{frames}f": Sampling(
        frames=frames, start="random", clips=2048, short=True, protocol=f"fvd2048_{frames}f"
    )
    for frames in (16, 128)
}
"""Settings that publications name: up to 2048 videos a side, one window of each at a random place,
short videos left out."""


def with_protocol(sampling: Sampling, name: str | None) -> Sampling:
    """The settings of a protocol, with the size, seed and given frames of `sampling`.

    Raises:
        UnknownName: no such protocol.
        UsageError: `sampling` sets something that the protocol fixes to another value.
    """
    if name is None:
        return sampling
    if name not in PROTOCOLS:
        raise UnknownName("protocol", name, PROTOCOLS)
    fixed, plain = PROTOCOLS[name], Sampling()
    for field in ("frames", "stride", "start", "clips_per_video"):
        value = getattr(sampling, field)
        if value not in (getattr(plain, field), getattr(fixed, field)):
            raise UsageError(
                f"{name} fixes {field.replace('_', '-')} to {getattr(fixed, field)}, not {value}.",
                fix="Leave the option or the protocol out.",
            )
    return replace(fixed, size=sampling.size, seed=sampling.seed, given=sampling.given)


@dataclass(frozen=True)
class SideOptions:
    """What the brackets of `folder:PATH[...]` say about one side; None where they do not.

    Attributes:
        given: frames at the start of each clip that were given, not predicted.
    """

    given: int | None = None
    frames: int | None = None
    stride: int | None = None
    windows: int | None = None
    size: int | None = None
    short: str | None = None

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> SideOptions:
        """Read the options that concern the sampling.

        Raises:
            UsageError: a value that cannot be, or an option that measure cannot obey.
        """
        for name, why in _REFUSED.items():
            if name in options:
                raise UsageError(
                    f"{name}={options[name]}: {why}.", fix="Name a folder with those clips only."
                )
        short = options.get("short")
        if short not in (None, "exclude", "error"):
            raise UsageError(f"short={short}: measure takes exclude or error.")
        names = {
            "given": "conditioning",
            "frames": "horizon",
            "stride": "stride",
            "windows": "windows",
            "size": "size",
        }
        values = {k: _whole(name, options[name]) for k, name in names.items() if name in options}
        return cls(**values, short=short)

    def merged(self, sampling: Sampling, where: str) -> Sampling:
        """The sampling of this side.

        Raises:
            UsageError: brackets and options contradict each other.
        """
        plain = Sampling()
        values: dict[str, Any] = {}
        for field, own in (
            ("frames", self.frames),
            ("stride", self.stride),
            ("clips_per_video", self.windows),
            ("size", self.size),
        ):
            asked = getattr(sampling, field)
            if own is None or own == asked:
                continue
            if asked != getattr(plain, field) or sampling.protocol:
                raise UsageError(
                    f"{where} says {field.replace('_', ' ')} {own}, the command {asked}.",
                    fix="Leave one of them out.",
                )
            values[field] = own
        if self.short is not None:
            values["short"] = self.short == "exclude"
        return replace(sampling, **values)

    def skipped(self, sampling: Sampling) -> int:
        """Frames at the start of a clip that do not count."""
        return 0 if sampling.given == "include" else self.given or 0


@dataclass(frozen=True)
class SideWindows:
    """The windows of one side, by name.

    Attributes:
        short: videos that were left out because they are too short.
        videos: videos that windows were taken from.
    """

    items: dict[str, Item]
    short: int
    videos: int


def windows_of(
    clips: Mapping[str, ClipInfo],
    sampling: Sampling,
    frames: int,
    skip: int,
    positions: Mapping[str, int],
    where: str,
) -> SideWindows:
    """Cut windows out of the videos of one side.

    Args:
        sampling: of this side.
        frames: of a window.
        skip: frames at the start of each clip that do not count.
        positions: clip -> places where a window may start; of the shorter clip of a pair, so that
            windows that are drawn at random show the same moment of both.
        where: the side, for errors.

    Raises:
        BadData: a clip is too short.
    """
    items: dict[str, Item] = {}
    short = 0
    kept = _chosen(sorted(clips), sampling)
    for name in kept:
        clip = clips[name]
        places = positions[name]
        if places < 1:
            if not sampling.short:
                needed = skip + (frames - 1) * sampling.stride + 1
                raise BadData(
                    f"{where}: the clip {name!r} has {clip.frames} frames, {needed} are needed.",
                    fix="Lower --frames, take the clip out, or write short=exclude in brackets.",
                )
            short += 1
            continue
        starts = _starts(name, places, frames, sampling)
        for k, start in enumerate(starts):
            first = skip + start * sampling.stride
            last = first + (frames - 1) * sampling.stride
            own = name if len(starts) == 1 else f"{name}#{k}"
            if own in items or (own != name and own in clips):
                raise BadData(f"{where}: {own!r} is a clip and a window of {name!r}.")
            given = tuple(range(skip))
            targets = tuple(range(first, last + 1, sampling.stride))
            items[own] = Item(own, clip, given, targets)
    return SideWindows(items, short, len(kept) - short)


def places_of(clip: ClipInfo, frames: int, stride: int, skip: int) -> int:
    """Places where a window may start, in steps of `stride` source frames; 0 or less for none."""
    return (clip.frames - skip - (frames - 1) * stride - 1) // stride + 1


def _starts(name: str, places: int, frames: int, sampling: Sampling) -> list[int]:
    """Starts of the windows of one video, in steps of the stride."""
    if sampling.start == "random":
        count = min(sampling.clips_per_video or 1, places)
        draw = np.random.default_rng(_number(sampling.seed, name))
        return sorted(int(k) for k in draw.choice(places, count, replace=False))
    limit = sampling.clips_per_video or (None if sampling.start == "all" else 1)
    return list(range(0, places, frames))[:limit]


def _chosen(names: Sequence[str], sampling: Sampling) -> list[str]:
    if sampling.clips is None or len(names) <= sampling.clips:
        return list(names)
    order = sorted(names, key=lambda name: (_number(sampling.seed, name), name))
    return sorted(order[: sampling.clips])


def _number(seed: int, name: str) -> int:
    """A number that depends on seed and name alone, not on other clips."""
    return int.from_bytes(hashlib.sha256(f"measure:{seed}:{name}".encode()).digest()[:8])


def fingerprint_of(
    sides: Sequence[Sampling], options: Sequence[SideOptions], frames: int
) -> dict[str, Any]:
    """What the fingerprint says about the sampling; {} for the first frames of each clip."""
    fields: dict[str, Any] = {}
    plain = Sampling()
    for field in ("stride", "start", "clips_per_video", "clips", "protocol"):
        values = [getattr(side, field) for side in sides]
        if values != [getattr(plain, field)] * 2:
            fields[field] = values[0] if values[0] == values[1] else values
    if any(side.start == "random" or side.clips for side in sides):
        fields["seed"] = sides[0].seed
    known = [side.given or 0 for side in options]
    if any(known):
        word = "included" if sides[0].given == "include" else "excluded"
        fields["given"] = f"{word}:{known[0]}" if known[0] == known[1] else f"{word}:{known}"
    return {**fields, "window": digest([frames, *map(repr, sides)])[:16]} if fields else {}


def _whole(name: str, value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or int(text) < 1:
        raise UsageError(f"{name}={value} must be a whole number of at least 1.")
    return int(text)
