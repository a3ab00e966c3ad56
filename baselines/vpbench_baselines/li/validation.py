"""The figures of validation clips at the end of a stage, and their acceptance checks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vpbench.api import FitContext
from vpbench.kit import contact_sheet, each_once, normal, task_window, to_tensor, to_uint8
from vpbench_baselines.li.flow_model import FRAMES, FlowGenerator, PosteriorEncoder, divergences
from vpbench_baselines.li.flows import FlowBatch, FlowStore, flow_batches
from vpbench_baselines.li.pictures import flow_colours
from vpbench_baselines.li.refiner import Refiner, warp
from vpbench_baselines.li.settings import Settings

MOST_CLIPS = 96
"""Validation clips that are looked at."""
SHEETS = 6
"""Clips that are drawn as pictures."""
SAMPLES = 4
"""Codes that are drawn from the prior for a clip."""

REFINER_CHECK = "frame redrawn with the teacher's flow at t=1, PSNR over that of its own warp"
REFINER_GAIN = 0.0
FLOW_RATIO = 1.0
ACTIVE = 0.01
"""Bounds of the acceptance checks, fixed before any training. A refiner that draws worse than the
warp that it is given, dB, had better not be there. A number of the code is active where
the variance of its mean over clips is above 0.01 (Burda et al. 2016); none is a collapse."""


@dataclass(frozen=True)
class FlowFigures:
    """Figures of one clip: mean absolute values over its flows, px.

    Attributes:
        posterior, prior, zero: error of flow drawn from the code that has seen it, from codes of
            the prior (mean over samples), of no flow at all.
        drawn: size of drawn flow.
        spread: standard deviation over samples from the prior.
        saturated: part of the teacher's values that cannot be drawn.
        kl: nats.
    """

    posterior: float
    prior: float
    zero: float
    drawn: float
    spread: float
    saturated: float
    kl: float


@dataclass(frozen=True)
class FrameFigures:
    """Figures of one clip.

    Attributes:
        gain, gain_warp: PSNR over that of the last given frame, dB, at t=1 with the teacher's
            flow: redrawn, and merely warped.
        psnr_last, copy_last: PSNR at the end of a rollout with the teacher's flow, and of the last
            given frame, dB.
    """

    gain: float
    gain_warp: float
    psnr_last: float
    copy_last: float


def flow_clips(store: FlowStore, ctx: FitContext, most: int) -> Iterator[tuple[int, FlowBatch]]:
    """Each validation clip once, from its last given frame on, as the task cuts it."""
    if not store.data.len("val"):
        return
    skip = ctx.task.n_max - 1
    batches = flow_batches(store, "val", task_window(ctx.task), 1, stream="validation")
    for batch in each_once(batches, most):
        frames, flows = batch.frames[:, skip:], batch.flows[:, skip:]
        clip = FlowBatch(frames[:, : FRAMES + 1], flows[:, :FRAMES], batch.index)
        yield int(batch.index[0]), clip


def _unmeasured(ctx: FitContext) -> None:
    ctx.note("no validation clip is long enough: acceptance checks not measured")


def _means(clips: list[Any]) -> dict[str, float]:
    return {f.name: float(np.mean([getattr(c, f.name) for c in clips])) for f in fields(clips[0])}


# the flow model ----------------------------------------------------------------------------------


def validate_flow(
    settings: Settings,
    generator: FlowGenerator,
    posterior: PosteriorEncoder,
    store: FlowStore,
    ctx: FitContext,
) -> None:
    """Measure, log, draw contact sheets, and check the figures against their bounds."""
    figures: list[FlowFigures] = []
    means: list[Tensor] = []
    generator.eval()
    posterior.eval()
    with torch.inference_mode():
        for number, batch in flow_clips(store, ctx, MOST_CLIPS):
            clip = _DrawnFlow(settings, generator, posterior, batch, number, ctx)
            figures.append(clip.figures())
            means.append(clip.mean[0])
            if len(figures) <= SHEETS:
                ctx.image(f"validation-{len(figures) - 1}", clip.sheet())
    if not figures:
        _unmeasured(ctx)
        return
    mean = _means(figures)
    active = int((torch.stack(means).var(0, correction=0) > ACTIVE).sum())
    ratios = {
        "flow_ratio": _ratio(mean["posterior"], mean["zero"]),
        "flow_ratio_prior": _ratio(mean["prior"], mean["zero"]),
        "spread_ratio": _ratio(mean["spread"], mean["zero"]),
        "active_units": float(active),
    }
    ctx.log({f"val_{k}": v for k, v in {**mean, **ratios}.items()})
    ctx.note(
        f"flow teacher {store.teacher.name}; {mean['saturated']:.1%} of its values beyond "
        f"{settings.bound(ctx.task.size):g} px"
    )
    if active == 0:
        ctx.note(
            f"collapse alarm: the code says nothing ({mean['kl']:.2g} nats a clip, 0 of "
            f"{settings.latent} numbers active), samples are nearly equal"
        )
    # the error from the prior is not checked: a sample that moves in its own way, as it may, is
    # further from the real flow than none at all
    ctx.check(
        "error of drawn flow over that of zero flow", ratios["flow_ratio"], at_most=FLOW_RATIO
    )


class _DrawnFlow:
    """One validation clip, its flow drawn from the posterior and from the prior."""

    def __init__(
        self,
        settings: Settings,
        generator: FlowGenerator,
        posterior: PosteriorEncoder,
        batch: FlowBatch,
        seed: int,
        ctx: FitContext,
    ) -> None:
        self.bound = settings.bound(ctx.task.size)
        self.frames = batch.frames[0]
        image = to_tensor(batch.frames[:, 0], ctx.device)
        self.flows = torch.from_numpy(batch.flows).to(ctx.device)
        count = self.flows.shape[1]
        whole = self.flows.new_zeros(1, FRAMES, *self.flows.shape[2:])
        whole[:, :count] = self.flows
        self.mean, log_variance = posterior(image, whole)
        self.kl = float(divergences(self.mean, log_variance).sum())
        self.redrawn = generator(image, self.mean)[:, :count]
        codes = normal([seed], (SAMPLES, settings.latent), ctx.device)[0]
        self.sampled = generator(image.expand(SAMPLES, -1, -1, -1), codes)[:, :count]

    def figures(self) -> FlowFigures:
        """What is measured."""
        return FlowFigures(
            float((self.redrawn - self.flows).abs().mean()),
            float((self.sampled - self.flows).abs().mean()),
            float(self.flows.abs().mean()),
            float(self.sampled.abs().mean()),
            float(self.sampled.std(0, correction=0).mean()),
            float((self.flows.abs() >= self.bound).float().mean()),
            self.kl,
        )

    def sheet(self) -> Any:
        """Real frames, the teacher's flow, flow from the posterior, two from the prior."""
        rows = [("real", self.frames[1:])]
        for name, flow in (
            ("teacher", self.flows[0]),
            ("posterior", self.redrawn[0]),
            ("prior 1", self.sampled[0]),
            ("prior 2", self.sampled[1]),
        ):
            rows.append((name, flow_colours(flow, self.bound)))
        return contact_sheet(rows, columns=8, first=1)


# the refiner -------------------------------------------------------------------------------------


def validate_refiner(
    settings: Settings, refiner: Refiner, store: FlowStore, ctx: FitContext
) -> None:
    """Measure, log, draw contact sheets, and check the gain at t=1."""
    measured: list[FrameFigures] = []
    refiner.eval()
    with torch.inference_mode():
        for _, batch in flow_clips(store, ctx, MOST_CLIPS):
            frames = to_tensor(batch.frames, ctx.device)
            flows = torch.from_numpy(batch.flows).to(ctx.device)
            redrawn = refiner.rollout(frames[:, 0], flows)
            measured.append(_frame_figures(frames, flows, redrawn))
            if len(measured) <= SHEETS:
                rows = [("real", batch.frames[0, 1:]), ("redrawn", to_uint8(redrawn[0]))]
                name = f"validation-{len(measured) - 1}"
                ctx.image(name, contact_sheet(rows, columns=8, first=1))
    if not measured:
        _unmeasured(ctx)
        return
    mean = _means(measured)
    # a clip that stands still has no gain
    moving = [f for f in measured if math.isfinite(f.gain)]
    gain = float(np.mean([f.gain for f in moving])) if moving else math.nan
    warped = float(np.mean([f.gain_warp for f in moving])) if moving else math.nan
    figures = {**mean, "gain": gain, "gain_warp": warped}
    ctx.log({f"val_{k}": v for k, v in figures.items()})
    ctx.check(
        REFINER_CHECK,
        gain - warped,
        at_least=REFINER_GAIN,
        unit="dB",
    )


def _frame_figures(frames: Tensor, flows: Tensor, redrawn: Tensor) -> FrameFigures:
    """frames [1,L+1,3,H,W], flows [1,L,2,H,W], redrawn [1,L,3,H,W]."""
    first, second, last = frames[:, 0], frames[:, 1], frames[:, -1]
    moves = bool((first != second).any())
    copied, warped = _psnr(first, second), _psnr(warp(first, flows[:, 0]), second)
    return FrameFigures(
        _psnr(redrawn[:, 0], second) - copied if moves else math.nan,
        warped - copied if moves else math.nan,
        _psnr(redrawn[:, -1], last),
        _psnr(first, last),
    )


def _psnr(a: Tensor, b: Tensor) -> float:
    error = float((a.clamp(0, 1) - b).square().mean())
    return -10 * math.log10(max(error, 1e-10))


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan
