"""Steps a second of the first stage of 'ours', beside a plain form of the authors' schedule.

The plain form draws one batch for the discriminator's step and another one for the generator's, so
that it computes the generator twice; it calls the detector once for each kind of image, and keeps
torch's default memory layout. Widths, losses, types and threads are those of ours, and it is not
made slower than it has to be: no graph is kept in the discriminator's step, and the generator's
computes no gradient of the discriminator's weights. Before anything is timed, both get the same
weights and must give the same images.

Each round times every form on the same fixed batches, one after the other in an order that rotates,
so that what else runs on the machine hits all of them. Printed are medians over the rounds, and
medians of the rounds' ratios; the whole ratio is also given in CPU time, which a busy machine
disturbs less. Both networks are updated in every timed step; the share of data loading is that of
ours.

    python benchmarks/keypoints_speed.py
    python benchmarks/keypoints_speed.py --rounds 3 --steps 2 --precision bf16 --json
    python benchmarks/keypoints_speed.py --preset smoke --rounds 2 --steps 2
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from keypoints_plain import Plain, same_results
from keypoints_setup import Setup, first_stage, open_setup, progress_lines, table
from torch import Tensor

from vpbench.core.progress import Report
from vpbench.kit import deterministic, seeded, to_tensor
from vpbench.kit.threads import set_threads
from vpbench_keypoints.first_stage import FirstStage
from vpbench_keypoints.schedule import ADAM_BETAS

GOAL, DATA_GOAL, SHARED_THEORY = 1.6, 0.05, 1.28
BATCHES = 4
Times = dict[str, list[tuple[float, float]]]
"""Of each form and round: wall time of a step, and the CPU time of all threads."""
Forms = dict[str, Callable[[int], object]]


class Ours:
    """The plugin's own step on fixed batches."""

    def __init__(self, stage: FirstStage) -> None:
        self.stage = stage
        stage.detector.reset(0)
        stage.translator.reset(1)
        nets = (stage.translator.net.train(), stage.detector.net.train())
        drawing = [w for net in nets for w in net.parameters()]
        judging = stage.discriminator.train().parameters()
        stage.optimiser = torch.optim.Adam(drawing, betas=ADAM_BETAS)
        stage.discriminator_optimiser = torch.optim.Adam(judging, betas=ADAM_BETAS)

    def step(self, frames: Tensor) -> None:
        """The last step of a training: the adversary takes part, the gaussians are narrow."""
        self.stage._step(self.stage.steps - 1, frames[:, 0], frames[:, 1], None)

    def early(self, frames: Tensor) -> None:
        """The first step of a training, in which the adversary may not take part yet."""
        self.stage._step(0, frames[:, 0], frames[:, 1], None)


def loader(stage: FirstStage) -> Callable[[], Tensor]:
    """What makes the next batch of a training, [B,2,3,H,W] in [-1,1]."""
    batches = stage.data.batches("train", stage.window, stage.batch, stage.augment)
    return lambda: to_tensor(next(batches).frames) * 2.0 - 1.0


def seconds(call: Callable[[int], object], steps: int) -> tuple[float, float]:
    """Wall time and CPU time of one step, the means of several."""
    started, used = time.perf_counter(), time.process_time()
    for k in range(steps):
        call(k)
    return (time.perf_counter() - started) / steps, (time.process_time() - used) / steps


def prepare(
    where: Setup, precision: str, args: argparse.Namespace, folder: Path, report: Report
) -> tuple[Forms, dict[str, Any]]:
    """All forms in one precision; the batch, and how far the plain form's results are from ours."""
    name = f"ours[precision={precision}]"
    parts = first_stage(where, name, folder / precision, args.threads, report, preset=args.preset)
    stage = FirstStage(parts.detector, parts.translator, parts.data, parts.ctx)
    load = loader(stage)
    pool = [load() for _ in range(BATCHES)]
    ours = Ours(stage)
    apart = same_results(stage, pool[0])
    plain = Plain(stage)
    shared = Plain(stage, shared=True)
    layout = Plain(stage, layout=torch.channels_last)

    def one(k: int) -> Tensor:
        return pool[k % BATCHES]

    def two(k: int) -> tuple[Tensor, Tensor]:
        return pool[2 * k % BATCHES], pool[(2 * k + 1) % BATCHES]

    return {
        "ours": lambda k: ours.step(one(k)),
        "plain": lambda k: plain.step(*two(k)),
        "plain, one forward": lambda k: shared.step(*two(k)),
        "plain, channels last": lambda k: layout.step(*two(k)),
        "ours, first steps": lambda k: ours.early(one(k)),
        "data": lambda _: load(),
    }, {"batch": stage.batch, "apart": apart}


def measure(forms: Forms, rounds: int, steps: int, report: Report, what: str) -> Times:
    """Seconds of a step of each form in each round; one step each warms up."""
    times: Times = {name: [] for name in forms}
    names = list(forms)
    for form in forms.values():
        form(0)
    for r in range(rounds):
        turn = r % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(seconds(forms[name], steps))
        report(
            {"event": "progress", "what": what, "done": r + 1, "total": rounds, "unit": "rounds"}
        )
    return times


def summary(times: Times) -> dict[str, Any]:
    """Rates, ratios of rounds, the share of loading."""

    def ratio(slow: str, fast: str, clock: int = 0) -> float:
        pairs = zip(times[slow], times[fast], strict=True)
        return statistics.median(a[clock] / b[clock] for a, b in pairs)

    def rate(name: str) -> float:
        return 1 / statistics.median(wall for wall, _ in times[name])

    pairs = zip(times["data"], times["ours"], strict=True)
    return {
        "steps_per_second": {name: rate(name) for name in times if name != "data"},
        "load_seconds": 1 / rate("data"),
        "speed_up": ratio("plain", "ours"),
        "speed_up_cpu_time": ratio("plain", "ours", 1),
        "gain_of_one_forward": ratio("plain", "plain, one forward"),
        "gain_of_layout": ratio("plain", "plain, channels last"),
        "loading_share": statistics.median(d[0] / (d[0] + o[0]) for d, o in pairs),
        "rounds": times,
    }


def report(precision: str, figures: Mapping[str, Any]) -> None:
    """One small table, then goals and results."""
    rates = figures["steps_per_second"]
    print(f"\n{precision}: batch {figures['batch']}, load {os.getloadavg()[0]:.1f}")
    rows = [["", "steps/s", "beside plain"]]
    rows += [[n, f"{rate:.3f}", f"{rate / rates['plain']:.2f}"] for n, rate in rates.items()]
    table(rows)
    apart = ", ".join(f"{k} {v:.0e}" for k, v in figures["apart"].items())
    print(f"  relative differences with the same weights: {apart}")

    def verdict(met: bool) -> str:
        return "met" if met else "missed"

    whole, share = figures["speed_up"], figures["loading_share"]
    print(f"  whole speed-up            {whole:.2f}  goal {GOAL}: {verdict(whole >= GOAL)}")
    print(f"  the same, in CPU time     {figures['speed_up_cpu_time']:.2f}")
    print(
        f"  of one forward alone      {figures['gain_of_one_forward']:.2f}  "
        f"expected {SHARED_THEORY}"
    )
    print(f"  of channels last alone    {figures['gain_of_layout']:.2f}")
    print(
        f"  data loading, of a step  {share:5.1%}  goal below {DATA_GOAL:.0%}: "
        f"{verdict(share < DATA_GOAL)}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--steps", type=int, default=4, help="of each form a round; default 4")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--precision", choices=["fp32", "bf16"], nargs="+", default=["fp32", "bf16"]
    )
    parser.add_argument("--preset", choices=["cpu", "smoke"], default="cpu")
    parser.add_argument("--json", action="store_true", help="one object on stdout, with all rounds")
    args = parser.parse_args()
    if min(args.rounds, args.steps, args.threads) < 1:
        parser.error("--rounds, --steps and --threads must be at least 1")
    set_threads(args.threads)
    results: dict[str, dict[str, Any]] = {}
    with (
        progress_lines() as progress,
        tempfile.TemporaryDirectory() as scratch,
        deterministic(),
        seeded(0),
    ):
        where = open_setup()
        for precision in args.precision:
            forms, facts = prepare(where, precision, args, Path(scratch), progress)
            times = measure(forms, args.rounds, args.steps, progress, precision)
            results[precision] = {**facts, **summary(times)}
    if args.json:
        print(
            json.dumps(
                {
                    "threads": args.threads,
                    "preset": args.preset,
                    "steps": args.steps,
                    "goals": {"speed_up": GOAL, "loading_share": DATA_GOAL},
                    "results": results,
                }
            )
        )
        return
    print(f"{args.threads} threads, preset {args.preset}, {args.rounds} rounds of {args.steps}")
    for precision, figures in results.items():
        report(precision, figures)


if __name__ == "__main__":
    main()
