"""What each learning aid of 'ours' is worth in a short training of the first stage.

Trains detector and translator of the preset on puppets through the harness's own classes, once as
it is and once with each aid switched off, from the same seeds and on the same batches. Every figure
is of validation clips, with the weights that the training itself chose there:

    gain      PSNR of frames redrawn at their true keypoints above repeating the source, dB
    changed   L1 on pixels that changed, as a part of repeating's
    joints    error of joints read from keypoints by linear regression, part of the mean pose's
    pck       share of joints that are off by at most a tenth of the height of the joints' box

A finished run is one line in the output file and is not made again; one that was interrupted goes
on from its last stored step.

    python benchmarks/learning_aids.py --steps 600 --out aids
    python benchmarks/learning_aids.py --steps 600 --seeds 0 1 2 --out aids --threads 2
    python benchmarks/learning_aids.py --out aids --report --json
    python benchmarks/learning_aids.py --preset smoke --steps 8 --out /tmp/aids
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keypoints_setup import Setup, first_stage, open_setup, progress_lines, table

from vpbench.core.progress import Report
from vpbench.core.stats import t_interval
from vpbench.harness.training.context import STOP
from vpbench.kit import evaluating, set_threads
from vpbench_keypoints.first_stage import FirstStage
from vpbench_keypoints.validation import Translation, measure, read_joints, validation_frames

AIDS: Mapping[str, Mapping[str, str]] = {
    "as it is": {},
    "marginal soft-argmax": {"soft_argmax": "marginal", "temperature": "1.0"},
    "narrow gaussians from the start": {"wide_maps": "0.0"},
    "no emphasis on changed pixels": {"changed_weight": "0.0"},
    "no equivariance": {"equivariance_weight": "0.0"},
}
"""Variant -> parameters that switch one aid off, back to the published method."""

FIGURES: Mapping[str, tuple[str, bool]] = {
    "gain": ("dB", True),
    "changed": ("", False),
    "joints": ("", False),
    "pck": ("", True),
}
"""Figure -> its unit, and whether more is better."""

Row = dict[str, Any]


def method_name(changes: Mapping[str, str], steps: int) -> str:
    """The method of a variant: `ours[steps=600,wide_maps=0.0]`."""
    words = [f"{k}={v}" for k, v in {"steps": str(steps), **changes}.items()]
    return f"ours[{','.join(words)}]"


def train(
    where: Setup, variant: str, seed: int, args: argparse.Namespace, folder: Path, report: Report
) -> Row | None:
    """Train one variant, or continue with it; None when asked to stop before the end."""
    name = method_name(AIDS[variant], args.steps)
    started = time.perf_counter()
    parts = first_stage(
        where, name, folder, args.threads, report, preset=args.preset, fit_seed=seed
    )
    stage = FirstStage(parts.detector, parts.translator, parts.data, parts.ctx)
    if not stage.run() or STOP.is_set():
        return None
    translation = Translation(parts.detector, parts.translator, stage.perceptual)
    held_out = validation_frames(parts.data, parts.ctx)
    assert held_out is not None  # puppets have validation clips
    with evaluating([parts.detector, parts.translator]):
        figures = measure(translation, *held_out)
        joints = read_joints(parts.detector, parts.data, parts.ctx)
    return {
        "variant": variant,
        "seed": seed,
        "steps": args.steps,
        "preset": args.preset,
        "method": name,
        "gain": figures.gain,
        "changed": figures.changed,
        "perceptual": figures.distance,
        "joints": None if joints is None else joints.ratio,
        "pck": None if joints is None else joints.pck,
        "threads": args.threads,
        "seconds": round(time.perf_counter() - started, 1),
    }


def finished(path: Path) -> list[Row]:
    """Finished runs; a line that was cut short by a crash does not count."""
    rows: list[Row] = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def chosen(rows: Sequence[Row], args: argparse.Namespace) -> list[Row]:
    """Those of this budget and preset, the newest of each variant and seed."""
    newest = {
        (r["variant"], r["seed"]): r
        for r in rows
        if (r["steps"], r["preset"]) == (args.steps, args.preset) and r["seed"] in args.seeds
    }
    return list(newest.values())


def append(path: Path, row: Row) -> None:
    """One line more, on disk before the run's own state goes."""
    broken = path.is_file() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a") as stream:
        stream.write(("\n" if broken else "") + json.dumps(row, allow_nan=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def effects(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Means of each variant over its seeds, and what the aid adds: as it is, less without it.

    The difference is taken within seeds that have both; its interval (Student's t) needs three.
    """
    by = {(r["variant"], r["seed"]): r for r in rows}
    whole = next(iter(AIDS))
    out: dict[str, dict[str, Any]] = {}
    for variant in AIDS:
        own = {seed: r for (name, seed), r in by.items() if name == variant}
        if not own:
            continue
        entry: dict[str, Any] = {"seeds": sorted(own)}
        for figure in FIGURES:
            values = [r[figure] for r in own.values() if r[figure] is not None]
            entry[figure] = statistics.fmean(values) if values else None
            if variant == whole:
                continue
            pairs = [(by[whole, s][figure], own[s][figure]) for s in own if (whole, s) in by]
            gaps = [a - b for a, b in pairs if a is not None and b is not None]
            ends = t_interval(gaps) if len(gaps) > 2 else None
            entry[f"{figure}_effect"] = statistics.fmean(gaps) if gaps else None
            entry[f"{figure}_ci95"] = None if ends is None else [ends.low, ends.high]
        out[variant] = entry
    return out


def report(means: Mapping[str, Mapping[str, Any]], args: argparse.Namespace) -> None:
    """The table: figures of each variant, in brackets what the aid adds to it."""
    print(f"preset {args.preset}, {args.steps} steps; in brackets: as it is, less without the aid")
    rows = [["", *FIGURES, "seeds"]]
    for variant, entry in means.items():
        cells: list[str] = []
        for figure in FIGURES:
            value, effect = entry[figure], entry.get(f"{figure}_effect")
            cell = "-" if value is None else f"{value:.3f}"
            cells.append(cell if effect is None else f"{cell} ({effect:+.3f})")
        rows.append([variant, *cells, ",".join(map(str, entry["seeds"]))])
    table(rows)
    better = ", ".join(f"{k}: {'more' if up else 'less'}" for k, (_, up) in FIGURES.items())
    print(f"better is {better}")


def main() -> None:
    """Train what is missing, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=600, help="of each training; default 600")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default 0")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(AIDS),
        metavar="VARIANT",
        default=list(AIDS),
        help="some variants: " + ", ".join(AIDS),
    )
    parser.add_argument("--preset", default="cpu", help="of 'ours'; default cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("learning_aids"),
        help="folder of results.jsonl and of unfinished runs",
    )
    parser.add_argument("--report", action="store_true", help="train nothing, print what is there")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    args = parser.parse_args()
    if min(args.steps, args.threads) < 1:
        parser.error("--steps and --threads must be at least 1")
    args.out.mkdir(parents=True, exist_ok=True)
    results = args.out / "results.jsonl"
    set_threads(args.threads)
    with progress_lines() as progress:
        where = open_setup()
        for seed in args.seeds:
            for variant in () if args.report else args.only:
                have = {(r["variant"], r["seed"]) for r in chosen(finished(results), args)}
                if (variant, seed) in have:
                    continue
                words = [variant.replace(" ", "-"), args.preset, str(args.steps), str(seed)]
                folder = args.out / "-".join(words)
                row = train(where, variant, seed, args, folder, progress)
                if row is not None:
                    append(results, row)
                    shutil.rmtree(folder / "resume", ignore_errors=True)
    rows = chosen(finished(results), args)
    summary = effects(rows)
    if args.json:
        print(
            json.dumps(
                {"preset": args.preset, "steps": args.steps, "effects": summary, "runs": rows}
            )
        )
        return
    report(summary, args)


if __name__ == "__main__":
    main()
