"""Run simulations and print what they found: python -m tests.simulations [NAME ...]."""

import argparse
import os
import sys
import time
from pathlib import Path

from tests.simulations.all import SIMULATIONS
from tests.simulations.measured import Measured, table
from tests.simulations.population import HOME, puppets
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights.fetch import locate


def main() -> None:
    """Print one table; exit 1 where a band is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulations")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SIMULATIONS))
    names = parser.parse_args().names or list(SIMULATIONS)
    if unknown := set(names) - set(SIMULATIONS):
        parser.error(f"there is no simulation {sorted(unknown)[0]!r}")
    weights = locate(I3D, Path(os.environ.get("VPBENCH_WEIGHTS_CACHE", HOME)))
    if weights is None:
        parser.error("the weights of I3D are not here; run: vpbench weights fetch i3d")
    populations = puppets(weights)
    lines: list[Measured] = []
    for name in names:
        started = time.process_time()
        lines += SIMULATIONS[name](populations)
        print(f"{name}: {time.process_time() - started:.0f} CPU seconds", file=sys.stderr)
    print(table(lines))
    if not all(line.held for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    main()
