"""Motion models of 'ours' against each other in keypoint space, on validation clips.

What a motion model is chosen by: no test clip is looked at, and nothing is rendered. All methods
must share one detector, so that their keypoints mean the same.

    distance  Frechet distance between displacement paths drawn and true, in units of half a side;
              on the first principal components of training paths (another split of real clips: the
              first line)
    label     share of drawn paths whose nearest training path has the label that was asked for
    wrong     the same, where a wrong label is asked for
    spread    mean distance of a point between two seeds, px
    jump      mean error of a point in the first frame, as a part of standing still's (above 1: the
              figure jumps as the prediction begins)
    jitter    mean second difference of coordinates, as a part of the real one

    python benchmarks/keypoint_motion.py ours 'ours[motion=class-mean]' --runs trained/runs
    python benchmarks/keypoint_motion.py 'ours[preset=gpu]' 'ours[preset=gpu,kl_weight=5]' --json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from keypoints_setup import Setup, open_setup, progress_lines, table
from torch import Tensor

from vpbench.core.options import RunOptions
from vpbench.core.progress import Report
from vpbench.harness.inputs.fetch import fetch_for_run
from vpbench.harness.prediction.loaded import load_trained
from vpbench.harness.training.stage import train_view
from vpbench.kit import evaluating, set_threads, task_window, to_tensor

COMPONENTS = 24
"""Of the space in which paths are compared: few enough for a covariance of 90 validation clips."""
DRAWS = 3
"""Seeds of each validation clip; figures are means over them."""


@dataclass(frozen=True)
class Paths:
    """Keypoints of one split as the task cuts it, [N,n+T,K,2], and labels [N]."""

    points: Tensor
    label: Tensor
    given: int

    def displacement(self) -> Tensor:
        """[N,T*2K], from the last given frame on."""
        return displacement(self.points[:, self.given - 1 :])


def displacement(path: Tensor) -> Tensor:
    """[N,1+T,K,2] -> [N,T*2K]."""
    return (path[:, 1:] - path[:, :1]).flatten(1)


def frechet(one: Tensor, two: Tensor) -> float:
    """Frechet distance between normal distributions fitted to [N,D] and [M,D]."""
    covariances = [torch.cov(x.double().T) for x in (one, two)]
    apart = (one.double().mean(0) - two.double().mean(0)).square().sum()
    root = torch.linalg.eigvals(covariances[0] @ covariances[1]).real.clamp_min(0).sqrt().sum()
    return float(apart + covariances[0].trace() + covariances[1].trace() - 2 * root)


class Judge:
    """Compares drawn paths with those of validation clips."""

    def __init__(self, train: Paths, val: Paths, size: int) -> None:
        self.train, self.val, self.half = train, val, (size - 1) / 2
        known = train.displacement()
        self.mean = known.mean(0)
        self.basis = torch.linalg.svd(known - self.mean, full_matrices=False)[2][:COMPONENTS]
        self.known, self.real = self._code(known), self._code(val.displacement())

    def _code(self, displacements: Tensor) -> Tensor:
        return (displacements - self.mean) @ self.basis.T

    def floor(self) -> float:
        """The distance of as many training clips from the validation clips."""
        step = max(1, len(self.known) // len(self.real))
        return frechet(self.known[::step], self.real)

    def figures(self, motion: Any) -> dict[str, float]:
        """All figures of a trained motion component."""
        val, horizon = self.val, self.val.points.shape[1] - self.val.given
        start = val.points[:, : val.given]
        start = torch.cat([start, torch.ones_like(start[..., :1])], -1)
        classes = int(self.train.label.max()) + 1
        wrong = (val.label + 1 + classes // 2) % classes

        def draw(label: Tensor, seed: int) -> Tensor:
            seeds = torch.arange(len(start)) + 10_000 * seed
            with torch.inference_mode(), evaluating([motion]):
                return motion.rollout(start, label, horizon, seeds)[..., :2]

        drawn = [draw(val.label, k) for k in range(DRAWS)]
        last, future = val.points[:, val.given - 1], val.points[:, val.given :]
        codes = [self._of(path) for path in drawn]
        jump = torch.stack([(p[:, 0] - future[:, 0]).norm(dim=-1).mean() for p in drawn]).mean()
        return {
            "distance": sum(frechet(c, self.real) for c in codes) / DRAWS,
            "label": sum(self._seen(c, val.label) for c in codes) / DRAWS,
            "wrong": self._seen(self._of(draw(wrong, 0)), wrong),
            "spread": float((drawn[0] - drawn[1]).norm(dim=-1).mean()) * self.half,
            "jump": float(jump / (last - future[:, 0]).norm(dim=-1).mean()),
            "jitter": self._jitter(drawn[0]) / self._jitter(future),
        }

    def _of(self, path: Tensor) -> Tensor:
        last = self.val.points[:, self.val.given - 1]
        return self._code(displacement(torch.cat([last[:, None], path], 1)))

    def _seen(self, code: Tensor, label: Tensor) -> float:
        nearest = torch.cdist(code, self.known).argmin(1)
        return float((self.train.label[nearest] == label).double().mean())

    @staticmethod
    def _jitter(path: Tensor) -> float:
        return float((path[:, 2:] - 2 * path[:, 1:-1] + path[:, :-2]).abs().mean())


def detected(setup: Setup, detector: Any, split: str) -> Paths:
    """Keypoints of the task's window of each clip of a split."""
    info, view = setup.task_data.task.info, train_view(setup.task_data, ("benchmark",))
    rows: dict[int, tuple[Tensor, int]] = {}
    for batch in view.batches(split, task_window(info), 1, stream="benchmark"):
        number = int(batch.index[0])
        if number in rows:
            break  # the shuffled sequence starts again
        with torch.inference_mode(), evaluating([detector]):
            points = detector.detect(to_tensor(batch.frames), None)[0, ..., :2]
        rows[number] = points, -1 if batch.label is None else int(batch.label[0])
    ordered = [rows[number] for number in sorted(rows)]
    points, labels = [p for p, _ in ordered], [k for _, k in ordered]
    return Paths(torch.stack(points), torch.tensor(labels), info.n_max)


def compare(args: argparse.Namespace, report: Report) -> dict[str, dict[str, float]]:
    """The figures of each method."""
    setup = open_setup(args.runs, args.dataset)
    plans = setup.plan(args.methods, RunOptions(preset=args.preset, fit_seeds=(args.fit_seed,)))
    found: dict[str, dict[str, float]] = {}
    judge, shared = None, None
    for plan in plans:
        fetch_for_run(plan, setup.paths, report)
        loaded = load_trained(plan, setup.task_data, setup.registry, setup.paths, "cpu", report)
        keys = {s.node.key for s in plan.stages if "detector" in s.node.trains}
        if judge is None:
            train, val = (detected(setup, loaded.slots["detector"], s) for s in ("train", "val"))
            judge, shared = Judge(train, val, setup.task_data.task.spec.size), keys
            found["other real clips"] = {"distance": judge.floor()}
        if keys != shared:
            raise SystemExit(f"{plan.name} has another detector than {plans[0].name}.")
        found[plan.name] = judge.figures(loaded.slots["motion"])
    return found


def main() -> None:
    """Compare, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="+", help="trained methods with one detector")
    parser.add_argument("--dataset", default="puppets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: runs")
    parser.add_argument("--preset", default=None)
    parser.add_argument("--fit-seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    args = parser.parse_args()
    set_threads(1)
    with progress_lines() as progress:
        found = compare(args, progress)
    if args.json:
        print(json.dumps(found, indent=1))
        return
    names = ["distance", "label", "wrong", "spread", "jump", "jitter"]
    rows = [
        [name, *(f"{row[n]:.3f}" if n in row else "-" for n in names)]
        for name, row in found.items()
    ]
    table([["", *names], *rows])


if __name__ == "__main__":
    main()
