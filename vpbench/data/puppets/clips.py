"""Clips of the dataset: a function of split and number, the same bytes on every machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vpbench.data.puppets.actions import (
    CLASS_NAMES,
    CLEAN_AND_JERK,
    FRAMES,
    PULL_UPS,
    Performance,
    perform,
)
from vpbench.data.puppets.draws import Draws
from vpbench.data.puppets.figure import visibility
from vpbench.data.puppets.scene import Actor, Scene, draw_scene, render_actors
from vpbench.data.puppets.skeleton import Body

VERSION = 1
"""Part of every clip's seed; changes with anything that changes a pixel."""

SPLITS: dict[str, int] = {"train": 900, "val": 90, "test": 90, "extra": 27, "large": 512}
"""Clips of each split; `extra` is for pictures of failure cases and belongs to no score, `large` is
a second, larger test set with the outfits and places of the first and no clip of it."""

LOOKS_OF: dict[str, str] = {"large": "test"}
"""Splits that take outfits and places from the share of another."""

EXTRA_KINDS: tuple[str, ...] = ("two-figures", "mirrored-motion", "empty-background")


@dataclass(frozen=True)
class Clip:
    """One clip.

    frames: uint8 [24,size,size,3] RGB. joints: float32 [24,13,3]: x, y in pixels of this size
    (x right, y down, 0 = centre of the first pixel) and visibility (1, or 0 when hidden by another
    part of the body, outside of the picture, or not there). kind: "standard" or an extra's kind.
    """

    frames: NDArray[np.uint8]
    label: int
    joints: NDArray[np.float32]
    kind: str = "standard"

    def sha256(self) -> str:
        """Hash of all bytes: frames, joints as little-endian float32, label."""
        digest = hashlib.sha256(np.ascontiguousarray(self.frames).tobytes())
        digest.update(np.ascontiguousarray(self.joints, dtype="<f4").tobytes())
        digest.update(bytes([self.label]))
        return digest.hexdigest()


def label_of(split: str, index: int) -> int:
    """The action of a clip: classes take turns, so every split is balanced."""
    if split not in SPLITS:
        raise ValueError(f"puppets has no split {split!r}; it has {', '.join(SPLITS)}")
    if not 0 <= index < SPLITS[split]:
        raise ValueError(f"puppets/{split} has clips 0..{SPLITS[split] - 1}, not {index}")
    if split == "extra":
        return index // len(EXTRA_KINDS)
    return index % len(CLASS_NAMES)


def kind_of(split: str, index: int) -> str:
    """ "standard", or what is unusual about an extra clip."""
    return EXTRA_KINDS[index % len(EXTRA_KINDS)] if split == "extra" else "standard"


def describe_clip(split: str, index: int) -> tuple[Scene, Performance]:
    """The scene and the performance of a clip, without drawing it."""
    label = label_of(split, index)
    draws = Draws(f"puppets-{VERSION}/{split}/{index}")
    scene = draw_scene(LOOKS_OF.get(split, split), label, draws)
    return scene, perform(label, draws.child("motion"), scene.body)


def render_clip(split: str, index: int, size: int = 64) -> Clip:
    """Renders one clip at `size` pixels a side."""
    if size < 16:
        raise ValueError(f"puppets are drawn at 16 pixels or more, not {size}")
    scene, performance = describe_clip(split, index)
    kind = kind_of(split, index)
    actors = [Actor(scene, performance)]
    if kind == "two-figures":
        actors = _pair(index, scene, performance)
    elif kind == "mirrored-motion":
        actors = [Actor(replace(scene, mirror=not scene.mirror), _reversed(performance))]
    elif kind == "empty-background":
        actors = [Actor(scene, performance, present=False)]
    canvas, tracks = render_actors(actors, size)
    joints = np.zeros((FRAMES, 13, 3), dtype=np.float32)
    joints[..., :2] = tracks[-1].joints / 16
    joints[..., 2] = visibility(tracks[-1], canvas)
    return Clip(canvas.pixels(), performance.label, joints, kind)


def _pair(index: int, scene: Scene, performance: Performance) -> list[Actor]:
    """Two people with one action, side by side; the joints are those of the one in front."""
    draws = Draws(f"puppets-{VERSION}/extra/{index}/partner")
    other = draw_scene("extra", performance.label, draws)
    partner = replace(
        other,
        x=0.30,
        ground=0.90,
        height=0.70,
        bar=performance.label == PULL_UPS,
        barbell=performance.label == CLEAN_AND_JERK,
        turn=other.turn / 3,
        mirror=not scene.mirror,
    )
    second = perform(performance.label, draws.child("motion"), other.body)
    return [
        Actor(replace(partner, place=scene.place), second),
        Actor(replace(scene, x=0.70, turn=scene.turn / 3), performance),
    ]


def _reversed(performance: Performance) -> Performance:
    """The same performance played backwards."""
    body = performance.body
    return replace(
        performance,
        body=Body(body.joints[::-1], body.toes[::-1], body.face[::-1]),
        stick=performance.stick[::-1],
        barbell=performance.barbell[::-1],
        ball=performance.ball[::-1],
        ball_seen=performance.ball_seen[::-1],
    )
