"""PSNR and SSIM of predicted clips against the real ones, in float64 on the CPU.

Both are plain numpy: every figure of a clip depends on that clip alone, not on the batch, the
number of threads or the order of the clips.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UsageError
from vpbench.api.types import ClipInfo, Frames, Score, TaskInfo
from vpbench.metrics.frame_arrays import check_frames
from vpbench.metrics.specs import PSNR, SSIM

if TYPE_CHECKING:
    from vpbench.api.protocols import MetricContext
    from vpbench.api.specs import MetricSpec, Value

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One clip: a value a sample, and one for each of its frames.

    Attributes:
        values: float64 [S,1+T], of each sample its own value and those of its frames.
        identical: samples that equal the real clip, where this shows in their value.
        reason: why the clip has no value; "" where it has one.
    """

    values: _Floats
    identical: int = 0
    reason: str = ""

    @classmethod
    def of(
        cls, samples: Sequence[float], curves: Sequence[Sequence[float]], identical: int = 0
    ) -> Record:
        """From the S values of samples and the T of the frames of each."""
        return cls(np.column_stack([samples, curves]), identical)

    @classmethod
    def undefined(cls, samples: int, frames: int, reason: str) -> Record:
        """Of a clip without a value."""
        return cls(np.full((samples, 1 + frames), np.nan), reason=reason)

    @property
    def samples(self) -> list[float | None]:
        """The value of each sample."""
        return [None] * len(self.values) if self.reason else self.values[:, 0].tolist()

    @property
    def curves(self) -> list[list[float | None]]:
        """The values of the frames of each sample."""
        if self.reason:
            return [[None] * (self.values.shape[1] - 1)] * len(self.values)
        return self.values[:, 1:].tolist()


class FrameMetric(ABC):
    """What metrics with a value a frame share: checks, bookkeeping, means over samples and clips.

    Recipe "bestN", N a number: the value of a clip is that of the best of N samples, as expected
    over all choices of N of its S samples. It grows with N and rewards variance, so the N is part
    of the column. A clip with one sample, as of a method that draws none, counts with that one.
    """

    spec: MetricSpec

    def __init__(self, task: TaskInfo, params: Mapping[str, Value], ctx: MetricContext) -> None:
        """
        Raises:
            UsageError: an unknown parameter or recipe.
        """
        recipe = params.get("recipe", "")
        if recipe not in ("", *self.spec.recipes):
            raise UsageError(f"{self.spec.name} has no recipe {recipe!r}.")
        others = sorted(params.keys() - {"recipe"})
        if others:
            raise UsageError(f"{self.spec.name} has no parameters, got {others}.")
        self._recipe = str(recipe)
        self._best = int(self._recipe[4:]) if self._recipe.startswith("best") else 0
        self._clips: dict[str, Record] = {}

    def update(self, fake: Frames | None, real: Frames | None, clip: ClipInfo) -> None:
        """Add one clip.

        Args:
            fake: uint8 [S,T,H,W,3], the samples of the prediction.
            real: uint8 [T,H,W,3].
            clip: which clip it is; each may come once.

        Raises:
            UsageError: a side is missing, or the clip came before.
            BadData: a wrong dtype or shape.
        """
        name = self.spec.name
        if fake is None or real is None:
            raise UsageError(f"{name} needs the predicted and the real clip of {clip.id!r}.")
        if clip.id in self._clips:
            raise UsageError(f"{name} was given clip {clip.id!r} twice.")
        _check_arrays(name, fake, real, clip.id)
        self._clips[clip.id] = self._measure(fake, real, clip.id)

    def merge(self, other: Self) -> None:
        """Add the clips that another instance has seen.

        Raises:
            UsageError: it is another metric or recipe, or both have seen the same clip.
        """
        if type(other) is not type(self):
            raise UsageError(f"{self.spec.name} cannot be merged with {type(other).__name__}.")
        if other.fingerprint() != self.fingerprint():
            raise UsageError(f"{self.spec.name} can be merged only with one of equal settings.")
        twice = sorted(self._clips.keys() & other._clips.keys())
        if twice:
            raise UsageError(f"{self.spec.name} was given clip {twice[0]!r} twice.")
        self._clips.update(other._clips)

    def result(self) -> Score:
        """Mean over the clips; the same bits for any order of the clips.

        None, with a `reason`, where a clip has no value; `n` counts the clips of the mean.
        """
        records = [(key, self._clips[key]) for key in sorted(self._clips)]
        down = self.spec.direction == "down"
        shares = {key: _shares(record, self._best, down) for key, record in records}
        per_clip = {key: _weighted(record.samples, shares[key]) for key, record in records}
        known = [v for v in per_clip.values() if v is not None]
        return Score(
            value=_mean(known) if len(known) == len(records) else None,
            n=len(known),
            per_clip=per_clip,
            per_frame={
                key: [_weighted(at, shares[key]) for at in zip(*record.curves, strict=True)]
                for key, record in records
            },
            samples={key: list(record.samples) for key, record in records},
            reason=_reason([record for _, record in records], self._best),
        )

    @abstractmethod
    def fingerprint(self) -> Mapping[str, Value | None]:
        """All settings that can move the value."""

    @abstractmethod
    def _measure(self, fake: Frames, real: Frames, clip_id: str) -> Record:
        """The figures of one checked clip."""


class Psnr(FrameMetric):
    """Peak signal-to-noise ratio in dB, data range 255.

    With e the sum of squared errors over N = T H W 3 pixel values in grey levels, the PSNR of a
    sample is 10 log10(255^2 N / e); a clip's value is the mean over its samples. It is capped: e
    counts as at least 1/4, half a grey level's error in one pixel value of the clip, so that a
    sample without error has 6.02 dB more than the least error gives, and raises the mean.

    Recipe "frames": the mean over frames of each frame's PSNR, N = H W 3, capped likewise. The two
    are not comparable: few good frames, as the first ones after the given frame, raise the second.
    """

    spec = PSNR

    def fingerprint(self) -> Mapping[str, Value | None]:
        """Definition of the figure; the version stands for the code."""
        return {
            "metric": self.spec.name,
            "version": self.spec.version,
            "dtype": "float64",
            "data_range": 255,
            "clip": "mean-of-frame-psnr" if self._recipe == "frames" else "psnr-of-mean-mse",
            "identical": "half-a-grey-level-in-one-value",
            "samples": of_samples(self._best),
        }

    def _measure(self, fake: Frames, real: Frames, clip_id: str) -> Record:
        squares = np.stack([_squared_errors(sample, real) for sample in fake])
        size = math.prod(real.shape[1:])
        curves = [[_decibel(int(v), size) for v in sample] for sample in squares]
        if self._recipe == "frames":
            samples = [math.fsum(curve) / len(curve) for curve in curves]
        else:
            samples = [_decibel(int(s.sum()), size * len(s)) for s in squares]
        identical = sum(not s.any() for s in squares)
        return Record.of(samples, curves, identical)


def _squared_errors(fake: Frames, real: Frames) -> npt.NDArray[np.int64]:
    """Sum of squared errors [T] of uint8 [T,H,W,3]: whole numbers, exact in any order."""
    import cv2

    pairs = zip(np.ascontiguousarray(fake), np.ascontiguousarray(real), strict=True)
    squares = [cv2.norm(x, y, cv2.NORM_L2SQR) for x, y in pairs]
    # It squares a root: off by some 1e-16 of a sum that is under 1e13 for any frame.
    return np.rint(squares).astype(np.int64)


class Ssim(FrameMetric):
    """Structural similarity (Wang et al. 2004, equation 13).

    Gaussian window of 11 x 11 px with sigma 1.5, K1 = 0.01, K2 = 0.03, frames in [0, 1],
    population covariance, the mean over the positions where the window fits into the frame, over
    the three channels and over the frames.
    """

    spec = SSIM

    def fingerprint(self) -> Mapping[str, Value | None]:
        """Definition of the figure; the version stands for the code."""
        return {
            "metric": self.spec.name,
            "version": self.spec.version,
            "dtype": "float64",
            "data_range": 1,
            "window": f"gaussian-{_WINDOW}",
            "sigma": _SIGMA,
            "k1": _K1,
            "k2": _K2,
            "covariance": "population",
            "region": "valid",
            "channels": "mean",
            "samples": of_samples(self._best),
        }

    def _measure(self, fake: Frames, real: Frames, clip_id: str) -> Record:
        height, width = real.shape[1:3]
        if min(height, width) < _WINDOW:
            # Others of a run's metrics have a value for such clips; so this one has none.
            few = f"frames of {width} x {height} px are smaller than its window of {_WINDOW} px"
            return Record.undefined(len(fake), len(real), few)
        curves = np.stack([structural_similarity(sample, real) for sample in fake])
        return Record.of([math.fsum(c) / len(c) for c in curves.tolist()], curves.tolist())


_WINDOW = 11
_SIGMA = 1.5
_K1 = 0.01
_K2 = 0.03
_STRIP = 64  # rows of an image that are filtered at a time


def structural_similarity(fake: Frames, real: Frames) -> _Floats:
    """SSIM of each frame, as `Ssim` defines it.

    Not by torchmetrics: it averages over the reflected border as well, and its float64 convolution
    is some hundred times slower than separable filters.

    Args:
        fake, real: uint8 [T,H,W,3], H and W at least 11.

    Returns:
        float64 [T].
    """
    return np.array([_ssim_of_frame(x, y) for x, y in zip(fake, real, strict=True)])


def _ssim_of_frame(fake: Frames, real: Frames) -> float:
    """SSIM of uint8 [H,W,3], in strips that stay in the processor's cache."""
    height = fake.shape[0]
    tops = range(0, height - _WINDOW + 1, _STRIP)
    rows = [slice(top, top + _STRIP + _WINDOW - 1) for top in tops]
    total = math.fsum(_ssim_sum(fake[r], real[r]) for r in rows)
    return total / ((height - _WINDOW + 1) * (fake.shape[1] - _WINDOW + 1) * 3)


def _ssim_sum(fake: Frames, real: Frames) -> float:
    """Sum of SSIM over the places of uint8 [H,W,3] where the window fits.

    In grey levels, of which squares and products are exact; in place, because new planes cost as
    much as the arithmetic.
    """
    x, y = fake.astype(np.float64), real.astype(np.float64)
    mean_x, mean_y = _gaussian(x), _gaussian(y)
    # Only the sum of the two variances is needed: four filtered planes instead of five.
    covariance, variances = _gaussian(x * y), _gaussian(x * x + y * y)
    means = mean_x * mean_y
    squares = np.square(mean_x, out=mean_x) + np.square(mean_y, out=mean_y)
    covariance -= means
    variances -= squares
    c1, c2 = (255 * _K1) ** 2, (255 * _K2) ** 2
    ratio = _shifted(means, 2, c1)
    ratio *= _shifted(covariance, 2, c2)
    ratio /= _shifted(squares, 1, c1)
    ratio /= _shifted(variances, 1, c2)
    return float(ratio.sum())


def _shifted(planes: _Floats, factor: int, constant: float) -> _Floats:
    """`factor` times the planes plus a constant, in their memory."""
    planes *= factor
    planes += constant
    return planes


def _gaussian(planes: _Floats) -> _Floats:
    """Gaussian means [H-10,W-10,C] of planes [H,W,C], where the window fits."""
    import cv2

    half = _WINDOW // 2
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / _SIGMA) ** 2)
    taps /= taps.sum()
    # The border is cut off, whichever it is.
    smooth = cv2.sepFilter2D(planes, cv2.CV_64F, taps, taps, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth, np.float64)[half:-half, half:-half]


def _check_arrays(name: str, fake: Any, real: Any, clip_id: str) -> None:
    for side, array, axes in (("predicted", fake, "STHWC"), ("real", real, "THWC")):
        check_frames(name, array, side, axes, clip_id)
    if fake.shape[1:] != real.shape:
        raise BadData(
            f"{name}: clip {clip_id!r} has predicted samples of shape {fake.shape[1:]} "
            f"and real frames of shape {real.shape}."
        )


def _decibel(squares: int, size: int) -> float:
    """PSNR of a sum of squared errors over `size` values; at least half a level's in one value."""
    return 10 * math.log10(255 * 255 * size / (squares or 0.25))


def of_samples(best: int) -> str:
    """How samples become one value, in fingerprints."""
    return f"expected-best-of-{best}" if best else "mean"


def _shares(record: Record, best: int, down: bool) -> list[float] | None:
    """Share of each sample in the clip's value; None where there is no value.

    Of S samples from the worst to the best, number i (from 1) is the best of C(i-1, N-1) of the
    C(S, N) choices of N.
    """
    values = record.samples
    if any(value is None for value in values):
        return None
    if not best or len(values) == 1:
        return [1 / len(values)] * len(values)
    if len(values) < best:
        return None
    order = sorted(range(len(values)), key=lambda s: values[s] or 0.0, reverse=down)
    shares = [0.0] * len(values)
    for i, s in enumerate(order):
        shares[s] = math.comb(i, best - 1) / math.comb(len(values), best)
    return shares


def _weighted(values: Sequence[float | None], shares: Sequence[float] | None) -> float | None:
    """Mean of the values by their shares."""
    if shares is None or None in values:
        return None
    if len(set(shares)) == 1:
        return _mean(values)
    return math.fsum(v * share for v, share in zip(values, shares, strict=True) if v is not None)


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there; None without any."""
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known else None


def _reason(records: Sequence[Record], best: int) -> str | None:
    """Why there is no value, or how many clips and samples equal the real ones."""
    if not records:
        return "no clips"
    undefined = next((record.reason for record in records if record.reason), None)
    if undefined is not None:
        return undefined
    few = next((len(r.samples) for r in records if 1 < len(r.samples) < best), None)
    if few is not None:
        return f"{few} samples a clip, the best of {best} needs {best}: run with --samples {best}"
    if best and any(len(r.samples) == 1 for r in records):
        return f"one sample a clip stands for the best of {best}"
    clips = sum(r.identical == len(r.samples) for r in records)
    samples = sum(r.identical for r in records)
    if clips == len(records):
        return f"identical: all {clips} clips" if clips > 1 else "identical"
    if not samples:
        return None
    total = sum(len(record.samples) for record in records)
    text = f"identical: {clips} of {len(records)} clips"
    return text if total == len(records) else f"{text}, {samples} of {total} samples"
