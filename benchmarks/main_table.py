"""The main table of a task as the documentation prints it, from finished runs.

    python benchmarks/main_table.py ours villegas copy-last --task puppets-moving --runs runs

One line of Markdown a method, in the order asked for, of its first training run (several:
fit_table.py): whether it is shown the label, FVD with its
standard error and without the bias of few clips, KVD, PSNR, SSIM, the share of recognised actions,
and the minutes that its stages took to train, one after the other. `vpbench compare --task T`
prints the same scores with all that they depend on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vpbench.core.records import ScoreRecord
from vpbench.core.registry import registry
from vpbench.harness.results.finished_runs import FinishedRun, newest
from vpbench.render.text import rounded

METRICS = ("kvd", "psnr", "ssim", "action")

HEAD = "| | label | FVD | without bias | KVD | PSNR, dB | SSIM | action | fitted in |"
"""Columns of the table."""


def with_error(score: Mapping[str, Any] | ScoreRecord | None, metric: str) -> str:
    """A score with its standard error; "-" where there is none."""
    if score is None or score["value"] is None:
        return "-"
    error = score["se"]
    text = rounded(score["value"], error, metric)
    return f"{text} ± {rounded(error, error, metric)}" if error else text


def unbiased(run: FinishedRun, frames: int) -> str:
    """FVD without the bias of few clips."""
    record = run.scores.get(("fvd", frames))
    value = None if record is None else record.get("corrected")
    return "-" if value is None else f"{value:.0f}"


def row(name: str, run: FinishedRun | None, frames: int) -> str:
    """One line of the table; dashes where the method has not been run."""
    if run is None:
        return f"| `{name}` | " + " | ".join("-" * 8) + " |"
    seconds = sum(stage["seconds"] for stage in run.stages)
    cells = [
        f"`{name}`" if seconds else name,
        "yes" if "label" in run.inputs["uses"] else "-",
        with_error(run.scores.get(("fvd", frames)), "fvd"),
        unbiased(run, frames),
        *(with_error(run.scores.get((metric, frames)), metric) for metric in METRICS),
        f"{seconds / 60:.0f} min" if seconds else "",
    ]
    return "| " + " | ".join(cells) + " |"


def table(names: Sequence[str], runs: Path, task: str, frames: int) -> list[str]:
    """Lines of Markdown.

    Raises:
        HashMismatch: a stored file is not what was written.
    """
    found: dict[str, FinishedRun] = {}
    for key, run in newest(runs, task, registry(()), None).items():
        found.setdefault(key[1], run)
    rule = "|" + "---|" * (HEAD.count("|") - 1)
    return [HEAD, rule, *(row(name, found.get(name), frames) for name in names)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="+", help="rows, in their order")
    parser.add_argument("--task", default="puppets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: runs")
    parser.add_argument("--frames", type=int, default=16)
    args = parser.parse_args()
    print(*table(args.methods, args.runs, args.task, args.frames), sep="\n")


if __name__ == "__main__":
    main()
