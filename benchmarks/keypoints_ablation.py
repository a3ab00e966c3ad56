"""The ablation of Kim et al. 2019 at equal budget: what each part of 'ours' is worth.

Trains the first stage with every part and with one part switched off, by `vpbench fit`, all with
the same seed, steps and batches, then measures on validation clips. The second stage is trained
with and without its discriminator, on the keypoints of the full first stage. What is trained
already is not trained again; the commands are printed, and `--dry-run` only prints them.

    gain      PSNR of frames redrawn at their true keypoints above repeating the source, dB
    psnr      of these frames, dB
    changed   L1 on pixels that changed, as a part of repeating's
    joints    error of joints read from the keypoints by linear regression, part of the mean pose's
    error     the same, px
    pck       share of joints that are off by at most a tenth of the height of the joints' box

    distance, label, jump, jitter   of drawn keypoint paths, as `keypoint_motion.py` explains

    python benchmarks/keypoints_ablation.py --steps 1200 --motion-steps 2000 --out ablation
    python benchmarks/keypoints_ablation.py --preset smoke --steps 8 --motion-steps 8 --out /tmp/a

OUT holds `ablation.json`, `ablation.md`, the contact sheet `ablation.png` in the manner of Figure 9
of the paper, and `runs` with the trained stages.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keypoint_motion import Judge, detected
from keypoints_setup import Setup, first_stage, open_setup, progress_lines
from PIL import Image

from vpbench.core.files import write_json
from vpbench.core.options import RunOptions
from vpbench.core.progress import Report
from vpbench.harness.prediction.loaded import LoadedMethod, load_trained
from vpbench.kit import evaluating, set_threads, to_uint8
from vpbench.render.grid import Block, Cell, Row, Sheet, paint
from vpbench_keypoints.spec import DETECTOR, TRANSLATOR
from vpbench_keypoints.validation import Translation, measure, read_joints, validation_frames

FULL = "full"
FIRST: Mapping[str, str] = {
    FULL: "",
    "without keypoints of the source": "reference_keypoints=off",
    "without mask": "mask=off",
    "without D_im": "adversarial_weight=0",
}
"""First stage: variant -> the parameter that switches a part off."""
SECOND: Mapping[str, str] = {FULL: "", "without D_seq": "sequence_adversarial_weight=0"}
"""Second stage, on the keypoints of the full first one."""

FIRST_FIGURES = ("psnr", "gain", "changed", "error", "joints", "pck")
SECOND_FIGURES = ("distance", "label", "wrong", "spread", "jump", "jitter")
SHOWN_CLIPS = 6
"""Columns of the contact sheet."""
SHOWN_ROWS = ("keypoints", "mask", "coarse", "final")

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Budget:
    """What every training gets."""

    preset: str
    steps: int
    motion_steps: int
    fit_seed: int
    more: tuple[str, ...] = ()

    def first(self, switch: str) -> str:
        """The method of a variant of the first stage; the oracle needs no other stage."""
        words = [f"steps={self.steps}", *self.more, *filter(None, [switch])]
        typed = [f"{slot}.{word}" for word in words for slot in _slots(word)]
        return f"ours-oracle[{','.join(typed)}]"

    def second(self, switch: str) -> str:
        """The method of a variant of the second stage."""
        words = [f"steps={self.steps}", f"motion_steps={self.motion_steps}", *self.more]
        return f"ours[{','.join([*words, *filter(None, [switch])])}]"

    def commands(self, runs: Path) -> list[list[str]]:
        """What trains all variants."""
        names = [self.first(s) for s in FIRST.values()] + [self.second(s) for s in SECOND.values()]
        options = ["--dataset", "puppets", "--preset", self.preset, "--runs", str(runs)]
        options += ["--fit-seeds", str(self.fit_seed), "--threads", "1", "--workers", "1"]
        return [["vpbench", "fit", name, *options] for name in names]


def _slots(word: str) -> list[str]:
    """The slots of the oracle that have a parameter `key=value`."""
    key = word.partition("=")[0]
    known = {"detector": DETECTOR, "translator": TRANSLATOR}
    return [slot for slot, params in known.items() if key in params]


@dataclass(frozen=True)
class Trained:
    """A trained variant of the first stage, with the data and the context of its training."""

    loaded: LoadedMethod
    data: Any
    ctx: Any

    @property
    def translation(self) -> Translation:
        """Redraws frames at their true keypoints."""
        return Translation(self.loaded.slots["detector"], self.loaded.slots["translator"])


class Ablation:
    """Loads and measures what is trained."""

    def __init__(self, budget: Budget, out: Path, report: Report) -> None:
        self.budget, self.out, self.report = budget, out, report
        self.setup: Setup = open_setup(out / "runs")

    def load(self, name: str) -> LoadedMethod:
        """A trained method."""
        options = RunOptions(preset=self.budget.preset, fit_seeds=(self.budget.fit_seed,))
        (plan,) = self.setup.plan([name], options)
        setup = self.setup
        return load_trained(plan, setup.task_data, setup.registry, setup.paths, "cpu", self.report)

    def trained(self, switch: str) -> Trained:
        """A variant of the first stage."""
        name, budget = self.budget.first(switch), self.budget
        parts = first_stage(
            self.setup,
            name,
            self.out / "context",
            1,
            self.report,
            preset=budget.preset,
            fit_seed=budget.fit_seed,
        )
        return Trained(self.load(name), parts.data, parts.ctx)

    def first(self, one: Trained) -> Figures:
        """Figures of a variant of the first stage."""
        detector, translator = one.loaded.slots["detector"], one.loaded.slots["translator"]
        with evaluating([detector, translator]):
            figures = measure(one.translation, *validation_frames(one.data, one.ctx))
            joints = read_joints(detector, one.data, one.ctx)
        return {
            "psnr": figures.psnr,
            "gain": figures.gain,
            "changed": figures.changed,
            "error": None if joints is None else joints.error,
            "joints": None if joints is None else joints.ratio,
            "pck": None if joints is None else joints.pck,
        }

    def second(self) -> dict[str, Figures]:
        """Figures of the variants of the second stage, which share one detector."""
        judge, found = None, dict[str, Figures]()
        for variant, switch in SECOND.items():
            slots = self.load(self.budget.second(switch)).slots
            if judge is None:
                sides = [detected(self.setup, slots["detector"], s) for s in ("train", "val")]
                judge = Judge(sides[0], sides[1], self.setup.task_data.task.spec.size)
                found["other real clips"] = {"distance": judge.floor()}
            found[variant] = {**judge.figures(slots["motion"])}
        return found

    @torch.no_grad()
    def sheet(self, variants: Mapping[str, Trained]) -> Sheet:
        """A column for each of some validation clips of different classes; rows as in Figure 9."""
        full = variants[FULL]
        frames, pose = validation_frames(full.data, full.ctx)
        frames, pose = frames[:SHOWN_CLIPS, [0, -1]], None if pose is None else pose[:, [0, -1]]
        real = [to_uint8(frames[:, k]) for k in (0, 1)]
        names = ("source", "target")
        rows = [
            Row(name, [Cell(f) for f in images]) for name, images in zip(names, real, strict=True)
        ]
        blocks = [Block("", rows)]
        for variant, one in variants.items():
            parts = [one.loaded.slots["detector"], one.loaded.slots["translator"]]
            with evaluating(parts):
                drawn = one.translation(frames[:, 0], frames[:, 1:], pose)
            shown = [n for n in SHOWN_ROWS if n in drawn]  # a variant may have no mask
            blocks.append(Block(variant, [self._row(n, drawn, real[1]) for n in shown]))
        budget = self.budget
        note = (
            f"Validation clips of puppets; preset {', '.join([budget.preset, *budget.more])}; "
            f"{budget.steps} steps each, fit seed {budget.fit_seed}. The target's keypoints are "
            "given."
        )
        return Sheet("Ablation of the first stage", blocks, note)

    @staticmethod
    def _row(name: str, drawn: Mapping[str, Any], target: Any) -> Row:
        if name == "keypoints":
            points = drawn["keypoints"][:, 1].numpy()
            return Row(name, [Cell(f, p, True) for f, p in zip(target, points, strict=True)])
        images = to_uint8(drawn[name][:, 0].expand(-1, 3, -1, -1))
        return Row(name, [Cell(f) for f in images])


def markdown(figures: Mapping[str, Figures], names: Sequence[str]) -> str:
    """A table."""
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for variant, row in figures.items():
        known = [row.get(n) for n in names]
        cells = ["-" if v is None else f"{v:.3f}" for v in known]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def train(commands: Sequence[list[str]], only_show: bool) -> None:
    """Run the commands; what is trained already takes no time."""
    for command in commands:
        sys.stderr.write(shlex.join(command) + "\n")
        if not only_show:
            subprocess.run([sys.executable, "-m", *command], check=True, env=os.environ.copy())


def main() -> None:
    """Train what is missing, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="cpu", help="of 'ours'; default cpu")
    parser.add_argument("--steps", type=int, default=1200, help="of each first stage")
    parser.add_argument("--motion-steps", type=int, default=2000, help="of each second stage")
    parser.add_argument("--fit-seed", type=int, default=0)
    parser.add_argument(
        "--set",
        dest="more",
        metavar="a=1,b=2",
        default="",
        help="further parameters of all variants, such as smaller networks",
    )
    parser.add_argument("--out", type=Path, default=Path("ablation"))
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    args = parser.parse_args()
    if min(args.steps, args.motion_steps) < 1:
        parser.error("--steps and --motion-steps must be at least 1")
    more = tuple(filter(None, args.more.split(",")))
    budget = Budget(args.preset, args.steps, args.motion_steps, args.fit_seed, more)
    out: Path = args.out.absolute()
    try:
        train(budget.commands(out / "runs"), args.dry_run)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from error
    if args.dry_run:
        return
    set_threads(1)
    with progress_lines() as progress:
        ablation = Ablation(budget, out, progress)
        variants = {name: ablation.trained(switch) for name, switch in FIRST.items()}
        first = {name: ablation.first(one) for name, one in variants.items()}
        second = ablation.second()
        picture = paint(ablation.sheet(variants))
    Image.fromarray(np.asarray(picture)).save(out / "ablation.png")
    write_json(
        out / "ablation.json",
        {"budget": budget.__dict__, "clips": "validation", "first": first, "second": second},
    )
    text = markdown(first, FIRST_FIGURES) + "\n" + markdown(second, SECOND_FIGURES)
    (out / "ablation.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
