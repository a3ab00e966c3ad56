"""How fast clips are read from the cache, against a plain OpenCV loop over the same files.

    python benchmarks/loader_speed.py [--root DIR] [--videos 24] [--rounds 5]

Without --root a synthetic Penn Action of JPEG frames at 270x480 and 360x480 is made in a temporary
folder. Both sides give the same thing: the 33 frames of a window at 128x128, uint8. The baseline
decodes, resizes (INTER_AREA) and crops with OpenCV on one thread, as most training code does. Files
are read once before, so neither side waits for a disk. Ratios are medians over rounds in one
process; the conversion is measured with one and with two processes.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.make_archives import make_penn
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.registry import build
from vpbench.core.tasks import Item
from vpbench.harness.inputs.preprocess import preprocess_clips
from vpbench.harness.inputs.task_data import TaskData, open_task_data

SIZE = 128


def plain_loop(root: Path, item: Item) -> np.ndarray:
    """One window with OpenCV alone, uint8 [33,128,128,3]."""
    import cv2

    frames = []
    for k in (*item.given, *item.targets):
        image = cv2.imread(str(root / "frames" / item.clip.id / f"{k + 1:06d}.jpg"))
        assert image is not None
        height, width = image.shape[:2]
        scale = SIZE / min(height, width)
        wide = (max(SIZE, round(width * scale)), max(SIZE, round(height * scale)))
        image = cv2.resize(image, wide, interpolation=cv2.INTER_AREA)
        top, left = (image.shape[0] - SIZE) // 2, (image.shape[1] - SIZE) // 2
        frames.append(image[top : top + SIZE, left : left + SIZE, ::-1])
    return np.stack(frames)


def from_cache(task_data: TaskData, item: Item) -> np.ndarray:
    """The same window from the cache."""
    return np.concatenate([task_data.given(item), task_data.targets(item)])


def seconds(read: Callable[[Item], np.ndarray], items: Sequence[Item]) -> float:
    """Seconds for one window, over all items."""
    start = time.perf_counter()
    for item in items:
        read(item)
    return (time.perf_counter() - start) / len(items)


def videos(count: int) -> dict[str, tuple[str, int, int, tuple[int, int], int]]:
    """A split of `count` videos of 33 to 80 frames; every fourth is a test video."""
    return {
        f"{2141 + k:04d}": (
            "test" if k % 4 == 3 else "train",
            0,
            33 + 7 * k % 48,
            (270, 480) if k % 3 else (360, 480),
            1,
        )
        for k in range(count)
    }


def opened(root: Path, cache: Path) -> TaskData:
    """The task `penn` with an empty cache."""
    return open_task_data(
        TaskRef(dataset="penn", root=str(root)), build(), Paths(cache / "runs", cache)
    )


def conversion(root: Path, scratch: Path, workers: int, rounds: int) -> float:
    """Median seconds to convert everything with some processes."""
    times: list[float] = []
    for k in range(rounds):
        cache = scratch / f"cache-{workers}-{k}"
        task_data = opened(root, cache)
        start = time.perf_counter()
        preprocess_clips(task_data, ("train", "val", "test"), workers, lambda event: None)
        times.append(time.perf_counter() - start)
        shutil.rmtree(cache)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    import cv2

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--root", type=Path, help="Penn Action; synthetic without")
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        root = args.root or make_penn(scratch / "penn", videos(args.videos))
        task_data = opened(root, scratch / "cache")
        items = (*task_data.task.items["train"], *task_data.task.test)[: args.videos]
        preprocess_clips(task_data, ("train", "val", "test"), None, lambda event: None)
        error = max(
            float(np.abs(plain_loop(root, i).astype(int) - from_cache(task_data, i)).mean())
            for i in items
        )
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(args.rounds):
            theirs.append(seconds(lambda item: plain_loop(root, item), items))
            ours.append(seconds(lambda item: from_cache(task_data, item), items))
        ratio = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
        frames = 33 / statistics.median(ours)
        print(f"{len(items)} windows of 33 frames; mean difference at most {error:.2f} grey levels")
        print(f"  plain OpenCV loop  {1e3 * statistics.median(theirs):8.2f} ms a window")
        print(
            f"  from the cache     {1e3 * statistics.median(ours):8.2f} ms a window, "
            f"{frames:.0f} frames/s"
        )
        print(f"  ratio              {ratio:8.1f}")
        one, two = (conversion(root, scratch, n, min(3, args.rounds)) for n in (1, 2))
        count = len(task_data.dataset.clips("train")) + len(task_data.task.test)
        print(
            f"conversion of {count} clips: {one:.1f} s in one process, {two:.1f} s in two; "
            f"{one / two:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
