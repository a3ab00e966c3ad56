"""Pictures and figures of the generator on validation clips, and its acceptance check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vpbench.api import FitContext, Frames, TrainView
from vpbench.kit import (
    contact_sheet,
    draw_keypoints,
    evaluating,
    to_tensor,
    to_uint8,
    validation_clips,
)
from vpbench_baselines.villegas.drawer import AnalogyDrawer
from vpbench_baselines.villegas.poses import Poses

MOST_CLIPS = 96
"""Validation clips that are looked at."""
GENERATOR_GAIN = 3.0
"""Bound of the acceptance check, dB; fixed before any training."""
N_PICTURES = 8
"""Pictures in the course of a training."""
_SHOWN = 4
"""Clips that are drawn as pictures."""


@dataclass(frozen=True)
class DrawnClip:
    """One validation clip: the given frames, what was to come, and what was drawn.

    Attributes:
        before: [n,3,H,W] in [0,1], the given frames.
        real, drawn, guided: [T,3,H,W]: true frames, frames drawn from true poses, and those whose
            reference pose is the detector's, as in a prediction, under its poses of the true
            future.
        poses: [T,K,3], true ones.
    """

    before: Tensor
    real: Tensor
    drawn: Tensor
    guided: Tensor
    poses: Tensor

    def gain(self, video: Tensor) -> float | None:
        """PSNR above copy-last, dB; None for a clip that stands still."""
        still = float((self.before[-1:] - self.real).double().square().mean())
        error = float((video - self.real).double().square().mean())
        return 10 * math.log10(still / max(error, 1e-10)) if still > 0 else None

    def sheet(self) -> Frames:
        """Real, true poses on it, drawn from true poses, drawn from detected ones."""
        given, real = to_uint8(self.before), to_uint8(self.real)
        overlaid = draw_keypoints(real, self.poses.cpu().numpy())
        parts = (
            ("real", real),
            ("poses", overlaid),
            ("true poses", to_uint8(self.drawn)),
            ("detected poses", to_uint8(self.guided)),
        )
        rows = [(name, np.concatenate([given, frames])) for name, frames in parts]
        return contact_sheet(rows, columns=10, first=1 - len(given))


def drawn_clips(
    drawer: AnalogyDrawer, poses: Poses, data: TrainView, ctx: FitContext, most: int
) -> Iterator[DrawnClip]:
    """Validation clips, each once, as the task cuts it; none where none is long enough."""
    n = ctx.task.n_max
    for batch in validation_clips(data, ctx.task, most):
        frames = to_tensor(batch.frames, ctx.device)
        true, detected = poses.true(batch, frames), poses.detected(frames, batch.pose)
        last = frames[:, n - 1]
        drawn, guided = (
            drawer.render(last, points[:, n - 1], points[:, n:])[0] for points in (true, detected)
        )
        yield DrawnClip(frames[0, :n], frames[0, n:], drawn, guided, true[0, n:])


def draw_validation(drawer: AnalogyDrawer, poses: Poses, data: TrainView, ctx: FitContext) -> None:
    """Draw a few validation clips while a training runs, and log their mean gain."""
    gains: list[float] = []
    with torch.inference_mode(), evaluating([drawer]):
        for k, clip in enumerate(drawn_clips(drawer, poses, data, ctx, _SHOWN)):
            ctx.image(f"validation-{k}", clip.sheet())
            gains += _known(clip.gain(clip.drawn))
    if gains:
        ctx.log({"val_gain_of_few": float(np.mean(gains))})


def check_generator(drawer: AnalogyDrawer, poses: Poses, data: TrainView, ctx: FitContext) -> None:
    """Measure at the end of a stage, log, draw, and check the figure against its bound."""
    true: list[float] = []
    detected: list[float] = []
    count = 0
    with torch.inference_mode(), evaluating([drawer]):
        for k, clip in enumerate(drawn_clips(drawer, poses, data, ctx, MOST_CLIPS)):
            count += 1
            true += _known(clip.gain(clip.drawn))
            detected += _known(clip.gain(clip.guided))
            if k < _SHOWN:
                ctx.image(f"validation-{k}", clip.sheet())
    if not count:
        ctx.note(
            "no validation clip is long enough: acceptance checks of the generator not measured"
        )
        return
    ctx.log({"val_gain": _mean(true), "val_gain_found": _mean(detected)})
    ctx.check(
        "generator with true future poses over copy-last",
        _mean(true),
        at_least=GENERATOR_GAIN,
        unit="dB",
    )


def _known(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan
