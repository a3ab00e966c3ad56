"""Speed of PSNR and SSIM against scikit-image, on frames of photographic statistics.

    python benchmarks/frame_metrics_speed.py [--pairs 9] [--size 960x544] [--json]

Both run on one thread, in float64, one frame after the other. Each pair times both on the same
frame, one right after the other and in alternating order, so that a busy machine slows both alike;
figures are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from skimage.metrics import peak_signal_noise_ratio
from skimage.metrics import structural_similarity as skimage_ssim

from vpbench.metrics.frames import Psnr, structural_similarity

Frame = npt.NDArray[np.uint8]


def pair_of_frames(width: int, height: int, seed: int) -> tuple[Frame, Frame]:
    """A smoothed random frame and a noisy copy, uint8 [H,W,3]."""
    random = np.random.default_rng(seed)
    real = cv2.GaussianBlur(random.normal(128, 400, (height, width, 3)), (0, 0), 4)
    fake = real + random.normal(0, 8, real.shape)
    return fake.clip(0, 255).astype(np.uint8), real.clip(0, 255).astype(np.uint8)


def their_ssim(fake: Frame, real: Frame) -> float:
    """SSIM by scikit-image with the same window, over the places where it fits."""
    _, whole = skimage_ssim(
        fake,
        real,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
        full=True,
    )
    return float(whole[5:-5, 5:-5].mean())


def our_ssim(fake: Frame, real: Frame) -> float:
    """SSIM of one frame."""
    return float(structural_similarity(fake[None], real[None])[0])


def their_psnr(fake: Frame, real: Frame) -> float:
    """PSNR by scikit-image."""
    return float(peak_signal_noise_ratio(real, fake, data_range=255))


def our_psnr(fake: Frame, real: Frame) -> float:
    """PSNR of one frame."""
    from vpbench.api.types import ClipInfo

    metric = Psnr(None, {}, None)  # type: ignore[arg-type]
    height, width = real.shape[:2]
    metric.update(fake[None, None], real[None], ClipInfo("a", 1, height, width, None))
    value = metric.result().value
    assert value is not None
    return value


def seconds(call: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def compare(
    ours: Callable[[Frame, Frame], float],
    theirs: Callable[[Frame, Frame], float],
    size: tuple[int, int],
    pairs: int,
) -> dict[str, float]:
    """Median milliseconds a frame of both, their ratio and the largest difference of values."""
    rows: list[tuple[float, float]] = []
    apart = 0.0
    for k in range(pairs):
        frames = pair_of_frames(*size, seed=k)
        apart = max(apart, abs(ours(*frames) - theirs(*frames)))
        if k % 2:
            first = seconds(lambda f=frames: ours(*f))
            rows.append((first, seconds(lambda f=frames: theirs(*f))))
        else:
            second = seconds(lambda f=frames: theirs(*f))
            rows.append((seconds(lambda f=frames: ours(*f)), second))
    mine, rival = (statistics.median(side) for side in zip(*rows, strict=True))
    ratio = statistics.median(b / a for a, b in rows)
    return {"ms": 1e3 * mine, "rival_ms": 1e3 * rival, "ratio": ratio, "apart": apart}


def main() -> None:
    """Time both metrics and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--size", default="960x544")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    width, height = (int(side) for side in chosen.size.split("x"))
    figures = {
        "psnr": compare(our_psnr, their_psnr, (width, height), chosen.pairs),
        "ssim": compare(our_ssim, their_ssim, (width, height), chosen.pairs),
    }
    if chosen.json:
        print(json.dumps(figures))
        return
    for name, row in figures.items():
        print(
            f"{name}: {row['ms']:.2f} ms a frame, scikit-image {row['rival_ms']:.2f}, "
            f"{row['ratio']:.1f} times as fast, values within {row['apart']:.1e}"
        )


if __name__ == "__main__":
    main()
