"""Speed of the command `vpbench measure` with PSNR and SSIM on large frames.

    python benchmarks/measure_speed.py [--clips 12] [--frames 16] [--size 960x544] [--workers 1]
    python benchmarks/measure_speed.py --clips 3 --source OTHER-CHECKOUT

Clips are npz files of frames with photographic statistics. Timed is the whole command, its start
and the reading of the clips included: wall seconds, and processor seconds of all its processes,
which a busy machine changes less. `--source` times the same command of another checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from frame_metrics_speed import pair_of_frames


def write_clips(folder: Path, clips: int, frames: int, size: tuple[int, int]) -> None:
    """`real` and `fake`: clips uint8 [frames,H,W,3], of one frame that is rolled along."""
    for k in range(clips):
        pair = pair_of_frames(*size, seed=k)
        for side, frame in zip(("fake", "real"), pair, strict=True):
            (folder / side).mkdir(exist_ok=True)
            clip = np.stack([np.roll(frame, 3 * t, axis=1) for t in range(frames)])
            np.savez(folder / side / f"{k:03d}.npz", frames=clip)


def timed(folder: Path, workers: int, source: str | None) -> tuple[dict[str, float], float, float]:
    """Values, wall seconds and processor seconds of the command."""
    words = [sys.executable, "-m", "vpbench", "measure", str(folder / "real"), str(folder / "fake")]
    words += ["--metrics", "psnr,ssim", "--json"]
    if source is None:
        words += ["--workers", str(workers)]
    env = {**os.environ, "VPBENCH_HOME": str(folder / "home"), "VPBENCH_OFFLINE": "1"}
    if source:
        env["PYTHONPATH"] = source
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(words, check=True, env=env, cwd=folder, stdout=subprocess.PIPE)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    scores = json.loads(done.stdout)["scores"]
    return {name: score["value"] for name, score in scores.items()}, wall, used


def main() -> None:
    """Write clips, time the command, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", default="960x544")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--source", help="another checkout, whose command is timed instead")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="vpbench-measure-") as name:
        write_clips(Path(name), args.clips, args.frames, (width, height))
        values, wall, used = timed(Path(name), args.workers, args.source)
    shown = ", ".join(f"{metric} {value:.6f}" for metric, value in values.items())
    print(
        f"{args.clips} clips of {args.frames} frames at {args.size}: {wall:.1f} s, {used:.1f} s of "
        f"processor time, {1e3 * used / args.clips / args.frames:.0f} ms a frame ({shown})"
    )


if __name__ == "__main__":
    main()
