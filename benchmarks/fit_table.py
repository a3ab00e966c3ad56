"""What several training runs of each method say, as the documentation prints it.

    vpbench run ours 'ours[skips=on]' --dataset puppets --fit-seeds 0-2
    python benchmarks/fit_table.py ours 'ours[skips=on]' --task puppets --vs ours --runs runs

A line of Markdown a method, from finished runs: FVD without the bias of few clips, mean and
standard error over training runs and clips, that of each run, PSNR and the share of recognised
actions; how much more FVD it has than the method of `--vs`, with the 95 % interval over training
runs and clips.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from main_table import with_error

from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import user_paths
from vpbench.core.registry import registry
from vpbench.harness.results.compare import compare, one_table
from vpbench.harness.results.finished_runs import FinishedRun

Fits = Mapping[int, float]
"""Fit seed -> FVD without bias."""


def unbiased(score: Mapping[str, Any] | None, fits: Fits) -> str:
    """FVD without bias: mean, standard error, and of each training run in brackets."""
    if score is None or score.get("corrected") is None:
        return "-"
    each = ", ".join(f"{fits[fit]:.0f}" for fit in sorted(fits))
    error = score["corrected_se"]
    mean = f"{score['corrected']:.0f}" + (f" ± {error:.0f}" if error else "")
    return f"{mean} ({each})" if len(fits) > 1 else mean


def difference(pair: Mapping[str, Any] | None) -> str:
    """A difference of FVD with its 95 % interval."""
    if pair is None or pair["difference"] is None:
        return ""
    low, high = pair["ci95"] or (None, None)
    span = "" if low is None else f" [{low:+.0f}, {high:+.0f}]"
    return f"{pair['difference']:+.0f}{span}"


def table(group: Mapping[str, Any], fits: Mapping[str, Fits], names: Sequence[str]) -> list[str]:
    """Lines of Markdown, from a group of `compare --json`."""
    versus = group["versus"]
    pairs = {p["method"]: p for p in (versus or {"pairs": ()})["pairs"] if p["metric"] == "fvd"}
    head = "| | FVD without bias (of each training run) | PSNR, dB | action |"
    lines = [head + (f" FVD less `{versus['method']}` |" if versus else "")]
    lines.append("|" + "---|" * (lines[0].count("|") - 1))
    rows = {row["method"]: row for row in group["rows"]}
    for name in names:
        scores = rows[name]["scores"] if name in rows else {}
        cells = [f"`{name}`", unbiased(scores.get("fvd"), fits.get(name, {}))]
        cells += [with_error(scores.get(metric), metric) for metric in ("psnr", "action")]
        cells += [difference(pairs.get(name))] if versus else []
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def fits_of(runs: Sequence[FinishedRun], frames: int) -> dict[str, Fits]:
    """Of each method, FVD without bias of each training run, the mean over its prediction seeds."""
    found: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        value = (
            run.scores["fvd", frames].get("corrected") if ("fvd", frames) in run.scores else None
        )
        if value is not None:
            found[run.inputs["method"]][run.inputs["fit_seed"] or 0].append(value)
    return {name: {fit: fmean(v) for fit, v in fits.items()} for name, fits in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="+", help="rows, in their order")
    parser.add_argument("--task", default="puppets")
    parser.add_argument("--vs", help="the row that the others are compared with")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: runs")
    args = parser.parse_args()
    versus = None if args.vs is None else MethodRef.parse(args.vs)
    comparison = compare(
        [MethodRef.parse(name) for name in args.methods],
        RunOptions(references=False),
        registry(()),
        user_paths(args.runs),
        TaskRef(dataset="", task=args.task),
        subsets=("none",),
        versus=versus,
    )
    one_table(comparison)
    (group,) = comparison.groups
    (runs,) = comparison.runs.values()
    print(*table(group, fits_of(runs, group["frames"]), args.methods), sep="\n")


if __name__ == "__main__":
    main()
