"""How fast and how exact the I3D features are, beside a plain module of the same network.

    python benchmarks/i3d_speed.py [--weights FILE] [--rounds N] [--only 1|2|1+1]

Each round times the machine's float32 matrix product (torch's and numpy's; the faster one counts),
the plain module and ours, one after the other, so that what else runs on the machine hits all of
them; medians over the rounds are printed, and the medians of the rounds' ratios. `1+1` is two
processes of one thread each, at the same time: rates are sums. Without weights the network is
random; the times are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.metrics.i3d.extract import I3DFeatures
from vpbench.metrics.i3d.folded import fold
from vpbench.metrics.i3d.network import I3D, block_units, load, unit_specs, variables

GFLOP = 55.8
"""Multiplications and additions of a clip of 16 x 224 x 224, in 10^9."""
FRAMES, CLIPS, MATRIX = 16, 4, 2048
Triple = tuple[int, int, int]


# The plain module: what one writes without thinking of speed. Frozen; do not improve it.


def _same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    pads: list[int] = []
    for n, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


class _PlainUnit(nn.Module):
    def __init__(self, n_in: int, n_out: int, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv3d(n_in, n_out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(n_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(_same(x, self.kernel, self.stride))))


class _PlainPool(nn.Module):
    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(_same(x, self.kernel, self.stride), self.kernel, self.stride)


class _PlainBlock(nn.Module):
    def __init__(self, branches: list[list[nn.Module]]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*b) for b in branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class _Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.units = nn.ModuleDict(
            {s.name: _PlainUnit(s.n_in, s.n_out, s.kernel, s.stride) for s in unit_specs()}
        )

        def block(name: str) -> _PlainBlock:
            branches: list[list[nn.Module]] = [
                [self.units[u] for u in path] for path in block_units(name)
            ]
            branches[3].insert(0, _PlainPool((3, 3, 3), (1, 1, 1)))
            return _PlainBlock(branches)

        self.body = nn.Sequential(
            self.units["Conv3d_1a_7x7"],
            _PlainPool((1, 3, 3), (1, 2, 2)),
            self.units["Conv3d_2b_1x1"],
            self.units["Conv3d_2c_3x3"],
            _PlainPool((1, 3, 3), (1, 2, 2)),
            *[block(f"Mixed_3{k}") for k in "bc"],
            _PlainPool((3, 3, 3), (2, 2, 2)),
            *[block(f"Mixed_4{k}") for k in "bcdef"],
            _PlainPool((2, 2, 2), (2, 2, 2)),
            *[block(f"Mixed_5{k}") for k in "bc"],
        )
        self.logits = nn.Conv3d(1024, 400, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(F.avg_pool3d(self.body(x), (2, 7, 7), 1)).flatten(2).mean(2)


def _plain(net: Any) -> _Plain:
    """The plain module with the weights of a network."""
    out = _Plain()
    for name, unit in net.units.items():
        other: Any = out.units[name]
        other.conv.weight.data.copy_(unit.weight)
        other.bn.bias.data.copy_(unit.beta)
        other.bn.running_mean.copy_(unit.mean)
        other.bn.running_var.copy_(unit.variance)
    out.logits.weight.data.copy_(net.weight[:, :, None, None, None])
    assert out.logits.bias is not None
    out.logits.bias.data.copy_(net.bias)
    return out.eval()


# The measurement.


def _seconds(what: Callable[[], object], repeat: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(repeat):
        what()
    return (time.perf_counter() - start) / repeat


def _network(weights: Path | None) -> I3D:
    if weights:
        return load(weights)
    net = I3D()
    torch.manual_seed(0)
    for name, (buffer, _) in variables(net).items():
        if name.endswith("moving_variance"):
            buffer.uniform_(0.02, 0.5)
        else:
            buffer.normal_(0, 0.2 if buffer.ndim == 1 else (0.5 / buffer[0].numel()) ** 0.5)
    return net


@torch.inference_mode()
def _measure(threads: int, rounds: int, weights: Path | None) -> dict[str, list[float]]:
    """Seconds of each thing in each round, in this process."""
    torch.set_num_threads(threads)
    net = _network(weights)
    ours, theirs, coarse = fold(net), _plain(net), fold(net, torch.bfloat16)
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (CLIPS, FRAMES, 64, 64, 3), np.uint8)
    x = torch.from_numpy(rng.random((CLIPS, FRAMES, 224, 224, 3), np.float32) * 2 - 1)
    x = x.permute(0, 4, 1, 2, 3)
    default = x.contiguous()
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    out = torch.empty(MATRIX, MATRIX)
    jobs: dict[str, tuple[Callable[[], object], int]] = {
        "product, torch": (lambda: torch.mm(a, b, out=out), 8),
        "product, numpy": (lambda: np.matmul(a.numpy(), b.numpy(), out=out.numpy()), 8),
        "plain, one clip": (lambda: theirs(default[:1]), 1),
        "plain, four clips": (lambda: theirs(default), 1),
        "ours": (lambda: [ours(clip) for clip in x.split(1)], 1),
        "ours, bfloat16": (lambda: [coarse(clip) for clip in x.split(1)], 1),
    }
    clips_in = {"plain, four clips": CLIPS, "ours": CLIPS, "ours, bfloat16": CLIPS}
    if weights:
        extract = I3DFeatures(weights)
        jobs["ours, from uint8 64x64"] = (lambda: extract(clips), 1)
        clips_in["ours, from uint8 64x64"] = CLIPS
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for job, _ in jobs.values():
        job()
    for _ in range(rounds):
        for name, (job, repeat) in jobs.items():
            times[name].append(_seconds(job, repeat) / clips_in.get(name, 1))
    return times


@torch.inference_mode()
def _errors(weights: Path | None) -> dict[str, float]:
    """Largest error of a logit over the largest logit, against the plain module in float64."""
    net = _network(weights)
    x = torch.rand(1, 3, FRAMES, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    true = _plain(net).double()(x.double())
    forms: dict[str, nn.Module] = {
        "plain": _plain(net),
        "ours": fold(net),
        "ours, float64": fold(net, torch.float64),
        "ours, bfloat16": fold(net, torch.bfloat16),
    }
    out: dict[str, float] = {}
    for name, form in forms.items():
        features = form(x.double() if "64" in name else x).double()
        out[name] = float((features - true).abs().max() / true.abs().max())
    return out


def _child(threads: int, args: argparse.Namespace) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--child", str(threads), "--rounds", str(args.rounds)]
    if args.weights:
        command += ["--weights", str(args.weights)]
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def _report(title: str, runs: list[dict[str, list[float]]]) -> None:
    """One table; several runs went on at the same time, so their rates add up."""
    total = {n: sum(1 / statistics.median(run[n]) for run in runs) for n in runs[0]}
    product = 2 * MATRIX**3 / 1e9
    rates = {n: product * total.pop(n) for n in runs[0] if n.startswith("product")}
    ruler = max(rates, key=lambda n: rates[n])
    listed = ", ".join(f"{rate:.0f} GFLOP/s ({name})" for name, rate in rates.items())
    print(f"\n{title}: {listed}; load {os.getloadavg()[0]:.1f}")
    print(f"  {'':24} {'s/clip':>7} {'GFLOP/s':>8} {'of product':>10} {'speed-up':>9}")
    best = max((n for n in total if n.startswith("plain")), key=lambda n: total[n])
    for name, rate in total.items():
        ratio = statistics.median(
            p / o for run in runs for p, o in zip(run[best], run[name], strict=True)
        )
        share = statistics.median(
            GFLOP / o * m / product
            for run in runs
            for m, o in zip(run[ruler], run[name], strict=True)
        )
        print(f"  {name:24} {1 / rate:7.3f} {GFLOP * rate:8.0f} {share:10.0%} {ratio:9.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--weights", type=Path, help="safetensors file; random without")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["1", "2", "1+1"])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(_measure(args.child, args.rounds, args.weights)))
        return
    print("largest relative error against float64:")
    for name, value in _errors(args.weights).items():
        print(f"  {name:24} {value:.1e}")
    modes = {"1": [1], "2": [2], "1+1": [1, 1]}
    for mode in [args.only] if args.only else modes:
        children = [_child(threads, args) for threads in modes[mode]]
        _report(f"threads {mode}", [json.loads(c.communicate()[0]) for c in children])


if __name__ == "__main__":
    main()
