"""Films of clips within a bound on the page's weight; the others in a folder beside the page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vpbench.api.errors import BadData
from vpbench.board.clips import ClipChoice
from vpbench.board.footage import Footage
from vpbench.board.layers import RowLayers
from vpbench.board.planes import Layout, check_encoder, colours, decode_planes, psnr
from vpbench.board.player import Film, film_script, film_weight, make_film
from vpbench.core.files import make_folder, write_bytes
from vpbench.core.progress import Report, silent

QUALITIES = (16, 18, 20, 22)
"""Constant rate factors of x264, best first: over the rows of puppets 43 dB to 39 dB."""
_TRIED = 6
"""Clips by which the quality is chosen, and over which its PSNR is stated."""
_MARGIN, _HOPE = 1.05, 1.1
"""A quality is taken only if all clips fit with some room. Where they never do, a few more clips
than seem to fit are encoded, and left out again if they do not."""
_AHEAD = 4
"""Clips for each encoder whose frames wait in memory."""


@dataclass(frozen=True)
class Reel:
    """The films of one player.

    Attributes:
        films: those in the page.
        outside: keys of those in the folder.
        keys: clip -> key of its film, in the page or in the folder.
        quality: what the page says about them.
    """

    films: list[Film]
    outside: frozenset[str]
    keys: dict[str, str]
    layout: Layout
    rule: str
    quality: str


def make_reel(
    footage: Footage,
    choice: ClipChoice,
    layers: Sequence[RowLayers | None],
    budget: int,
    most: int | None = None,
    folder: Path | None = None,
    name: str = "player",
    report: Report | None = None,
) -> Reel:
    """Encode the clips of a page.

    Args:
        layers: of each track but the real one; None for a row without.
        budget: bytes that the films may take in the page.
        most: clips in the page, at most; None for all that fit.
        folder: where the films of all other clips are written; None to leave them out.
        name: id of the player.

    Raises:
        MissingDependency: PyAV cannot write H.264.
        BadData: the rows have frames of different shapes.
        Unwritable: the folder cannot be written.
    """
    check_encoder()
    place = {clip: k for k, clip in enumerate(footage.names)}
    tell = report or silent

    def film(clip: str, crf: int) -> Film:
        return encoded(footage, layers, clip, f"{place[clip]:04d}", crf)

    names = footage.names
    tried = names[:: max(1, len(names) // _TRIED)][:_TRIED]
    crf, each = _quality(tried, film, min(len(choice.order), most or len(choice.order)), budget)
    fits = max(1, int(_HOPE * budget / each))
    inside = choice.first(min(fits, most or fits))
    wanted = [clip for clip in footage.names if clip in inside or folder is not None]
    if folder is not None and len(wanted) > len(inside):
        make_folder(folder)
    kept: dict[str, Film] = {}
    outside: set[str] = set()
    layout: Layout | None = None
    for done, (clip, made) in enumerate(_encode(wanted, footage, layers, place, crf), 1):
        layout = made.layout
        if clip in inside:
            kept[clip] = made
        elif folder is not None:
            write_bytes(folder / f"{made.key}.js", film_script(made, name).encode())
            outside.add(made.key)
        tell({"event": "progress", "what": "films", "done": done, "total": len(wanted)})
    assert layout is not None  # there is always one clip
    total = sum(map(film_weight, kept.values()))
    for clip in reversed(choice.order):  # the estimate was too low
        if len(kept) <= 1 or total <= budget:
            break
        dropped = kept.pop(clip, None)
        total -= 0 if dropped is None else film_weight(dropped)
        if dropped is not None and folder is not None:
            make_folder(folder)
            write_bytes(folder / f"{dropped.key}.js", film_script(dropped, name).encode())
            outside.add(dropped.key)
    keys = {c: f"{place[c]:04d}" for c in wanted if c in kept or f"{place[c]:04d}" in outside}
    return Reel(
        list(kept.values()),
        frozenset(outside),
        keys,
        layout,
        choice.rule(len(kept)) + _elsewhere(len(outside), folder),
        _stated(footage, layers, tried, crf),
    )


def _elsewhere(count: int, folder: Path | None) -> str:
    return f" The other {count} are in the folder {folder.name}." if folder and count else ""


def encoded(
    footage: Footage, layers: Sequence[RowLayers | None], clip: str, key: str, crf: int
) -> Film:
    """The film of one clip, with masks and keypoints where rows have them."""
    return _film_of(footage.tracks(clip), footage, layers, clip, key, crf)


def _film_of(
    tracks: Sequence[np.ndarray],
    footage: Footage,
    layers: Sequence[RowLayers | None],
    clip: str,
    key: str,
    crf: int,
) -> Film:
    shapes = {frames.shape for frames in tracks}
    if len(shapes) > 1:
        raise BadData(f"the rows' frames of clip {clip} have different shapes: {sorted(shapes)}.")
    first = int(footage.has_real)
    masks = {first + k: own.masks[clip] for k, own in enumerate(layers) if own and own.masks}
    points = {first + k: own.points[clip] for k, own in enumerate(layers) if own and own.points}
    given = footage.given(clip) if footage.has_real else None
    return make_film(key, tracks, crf, given, masks, points)


def _quality(
    tried: Sequence[str], film: Callable[[str, int], Film], clips: int, budget: int
) -> tuple[int, float]:
    """The best quality at which so many clips fit, and the bytes of one clip."""
    each = 0.0
    for crf in QUALITIES:
        made = [film(clip, crf) for clip in tried]
        each = sum(map(film_weight, made)) / len(made)
        if each * clips * _MARGIN <= budget:
            return crf, each
    return QUALITIES[-1], each


def _encode(
    clips: Sequence[str],
    footage: Footage,
    layers: Sequence[RowLayers | None],
    place: dict[str, int],
    crf: int,
) -> Iterator[tuple[str, Film]]:
    """Films in the order of the clips; frames are read here, encoded in threads."""
    workers = max(1, min(4, len(os.sched_getaffinity(0))))
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(clips), _AHEAD * workers):
            part = clips[start : start + _AHEAD * workers]
            jobs = [
                pool.submit(_film_of, footage.tracks(c), footage, layers, c, f"{place[c]:04d}", crf)
                for c in part
            ]
            for clip, job in zip(part, jobs, strict=True):
                yield clip, job.result()


def _stated(
    footage: Footage, layers: Sequence[RowLayers | None], clips: Sequence[str], crf: int
) -> str:
    """`H.264 at crf 18: 41.6 dB against the stored frames, 39.4 dB at least (3 clips).`"""
    found: list[float] = []
    for clip in clips:
        tracks = footage.tracks(clip)
        film = _film_of(tracks, footage, layers, clip, "", crf)
        planes = decode_planes(film.data, film.layout)[-len(tracks[0]) :]
        found += [psnr(colours(planes[:, 3 * k : 3 * k + 3]), own) for k, own in enumerate(tracks)]
    mean, least = float(np.mean(np.minimum(found, 99))), min(found)
    return (
        f"Videos are H.264 at crf {crf}: PSNR {mean:.1f} dB against the stored frames, at least "
        f"{least:.1f} dB (over {len(clips)} clips). Scores are of the stored frames."
    )
