"""`python -m tests.fuzz [TARGET ...] [--seconds S] [--jobs N] [--seed K] [--keep DIR]`."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.run import Outcome, fuzz
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz all or some targets; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=600.0, help="for each target")
    parser.add_argument("--jobs", type=int, default=1, help="targets at a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=None, help="folder for inputs that break")
    given = parser.parse_args()
    names = given.targets or list(TARGETS)

    def run(name: str) -> tuple[str, Outcome]:
        return name, fuzz(name, given.seconds, given.seed)

    failed = False
    with ThreadPoolExecutor(given.jobs) as pool:
        for name, outcome in pool.map(run, names):
            failed = failed or bool(outcome.finding)
            sys.stdout.write(_line(name, outcome) + "\n")
            sys.stdout.flush()
            if outcome.finding and given.keep is not None:
                given.keep.mkdir(parents=True, exist_ok=True)
                (given.keep / f"{name}-{TARGETS[name].name}").write_bytes(outcome.culprit)
    return int(failed)


def _line(name: str, outcome: Outcome) -> str:
    if outcome.finding:
        return f"{name}: {outcome.finding}; {len(outcome.culprit)} bytes"
    return (
        f"{name}: {outcome.inputs} inputs, {outcome.refused} refused, "
        f"{outcome.memory >> 20} MiB, slowest {outcome.slowest:.2f} s"
    )


if __name__ == "__main__":
    raise SystemExit(main())
