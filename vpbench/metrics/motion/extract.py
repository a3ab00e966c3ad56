"""One vector of a clip that says how it moves, by optical flow alone.

It holds, in this order: the distribution of speeds of all pixels, as shares of `SPEEDS` bins; two
histograms over eight directions and six speeds, of the velocities and of the accelerations of a
grid of points that go along with the flow; the error of warping; the mean speed. Speeds are parts
of the short side of the frame, a frame: a clip says the same at another size.

Histograms of velocity and acceleration of tracked points are the idea of Liu et al., "Frechet Video
Motion Distance", arXiv:2407.16124, 2024; they track by a network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData
from vpbench.api.specs import Value
from vpbench.api.types import Frames
from vpbench.metrics.flow import FARNEBACK, flow_fields
from vpbench.metrics.motion.flow import tracks, warping_error

SPEEDS = 1024
"""Bins of the speed of pixels, up to `FASTEST`; what is faster counts as that."""
FASTEST = 1 / 8
STEP = FASTEST / SPEEDS

DIRECTIONS = 8
SLOWEST = 2.0**-9
"""Of tracked points that count as moving: an eighth of a pixel a frame at 64 px."""
OCTAVES = 6
"""Bins of the speed of points, each twice as fast as the one before; the last is open."""

_TRACKED = DIRECTIONS * OCTAVES
DIM = SPEEDS + 1 + 2 * _TRACKED + 2

_VERSION = 1


class MotionFeatures:
    """Statistics of the motion in clips of any number of frames, three at least."""

    name = "optical flow"
    dim = DIM
    batch = 1
    min_frames = 3

    def __call__(
        self, clips: Frames, names: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """float32 [n,DIM] of uint8 [n,T,H,W,3]."""
        return np.stack([_of_clip(clip) for clip in clips]).astype(np.float32)

    def fingerprint(self) -> dict[str, Value | None]:
        """All that can move a feature."""
        import cv2

        return {
            "extractor": "motion",
            "version": _VERSION,
            "flow": "farneback-" + "-".join(f"{value:g}" for value in FARNEBACK.values()),
            "opencv": cv2.__version__,
            "speeds": f"{SPEEDS}-up-to-{FASTEST:g}",
            "tracks": f"16x16-{DIRECTIONS}x{OCTAVES}-from-{SLOWEST:g}",
        }


def speeds(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Shares [n,SPEEDS+1] of the bins of speed."""
    return features[:, : SPEEDS + 1].astype(np.float64)


def tracked(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Histograms of velocity and acceleration [n,2*48]: shares of all points at all times."""
    return features[:, SPEEDS + 1 : SPEEDS + 1 + 2 * _TRACKED].astype(np.float64)


def warping(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Error of warping [n], grey levels."""
    return features[:, -2].astype(np.float64)


def mean_speed(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean speed [n] of the pixels, in parts of the short side a frame."""
    return features[:, -1].astype(np.float64)


def _of_clip(frames: Frames) -> npt.NDArray[np.float64]:
    if min(frames.shape[1:3]) < 16:
        raise BadData(
            f"motion needs frames of at least 16 px, not {frames.shape[2]} x {frames.shape[1]}."
        )
    flow = flow_fields(frames)
    side = min(frames.shape[1:3])
    length = np.hypot(flow[..., 0], flow[..., 1], dtype=np.float64).ravel() / side
    bins = np.minimum(length / STEP + 0.5, SPEEDS).astype(np.intp)
    share = np.bincount(bins, minlength=SPEEDS + 1) / len(length)
    places = tracks(flow) / side
    velocity = np.diff(places, axis=0)
    acceleration = np.diff(velocity, axis=0)
    return np.concatenate(
        [
            share,
            _histogram(velocity.reshape(-1, 2)),
            _histogram(acceleration.reshape(-1, 2)),
            [warping_error(frames, flow), length.mean()],
        ]
    )


def _histogram(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares [DIRECTIONS*OCTAVES] of vectors [N,2]; those below `SLOWEST` are in no bin."""
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    moving = length >= SLOWEST
    angle = np.arctan2(vectors[moving, 1], vectors[moving, 0])
    # The middle of the first sector is to the right, so that the four axes are inside of one.
    sector = np.floor(angle / (2 * np.pi) * DIRECTIONS + 0.5).astype(np.intp) % DIRECTIONS
    octave = np.minimum(np.log2(length[moving] / SLOWEST), OCTAVES - 1).astype(np.intp)
    counts = np.bincount(sector * OCTAVES + octave, minlength=DIRECTIONS * OCTAVES)
    return counts / len(vectors)
