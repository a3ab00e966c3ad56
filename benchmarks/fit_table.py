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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vpbench
from vpbench.core.registry import registry
from vpbench.harness.results.finished_runs import newest
from vpbench.render.text import rounded

Fits = Mapping[int, float | None]
"""Fit seed -> FVD without bias."""


def cell(score: Mapping[str, Any] | None, metric: str) -> str:
    """A score with its standard error; "-" where there is none."""
    if score is None or score["value"] is None:
        return "-"
    text = rounded(score["value"], score["se"], metric)
    return f"{text} ± {rounded(score['se'], score['se'], metric)}" if score["se"] else text


def unbiased(score: Mapping[str, Any] | None, fits: Fits) -> str:
    """FVD without bias: mean, standard error, and of each training run in brackets."""
    if score is None or score.get("corrected") is None:
        return "-"
    each = ", ".join("-" if fits[s] is None else f"{fits[s]:.0f}" for s in sorted(fits))
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
    pairs = {} if versus is None else {p["method"]: p for p in versus["pairs"] if _fvd(p)}
    head = "| | FVD without bias (of each training run) | PSNR, dB | action |"
    lines = [head + (f" FVD less `{versus['method']}` |" if versus else "")]
    lines.append("|" + "---|" * (lines[0].count("|") - 1))
    rows = {row["method"]: row for row in group["rows"]}
    for name in names:
        scores = rows[name]["scores"] if name in rows else {}
        cells = [f"`{name}`", unbiased(scores.get("fvd"), fits.get(name, {}))]
        cells += [cell(scores.get(metric), metric) for metric in ("psnr", "action")]
        cells += [difference(pairs.get(name))] if versus else []
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _fvd(pair: Mapping[str, Any]) -> bool:
    return pair["metric"] == "fvd"


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
    compared = vpbench.compare(
        args.methods, task=args.task, vs=args.vs, references=False, runs=args.runs
    ).json()
    fits: dict[str, dict[int, float | None]] = {}
    for run in newest(args.runs, args.task, registry(()), None).values():
        score = run.scores.get(("fvd", compared["groups"][0]["frames"]))
        if score is not None:
            seed = run.inputs["fit_seed"] or 0
            fits.setdefault(run.inputs["method"], {})[seed] = score.get("corrected")
    print(*table(compared["groups"][0], fits, args.methods), sep="\n")


if __name__ == "__main__":
    main()
