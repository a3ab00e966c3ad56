"""The nine actions: key poses become a movement of 24 frames with random style.

Frames 0..4 show an idle stance from a pool that all actions with the same thing in their hands
share; the action itself runs over frames 4..20. So the frame that is given tells no more than
what lies about, and the frames to be predicted show all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from vpbench.data.puppets import poses
from vpbench.data.puppets.draws import Draws
from vpbench.data.puppets.poses import Key, Value
from vpbench.data.puppets.skeleton import (
    Body,
    Motion,
    Proportions,
    Reals,
    chest_centre,
    solve,
    unit,
)

CLASS_NAMES: tuple[str, ...] = (
    "tennis_serve",
    "pull_ups",
    "clean_and_jerk",
    "tennis_forehand",
    "baseball_pitch",
    "jumping_jacks",
    "golf_swing",
    "squats",
    "baseball_swing",
)
SERVE, PULL_UPS, CLEAN_AND_JERK, FOREHAND, PITCH, JACKS, GOLF, SQUATS, SWING = range(9)
FRAMES = 24
BAR_HEIGHT = 1.10
"""Height of the horizontal bar in standing heights: a standing figure reaches it."""
BARBELL_FLOOR = (0.15, 0.11, 0.0)
"""Where a barbell lies before the figure, and where it lies in other scenes too."""
BALL_FLOOR = (0.40, 0.02, 0.02)

HELD: tuple[str, ...] = (
    "racket",
    "none",
    "none",
    "racket",
    "none",
    "none",
    "stick",
    "none",
    "stick",
)
"""What each class holds; a club and a bat are the same stick."""

_VECTORS = ("pel", "lh", "rh", "lp", "rp", "lf", "rf", "stick", "bar")
_NUMBERS = ("pyaw", "cyaw", "fwd", "side", "lt", "rt")

_TABLES: dict[int, tuple[Key, ...]] = {
    SERVE: poses.TENNIS_SERVE,
    PULL_UPS: poses.PULL_UPS,
    CLEAN_AND_JERK: poses.CLEAN_AND_JERK,
    FOREHAND: poses.TENNIS_FOREHAND,
    PITCH: poses.BASEBALL_PITCH,
    JACKS: poses.JUMPING_JACKS,
    GOLF: poses.GOLF_SWING,
    SWING: poses.BASEBALL_SWING,
}
_BOUND_TO_A_BAR = (PULL_UPS, CLEAN_AND_JERK)


@dataclass(frozen=True)
class Performance:
    """One performed action over 24 frames, in world axes and standing heights.

    stick, barbell, ball: float64 [24,3] (direction of what is held, centre, centre);
    ball_seen: bool [24].
    """

    label: int
    body: Body
    stick: Reals
    barbell: Reals
    ball: Reals
    ball_seen: np.ndarray


def perform(label: int, draws: Draws, body: Proportions) -> Performance:
    """A random performance of one action; draws decide stance, timing, amplitude and style."""
    keys = _timed_keys(label, draws, body)
    times = np.array([time for time, _ in keys])
    start, end = times[3], times[-1]
    path = [(start + at * (end - start), where) for at, where in poses.BALLS.get(label, ())]
    moments = np.concatenate([np.arange(FRAMES, dtype=np.float64), [t for t, _ in path]])
    tracks = _tracks(times, [key for _, key in keys], moments)
    solved = solve(_motion(tracks), body)
    stick = unit(tracks["stick"])
    ball, seen = _ball(label, path, solved, stick)
    barbell = tracks["bar"][:FRAMES]
    cut = Body(solved.joints[:FRAMES], solved.toes[:FRAMES], solved.face[:FRAMES])
    return Performance(label, cut, stick[:FRAMES], barbell, ball, seen)


def smooth(times: Reals, values: Reals, moments: Reals) -> Reals:
    """Monotone cubic interpolation of `values` [K,P] at `moments` [M], held at both ends.

    Slopes are harmonic means and zero at extremes: no overshoot, and what stands still between
    two keys (a planted foot, a bar in the hands) stays perfectly still.
    """
    gap = (times[1:] - times[:-1])[:, None]
    rise = (values[1:] - values[:-1]) / gap
    product = rise[1:] * rise[:-1]
    total = rise[1:] + rise[:-1]
    inner = np.where(product > 0, 2.0 * product / np.where(product > 0, total, 1.0), 0.0)
    slope = np.concatenate([np.zeros_like(values[:1]), inner, np.zeros_like(values[:1])])
    at = np.minimum(np.maximum(moments, times[0]), times[-1])
    left = np.minimum(np.searchsorted(times, at, side="right") - 1, len(times) - 2)
    h = gap[left]
    s = ((at - times[left])[:, None]) / h
    s2 = s * s
    s3 = s2 * s
    out = values[left] * (2.0 * s3 - 3.0 * s2 + 1.0) + values[left + 1] * (3.0 * s2 - 2.0 * s3)
    return out + slope[left] * h * (s3 - 2.0 * s2 + s) + slope[left + 1] * h * (s3 - s2)


def _tracks(times: Reals, keys: list[dict[str, Value]], moments: Reals) -> dict[str, Reals]:
    """All parameters of the keys interpolated at once: name -> [M,3] or [M]."""
    rows = [
        [v for name in _VECTORS for v in _triple(key[name])] + [key[name] for name in _NUMBERS]
        for key in keys
    ]
    table = smooth(times, np.array(rows, dtype=np.float64), moments)
    out = {name: table[:, 3 * i : 3 * i + 3] for i, name in enumerate(_VECTORS)}
    first = 3 * len(_VECTORS)
    return out | {name: table[:, first + i] for i, name in enumerate(_NUMBERS)}


def _motion(tracks: Mapping[str, Reals]) -> Motion:
    return Motion(
        pelvis=tracks["pel"],
        pelvis_yaw=tracks["pyaw"],
        chest_yaw=tracks["cyaw"],
        lean_forward=tracks["fwd"],
        lean_left=tracks["side"],
        wrist=(tracks["lh"], tracks["rh"]),
        elbow_pole=(tracks["lp"], tracks["rp"]),
        ankle=(tracks["lf"], tracks["rf"]),
        toe_yaw=(tracks["lt"], tracks["rt"]),
    )


TimedKeys = list[tuple[float, dict[str, Value]]]


def _timed_keys(label: int, draws: Draws, body: Proportions) -> TimedKeys:
    """Idle keys at frames 0, 2 and the start, then the action's keys; wrists in the world."""
    table = _TABLES.get(label) or draws.pick((poses.SQUATS_ONCE, poses.SQUATS_TWICE))
    idle = _idle(HELD[label], draws.child("idle"))
    start = draws.real(3.9, 4.6)
    end = draws.real(18.8, 20.2)
    style = draws.child("style")
    keys: TimedKeys = [(at, _swayed(idle, style)) for at in (0.0, draws.real(1.6, 2.6), start)]
    keys.insert(0, (-1.0, keys[0][1]))
    styled = _free_style(label, style)
    current = dict(idle)
    for at, named in table:
        current = {**current, **named}
        if "lh" in named:  # the hands leave the bar
            current.pop("LH", None)
            current.pop("RH", None)
        jitter = 0.0 if at == 1.0 else style.real(-0.012, 0.012)
        keys.append((start + (at + jitter) * (end - start), styled(current)))
    return _in_world(keys, body)


def _free_style(label: int, draws: Draws) -> Callable[[dict[str, Value]], dict[str, Value]]:
    """One person's way of moving: amplitude of turns and leans, place of the hands.

    Whoever holds on to a bar has no such freedom: hands must stay where the bar is.
    """
    if label in _BOUND_TO_A_BAR:
        return dict
    swing = draws.real(0.92, 1.10)
    left, right = _shake(draws, 0.018), _shake(draws, 0.018)
    if HELD[label] == "stick":
        right = left  # both hands are on one stick
    turn = draws.real(-6.0, 6.0)

    def styled(key: dict[str, Value]) -> dict[str, Value]:
        new = {name: _number(key[name]) * swing for name in ("pyaw", "cyaw", "fwd", "side")}
        hands = {"lh": _plus(key["lh"], left), "rh": _plus(key["rh"], right)}
        return {**key, **new, **hands, "cyaw": new["cyaw"] + turn}

    return styled


def _number(value: Value) -> float:
    assert not isinstance(value, tuple)
    return value


def _triple(value: Value) -> tuple[float, float, float]:
    assert isinstance(value, tuple)
    return value


def _in_world(keys: TimedKeys, body: Proportions) -> TimedKeys:
    """The keys with both wrists in world axes, whatever they were given against."""
    lean = np.array([[key["fwd"], key["side"]] for _, key in keys])
    pelvis = np.array([key["pel"] for _, key in keys])
    chests = chest_centre(pelvis, lean[:, 0], lean[:, 1], body).tolist()
    out = []
    for (time, key), chest in zip(keys, chests, strict=True):
        new = dict(key)
        for name, fixed in (("lh", "LH"), ("rh", "RH")):
            new[name] = new.pop(fixed) if fixed in new else _plus(key[name], tuple(chest))
        out.append((time, new))
    return out


def _plus(a: Value, b: Value) -> tuple[float, float, float]:
    (a0, a1, a2), (b0, b1, b2) = _triple(a), _triple(b)
    return a0 + b0, a1 + b1, a2 + b2


def _shake(draws: Draws, size: float) -> tuple[float, float, float]:
    return (draws.real(-size, size), draws.real(-size, size), draws.real(-size, size))


def _swayed(idle: Mapping[str, Value], draws: Draws) -> dict[str, Value]:
    """The stance with a small sway, so that the given frames are not a still."""
    out = dict(idle)
    for name, size in (("pel", 0.007), ("lh", 0.012), ("rh", 0.012)):
        out[name] = _plus(idle[name], _shake(draws, size))
    ahead, up, left = _triple(out["pel"])
    out["pel"] = (ahead, min(up, 0.0), left)
    return out


def _idle(held: str, draws: Draws) -> dict[str, Value]:
    """A stance from the pool of everybody who holds the same."""
    spread = draws.real(0.058, 0.098)
    ahead = draws.real(-0.03, 0.03)
    toe = draws.real(8.0, 26.0)
    key: dict[str, Value] = dict(
        pel=(0.0, -draws.real(0.0, 0.02), draws.real(-0.015, 0.015)),
        pyaw=draws.real(-10.0, 10.0),
        cyaw=draws.real(-14.0, 14.0),
        fwd=draws.real(-2.0, 7.0),
        side=draws.real(-2.5, 2.5),
        lp=poses.DOWN_L,
        rp=poses.DOWN_R,
        lf=(ahead, 0.0, spread),
        rf=(-ahead, 0.0, -spread),
        lt=toe,
        rt=-toe,
        stick=(0.3, -0.9, -0.2),
        bar=BARBELL_FLOOR,
    )
    together = draws.chance(45)
    bend = draws.real(0.0, 0.06)
    if held == "none":
        key |= _empty_hands(draws.below(4), bend)
    elif together:
        key |= dict(
            lh=(0.14, -0.24 + bend, 0.02),
            rh=(0.13, -0.27 + bend, -0.02),
            stick=(draws.real(0.3, 0.7), draws.real(-0.9, 0.1), draws.real(-0.3, 0.5)),
        )
    else:
        key |= dict(
            lh=(0.03, -0.31, 0.15),
            rh=(0.05 + bend, -0.30, -0.15),
            stick=(draws.real(0.2, 0.7), -0.85, draws.real(-0.4, 0.0)),
        )
    return key


def _empty_hands(kind: int, bend: float) -> dict[str, Value]:
    if kind == 0:  # hanging
        return dict(lh=(0.03 + bend, -0.31, 0.15), rh=(0.03 + bend, -0.31, -0.15))
    if kind == 1:  # on the hips
        return dict(
            lh=(0.04, -0.245, 0.12),
            rh=(0.04, -0.245, -0.12),
            lp=(-0.5, -0.1, 1.0),
            rp=(-0.5, -0.1, -1.0),
        )
    if kind == 2:  # together before the belly
        return dict(lh=(0.16, -0.19 + bend, 0.02), rh=(0.16, -0.20 + bend, -0.02))
    return dict(lh=(0.14 + bend, -0.24, 0.12), rh=(0.14 + bend, -0.24, -0.12))


def _ball(
    label: int,
    path: list[tuple[float, str | tuple[float, float, float]]],
    body: Body,
    stick: Reals,
) -> tuple[Reals, np.ndarray]:
    """The ball's centre [24,3] and whether it is in the air or on the floor in each frame."""
    frames = np.arange(FRAMES, dtype=np.float64)
    if not path:
        return np.zeros((FRAMES, 3)), np.zeros(FRAMES, dtype=bool)
    sweet = body.joints[:, 6] + stick * (0.25 if HELD[label] == "racket" else 0.38)
    spots = {"L": body.joints[:, 5], "R": body.joints[:, 6], "S": sweet}
    places = []
    for row, (_, where) in enumerate(path, start=FRAMES):
        if where == "G":
            places.append(BALL_FLOOR)
        else:
            places.append(where if isinstance(where, tuple) else tuple(spots[where][row].tolist()))
    times = np.array([t for t, _ in path])
    at = np.minimum(np.maximum(frames, times[0]), times[-1])
    left = np.minimum(np.searchsorted(times, at, side="right") - 1, len(times) - 2)
    share = ((at - times[left]) / (times[left + 1] - times[left]))[:, None]
    stops = np.array(places, dtype=np.float64)
    ball = stops[left] + (stops[left + 1] - stops[left]) * share
    on_floor = label == GOLF
    seen = (frames < times[-1]) & ((frames >= times[0]) | on_floor)
    return ball, seen
