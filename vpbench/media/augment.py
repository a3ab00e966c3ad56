"""Random changes to training clips: a pure function of a seed, alike for frames and points.

The order is flip, rotation, crop (together one bilinear warp around which borders are repeated),
then colour, then one image filter. Each effect draws from a stream of its own, so that switching
one on or off does not change another.

The ten filters are those of Kim et al. (NeurIPS 2019, authors' code): detail, edge_enhance, smooth,
smooth_more, edge_enhance_more, blur, sharpness 0-5, brightness 0.7-2, colour 0-5 and contrast 0.7-3
in steps of 0.1, all equally likely. Differences from there:

- a filter is applied to half of the clips, there to all;
- beside the frame a filter sees the outer pixels repeated, there outer pixels stay unfiltered;
- the contrast of a clip turns around the mean of all its frames, there of each frame;
- rotation is by any angle, bilinear and with repeated borders, there by whole degrees, to the
  nearest pixel and with black corners;
- factors round half up, there they cut off;
- crop cuts both sides and resizes back, there only the longer side was cut, to a square;
- `colour` has no counterpart there.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vpbench.api import NO_AUGMENT, Augment, Frames, Pose, UsageError

Pairs = tuple[tuple[int, int], ...]
"""Numbers of points that change places in a mirror, such as left and right wrist."""

_Levels = npt.NDArray[np.float32]


class _Kernel(NamedTuple):
    """A 5x5 kernel as a sum: 5x5 box, 3x3 box, 3x3 cross and centre, over `scale`."""

    box5: int
    box3: int
    cross: int
    centre: int
    scale: int


_KERNELS = {
    "detail": _Kernel(0, 0, -1, 11, 6),
    "edge_enhance": _Kernel(0, -1, 0, 11, 2),
    "smooth": _Kernel(0, 1, 0, 4, 13),
    "smooth_more": _Kernel(1, 4, 0, 39, 100),
    "edge_enhance_more": _Kernel(0, -1, 0, 10, 1),
    "blur": _Kernel(1, -1, 0, 0, 16),
}
_FACTORS = {
    "sharpness": (0.0, 5.0),
    "brightness": (0.7, 2.0),
    "colour": (0.0, 5.0),
    "contrast": (0.7, 3.0),
}
FILTERS = (*_KERNELS, *_FACTORS)
"""Names of the ten image filters."""


def augment(
    frames: Frames,
    points: Sequence[Pose | None],
    spec: Augment,
    seed: int,
    flip_pairs: Sequence[Pairs],
) -> tuple[Frames, list[Pose | None]]:
    """Change one clip and what is known of it, all frames alike.

    Args:
        frames: uint8 [T,H,W,3]; not changed in place, but returned itself when nothing happens.
        points: sets of points float32 [T,J,3] in [-1,1] (joints, keypoints), or None.
        spec: what may happen.
        seed: all that decides what does happen; any integer.
        flip_pairs: for each set of points, those that change places in a mirror; () for keypoints
            without names, of which only x is mirrored.

    Returns:
        The frames, uint8 [T,H,W,3], and the points; those that left the frame get confidence 0.

    Raises:
        UsageError: wrong shapes or an impossible `spec`.
    """
    if spec == NO_AUGMENT:
        return frames, list(points)
    _check(frames, points, spec, flip_pairs)
    warp = draw_warp(spec, seed, *frames.shape[1:3])
    frames = warp.frames(frames)
    warped = [
        None if p is None else warp.points(p, pairs)
        for p, pairs in zip(points, flip_pairs, strict=True)
    ]
    if spec.colour > 0:
        gains = [1 + spec.colour * (2 * u - 1) for u in _uniforms(seed, "colour")[:3]]
        frames = recolour(frames, *gains)
    if spec.filters:
        draw, which, amount, _ = _uniforms(seed, "filters")
        if draw < 0.5:
            frames = apply_filter(frames, FILTERS[int(which * len(FILTERS))], amount)
    return frames, warped


def mirror_pairs(names: Sequence[str]) -> Pairs:
    """Pairs of joints whose names differ only in "left" and "right", as `flip_pairs` wants them."""
    numbers = {name.lower(): i for i, name in enumerate(names)}
    pairs = (
        (i, numbers.get(name.replace("left", "right")))
        for name, i in numbers.items()
        if "left" in name
    )
    return tuple((i, j) for i, j in pairs if j is not None)


@dataclass(frozen=True)
class Warp:
    """Flip, then rotation, then crop, of clips of `height` x `width` pixels.

    Attributes:
        flip: mirrored left to right.
        angle: clockwise as seen, in radians, about the centre.
        scale: part of each side that stays, in (0, 1].
        shift: centre of that part as (x, y) in [-1,1].
    """

    height: int
    width: int
    flip: bool = False
    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def only_flips(self) -> bool:
        """Whether pixels move to whole pixels, so that nothing has to be interpolated."""
        return self.angle == 0 and self.scale == 1

    def _forward(self) -> npt.NDArray[np.float64]:
        """2x3 matrix from old to new places, in pixels from the centre of the frame."""
        sign = -1.0 if self.flip else 1.0
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x0 = self.shift[0] * (self.width - 1) / 2
        y0 = self.shift[1] * (self.height - 1) / 2
        return np.array([[sign * cos, -sin, -x0], [sign * sin, cos, -y0]]) / self.scale

    def frames(self, frames: Frames) -> Frames:
        """Warp uint8 [T,H,W,3]; bilinear, borders repeated."""
        if self.only_flips:
            return np.ascontiguousarray(frames[:, :, ::-1]) if self.flip else frames
        # OpenCV, because a NumPy gather of four neighbours takes five times as long
        import cv2

        forward = self._forward()
        centre = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        linear = np.linalg.inv(forward[:, :2])
        offset = centre - linear @ (centre + forward[:, 2])
        backward = np.column_stack([linear, offset])
        out = np.empty_like(frames, order="C")
        for t, frame in enumerate(np.ascontiguousarray(frames)):
            out[t] = cv2.warpAffine(
                frame,
                backward,
                (self.width, self.height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        return out

    def points(self, points: Pose, pairs: Pairs = ()) -> Pose:
        """Move float32 [T,J,3]; those that leave the frame get confidence 0."""
        out = np.array(points, dtype=np.float32)
        if self.only_flips:
            if self.flip:
                out[..., 0] = -out[..., 0]
        else:
            half = np.array([max(self.width - 1, 1) / 2, max(self.height - 1, 1) / 2])
            forward = self._forward()
            with np.errstate(invalid="ignore"):  # missing points may be infinite
                places = (out[..., :2] * half) @ forward[:, :2].T + forward[:, 2]
            out[..., :2] = places / half
            left = _inside(points[..., :2]) & ~_inside(out[..., :2])
            out[..., 2][left] = 0
        if self.flip and pairs:
            order = np.arange(out.shape[-2])
            for i, j in pairs:
                order[i], order[j] = j, i
            out = out[..., order, :]
        return out


def draw_warp(spec: Augment, seed: int, height: int, width: int) -> Warp:
    """The geometric part of an augmentation, for points without frames."""
    flip = spec.flip and _uniforms(seed, "flip")[0] < 0.5
    angle = 0.0
    if spec.rotate_deg > 0:
        angle = math.radians(spec.rotate_deg * (2 * _uniforms(seed, "rotate")[0] - 1))
    scale, shift = 1.0, (0.0, 0.0)
    if spec.crop > 0:
        cut, right, down, _ = _uniforms(seed, "crop")
        scale = 1 - spec.crop * cut
        # the part that stays may lie anywhere inside
        shift = ((1 - scale) * (2 * right - 1), (1 - scale) * (2 * down - 1))
    return Warp(height, width, flip, angle, scale, shift)


def recolour(frames: Frames, brightness: float, contrast: float, saturation: float) -> Frames:
    """Multiply brightness, then contrast around the clip's mean, then saturation; 1 = unchanged.

    Values are clipped once, at the end.

    Args:
        frames: uint8 [T,H,W,3].
        brightness, contrast, saturation: factors, at least 0.
    """
    grey = _grey(frames)
    mean = float(grey.mean(dtype=np.float64)) * brightness
    gain = brightness * contrast
    out = frames * np.float32(gain * saturation)
    out += grey * np.float32(gain * (1 - saturation)) + np.float32(mean * (1 - contrast))
    return _levels(out)


def apply_filter(frames: Frames, name: str, amount: float) -> Frames:
    """One of the ten image filters.

    Args:
        frames: uint8 [T,H,W,3].
        name: one of `FILTERS`.
        amount: in [0, 1): where in its range a filter with a factor lies; others ignore it.

    Raises:
        UsageError: no such filter.
    """
    if name in _KERNELS:
        return _levels(_convolve(frames, _KERNELS[name]))
    if name not in _FACTORS:
        raise UsageError(f"filter {name!r} is unknown.", fix=f"Known: {', '.join(FILTERS)}.")
    low, high = _FACTORS[name]
    steps = round((high - low) * 10) + 1
    factor = round(low + int(amount * steps) / 10, 1)
    if name == "sharpness":
        smooth = _levels(_convolve(frames, _KERNELS["smooth"])).astype(np.float32)
        smooth += np.float32(factor) * (frames - smooth)
        return _levels(smooth)
    gains = {"brightness": 1.0, "contrast": 1.0, "colour": 1.0, name: factor}
    return recolour(frames, gains["brightness"], gains["contrast"], gains["colour"])


def _convolve(frames: Frames, kernel: _Kernel) -> _Levels:
    """float32 [T,H,W,3], not rounded; borders repeated. Sums are exact: they fit 16 bits."""
    rows = np.clip(np.arange(-2, frames.shape[1] + 2), 0, frames.shape[1] - 1)
    columns = np.clip(np.arange(-2, frames.shape[2] + 2), 0, frames.shape[2] - 1)
    wide = frames.take(rows, axis=1).take(columns, axis=2).astype(np.int16)
    middle = wide[:, 2:-2, 2:-2]
    total = middle * np.int16(kernel.centre)
    if kernel.cross:
        beside = wide[:, 2:-2, 1:-3] + wide[:, 2:-2, 3:-1] + wide[:, 1:-3, 2:-2]
        total += (beside + wide[:, 3:-1, 2:-2] + middle) * np.int16(kernel.cross)
    if kernel.box3:
        line = wide[:, 1:-3] + wide[:, 2:-2] + wide[:, 3:-1]
        box = line[:, :, 1:-3] + line[:, :, 2:-2] + line[:, :, 3:-1]
        total += box * np.int16(kernel.box3)
    if kernel.box5:
        line = wide[:, :-4] + wide[:, 1:-3] + wide[:, 2:-2] + wide[:, 3:-1] + wide[:, 4:]
        box = line[:, :, :-4] + line[:, :, 1:-3] + line[:, :, 2:-2] + line[:, :, 3:-1]
        total += (box + line[:, :, 4:]) * np.int16(kernel.box5)
    return total.astype(np.float32) / np.float32(kernel.scale)


def _grey(frames: Frames) -> _Levels:
    """float32 [T,H,W,1], whole levels: ITU-R 601 luma in integers."""
    weights = np.array([19595, 38470, 7471], np.uint32)
    luma = frames[..., 0] * weights[0] + frames[..., 1] * weights[1] + frames[..., 2] * weights[2]
    return ((luma + 0x8000) >> 16).astype(np.float32)[..., None]


def _levels(values: _Levels) -> Frames:
    """Clipped, rounded half up."""
    return (np.clip(values, 0, 255) + np.float32(0.5)).astype(np.uint8)


def _inside(places: Pose) -> npt.NDArray[np.bool_]:
    """Whether (x, y) lies in the frame, whose outer pixel centres are at -1 and 1."""
    return np.all(np.abs(places) <= 1 + 1e-5, axis=-1)


def _uniforms(seed: int, effect: str) -> tuple[float, float, float, float]:
    """Four numbers in [0, 1): the stream of one effect; the same on every machine."""
    data = hashlib.sha256(f"augment\x1f{effect}\x1f{int(seed)}".encode()).digest()
    a, b, c, d = (int.from_bytes(data[i : i + 8], "big") >> 11 for i in (0, 8, 16, 24))
    return a / 2**53, b / 2**53, c / 2**53, d / 2**53


def _check(
    frames: Frames, points: Sequence[Pose | None], spec: Augment, flip_pairs: Sequence[Pairs]
) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise UsageError(f"frames must be uint8 [T,H,W,3], not {frames.dtype} {frames.shape}.")
    if not (0 <= spec.crop < 1 and 0 <= spec.colour <= 1 and 0 <= spec.rotate_deg <= 180):
        raise UsageError(f"{spec}: crop must be in [0,1), colour in [0,1], rotate_deg in [0,180].")
    if len(points) != len(flip_pairs):
        raise UsageError(f"{len(points)} sets of points and {len(flip_pairs)} of flip pairs.")
    for pose, pairs in zip(points, flip_pairs, strict=True):
        if pose is None:
            continue
        if pose.ndim != 3 or pose.shape[0] != len(frames) or pose.shape[2] != 3:
            raise UsageError(f"points must be [{len(frames)},J,3], not {list(pose.shape)}.")
        numbers = [n for pair in pairs for n in pair]
        if len(set(numbers)) != len(numbers) or any(not 0 <= n < pose.shape[1] for n in numbers):
            raise UsageError(f"flip pairs {pairs} do not fit {pose.shape[1]} points.")
