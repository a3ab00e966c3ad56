"""Speed of the Frechet and kernel distances, their jackknives and the test, against rivals.

    python benchmarks/frechet_speed.py [--pairs 15] [--n 90] [--dim 400] [--json]
    python benchmarks/frechet_speed.py --n 4000 --pairs 3

Rivals: of the Frechet distance `scipy.linalg.sqrtm` of the product of two covariances, as in
pytorch-fid and cd-fvd; of the kernel distance torchmetrics' `poly_mmd`; of the jackknife the
distance again without each clip, and an SVD a clip from a common factorisation, both timed on
`--sample` of the clips; of the swaps permutations of labels. Each pair times both on the same data,
one right after the other and in alternating order, so that a busy machine slows both alike; figures
are medians. The threads are those of the process.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import sqrtm

from vpbench.metrics import leave_out
from vpbench.metrics.frechet import frechet
from vpbench.metrics.kernel import kvd, kvd_leave_one_out, permutation_p
from vpbench.metrics.leave_out import leave_one_out
from vpbench.metrics.relabelling import PERMUTATIONS

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


def torchmetrics_kernel(x: Floats, y: Floats) -> float:
    """The kernel distance of torchmetrics."""
    import torch
    from torchmetrics.image.kid import poly_mmd

    return float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def paired(
    name: str,
    pairs: int,
    data: Callable[[int], tuple[Floats, Floats]],
    ours: Callable[[Floats, Floats], float],
    rival: Callable[[Floats, Floats], float],
) -> dict[str, float]:
    """Medians of a distance and of its rival, and of their ratio; the first pair warms up."""
    took: list[tuple[float, float]] = []
    gaps: list[float] = []
    for k in range(pairs + 1):
        x, y = data(k)
        calls = (lambda x=x, y=y: ours(x, y)), (lambda x=x, y=y: rival(x, y))
        order = (0, 1) if k % 2 else (1, 0)
        times = {which: seconds(calls[which]) for which in order}
        took.append((times[0], times[1]))
        if k < 3:
            gaps.append(abs(ours(x, y) - rival(x, y)))
    return {
        f"{name}_seconds": statistics.median(a for a, _ in took[1:]),
        f"{name}_rival_seconds": statistics.median(b for _, b in took[1:]),
        f"{name}_ratio": statistics.median(b / a for a, b in took[1:]),
        f"{name}_largest_difference": max(gaps),
    }


def jackknife(x: Floats, y: Floats, names: Sequence[str], sample: int) -> dict[str, float]:
    """The jackknife of the Frechet distance, and what its rivals take for as many clips."""
    some = names[:: max(1, len(names) // sample)][:sample]
    found: dict[str, float | None] = {}
    ours = seconds(lambda: found.update(leave_one_out(x, y, names)))
    few, leave_out.FEW = leave_out.FEW, len(names)
    # All other clips stay in one cluster of their own, whose SVD is counted as one of a clip's.
    chosen = set(some)
    rest = [name if name in chosen else "rest" for name in names]
    try:
        each = seconds(lambda: leave_one_out(x, y, rest)) / (len(some) + 1) * len(names)
    finally:
        leave_out.FEW = few
    anew: list[float] = []
    gaps: list[float] = []
    for name in some:
        stay = np.array([other != name for other in names])
        started = time.perf_counter()
        value = frechet(x[stay], y[stay])
        anew.append(time.perf_counter() - started)
        gaps.append(abs((found[name] or math.nan) / value - 1))
    return {
        "frechet_jackknife_seconds": ours,
        "frechet_jackknife_svd_each_ratio": each / ours,
        "frechet_jackknife_anew_ratio": statistics.mean(anew) * len(names) / ours,
        "frechet_jackknife_largest_relative_difference": max(gaps),
    }


def rest(x: Floats, y: Floats, names: Sequence[str]) -> dict[str, float]:
    """The kernel's jackknife, and its test by swaps and by permutations."""
    swaps = seconds(lambda: permutation_p(x, y, names, names))
    permutations = seconds(lambda: permutation_p(x, y, permutations=PERMUTATIONS // 10)) * 10
    return {
        "kvd_jackknife_seconds": seconds(lambda: kvd_leave_one_out(x, y, names)),
        "kvd_swaps_seconds": swaps,
        f"kvd_{PERMUTATIONS}_permutations_ratio": permutations / swaps,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--n", type=int, default=90)
    parser.add_argument("--dim", type=int, default=400)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    def data(k: int) -> tuple[Floats, Floats]:
        return draw(args.n, args.dim, 2 * k), draw(args.n, args.dim, 2 * k + 1)

    def kernel(x: Floats, y: Floats) -> float:
        return kvd(x, y) or 0.0

    x, y = data(0)
    names = [f"clip {k:06d}" for k in range(args.n)]
    figures = {
        **paired("frechet", args.pairs, data, frechet, usual),
        **paired("kvd", args.pairs, data, kernel, torchmetrics_kernel),
        **jackknife(x, y, names, min(args.sample, args.n)),
        **rest(x, y, names),
    }
    if args.json:
        print(json.dumps({"n": args.n, "dim": args.dim, "pairs": args.pairs, **figures}))
        return
    print(f"n = {args.n}, d = {args.dim}, medians of {args.pairs} pairs")
    for name, value in figures.items():
        print(f"{name:46} {value:.5g}")


if __name__ == "__main__":
    main()
