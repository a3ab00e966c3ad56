"""The ablation of Kim et al. 2019 at equal budget: what each part of the first stage is worth.

Trains the first stage of 'ours' with every part and with one part switched off, or with the skips
of preset plus, by `vpbench fit`, all with the same seeds, steps and batches, then measures on
validation clips. What is trained already is not trained again; the commands are printed, and
`--dry-run` only prints them. For the second stage see `motion_ablation.py`.

    gain      PSNR of frames redrawn at their true keypoints above repeating the source, dB
    psnr      of these frames, dB
    changed   L1 on pixels that changed, as a part of repeating's
    joints    error of joints read from the keypoints by linear regression, part of the mean pose's
    error     the same, px
    pck       share of joints that are off by at most a tenth of the height of the joints' box

    python benchmarks/keypoints_ablation.py --steps 1200 --out ablation
    python benchmarks/keypoints_ablation.py --variants full 'with skips' --fit-seeds 0 1 2
    python benchmarks/keypoints_ablation.py --preset smoke --steps 8 --out /tmp/a

OUT holds `ablation.json`, `ablation.md`, the contact sheet `ablation.png` in the manner of Figure 9
of the paper (of the first fit seed), and `runs` with the trained stages.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keypoints_setup import Setup, first_stage, open_setup, progress_lines
from PIL import Image
from seed_tables import difference_table, seed_table

from vpbench.core.files import write_json
from vpbench.core.options import RunOptions
from vpbench.core.progress import Report
from vpbench.harness.prediction.loaded import LoadedMethod, load_trained
from vpbench.kit import evaluating, set_threads, to_uint8
from vpbench.render.grid import Block, Cell, Row, Sheet, paint
from vpbench_keypoints.spec import DETECTOR, TRANSLATOR
from vpbench_keypoints.validation import Translation, measure, read_joints, validation_frames

FULL = "full"
PARTS: Mapping[str, str] = {
    FULL: "",
    "without keypoints of the source": "reference_keypoints=off",
    "without mask": "mask=off",
    "without D_im": "adversarial_weight=0",
}
"""Variant -> the parameter that switches a part off."""
VARIANTS: Mapping[str, str] = {**PARTS, "with skips": "skips=on"}
"""All that can be asked for."""

FIGURES = ("psnr", "gain", "changed", "error", "joints", "pck")
SHOWN_CLIPS = 6
"""Columns of the contact sheet."""
SHOWN_ROWS = ("keypoints", "mask", "coarse", "final")

Figures = dict[str, float | None]


@dataclass(frozen=True)
class Budget:
    """What every training gets."""

    preset: str
    steps: int
    more: tuple[str, ...] = ()

    def method(self, switch: str) -> str:
        """The method of a variant; the oracle needs no other stage."""
        words = [f"steps={self.steps}", *self.more, *filter(None, [switch])]
        typed = [f"{slot}.{word}" for word in words for slot in _slots(word)]
        return f"ours-oracle[{','.join(typed)}]"

    def commands(
        self, variants: Iterable[str], fit_seeds: Iterable[int], runs: Path
    ) -> list[list[str]]:
        """What trains variants, all of one seed before the next."""
        options = ["--dataset", "puppets", "--preset", self.preset, "--runs", str(runs)]
        options += ["--threads", "1", "--workers", "1"]
        names = [self.method(VARIANTS[variant]) for variant in variants]
        return [
            ["vpbench", "fit", name, *options, "--fit-seeds", str(seed)]
            for seed in fit_seeds
            for name in names
        ]


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

    def trained(self, variant: str, fit_seed: int) -> Trained:
        """A variant as one seed has trained it."""
        name, preset, setup = self.budget.method(VARIANTS[variant]), self.budget.preset, self.setup
        parts = first_stage(
            setup,
            name,
            self.out / "context",
            1,
            self.report,
            preset=preset,
            fit_seed=fit_seed,
        )
        (plan,) = setup.plan([name], RunOptions(preset=preset, fit_seeds=(fit_seed,)))
        loaded = load_trained(
            plan, setup.task_data, setup.registry, setup.paths, "cpu", self.report
        )
        return Trained(loaded, parts.data, parts.ctx)

    def figures(self, one: Trained) -> Figures:
        """Figures of a trained variant."""
        detector, translator = one.loaded.slots["detector"], one.loaded.slots["translator"]
        held_out = validation_frames(one.data, one.ctx)
        assert held_out is not None  # puppets have validation clips
        with evaluating([detector, translator]):
            figures = measure(one.translation, *held_out)
            joints = read_joints(detector, one.data, one.ctx)
        return {
            "psnr": figures.psnr,
            "gain": figures.gain,
            "changed": figures.changed,
            "error": None if joints is None else joints.error,
            "joints": None if joints is None else joints.ratio,
            "pck": None if joints is None else joints.pck,
        }

    @torch.no_grad()
    def sheet(self, variants: Mapping[str, Trained], fit_seed: int) -> Sheet:
        """A column for each of some validation clips of different classes; rows as in Figure 9."""
        one = next(iter(variants.values()))
        held_out = validation_frames(one.data, one.ctx)
        assert held_out is not None
        frames, pose = held_out
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
            f"{budget.steps} steps each, fit seed {fit_seed}. The target's keypoints are "
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


def train(commands: Sequence[list[str]], only_show: bool) -> None:
    """Run the commands; what is trained already takes no time."""
    for command in commands:
        sys.stderr.write(shlex.join(command) + "\n")
        if not only_show:
            subprocess.run([sys.executable, "-m", *command], check=True, env=os.environ.copy())


def measured(args: argparse.Namespace, budget: Budget, report: Report) -> dict[str, Any]:
    """Figures of each variant and seed; the contact sheet of the first seed is written."""
    ablation = Ablation(budget, args.out, report)
    rows: dict[str, dict[int, Figures]] = {variant: {} for variant in args.variants}
    for seed in args.fit_seeds:
        variants = {name: ablation.trained(name, seed) for name in args.variants}
        for name, one in variants.items():
            rows[name][seed] = ablation.figures(one)
        if seed == args.fit_seeds[0]:
            picture = paint(ablation.sheet(variants, seed))
            Image.fromarray(np.asarray(picture)).save(args.out / "ablation.png")
    return rows


def ablation_parser(
    description: str | None, variants: Iterable[str], default: Iterable[str]
) -> argparse.ArgumentParser:
    """A command line with what every ablation is asked for.

    Args:
        variants: all that can be asked for.
        default: what is trained where none are named.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=list(variants),
        metavar="VARIANT",
        default=list(default),
        help="some of: " + ", ".join(variants),
    )
    parser.add_argument(
        "--set",
        dest="more",
        metavar="a=1,b=2",
        default="",
        help="further parameters of all variants, such as smaller networks",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    return parser


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = ablation_parser(__doc__, VARIANTS, PARTS)
    parser.add_argument("--preset", default="cpu", help="of 'ours'; default cpu")
    parser.add_argument("--steps", type=int, default=1200, help="of each first stage")
    parser.add_argument("--fit-seeds", type=int, nargs="+", default=[0], help="default 0")
    parser.add_argument("--out", type=Path, default=Path("ablation"))
    args = parser.parse_args()
    if args.steps < 1:
        parser.error("--steps must be at least 1")
    args.out = args.out.absolute()
    return args


def main() -> None:
    """Train what is missing, measure, write."""
    args = arguments()
    budget = Budget(args.preset, args.steps, tuple(filter(None, args.more.split(","))))
    try:
        train(budget.commands(args.variants, args.fit_seeds, args.out / "runs"), args.dry_run)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from error
    if args.dry_run:
        return
    set_threads(1)
    with progress_lines() as progress:
        found = measured(args, budget, progress)
    write_json(
        args.out / "ablation.json",
        {"budget": budget.__dict__, "clips": "validation", "figures": found},
    )
    text = seed_table(found, FIGURES)
    if FULL in found and len(found) > 1:
        text += "\n" + difference_table(found, FIGURES, FULL)
    (args.out / "ablation.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
