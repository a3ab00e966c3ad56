"""Speed of the Frechet and kernel distances against `scipy.linalg.sqrtm`.

    python benchmarks/frechet_speed.py [--pairs 15] [--n 90] [--dim 400] [--json]

Each pair times both on the same data, one right after the other and in alternating order, so that
a busy machine slows both alike; figures are medians. The threads are those of the process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import sqrtm

from vpbench.metrics.frechet import frechet, leave_one_out
from vpbench.metrics.kernel import PERMUTATIONS, kvd, kvd_leave_one_out, permutation_p

Floats = npt.NDArray[np.float64]


def draw(n: int, dim: int, seed: int) -> Floats:
    """Features with eigenvalues 1/i of trace 1000, [n,dim]."""
    spectrum = 1 / np.arange(1, dim + 1)
    spectrum *= 1000 / spectrum.sum()
    return np.random.default_rng(seed).normal(size=(n, dim)) * np.sqrt(spectrum)


def usual(x: Floats, y: Floats) -> float:
    """The usual computation: two covariances and the square root of their product."""
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    shift = x.mean(axis=0) - y.mean(axis=0)
    root: Any = sqrtm(first @ second)
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(root.real))


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def paired(pairs: int, n: int, dim: int) -> dict[str, float]:
    """Medians of `frechet` and of the usual way, and of their ratio."""
    ours: list[float] = []
    theirs: list[float] = []
    gaps: list[float] = []
    for k in range(pairs + 1):
        x, y = draw(n, dim, 2 * k), draw(n, dim, 2 * k + 1)
        calls = (lambda x=x, y=y: frechet(x, y)), (lambda x=x, y=y: usual(x, y))
        order = (0, 1) if k % 2 else (1, 0)
        took = {which: seconds(calls[which]) for which in order}
        if k:  # the first pair warms up
            ours.append(took[0])
            theirs.append(took[1])
            gaps.append(abs(frechet(x, y) - usual(x, y)))
    return {
        "frechet_seconds": statistics.median(ours),
        "sqrtm_seconds": statistics.median(theirs),
        "ratio": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        "largest_difference": max(gaps),
    }


def rest(repeats: int, n: int, dim: int) -> dict[str, float]:
    """Medians of the jackknives and the permutation test."""
    x, y = draw(n, dim, 0), draw(n, dim, 1)
    names = [str(k) for k in range(n)]
    calls: dict[str, Callable[[], object]] = {
        "frechet_jackknife_seconds": lambda: leave_one_out(x, y, names),
        "kvd_seconds": lambda: kvd(x, y),
        "kvd_jackknife_seconds": lambda: kvd_leave_one_out(x, y, names),
        f"kvd_{PERMUTATIONS}_permutations_seconds": lambda: permutation_p(x, y),
    }
    return {
        name: statistics.median(seconds(call) for _ in range(repeats))
        for name, call in calls.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--n", type=int, default=90)
    parser.add_argument("--dim", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = paired(args.pairs, args.n, args.dim) | rest(5, args.n, args.dim)
    if args.json:
        print(json.dumps({"n": args.n, "dim": args.dim, "pairs": args.pairs, **figures}))
        return
    print(f"n = {args.n}, d = {args.dim}, medians of {args.pairs} pairs")
    for name, value in figures.items():
        print(f"{name:34} {value:.5g}")


if __name__ == "__main__":
    main()
