"""Are the bundled checkpoints as far apart as they should be? From finished runs, nothing computed.

    python benchmarks/released_bounds.py --task puppets@large --runs runs

Each line holds the FVD without bias of one row against a part of that of another, over the same
clips: `a - factor * b`, with the 95 % interval of a paired jackknife. A bound is met where the
whole interval lies below 0, and open where a run is missing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vpbench.core.records import ScoreRecord
from vpbench.core.registry import registry
from vpbench.core.samples import Difference, Sample, difference, figure
from vpbench.harness.results.finished_runs import FinishedRun, newest
from vpbench.harness.results.ranking import Column, Row, sample_of

METRIC = "fvd"
EARLIER = "ours[preset=cpu,motion_hidden=128,kl_weight=5.0]"
"""The checkpoint that was bundled for `ours` before preset gpu."""


@dataclass(frozen=True)
class Bound:
    """`row` is to be below `factor` times `other`."""

    row: str
    other: str
    factor: float = 1.0

    def __str__(self) -> str:
        part = "" if self.factor == 1 else f"{self.factor:g} x "
        return f"{self.row} < {part}{self.other}"


BOUNDS = (
    Bound("ours", EARLIER, 0.8),
    Bound("ours[preset=plus]", "ours"),
    Bound("ours[motion=flow-matching]", "ours[motion=class-mean]"),
    Bound("li", "li[refiner=off]"),
    Bound("li[recursion=off]", "li[refiner=off]"),
    Bound("li", "copy-last"),
    Bound("villegas[label=on]", "villegas", 0.7),
    Bound("latent-flow", "copy-last"),
    Bound("latent-flow", "wichers"),
    Bound("latent-flow", "li"),
)


@dataclass(frozen=True)
class Verdict:
    """A bound with what the runs say; `met` is None where one of them is missing."""

    bound: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    met: bool | None = None
    why: str = ""

    def line(self) -> str:
        """For the terminal."""
        if self.value is None or self.low is None or self.high is None:
            return f"{self.bound:70} open: {self.why}"
        met = "met" if self.met else "NOT MET"
        return f"{self.bound:70} {self.value:+7.0f} [{self.low:+.0f}, {self.high:+.0f}] {met}"


def less_a_part(sample: Sample, other: Sample, factor: float) -> Difference:
    """`sample - factor * other` over their common groups of clips."""
    return difference(sample, dataclasses.replace(other, values=factor * other.values))


def judged(bound: Bound, samples: dict[str, Sample | None]) -> Verdict:
    """What the figures of rows say about a bound."""
    pair: list[Sample] = []
    for name in (bound.row, bound.other):
        sample = samples.get(name)
        if sample is None:
            return Verdict(str(bound), why=f"no finished run of {name} with {METRIC}")
        pair.append(sample)
    apart = less_a_part(pair[0], pair[1], bound.factor)
    ends = apart.interval()
    if ends is None:
        return Verdict(str(bound), why=apart.reason)
    return Verdict(str(bound), apart.estimate, *ends, apart.n, ends[1] < 0)


def samples_of(runs: Path, task: str, frames: int) -> dict[str, Sample | None]:
    """The figure of each method with finished runs, training runs kept apart.

    Raises:
        HashMismatch: a stored file is not what was written.
    """
    found: dict[str, list[FinishedRun]] = {}
    for (_, method, *_rest), run in newest(runs, task, registry(()), None).items():
        if (METRIC, frames) in run.scores:
            found.setdefault(method, []).append(run)
    return {name: _sample(name, those, frames) for name, those in found.items()}


def _sample(name: str, runs: list[FinishedRun], frames: int) -> Sample | None:
    return sample_of(Row(name, runs), frames, column_of(runs[0].scores[METRIC, frames]))


def column_of(record: ScoreRecord) -> Column:
    """The column of a score in a table."""
    return Column(
        METRIC,
        record["fp8"],
        record["fingerprint"],
        record["direction"],
        record["unit"],
        record["kind"],
    )


def main(arguments: Sequence[str]) -> int:
    """Print each bound; 0 when all are met, 1 when one is not or is open."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="puppets@large")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    samples = samples_of(args.runs, args.task, args.frames)
    verdicts = [judged(bound, samples) for bound in BOUNDS]
    if args.json:
        print(json.dumps([dataclasses.asdict(v) for v in verdicts], indent=1))
    else:
        for name, sample in samples.items():
            one = None if sample is None else figure(sample)
            if one is not None and one.estimate is not None and one.se is not None:
                print(f"{name:70} {one.estimate:7.0f} +- {one.se:.0f}")
        print(*(v.line() for v in verdicts), sep="\n")
    return 0 if all(v.met for v in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
