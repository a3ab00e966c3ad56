"""Where the second network of `li` loses against the warp that it starts from, on validation clips.

The same drawn flow moves the last given frame in three ways, and no test clip is looked at:

    warp        along the flow and nothing else: `li[refiner=off]`
    redrawn     each frame redrawn from the redrawn one before: `li`, as published
    once        each frame redrawn from a warped one: `li[recursion=off]`

    FVD         without bias, of as many frames as the task predicts
    PSNR        dB, over copying the last given frame
    detail      mean size of differences between neighbouring pixels, of the real frame's, in the
                first, eighth and last frame: above 1 where edges are sharper than they should be

    python benchmarks/li_refiner.py li
    python benchmarks/li_refiner.py 'li[refiner_start=warp]' --runs trained/runs --no-fvd
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from keypoints_setup import open_setup, progress_lines, table
from torch import Tensor

import vpbench
from vpbench.core.options import RunOptions
from vpbench.harness.inputs.fetch import fetch_for_run
from vpbench.harness.prediction.loaded import load_trained
from vpbench.harness.training.stage import train_view
from vpbench.kit import normal, set_threads, task_window, to_tensor, to_uint8

Video = npt.NDArray[np.uint8]

SHOWN = (0, 7, 15)
"""Frames whose detail is measured."""


def ways(method: Any, frame: Tensor, flows: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Frames [B,T,3,H,W] of each way, from frames [B,3,H,W] along flows [B,T,2,H,W]."""
    from vpbench_baselines.li.refiner import warped

    plain = warped(frame, flows)
    before = torch.cat([frame[:, None], plain[:, :-1]], 1)
    yield "warp", plain
    yield "redrawn", method.refiner.rollout(frame, flows)
    once = method.refiner(before.flatten(0, 1), flows.flatten(0, 1))
    yield "once", once.view_as(plain)


def detail(video: Video) -> npt.NDArray[np.float64]:
    """Mean size of the differences between neighbours in each frame: [T,H,W,3] -> [T]."""
    frames = video.astype(np.float64)
    across, down = np.diff(frames, axis=2), np.diff(frames, axis=1)
    return np.abs(across).mean((1, 2, 3)) + np.abs(down).mean((1, 2, 3))


def psnr(one: Video, two: Video) -> float:
    """Mean over frames, dB."""
    error = np.square(one.astype(np.float64) - two).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / np.maximum(error, 1e-2))).mean())


def drawn(args: argparse.Namespace) -> dict[str, list[Video]]:
    """Validation clips [T,H,W,3] under "real" and "copy", and as each way has them."""
    found: dict[str, list[Video]] = {}
    with progress_lines() as progress:
        setup = open_setup(args.runs, args.dataset)
        (plan,) = setup.plan([args.method], RunOptions(fit_seeds=(args.fit_seed,)))
        fetch_for_run(plan, setup.paths, progress)
        method = load_trained(
            plan, setup.task_data, setup.registry, setup.paths, "cpu", progress
        ).instance
        info, view = setup.task_data.task.info, train_view(setup.task_data, ("benchmark",))
        method.generator.eval()
        method.refiner.eval()
        seen: set[int] = set()
        for batch in view.batches("val", task_window(info), 1, stream="benchmark"):
            number = int(batch.index[0])
            if number in seen:
                break  # the shuffled sequence starts again
            seen.add(number)
            last, future = batch.frames[:, info.n_max - 1], batch.frames[0, info.n_max :]
            code = normal([number], (method.settings.latent,), "cpu")
            with torch.inference_mode():
                frame = to_tensor(last)
                flows = method.generator(frame, code)[:, : len(future)]
                for name, video in ways(method, frame, flows):
                    found.setdefault(name, []).append(to_uint8(video[0]))
            found.setdefault("real", []).append(future)
            found.setdefault("copy", []).append(np.repeat(last, len(future), 0))
    return found


def figures(found: dict[str, list[Video]], name: str, fvd: bool) -> list[str]:
    """One line of the table."""
    real, copy, clips = found["real"], found["copy"], found[name]
    gain = np.mean([psnr(c, r) - psnr(p, r) for c, r, p in zip(clips, real, copy, strict=True)])
    parts = np.mean([detail(c) / detail(r) for c, r in zip(clips, real, strict=True)], axis=0)
    score = "-"
    if fvd:
        value = vpbench.fvd(real, clips, workers=1, progress=False)
        score = f"{value.corrected:.0f} +- {value.corrected_se:.0f}"
    return [name, score, f"{gain:+.2f}", *(f"{parts[t]:.2f}" for t in SHOWN if t < len(parts))]


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", help="li, trained, with its refiner")
    parser.add_argument("--dataset", default="puppets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: runs")
    parser.add_argument("--fit-seed", type=int, default=0)
    parser.add_argument("--no-fvd", action="store_true", help="without the minutes that FVD takes")
    args = parser.parse_args()
    set_threads(1)
    found = drawn(args)
    names = [name for name in found if name not in ("real", "copy")]
    shown = [f"detail t={t + 1}" for t in SHOWN if t < len(found["real"][0])]
    rows = [["", "FVD", "PSNR", *shown]]
    table(rows + [figures(found, name, not args.no_fvd) for name in names])


if __name__ == "__main__":
    main()
