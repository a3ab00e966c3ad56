"""The figures of validation clips at the end of a stage, and their acceptance checks."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from vpbench.api import FitContext, Frames, TrainView
from vpbench.kit import contact_sheet, normal, to_tensor, to_uint8, validation_clips
from vpbench_baselines.wichers.settings import Networks, Settings

MOST_CLIPS = 96
"""Validation clips that are looked at."""
_SHEETS = 6
"""Clips that are drawn as pictures."""

DECODER_GAIN = 3.0
LATENT_RATIO = 0.7
LEAST_SPREAD = 0.1
"""Bounds of the acceptance checks, fixed before any training. The last is the collapse alarm: a
prediction that moves less than a tenth as much as the real clip, or encodings that do, count as a
still picture."""


@dataclass(frozen=True)
class ClipFigures:
    """Figures of one clip over the frames that are to be predicted.

    Attributes:
        decoder, copy, predicted: mean squared error of frames drawn from true encodings, of the
            last given frame, of frames drawn from predicted encodings.
        latent, latent_copy: squared error of predicted encodings, of the last given one.
        spread, spread_predicted: standard deviation over time of true and of predicted encodings.
        change, change_predicted: mean absolute difference of neighbouring frames, real and
            predicted.
    """

    decoder: float
    copy: float
    predicted: float
    latent: float
    latent_copy: float
    spread: float
    spread_predicted: float
    change: float
    change_predicted: float


def validate(
    stage: str, settings: Settings, networks: Networks, data: TrainView, ctx: FitContext
) -> None:
    """Measure, log, draw a contact sheet, and check the figures against their bounds."""
    figures: list[ClipFigures] = []
    codes: list[Tensor] = []
    given = settings.given(ctx.task)
    networks.eval()
    with torch.inference_mode():
        for k, batch in enumerate(validation_clips(data, ctx.task, MOST_CLIPS)):
            # the task may give more frames than the method takes: the earliest are left out
            frames = to_tensor(batch.frames[:, ctx.task.n_max - given :], ctx.device)
            label = None if batch.label is None else torch.from_numpy(np.array(batch.label))
            action = settings.actions(label, 1, ctx.task.n_classes).to(ctx.device)
            clip = _PredictedClip(networks, settings, stage, frames, given, k, action)
            figures.append(clip.figures())
            codes.append(clip.codes[0])
            if k < _SHEETS:
                ctx.image(f"validation-{k}", clip.sheet())
    if not figures:
        ctx.note("no validation clip is long enough: acceptance checks not measured")
        return
    between = float(torch.stack([c.mean(0) for c in codes]).std(0, correction=0).mean())
    _check(stage, figures, between, ctx)


class _PredictedClip:
    """One validation clip, encoded, predicted and drawn.

    Args:
        frames: [1,L,3,H,W].
        n: given frames.
        action: [1,slot].
    """

    def __init__(
        self,
        networks: Networks,
        settings: Settings,
        stage: str,
        frames: Tensor,
        n: int,
        seed: int,
        action: Tensor,
    ) -> None:
        unit, steps = settings.unit(stage), frames.shape[1] - 1
        self.frames, self.n = frames, n
        self.codes = networks.encoder(frames, unit)
        noise = None
        if networks.predictor.noise:
            noise = normal([seed], (steps, networks.predictor.noise), frames.device)
        predicted = networks.predictor(self.codes[:, :n], steps, noise, unit, action)
        self.continued = predicted[:, n - 1 :]
        first = (frames[:, 0], self.codes[:, 0])
        self.drawn = networks.decoder(*first, self.codes[:, n:]).clamp(0, 1)
        self.predicted = networks.decoder(*first, self.continued).clamp(0, 1)

    def figures(self) -> ClipFigures:
        """What is measured."""
        real, last = self.frames[:, self.n :], self.frames[:, self.n - 1 : self.n]
        true, kept = self.codes[:, self.n :], self.codes[:, self.n - 1 : self.n]
        return ClipFigures(
            _error(self.drawn, real),
            _error(last, real),
            _error(self.predicted, real),
            _error(self.continued, true),
            _error(kept, true),
            _spread(true),
            _spread(self.continued),
            _change(real),
            _change(self.predicted),
        )

    def sheet(self) -> Frames:
        """Real, drawn from true encodings, predicted."""
        given = to_uint8(self.frames[0, : self.n])
        rows = [
            (name, np.concatenate([given, to_uint8(part[0])]))
            for name, part in (
                ("real", self.frames[:, self.n :]),
                ("true codes", self.drawn),
                ("predicted", self.predicted),
            )
        ]
        return contact_sheet(rows, columns=10, first=1 - self.n)


def _error(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean())


def _spread(codes: Tensor) -> float:
    return float(codes.std(1, correction=0).mean())


def _change(video: Tensor) -> float:
    return float((video[:, 1:] - video[:, :-1]).abs().mean()) if video.shape[1] > 1 else 0.0


def _check(stage: str, clips: list[ClipFigures], between: float, ctx: FitContext) -> None:
    names = [f.name for f in fields(ClipFigures)]
    mean = {name: float(np.mean([getattr(c, name) for c in clips])) for name in names}
    # a clip that stands still has no gain
    gains = [_decibels(c.copy, c.decoder) for c in clips if c.copy > 0]
    gain = float(np.mean(gains)) if gains else math.nan
    figures = {
        "decoder_gain": gain,
        "prediction_gain": _decibels(mean["copy"], mean["predicted"]),
        "latent_ratio": _ratio(mean["latent"], mean["latent_copy"]),
        "spread_ratio": _ratio(mean["spread_predicted"], mean["spread"]),
        "spread_share": _ratio(mean["spread"], between),
        "change_ratio": _ratio(mean["change_predicted"], mean["change"]),
    }
    ctx.log({f"val_{k}": v for k, v in {**mean, **figures}.items()})
    if stage != "e2e":  # it never draws true encodings, nor compares any
        ctx.check(
            "decoder on true encodings over copy-last", gain, at_least=DECODER_GAIN, unit="dB"
        )
        ctx.check(
            "predicted encodings' squared error over that of repeating the last",
            figures["latent_ratio"],
            at_most=LATENT_RATIO,
        )
        ctx.check(
            "collapse alarm: spread over time of encodings over that between clips",
            figures["spread_share"],
            at_least=LEAST_SPREAD,
        )
        ctx.check(
            "collapse alarm: spread over time of predicted encodings over that of true ones",
            figures["spread_ratio"],
            at_least=LEAST_SPREAD,
        )
    ctx.check(
        "collapse alarm: frame change of predictions over that of real clips",
        figures["change_ratio"],
        at_least=LEAST_SPREAD,
    )


def _decibels(worse: float, better: float) -> float:
    return 10 * math.log10(max(worse, 1e-10) / max(better, 1e-10))


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan
