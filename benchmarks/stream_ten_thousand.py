"""Memory and time of `vpbench measure` and `run` on clips that are drawn when they are read.

    python benchmarks/stream_ten_thousand.py [--n 1000 10000] [--size 32] [--workers 2] [--json]
    python benchmarks/stream_ten_thousand.py --run [--n 1000 10000]
    python benchmarks/stream_ten_thousand.py --shards 2000

Real clips are puppets, drawn on the fly (twelve of a drawing: mirrored, and in all orders of the
colours); generated ones are the same clips with noise. Scored are PSNR and SSIM, the motion
distance, and the Frechet and the kernel distance with all their statistics. For the last two,
features are random projections of 8 x 8 cells a frame to 400 dimensions: I3D needs one to two
seconds a clip on one core, and its memory does not depend on the number of clips.

Printed are seconds, and the largest resident size of any process and of all together, sampled
every 0.1 s from /proc; every n runs in a process of its own. `--shards N` scores N clips as 1, 2
and 7 merged shards in shuffled orders and compares the results byte by byte.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api import (
    ClipInfo,
    DatasetSpec,
    Frames,
    MetricSpec,
    Pose,
    Problem,
    TaskInfo,
    TaskSpec,
    WindowRule,
)
from vpbench.api.specs import Value
from vpbench.core.paths import Paths
from vpbench.core.registry import Registry, registry
from vpbench.data.puppets.actions import CLASS_NAMES, FRAMES, perform
from vpbench.data.puppets.draws import Draws
from vpbench.data.puppets.scene import Actor, draw_scene, render_actors
from vpbench.harness.scoring.measure import Side, measure
from vpbench.harness.scoring.sampling import Sampling
from vpbench.harness.scoring.score import wanted_metrics
from vpbench.harness.training.context import ScoreContext
from vpbench.metrics.video import Fvd, Kvd

DIM = 400
PLUGINS = tuple(f"{__file__}:{name}" for name in ("FRECHET", "KERNEL", "DATASET"))
METRICS = ("psnr", "ssim", "motion-mmd", "projected-fvd", "projected-kvd")
Array = npt.NDArray[Any]


# clips -------------------------------------------------------------------------------------------


COLOURS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
"""Orders of the channels; each with its mirror image makes twelve clips of one drawing."""


def clip_of(number: int, size: int) -> Frames:
    """Clip of any number, uint8 [24,size,size,3]."""
    which, variant = divmod(number, 2 * len(COLOURS))
    frames = drawn(which, size)[..., COLOURS[variant // 2]]
    return frames[:, :, ::-1] if variant % 2 else frames


@lru_cache(maxsize=4)
def drawn(number: int, size: int) -> Frames:
    """A drawing, uint8 [24,size,size,3]."""
    draws = Draws(f"stream/{number}")
    label = number % len(CLASS_NAMES)
    scene = draw_scene("test", label, draws)
    performance = perform(label, draws.child("motion"), scene.body)
    return render_actors([Actor(scene, performance)], size)[0].pixels()


class Stream:
    """A dataset of n clips that exist while they are read. Picklable."""

    spec = DatasetSpec("stream", f"{__file__}:Stream", "puppets drawn on the fly")

    def __init__(self, n: int, size: int, noise: int = 0) -> None:
        self.n, self.size, self.noise = n, size, noise

    def splits(self) -> tuple[str, ...]:
        """One."""
        return ("test",)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """All clips."""
        return [ClipInfo(f"{i:06d}", FRAMES, self.size, self.size, None) for i in range(self.n)]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),size,size,3]."""
        frames = np.ascontiguousarray(clip_of(int(clip.id), self.size)[list(indices)])
        if not self.noise:
            return frames
        rng = np.random.default_rng([int(clip.id), self.noise])
        added = rng.integers(-self.noise, self.noise + 1, frames.shape)
        return (frames + added).clip(0, 255).astype(np.uint8)

    def pose(self, clip: ClipInfo) -> Pose | None:
        """None."""
        return None

    def class_names(self) -> tuple[str, ...]:
        """()."""
        return ()

    def joint_names(self) -> tuple[str, ...]:
        """()."""
        return ()

    def prepare(self, root: Path | None = None) -> None:
        """Nothing is to be done."""

    def verify(self, root: Path | None = None) -> list[Problem]:
        """Nothing is to be found."""
        return []


class StreamOfRun(Stream):
    """The same as the dataset of a run: `stream[n=1000]`."""

    def __init__(self, options: Mapping[str, Any], root: Path | None, cache: Path) -> None:
        super().__init__(int(options.get("n", 1000)), RUN_SIZE)


RUN_SIZE = 32
DATASET = StreamOfRun.spec = DatasetSpec(
    "stream",
    f"{__file__}:StreamOfRun",
    "puppets drawn on the fly",
    tasks=(TaskSpec("stream", WindowRule(1, 16), RUN_SIZE, native=True),),
    options={"n": 1000},
    rendered=True,
)


# metrics -----------------------------------------------------------------------------------------


class Projection:
    """A stand-in for I3D: a fixed random projection of the pixels."""

    name, dim, batch, min_frames = "projection", DIM, 1, 9

    def __call__(
        self, clips: Frames, names: Sequence[str] | None = None
    ) -> npt.NDArray[np.float32]:
        """float32 [1,400] of uint8 [1,T,H,W,3]."""
        n, frames, side = clips.shape[:3]
        cells = clips.reshape(n, frames, 8, side // 8, 8, side // 8, 3).mean((3, 5), np.float32)
        flat = cells.reshape(n, -1) / 64 - 2
        return flat @ _directions(flat.shape[1])

    def fingerprint(self) -> Mapping[str, Value | None]:
        """Its definition."""
        return {"extractor": self.name, "dim": self.dim}


@lru_cache(maxsize=1)
def _directions(pixels: int) -> npt.NDArray[np.float32]:
    drawn_once = np.random.default_rng(0).standard_normal((pixels, DIM), dtype=np.float32)
    return drawn_once / np.float32(np.sqrt(pixels))


class ProjectedFvd(Fvd):
    """The Frechet distance of `fvd` on projections."""

    def _open(self, settings: Mapping[str, Value], ctx: Any) -> Any:
        return Projection()

    def _shipped(self) -> Sequence[Any]:
        return ()


class ProjectedKvd(Kvd):
    """The kernel distance of `kvd` on projections."""

    def _open(self, settings: Mapping[str, Value], ctx: Any) -> Any:
        return Projection()

    def _shipped(self) -> Sequence[Any]:
        return ()


def _spec(base: MetricSpec, name: str, factory: str) -> MetricSpec:
    return dataclasses.replace(base, name=name, factory=f"{__file__}:{factory}", weights=())


FRECHET = ProjectedFvd.spec = _spec(Fvd.spec, "projected-fvd", "ProjectedFvd")
KERNEL = ProjectedKvd.spec = _spec(Kvd.spec, "projected-kvd", "ProjectedKvd")


# memory ------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Memory(threading.Thread):
    """Samples the resident sizes of this process and of those that it has started, in MiB."""

    largest: float = 0.0
    together: float = 0.0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Sample until the end."""
        while not self.ended.wait(0.1):
            sizes = resident_sizes()
            self.largest = max(self.largest, *sizes)
            self.together = max(self.together, sum(sizes))


def resident_sizes() -> list[float]:
    """Of this process and all below it, MiB."""
    parents: dict[int, int] = {}
    sizes: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(after_name[1])
            sizes[int(entry.name)] = int(after_name[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    found, front = [os.getpid()], [os.getpid()]
    while front:
        front = [pid for pid, parent in parents.items() if parent in front]
        found += front
    return [sizes[pid] for pid in found if pid in sizes]


# -------------------------------------------------------------------------------------------------


def stream(n: int, size: int, workers: int, metrics: Sequence[str]) -> dict[str, Any]:
    """Measure n clips; seconds, MiB and the values."""
    plugins = registry()
    memory = Memory()
    memory.start()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="vpbench-stream-") as home:
        data = Stream(n, size), Stream(n, size, noise=24)
        sides = [
            Side(name, d, {c.id: c for c in d.clips("test")})
            for name, d in zip(("real", "noisy"), data, strict=True)
        ]
        measured = measure(
            sides[0],
            sides[1],
            wanted_metrics(metrics, plugins),
            Sampling(frames=16),
            plugins,
            Paths(Path(home), Path(home)),
            lambda event: None,
            workers=workers,
        )
    seconds = time.perf_counter() - started
    memory.ended.set()
    values = {name: score.json["value"] for name, score in measured.scores.items()}
    return {
        "n": n,
        "seconds": round(seconds, 1),
        "largest_mib": round(memory.largest, 1),
        "together_mib": round(memory.together, 1),
        "values": values,
    }


def run(n: int, metrics: Sequence[str]) -> dict[str, Any]:
    """Predict n clips by copying and score them; seconds and MiB of the whole command."""
    memory = Memory()
    memory.start()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="vpbench-stream-") as home:
        words = [sys.executable, "-m", "vpbench", "run", "copy-last"]
        words += ["--dataset", f"stream[n={n}]", "--no-references", "--workers", "1", "--json"]
        words += ["--metrics", ",".join(metrics), "--runs", f"{home}/runs"]
        env = {**os.environ, "VPBENCH_HOME": home}
        done = subprocess.run(words, check=True, env=env, stdout=subprocess.PIPE)
    memory.ended.set()
    (row,) = json.loads(done.stdout)["runs"]
    return {
        "n": n,
        "seconds": round(time.perf_counter() - started, 1),
        "largest_mib": round(memory.largest, 1),
        "together_mib": round(memory.together, 1),
        "values": {name: score["value"] for name, score in row["scores"].items()},
    }


def sharded(n: int, size: int, plugins: Registry) -> dict[str, bool]:
    """Metric -> whether its result has the same bytes from 1, 2 and 7 merged shards."""
    info = TaskInfo("stream", size, 16, 1, None, 0, (), 0, ())
    real, fake = Stream(n, size), Stream(n, size, noise=24)
    clips = real.clips("test")
    results: dict[str, set[str]] = {name: set() for name in METRICS}
    with tempfile.TemporaryDirectory(prefix="vpbench-stream-") as home:
        ctx = ScoreContext("cpu", 1, Path(home))
        for count in (1, 2, 7):
            order = list(clips)
            random.Random(count).shuffle(order)
            for wanted in wanted_metrics(METRICS, plugins):
                make = plugins.factory("metric", wanted.spec.name)
                shards = [make(info, dict(wanted.spec.params), ctx) for _ in range(count)]
                for k, clip in enumerate(order):
                    frames = [side.read(clip, range(1, 17)) for side in (fake, real)]
                    shards[k % count].update(frames[0][None], frames[1], clip)
                random.Random(count).shuffle(shards)
                for other in shards[1:]:
                    shards[0].merge(other)
                score = dataclasses.asdict(shards[0].result())
                results[wanted.name].add(json.dumps(score, sort_keys=True))
    return {name: len(found) == 1 for name, found in results.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument(
        "--size", type=int, default=32, help="pixels a side, a multiple of 8; default 32"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--metrics", default=",".join(METRICS))
    parser.add_argument("--run", action="store_true", help="`vpbench run copy-last` instead")
    parser.add_argument("--shards", type=int, metavar="N", help="compare merged shards of N clips")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.environ["VPBENCH_PLUGINS"] = ",".join(PLUGINS)
    if args.shards:
        print(json.dumps(sharded(args.shards, args.size, registry())))
        return
    metrics = args.metrics.split(",")
    if len(args.n) == 1:
        (n,) = args.n
        own = run(n, metrics) if args.run else stream(n, args.size, args.workers, metrics)
        print(json.dumps(own))
        return
    for n in args.n:
        words = [sys.executable, __file__, "--n", str(n), "--size", str(args.size)]
        words += ["--workers", str(args.workers), "--metrics", args.metrics]
        words += ["--run"] * args.run
        row = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
        if args.json:
            print(json.dumps(row), flush=True)
            continue
        print(
            f"{row['n']:>6} clips: {row['seconds']:.0f} s, largest process "
            f"{row['largest_mib']:.0f} MiB, all together {row['together_mib']:.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
