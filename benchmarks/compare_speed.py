"""How long `vpbench compare` of finished runs takes as a whole process, beside the bare imports.

    python benchmarks/compare_speed.py RUNS [METHOD ...] [--rounds 9]

RUNS is a folder of finished runs; without a METHOD all in it are compared. The baseline starts
Python and imports numpy and click, which every command needs. The two take turns; figures are the
least and the median over the rounds, in seconds of the wall and of the processor.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

BARE = (sys.executable, "-c", "import click, numpy")


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Seconds of the wall and of the processor of one process.

    Raises:
        CalledProcessError: it fails.
    """
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after, wall = os.times(), time.perf_counter() - begun
    user = after.children_user - before.children_user
    return wall, user + after.children_system - before.children_system


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs")
    parser.add_argument("methods", nargs="*")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "vpbench", "compare", *asked.methods, "--runs", asked.runs]
    timed(command)  # code digests and byte code are made once
    rows = [(timed(command), timed(BARE)) for _ in range(asked.rounds)]
    for k, name in enumerate(("compare", "bare")):
        for unit, label in enumerate(("wall", "cpu")):
            seconds = [row[k][unit] for row in rows]
            least, middle = min(seconds), statistics.median(seconds)
            print(f"{name:8} {label:4} least {least:.2f} s, median {middle:.2f} s")
    ratio = statistics.median(a[1] / b[1] for a, b in rows)
    print(f"compare takes {ratio:.1f} times the processor of the bare imports")


if __name__ == "__main__":
    main()
