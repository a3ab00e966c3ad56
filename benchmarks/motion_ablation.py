"""What parts of the second stage of 'ours' are worth, on the keypoints of one trained detector.

Trains the motion model as published, without its sequence discriminator, and predicting
displacements (`residual`), by `vpbench fit`, each with several fit seeds, all with the same steps
and batches. All share the first stage that is bundled for the preset, whatever the fit seed.
Figures are of validation clips; no test clip is looked at:

    distance, label, jump   of drawn keypoint paths, as `keypoint_motion.py` explains
    fvd                     without bias, of one path a clip as the translator draws it
    fvd se                  its standard error over clips

    python benchmarks/motion_ablation.py --steps 4000 --fit-seeds 0 1 2 --out motion-ablation
    python benchmarks/motion_ablation.py --variants full residual --no-fvd
    python benchmarks/motion_ablation.py --dry-run

What is trained already is not trained again. OUT holds `runs` with the trained stages,
`parents` with the stages that all share, and `motion_ablation.md`.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keypoint_motion import Judge, Paths
from keypoints_ablation import ablation_parser, train
from keypoints_setup import Setup, open_setup, progress_lines
from seed_tables import Figures, difference_table, seed_table

import vpbench
from vpbench.core.options import RunOptions
from vpbench.core.progress import Report
from vpbench.harness.prediction.loaded import LoadedMethod, load_trained
from vpbench.harness.training.stage import point_view, train_view
from vpbench.kit import evaluating, set_threads, task_window, to_tensor, to_uint8

FULL = "full"
VARIANTS: Mapping[str, str] = {
    FULL: "",
    "without D_seq": "sequence_adversarial_weight=0",
    "residual": "residual=on",
}
"""Variant -> the parameter that differs."""
FIGURES = ("distance", "label", "wrong", "spread", "jump", "jitter")
FVD = ("fvd", "fvd se")


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every training gets."""

    preset: str
    steps: int
    batch: int
    more: tuple[str, ...] = ()

    def method(self, variant: str) -> str:
        """The method of a variant."""
        words = [f"motion_steps={self.steps}", f"motion_batch={self.batch}", *self.more]
        words.append(VARIANTS[variant])
        return f"ours[{','.join(filter(None, words))}]"

    def command(self, variant: str, fit_seed: int, out: Path) -> list[str]:
        """What trains a variant on the stages in OUT/parents."""
        options = ["--dataset", "puppets", "--preset", self.preset, "--runs", str(out / "runs")]
        options += ["--checkpoint", str(out / "parents"), "--fit-seeds", str(fit_seed)]
        return ["vpbench", "fit", self.method(variant), *options, "--threads", "1"]


def share(setup: Setup, budget: Budget, out: Path) -> None:
    """Link the stages in OUT/parents that all trainings share: the bundled detector's, its labels.

    The first training of all makes the labels, which the next ones then find there.
    """
    parents = out / "parents"
    parents.mkdir(parents=True, exist_ok=True)
    (plan,) = setup.plan(["ours"], RunOptions(preset=budget.preset))
    stages = {s.node.stage: s for s in plan.stages}
    if stages["keypoints"].origin != "bundled":
        raise SystemExit(f"No first stage is bundled for preset {budget.preset}.")
    links = {"keypoints": stages["keypoints"].folder.path}
    made = sorted((out / "runs").glob("*/stages/*.labels-*/stage.json"))
    if made:
        links["labels"] = made[0].parent
    for name, folder in links.items():
        if not (parents / name).exists():
            (parents / name).symlink_to(folder.absolute())


class Measurement:
    """Measures trained variants on the same validation clips."""

    def __init__(self, setup: Setup, budget: Budget, out: Path, report: Report) -> None:
        self.setup, self.budget, self.out, self.report = setup, budget, out, report
        self.judge: Judge | None = None

    def load(self, variant: str, fit_seed: int) -> LoadedMethod:
        """A variant as one seed has trained it."""
        options = RunOptions(
            preset=self.budget.preset, fit_seeds=(fit_seed,), checkpoint=self.out / "parents"
        )
        (plan,) = self.setup.plan([self.budget.method(variant)], options)
        setup = self.setup
        return load_trained(plan, setup.task_data, setup.registry, setup.paths, "cpu", self.report)

    def paths(self, loaded: LoadedMethod) -> dict[str, float]:
        """Figures of drawn keypoint paths."""
        if self.judge is None:
            size = self.setup.task_data.task.spec.size
            self.judge = Judge(self.labels("train"), self.labels("val"), size)
        return self.judge.figures(loaded.slots["motion"])

    def labels(self, split: str) -> Paths:
        """Keypoints of the task's window of each clip of a split, from the labels stage."""
        info = self.setup.task_data.task.info
        stored = self.out / "parents" / "labels" / "checkpoint"
        view = point_view(self.setup.task_data, ("benchmark",), stored)
        rows: dict[int, tuple[Any, int]] = {}
        for batch in view.batches(split, task_window(info), 1, stream="benchmark"):
            number = int(batch.index[0])
            if number in rows:
                break  # the shuffled sequence starts again
            label = -1 if batch.label is None else int(batch.label[0])
            points = np.asarray(batch.keypoints)[0, ..., :2]
            rows[number] = torch.from_numpy(points.copy()), label
        ordered = [rows[number] for number in sorted(rows)]
        labels = torch.tensor([label for _, label in ordered])
        return Paths(torch.stack([points for points, _ in ordered]), labels, info.n_max)

    def rendered(self, loaded: LoadedMethod) -> dict[str, float | None]:
        """FVD of validation clips as the translator draws them."""
        info, view = (
            self.setup.task_data.task.info,
            train_view(self.setup.task_data, ("benchmark",)),
        )
        detector, motion, translator = (
            loaded.slots[slot] for slot in ("detector", "motion", "translator")
        )
        real: dict[int, Any] = {}
        drawn: list[Any] = []
        for batch in view.batches("val", task_window(info), 1, stream="benchmark"):
            number = int(batch.index[0])
            if number in real:
                break  # the shuffled sequence starts again
            real[number] = batch.frames[0, info.n_max :]
            label = None if batch.label is None else torch.from_numpy(np.array(batch.label))
            with torch.inference_mode(), evaluating(loaded.slots.values()):
                frame = to_tensor(batch.frames[:, info.n_max - 1])
                points = detector.detect(frame[:, None], None)
                path = motion.rollout(points, label, info.horizon, torch.tensor([number]))
                drawn.append(to_uint8(translator.render(frame, points[:, 0], path)[0]))
        score = vpbench.fvd(list(real.values()), drawn, workers=1, progress=False)
        return {"fvd": score.corrected, "fvd se": score.corrected_se}


def measured(args: argparse.Namespace, measurement: Measurement) -> dict[str, dict[int, Figures]]:
    """Figures of each variant and seed."""
    rows: dict[str, dict[int, Figures]] = {variant: {} for variant in args.variants}
    for seed in args.fit_seeds:
        for variant in args.variants:
            loaded = measurement.load(variant, seed)
            row: Figures = {**measurement.paths(loaded)}
            row |= measurement.rendered(loaded) if args.fvd else {}
            rows[variant][seed] = row
    return rows


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = ablation_parser(__doc__, VARIANTS, VARIANTS)
    parser.add_argument("--preset", default="gpu", help="of 'ours', whose first stage is bundled")
    parser.add_argument("--steps", type=int, default=4000, help="of each training")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--fit-seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    parser.add_argument("--out", type=Path, default=Path("motion-ablation"))
    parser.add_argument(
        "--no-fvd", dest="fvd", action="store_false", help="without the minutes that FVD takes"
    )
    parser.add_argument("--train-only", action="store_true")
    args = parser.parse_args()
    if min(args.steps, args.batch) < 1:
        parser.error("--steps and --batch must be at least 1")
    args.out = args.out.absolute()
    return args


def main() -> None:
    """Train what is missing, measure, write."""
    args = arguments()
    budget = Budget(args.preset, args.steps, args.batch, tuple(filter(None, args.more.split(","))))
    set_threads(1)
    with progress_lines() as progress:
        setup = open_setup(args.out / "runs")
        for seed in args.fit_seeds:
            for variant in args.variants:
                share(setup, budget, args.out)
                try:
                    train([budget.command(variant, seed, args.out)], args.dry_run)
                except subprocess.CalledProcessError as error:
                    raise SystemExit(error.returncode) from error
        if args.train_only or args.dry_run:
            return
        found = measured(args, Measurement(setup, budget, args.out, progress))
    names = FIGURES + (FVD if args.fvd else ())
    text = seed_table(found, names)
    if FULL in found and len(found) > 1:
        text += "\n" + difference_table(found, names, FULL)
    (args.out / "motion_ablation.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
