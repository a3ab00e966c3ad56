"""How long `vpbench compare --format html` takes from finished runs, and what its page weighs.

    python benchmarks/page_build.py RUNS METHOD ... [--dataset puppets] [--rounds 3] [--frames 32]

The command is timed as a whole process: seconds of the wall and of the processor, least and median.
`--frames` adds what the films alone take and weigh for clips of so many frames: the stored ones,
played on and back until they are long enough, under the page's own bound.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from compare_speed import timed

from vpbench.api.types import Frames
from vpbench.board.clips import choose_clips
from vpbench.board.compare_page import TEXT, WEIGHT
from vpbench.board.films import make_reel
from vpbench.board.footage import Footage, open_footage
from vpbench.board.shown_rows import shown_rows
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import user_paths
from vpbench.core.registry import registry
from vpbench.harness.results.compare import compare


class Lengthened(Footage):
    """Clips that play on and back until they have so many frames."""

    frames = 32

    def tracks(self, name: str) -> list[Frames]:
        """uint8 [frames,H,W,3] of each track."""
        return [self._longer(own) for own in super().tracks(name)]

    def _longer(self, own: Frames) -> Frames:
        there_and_back = np.concatenate([own, own[-2:0:-1]])
        return there_and_back[np.arange(self.frames) % len(there_and_back)]


def films(runs: Path, methods: Sequence[str], dataset: str, frames: int) -> None:
    """Time and weigh the films of lengthened clips."""
    paths, known = user_paths(runs, offline=True), registry(())
    refs = [MethodRef.parse(name) for name in methods]
    options = RunOptions(references=False)
    found = compare(refs, options, known, paths, TaskRef(dataset=dataset), ("none",))
    group, stored = found.groups[0], next(iter(found.runs.values()))
    footage = open_footage(shown_rows(group["rows"], stored), stored, known, paths)
    long = Lengthened(**{name: getattr(footage, name) for name in footage.__dataclass_fields__})
    long.frames = frames
    choice = choose_clips(long.labels, [], "")
    begun, worked = time.perf_counter(), time.process_time()
    reel = make_reel(long, choice, [None] * len(methods), WEIGHT - TEXT)
    wall, cpu = time.perf_counter() - begun, time.process_time() - worked
    weight = sum(len(film.data) for film in reel.films) * 4 / 3 / 1e6
    print(
        f"films of {len(methods)} rows and the real clips, {frames} frames: {wall:.1f} s of the "
        f"wall, {cpu:.1f} s of the processor, {weight:.1f} MB in the page"
    )
    print(f"  {reel.rule} {reel.quality}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--dataset", default="puppets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "page.html"
        command = [sys.executable, "-m", "vpbench", "compare", *asked.methods]
        command += ["--dataset", asked.dataset, "--runs", str(asked.runs), "--references", "none"]
        command += ["--format", "html", "--out", str(out)]
        try:
            rows = [timed(command) for _ in range(asked.rounds)]
        except subprocess.CalledProcessError as error:
            sys.exit(f"the command failed with {error.returncode}.")
        for name, seconds in zip(("wall", "cpu"), zip(*rows, strict=True), strict=True):
            least, middle = min(seconds), statistics.median(seconds)
            print(f"page {name:4} least {least:.1f} s, median {middle:.1f} s")
        print(f"page weight {out.stat().st_size / 1e6:.1f} MB")
    if asked.frames:
        films(asked.runs, asked.methods, asked.dataset, asked.frames)


if __name__ == "__main__":
    main()
