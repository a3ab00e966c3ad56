"""Scores of one set of clips against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from vpbench.api.errors import Missing
from vpbench.python import process
from vpbench.python.clips import handed_over
from vpbench.python.results import Measurement, Score

Clips = Any
"""uint8 array or tensor [N,T,H,W,3], a list of clips [T,H,W,3], a mapping name -> clip, or the path
of a folder, with options in brackets as on the command line."""


class Options(TypedDict, total=False):
    """Options of `measure`, for one metric."""

    value_range: tuple[float, float] | None
    frames: int | None
    stride: int
    start: Literal["first", "random", "all"]
    clips_per_video: int | None
    given: Literal["include", "exclude"] | None
    size: int | None
    protocol: str | None
    seed: int
    workers: int | None
    device: str
    progress: bool


def measure(
    real: Clips,
    fake: Clips,
    metrics: Sequence[str] | None = None,
    *,
    value_range: tuple[float, float] | None = None,
    frames: int | None = None,
    stride: int = 1,
    start: Literal["first", "random", "all"] = "first",
    clips_per_video: int | None = None,
    given: Literal["include", "exclude"] | None = None,
    size: int | None = None,
    protocol: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Measurement:
    """Score generated clips against real ones, as `vpbench measure` does, to the last bit.

        >>> import numpy as np, vpbench
        >>> real = np.zeros((3, 2, 16, 16, 3), np.uint8)
        >>> result = vpbench.measure(real, real + 1, ["psnr", "ssim"], workers=1)
        >>> print(result["psnr"])
        48.13 (n = 3)
        >>> result.to_pandas()["value"].round(4).to_dict()
        {'psnr': 48.1308, 'ssim': 0.8667}

    Args:
        real, fake: uint8 [N,T,H,W,3] as array, torch tensor or list of clips [T,H,W,3]; a mapping
            from names to clips; or the path of a folder of video files. Clips of arrays are paired
            by number, those of folders by name.
        metrics: names such as "fvd", "kvd", "psnr"; None is all that are scored by default.
        value_range: what black and white are in arrays of floats, such as (0, 1); values are
            rounded to 256 levels, which is what all metrics are defined on.
        frames, stride, start, clips_per_video, given, size, protocol, seed: which frames of which
            clips count; see `vpbench measure --help`.
        workers: processes at once; None is one a core. The figures are the same for any number.
        device: torch device of the networks of FVD and KVD.
        progress: show bars.

    Raises:
        BadData: values or axes that no video has, with the line that mends it.
        UsageError: options that contradict each other or the clips.
        UnknownName: no such metric.
    """
    with handed_over({"real": real, "fake": fake}, value_range) as sides:
        answer = process.ask(
            {
                "do": "measure",
                **sides,
                "metrics": None if metrics is None else list(metrics),
                "sampling": {
                    "frames": frames,
                    "stride": stride,
                    "start": start,
                    "clips_per_video": clips_per_video,
                    "given": given,
                    "size": size,
                    "seed": seed,
                },
                "protocol": protocol,
                "workers": workers,
                "device": device,
            },
            progress=progress,
        )
    per_clip: Mapping[str, Any] = answer["per_clip"]
    scores = {
        name: Score.parse(name, score, per_clip[name]) for name, score in answer["scores"].items()
    }
    return Measurement(scores, answer["frames"], answer["sampling"], tuple(answer["notes"]))


def _one(metric: str, real: Clips, fake: Clips, options: Options) -> Score:
    score = measure(real, fake, [metric], **options)[metric]
    if score.value is None:
        raise Missing(f"{metric}: {score.reason}.")
    return score


def fvd(real: Clips, fake: Clips, **options: Unpack[Options]) -> Score:
    """Frechet video distance of two sets of clips; lower is better.

    Needs at least 2 clips of at least 9 frames on each side; the weights of I3D (47 MB) are fetched
    once. With few clips most of it is bias: `corrected` is without it.

        >>> import numpy as np, vpbench
        >>> noise = np.random.default_rng(0).integers(0, 256, (4, 9, 32, 32, 3), np.uint8)
        >>> vpbench.fvd(noise, noise, workers=1).value  # doctest: +SKIP
        0.0

    Args:
        real, fake, options: as for `measure`.

    Raises:
        Missing: it could not be scored, with the reason.
    """
    return _one("fvd", real, fake, options)


def kvd(real: Clips, fake: Clips, **options: Unpack[Options]) -> Score:
    """Kernel video distance of two sets of clips: unbiased, may be negative; lower is better.

    Args:
        real, fake, options: as for `measure`.

    Raises:
        Missing: it could not be scored, with the reason.
    """
    return _one("kvd", real, fake, options)


def psnr(real: Clips, fake: Clips, **options: Unpack[Options]) -> Score:
    """Peak signal-to-noise ratio of paired clips in dB; higher is better.

        >>> import numpy as np, vpbench
        >>> grey = np.full((2, 4, 12, 12, 3), 0.5, np.float32)
        >>> print(vpbench.psnr(grey, grey + 0.1, value_range=(0, 1), workers=1))
        20.17 (n = 2)

    Args:
        real, fake, options: as for `measure`.

    Raises:
        Missing: it could not be scored, with the reason.
    """
    return _one("psnr", real, fake, options)


def ssim(real: Clips, fake: Clips, **options: Unpack[Options]) -> Score:
    """Structural similarity of paired clips, at most 1; higher is better.

    Args:
        real, fake, options: as for `measure`.

    Raises:
        Missing: it could not be scored, with the reason.
    """
    return _one("ssim", real, fake, options)
