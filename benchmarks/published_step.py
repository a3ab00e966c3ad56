"""One step of every stage of preset `paper`: weights, operations, seconds, memory, and hours.

The published sizes are not trained here; this shows that they run, and what they would take. Each
stage is made as the harness makes it, at 128 px with the published batch, on drawn clips of a
moving square (32 frames after the given ones, nine classes, Penn Action's joints). Pretrained
networks have random weights of their own sizes, which costs the same. Every measurement is a
process of its own.

    weights     trained numbers of each network, without those of frozen parts
    TFLOP       10^12 floating-point operations of a step, forward and backward, as torch counts
                those of products of matrices and convolutions: of one sample more in a small batch,
                times the batch, so that what the first step does once is left out
    seconds     of one core for a step: what else runs on the machine does not count
    GiB         largest memory of the process
    hours       seconds times the published number of steps; for other devices see `vpbench plan`

    python benchmarks/published_step.py                       # all methods that have a preset paper
    python benchmarks/published_step.py ours villegas --json
    python benchmarks/published_step.py li --batch 2          # where the memory does not suffice
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from keypoints_setup import table
from torch.utils.flop_counter import FlopCounterMode

from vpbench.api import Batch, Pair, TaskInfo
from vpbench.core.names import MethodRef
from vpbench.core.registry import Registry, registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import StageDir
from vpbench.core.stages import StageNode, stage_graph
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.harness.training.context import StageContext
from vpbench.harness.training.loading import make_method, make_slots
from vpbench.harness.training.stage import fit_part, stage_seed, trained_part
from vpbench.kit import loop, seeded, set_threads

SIZE, HORIZON, CLASSES = 128, 32, 9
METHODS = ("ours", "villegas", "wichers", "li")
_CLIPS, _FRAMES = 4, 48
_VGG_BLOCKS = {"vgg16-hed": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_COUNTED = (2, 3)
"""Batches whose operations are counted."""

Row = dict[str, Any]


class Clips:
    """A moving square, joints that move with it and keypoints, as the harness shows them."""

    skipped: Mapping[str, str] = {}

    def __init__(self, size: int, points: int) -> None:
        rng = np.random.default_rng(0)
        self.clips = rng.integers(40, 90, (_CLIPS, 1, size, size, 3)).repeat(_FRAMES, 1)
        self.clips = self.clips.astype(np.uint8)
        side = size // 4
        for t in range(_FRAMES):
            at = t * (size - side) // _FRAMES
            self.clips[:, t, side : 2 * side, at : at + side] = 220
        self.points = points

    def len(self, split: str) -> int:
        """Number of clips."""
        return _CLIPS

    def length(self, split: str, i: int) -> int:
        """Frames of a clip."""
        return _FRAMES

    def label(self, split: str, i: int) -> int:
        """Class of a clip."""
        return i % CLASSES

    def read(self, split: str, i: int, frames: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Frames uint8 [T,H,W,3]."""
        return self.clips[i][list(frames)]

    def pose(self, split: str, i: int, frames: Sequence[int]) -> npt.NDArray[np.float32]:
        """Joints [T,J,3] in [-1,1]."""
        return self._path(frames, len(JOINT_NAMES))

    @staticmethod
    def _path(frames: Sequence[int], count: int) -> npt.NDArray[np.float32]:
        start = np.random.default_rng(count).uniform(-0.5, 0.1, (count, 2))
        flat = start + 0.01 * np.asarray(frames)[:, None, None] * np.array([1.0, 0.2])
        return np.concatenate([flat, np.ones_like(flat[..., :1])], -1).astype(np.float32)

    def batches(
        self,
        split: str,
        window: Any,
        batch: int,
        augment: Any = None,
        start_step: int = 0,
        stream: str = "",
    ) -> Iterator[Batch]:
        """Batches of windows; no augmentation."""
        while True:
            rng = np.random.default_rng(start_step)
            index = rng.integers(0, _CLIPS, batch)
            if isinstance(window, Pair):
                times = [[0, int(rng.integers(window.min_gap, window.max_gap + 1))] for _ in index]
            else:
                times = [list(range(window.length)) for _ in index]
            frames = np.stack([self.read(split, i, t) for i, t in zip(index, times, strict=True)])
            yield Batch(
                frames,
                np.stack([self.pose(split, 0, t) for t in times]),
                index % CLASSES,
                index,
                np.array(times),
                np.stack([self._path(t, self.points) for t in times]),
            )
            start_step += 1


@dataclass
class Context(StageContext):
    """Stops after a step and keeps its time and operations; stores nothing."""

    counter: FlopCounterMode | None = None
    marks: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    losses: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def should_stop(self) -> bool:
        """Whether the step is made."""
        return len(self.marks) > 1

    def step(self, total: int | None = None) -> int:
        """The step has ended."""
        self._mark()
        return super().step(total)

    def _mark(self) -> None:
        operations = 0 if self.counter is None else self.counter.get_total_flops()
        self.marks.append((time.process_time(), operations))

    def log(self, values: Mapping[str, float]) -> None:
        """Keep the losses of the last step."""
        self.losses = dict(values)

    def checkpoint(self, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        """Nothing resumes."""

    def resume(self) -> None:
        """Nothing was stored; the step begins."""
        self.marks.clear()
        self._mark()

    def weights(self, name: str) -> Path:
        """A file of random weights of a pretrained network."""
        path = self.cache_root / f"{name}.safetensors"
        if not path.is_file():
            _random_weights(name, path)
        return path


def _random_weights(name: str, path: Path) -> None:
    """He's weights for a VGG, in torchvision's names."""
    from safetensors.torch import save_file

    if name not in _VGG_BLOCKS:
        raise SystemExit(f"preset paper asks for {name}, which this script cannot make.")
    state: dict[str, torch.Tensor] = {}
    place, channels = 0, 3
    with seeded(0):
        for block, count in enumerate(_VGG_BLOCKS[name]):
            width = min(64 * 2**block, 512)
            for _ in range(count):
                spread = (2 / (9 * channels)) ** 0.5
                state[f"features.{place}.weight"] = torch.randn(width, channels, 3, 3) * spread
                state[f"features.{place}.bias"] = torch.zeros(width)
                place, channels = place + 2, width
            place += 1  # the pooling
    save_file(state, path, metadata={"order": json.dumps(list(state))})


def stages_of(name: str, plugins: Registry) -> dict[str, StageNode]:
    """The stages of a method that are fitted, by label."""
    method = resolve(MethodRef.parse(name), plugins, SIZE)
    nodes = stage_graph(method, {"id": "published"}, SIZE, plugins, 0)
    return {node.label: node for node in nodes if node.mode != "labels"}


def parameters(node: StageNode) -> Mapping[str, Any]:
    """The parameters that a stage is trained with."""
    if node.mode == "component":
        return node.method.slots[node.trains[0]].params
    return node.method.params


def batch_name(node: StageNode) -> str:
    """The parameter with the stage's batch: `batch` of the first stage, else `STAGE_batch`."""
    params = parameters(node)
    own = [f"{node.stage}_batch", *(f"{slot}_batch" for slot in node.trains)]
    return next((name for name in own if name in params), "batch")


def measure(name: str, label: str, batch: int | None, count: bool) -> Row:
    """Make a step of one stage in this process.

    Args:
        batch: other than the published one.
        count: count the operations instead of the seconds.
    """
    plugins = registry(())
    key = batch_name(stages_of(name, plugins)[label])
    if batch is not None:
        name = str(MethodRef.parse(name).with_params({_typed(name, label, key, plugins): batch}))
    node = stages_of(name, plugins)[label]
    params = parameters(node)
    given = node.method.capabilities.conditioning_frames[1]
    joints = len(JOINT_NAMES)
    info = TaskInfo(
        "published", SIZE, HORIZON, given, None, CLASSES, tuple("abcdefghi"), joints, JOINT_NAMES
    )
    set_threads(1)
    trainings: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        slots = make_slots(node.method, info, plugins)
        target = trained_part(node, make_method(node.method, info, plugins, slots), slots)
        ctx = Context(
            info,
            node.trains,
            "cpu",
            1,
            stage_seed(node),
            StageDir(Path(folder) / "stage"),
            label,
            Path(folder),
            lambda event: None,
            slots,
        )
        _record(trainings)
        points = int(params.get("n_keypoints", joints))
        clips: Any = Clips(SIZE, points)
        with counting(ctx) if count else contextlib.nullcontext():
            fit_part(node, target, clips, ctx)
    (begun, before), (ended, after) = ctx.marks
    weights = {
        k: sum(w.numel() for w in module.parameters() if w.requires_grad)
        for k, module in trainings[-1].modules.items()
    }
    return {
        "stage": label,
        "weights": weights,
        "batch": int(params[key]),
        "steps": trainings[-1].steps,
        "tflop": (after - before) / 1e12,
        "seconds": ended - begun,
        "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "losses": ctx.losses,
    }


def _record(trainings: list[Any]) -> None:
    """Append every training that begins in this process."""
    enter = loop.Training.__enter__

    def entered(training: Any) -> Any:
        trainings.append(training)
        return enter(training)

    loop.Training.__enter__ = entered  # pyright: ignore[reportAttributeAccessIssue]


class _Whole:
    """In place of torch's tracker of modules, which gradients within a step stop."""

    parents = ("Global",)

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


@contextlib.contextmanager
def counting(ctx: Context) -> Iterator[None]:
    """Count operations; recurrent layers without oneDNN, whose own layers torch does not count."""
    forward = torch.nn.LSTM.forward

    def plain(*args: Any) -> Any:
        with torch.backends.mkldnn.flags(enabled=False):
            return forward(*args)

    torch.nn.LSTM.forward = plain  # pyright: ignore[reportAttributeAccessIssue]
    try:
        ctx.counter = FlopCounterMode(display=False)
        ctx.counter.mod_tracker = _Whole()  # pyright: ignore[reportAttributeAccessIssue]
        with ctx.counter:
            yield
    finally:
        torch.nn.LSTM.forward = forward


def _typed(name: str, label: str, key: str, plugins: Registry) -> str:
    """How a parameter of a stage is typed: with its slot where the method has none of that name."""
    node = stages_of(name, plugins)[label]
    own = node.mode == "method" and key in node.method.params
    return key if own else f"{node.trains[0]}.{key}"


def in_process(*words: str) -> Row:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}.")
    return json.loads(done.stdout)


def whole(name: str, label: str, args: argparse.Namespace) -> Row:
    """All figures of a stage."""
    counts = [
        in_process(name, "--stage", label, "--batch", str(n), "--count")["tflop"] for n in _COUNTED
    ]
    batch = [] if args.batch is None else ["--batch", str(args.batch)]
    row = in_process(name, "--stage", label, *batch)
    published = stages_of(name, registry(()))[label]
    full = int(parameters(published)[batch_name(published)])
    tflop = (counts[1] - counts[0]) / (_COUNTED[1] - _COUNTED[0]) * full
    seconds = row["seconds"] * full / row["batch"]
    hours = seconds * row["steps"] / 3600
    return {**row, "tflop": tflop, "published_batch": full, "hours": hours}


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="*", metavar="METHOD", default=list(METHODS))
    parser.add_argument("--batch", type=int, help="other than the published one")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    args = parser.parse_args()
    names = [n if "[" in n else f"{n}[preset=paper]" for n in args.methods]
    if args.stage:
        print(json.dumps(measure(names[0], args.stage, args.batch, args.count)))
        return
    plugins = registry(())
    rows = [whole(name, label, args) for name in names for label in stages_of(name, plugins)]
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    lines = [["", "weights", "batch", "TFLOP", "seconds", "GiB", "steps", "hours"]]
    for row in rows:
        sizes = " + ".join(f"{n:,}" for n in row["weights"].values())
        figures = [f"{row['tflop']:.3g}", f"{row['seconds']:.3g}", f"{row['gib']:.1f}"]
        lines.append(
            [
                row["stage"],
                sizes,
                str(row["batch"]),
                *figures,
                str(row["steps"]),
                f"{row['hours']:,.0f}",
            ]
        )
    table(lines)


if __name__ == "__main__":
    main()
