"""One geometry for frames and poses: short side to the task's size, centre crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.api.types import Frames, Pose
from vpbench.media import resize as rs

NAME = "short-side-centre-crop"
VERSION = 1
"""Raise it when any output byte or coordinate can change."""


@dataclass(frozen=True)
class Geometry:
    """Takes native frames and poses to the square of a task.

    Attributes:
        size: width and height of the result in pixels.
        rule: how pixels are resized.
        native: the source already has that size; anything else is an error, nothing is resized.
    """

    size: int
    rule: rs.Rule = "antialias"
    native: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"size={self.size} must be at least 1.")
        if self.rule not in rs.RULES:
            raise UnknownName("resize rule", str(self.rule), rs.RULES)

    def frames(self, frames: Frames, crop: bool = True) -> Frames:
        """Native uint8 [...,H,W,3] to uint8 [...,size,size,3].

        Args:
            frames: at native size; the result is the same bytes where it already fits.
            crop: False keeps what lies outside the centred square, for caches; `cropped` of the
                result is then the same as with True.

        Raises:
            BadData: the frames are not uint8 [...,H,W,3], or not of the native size.
        """
        if frames.ndim >= 3:
            self._check_native(frames.shape[-3], frames.shape[-2])
        wide = rs.fit(frames, self.size, self.rule)
        return self.cropped(wide) if crop else wide

    def cropped(self, frames: Frames) -> Frames:
        """The centred square of frames that already have the short side `size`."""
        return rs.centre_crop(frames, self.size)

    def pose(self, pose: Pose, height: int, width: int) -> Pose:
        """Joints of native height x width frames to the coordinates of `frames`.

        Args:
            pose: float32 [...,J,3]: x, y in native pixels (0 = centre of the first pixel),
                confidence (0 = missing).
            height, width: native size in pixels.

        Returns:
            float32 [...,J,3]; -1 and 1 are the centres of the outer pixels of the cropped frames,
            joints outside the crop lie beyond them; missing joints are (0, 0, 0).

        Raises:
            BadData: not [...,J,3], or a joint with confidence is not finite.
        """
        if pose.ndim < 2 or pose.shape[-1] != 3:
            raise BadData(f"a pose is [...,J,3], this one is {list(pose.shape)}.")
        self._check_native(height, width)
        known = pose[..., 2] != 0
        if not np.isfinite(pose[known]).all():
            raise BadData(
                "a joint with confidence has a coordinate or confidence that is not finite.",
                fix="Give missing joints confidence 0.",
            )
        rows, columns = rs.fitted(height, width, self.size)
        top, left = rs.corner(rows, columns, self.size)
        out = np.zeros(pose.shape, np.float64)
        xy = np.where(known[..., None], pose[..., :2], 0).astype(np.float64)
        out[..., 0] = self._unit(self._resized(xy[..., 0], width, columns) - left)
        out[..., 1] = self._unit(self._resized(xy[..., 1], height, rows) - top)
        out[..., 2] = pose[..., 2]
        out[~known] = 0
        return out.astype(np.float32)

    def fingerprint(self) -> dict[str, str | int | bool]:
        """All that moves a byte of the result, for exact comparison."""
        return {
            "name": NAME,
            "version": VERSION,
            "size": self.size,
            "rule": self.rule,
            "native": self.native,
        }

    def _check_native(self, height: int, width: int) -> None:
        if self.native and (height, width) != (self.size, self.size):
            raise BadData(
                f"a native task of {self.size}x{self.size} px got frames of {width}x{height} px."
            )

    def _resized(self, x: np.ndarray, n_in: int, n_out: int) -> np.ndarray:
        """Where the centre of source pixel x lies among the output pixels, by the rule's map."""
        if self.rule == "tf1":
            return x * n_out / n_in
        if self.rule == "align-corners":
            return x * (n_out - 1) / max(n_in - 1, 1)
        return (x + 0.5) * n_out / n_in - 0.5

    def _unit(self, x: np.ndarray) -> np.ndarray:
        """Pixel to [-1,1]; the only pixel of size 1 is 0."""
        return 2 * x / (self.size - 1) - 1 if self.size > 1 else x * 2
