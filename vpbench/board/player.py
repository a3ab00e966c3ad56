"""The player: real clips and predictions side by side, all at one frame.

A page needs three parts: `player_html` where the player stands, `film_blocks` at the end of its
body, and the files `player.css` and `player.js` of `vpbench.board.page` in it. Nothing of it is
fetched: a film is a block of base64 in the page, or in a script beside the page (`film_script`).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import resources
from typing import Any, Literal

import numpy as np

from vpbench.api.types import Frames, Pose
from vpbench.board.planes import RATE, Grey, Layout, colour_planes, encode_planes
from vpbench.render.text import clean

Kind = Literal["real", "method", "oracle", "reference"]

_POINT_SCALE = 1000
"""Keypoints are whole thousandths of the frame; confidence is whole hundredths."""


@dataclass(frozen=True)
class Track:
    """One picture of the player: the real clip, or what one method predicts.

    Attributes:
        title: what stands below the picture.
        mask: it has a mask, in every clip that has a film.
    """

    title: str
    kind: Kind
    mask: bool = False


@dataclass(frozen=True)
class PlayerMetric:
    """A metric with one value a clip and track."""

    title: str
    direction: Literal["up", "down"]
    unit: str = ""


@dataclass(frozen=True)
class PlayerClip:
    """A clip by which the list is sorted and filtered, with a film or without.

    Attributes:
        values: [metric][track], None where there is none.
        film: key of its film, "" without one.
    """

    id: str
    class_name: str
    values: Sequence[Sequence[float | None]]
    film: str = ""


@dataclass(frozen=True)
class Film:
    """Pictures of one clip in all tracks, encoded.

    Attributes:
        points: track -> keypoints float32 [F,K,3] in [-1,1], one set a frame.
    """

    key: str
    data: bytes
    layout: Layout
    points: Mapping[int, Pose] = field(default_factory=dict[int, Pose])


@dataclass(frozen=True)
class PlayerData:
    """All that a player shows.

    Attributes:
        frames: pictures of each film. Picture 0 is the last given frame in track 0, which is shown
            in all tracks, unless there is none (`given`).
        fps: at which it plays, at speed 1.
        folder: where films lie that are not in the page, relative to it; "" without one.
        inside: keys of the films that are in the page.
    """

    tracks: Sequence[Track]
    metrics: Sequence[PlayerMetric]
    clips: Sequence[PlayerClip]
    layout: Layout
    frames: int
    fps: float
    given: bool = True
    folder: str = ""
    inside: frozenset[str] = frozenset()


def make_film(
    key: str,
    tracks: Sequence[Frames],
    crf: int,
    given: Frames | None = None,
    masks: Mapping[int, Grey] | None = None,
    points: Mapping[int, Pose] | None = None,
) -> Film:
    """Encode one clip.

    Args:
        tracks: uint8 [T,H,W,3] of each track, in the order of the player's.
        crf: of x264: 14 to 22 shows no loss.
        given: uint8 [H,W,3], the last given frame.
        masks: track -> uint8 [T,H,W].
        points: track -> float32 [T or 1+T,K,3].
    """
    planes = [colour_planes(frames) for frames in tracks]
    planes += [masks[k][:, None] for k in sorted(masks or {}) if masks]
    film = np.concatenate(planes, axis=1)
    if given is not None:
        # The other tracks begin with their first prediction: it costs nothing to repeat it, and
        # the page shows the given frame in its place.
        first = film[:1].copy()
        first[:, :3] = colour_planes(given[None])
        film = np.concatenate([first, film])
    data, layout = encode_planes(film, crf)
    return Film(key, data, layout, points or {})


def player_html(data: PlayerData, name: str = "player") -> str:
    """The player as HTML, with what it needs to know; its films come later in the page.

    Args:
        name: the element's id, letters and digits.
    """
    body = f'<script type="application/json" class="player-data">{_json(_plain(data))}</script>'
    need = "<noscript><p>The player needs JavaScript.</p></noscript>"
    return f'<section class="player" id="{escape(name)}" aria-label="Clips">{need}{body}</section>'


def film_blocks(films: Sequence[Film], name: str = "player") -> Iterator[str]:
    """One block a film, for the end of the body: the page above is drawn before they are read."""
    for film in films:
        yield (
            f'<script type="application/json" id="{escape(f"{name}-{film.key}")}">'
            f"{_json(_film(film))}</script>\n"
        )


def film_script(film: Film, name: str = "player") -> str:
    """A film as a script of its own, `<folder>/<key>.js`: what a page from disk may load."""
    return f"vpbenchFilm({_json(f'{name}-{film.key}')},{_json(_film(film))});\n"


def film_weight(film: Film) -> int:
    """Bytes that a film takes in a page."""
    marks = sum(len(_json([_points(frame) for frame in path])) for path in film.points.values())
    return 4 * -(-len(film.data) // 3) + marks + 100


@cache
def asset(name: str) -> str:
    """A file of the page, such as `player.css`."""
    return (resources.files("vpbench.board") / "page" / name).read_text("utf-8")


def _plain(data: PlayerData) -> dict[str, Any]:
    plane, masks = 3 * len(data.tracks), dict[int, int]()
    for k, track in enumerate(data.tracks):
        if track.mask:
            masks[k], plane = plane, plane + 1
    layout = data.layout
    return {
        "tracks": [
            {"title": clean(t.title), "kind": t.kind, "plane": 3 * k, "mask": masks.get(k)}
            for k, t in enumerate(data.tracks)
        ],
        "metrics": [
            {"title": clean(m.title), "direction": m.direction, "unit": clean(m.unit)}
            for m in data.metrics
        ],
        "clips": [
            {
                "id": clean(c.id),
                "class": clean(c.class_name),
                "values": [[_finite(v) for v in row] for row in c.values],
                "film": c.film,
                "inside": c.film in data.inside,
            }
            for c in data.clips
        ],
        "layout": {
            "columns": layout.columns,
            "pitch": layout.pitch,
            "height": layout.height,
            "width": layout.width,
        },
        "frames": data.frames,
        "fps": data.fps,
        "rate": RATE,
        "given": data.given,
        "folder": data.folder,
    }


def _film(film: Film) -> dict[str, Any]:
    points = {str(k): [_points(frame) for frame in path] for k, path in film.points.items()}
    return {"film": base64.b64encode(film.data).decode("ascii"), "points": points}


def _points(frame: Pose) -> list[int]:
    """x, y, confidence of each keypoint, in the frame from 0 to 1000."""
    scaled = np.nan_to_num(np.array(frame, np.float64), nan=0.0, posinf=9.0, neginf=-9.0)
    scaled[:, :2] = np.clip((scaled[:, :2] + 1) / 2, -1, 2) * _POINT_SCALE
    scaled[:, 2] = np.clip(scaled[:, 2], 0, 1) * 100
    return np.rint(scaled).astype(int).ravel().tolist()


def _finite(value: float | None) -> float | None:
    """Seven digits; None for what JSON cannot say."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def _json(value: Any) -> str:
    """JSON that cannot end the script it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
