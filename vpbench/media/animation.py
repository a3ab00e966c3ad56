"""Animated pictures through Pillow: gif, APNG, WebP and TIFF of several pages."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from vpbench.api.errors import BadData
from vpbench.api.types import Frames
from vpbench.media import apng, gif, images, kinds
from vpbench.media.ground import Composer
from vpbench.media.timing import Timeline, steady

_SHORTEST = Fraction(2, 100)
_USUAL = Fraction(1, 10)
"""Players show a frame for a tenth of a second where its delay is shorter than `_SHORTEST`."""


def read(path: Path, count: int, indices: Sequence[int] | None, composer: Composer) -> Frames:
    """Frames of an animation as a viewer composes them, uint8 [T,H,W,3]."""
    order = list(range(count) if indices is None else indices)
    if not order:
        head = images.header(path)
        return np.empty((0, head.height, head.width, 3), np.uint8)
    wanted = set(order)
    # In order and from the start: later frames are drawn over earlier ones.
    shown = _shown(path, max(wanted) + 1, wanted, composer)
    kept = dict(zip(sorted(wanted), shown, strict=True))
    if len({frame.shape for frame in kept.values()}) != 1:
        raise _sizes_differ(path)
    return np.stack([kept[number] for number in order])


def check(path: Path, count: int, composer: Composer) -> None:
    """Decode every frame, one at a time.

    Raises:
        BadData: a frame is broken or missing, sizes differ, or nothing is visible.
    """
    head = images.header(path)
    for frame in _shown(path, count, range(count), composer):
        if frame.shape[:2] != (head.height, head.width):
            raise _sizes_differ(path)
    composer.check(path)


def _shown(path: Path, count: int, wanted: Container[int], composer: Composer) -> Iterator[Frames]:
    """The wanted ones of the first `count` frames, uint8 [H,W,3], one at a time."""
    with images.opened(path) as image:
        if image.format == "PNG":
            images.check_depth(image, path)
            for number, rgba in enumerate(itertools.islice(apng.composed(path), count)):
                if number in wanted:
                    yield composer.rgb(rgba)
            return
        for number in range(count):
            image.seek(number)
            if number in wanted:
                yield images.rgb(image, path, composer)


def rate(path: Path, count: int) -> tuple[float | None, bool]:
    """Frames a second, None if unknown or not constant; and whether the delays differ."""
    delays = _delays(path, count)
    if not all(delays):
        return None, False
    even = steady([int(sum(delays[:k]) * 1000) for k in range(len(delays))])
    same = len(set(delays)) == 1
    return (float(1 / delays[0]) if same else None), not even


def timeline(path: Path, count: int) -> Timeline:
    """When its frames are shown.

    Raises:
        BadData: it has pages, not times.
    """
    delays = _delays(path, count)
    if not delays:
        raise BadData(f"{path} has no frame times.", fix="Leave rate= out.")
    return Timeline.of_delays([delay if delay >= _SHORTEST else _USUAL for delay in delays])


def _delays(path: Path, count: int) -> list[Fraction]:
    """Seconds that each frame is shown for; [] where none are stored."""
    if kinds.kind(path) == "gif":
        return [Fraction(delay, 100) for delay in gif.blocks(path).delays]
    first = images.header(path).first
    delays: list[Fraction] = []
    with images.opened(path) as image:
        for number in range(count):
            image.seek(first + number)
            if image.format == "WEBP":
                image.load()
            delay = image.info.get("duration")
            if not isinstance(delay, int | float):
                return []
            delays.append(Fraction(delay).limit_denominator(10_000_000) / 1000)
    return delays


def _sizes_differ(path: Path) -> BadData:
    return BadData(f"{path} has frames of different sizes.", fix="Save it with one size.")
