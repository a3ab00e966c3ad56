"""Pictures and figures of the generator on validation clips, and its acceptance check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vpbench.api import BadData, Clip, FitContext, Frames, TrainView
from vpbench.kit import Training, contact_sheet, draw_keypoints, evaluating, to_tensor, to_uint8
from vpbench_baselines.villegas.poses import Poses

if TYPE_CHECKING:
    from vpbench_baselines.villegas.translator import AnalogyTranslator

MOST_CLIPS = 96
"""Validation clips that are looked at."""
GENERATOR_GAIN = 3.0
"""Bound of the acceptance check, dB; fixed before any training."""
_TIMES = 8
"""Pictures in the course of a training, none less than `_RARELY` steps after another."""
_RARELY = 50
_SHOWN = 4


@dataclass(frozen=True)
class Seen:
    """One validation clip: the last given frame, what was to come, and what was drawn.

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
        """Real, true poses on it, drawn from true poses, drawn from found ones."""
        given, real = to_uint8(self.before), to_uint8(self.real)
        overlaid = draw_keypoints(real, self.poses.cpu().numpy())
        parts = (
            ("real", real),
            ("poses", overlaid),
            ("true poses", to_uint8(self.drawn)),
            ("found poses", to_uint8(self.guided)),
        )
        rows = [(name, np.concatenate([given, frames])) for name, frames in parts]
        return contact_sheet(rows, columns=10, first=1 - len(given))


def look(
    translator: AnalogyTranslator, poses: Poses, data: TrainView, ctx: FitContext, most: int
) -> Iterator[Seen]:
    """Validation clips, each once, as the task cuts it; none where none is long enough."""
    n = ctx.task.n_max
    if not data.len("val"):
        return
    batches = data.batches(
        "val", Clip(n + ctx.task.horizon, "task", "task"), 1, stream="validation"
    )
    numbers: set[int] = set()
    while True:
        try:
            batch = next(batches)
        except BadData:  # none is long enough
            return
        number = int(batch.index[0])
        if number in numbers or len(numbers) >= most:
            return
        numbers.add(number)
        frames = to_tensor(batch.frames, ctx.device)
        true, found = poses.true(batch, frames), poses.found(frames, batch.pose)
        last = frames[:, n - 1]
        drawn, guided = (
            translator.render(last, points[:, n - 1], points[:, n:])[0] for points in (true, found)
        )
        yield Seen(frames[0, :n], frames[0, n:], drawn, guided, true[0, n:])


class Watcher:
    """Draws validation clips while a training runs."""

    def __init__(
        self, translator: AnalogyTranslator, poses: Poses, data: TrainView, ctx: FitContext
    ) -> None:
        self.translator, self.poses, self.data, self.ctx = translator, poses, data, ctx

    def after(self, done: int, training: Training) -> None:
        """Draw and log every so often."""
        if done % max(_RARELY, training.steps // _TIMES):
            return
        gains: list[float] = []
        with torch.inference_mode(), evaluating([self.translator]):
            some = look(self.translator, self.poses, self.data, self.ctx, _SHOWN)
            for k, seen in enumerate(some):
                self.ctx.image(f"validation-{k}", seen.sheet())
                gains += _known(seen.gain(seen.drawn))
        if gains:
            self.ctx.log({"val_gain_of_few": float(np.mean(gains))})


def judge(translator: AnalogyTranslator, poses: Poses, data: TrainView, ctx: FitContext) -> None:
    """Measure at the end of a stage, log, draw, and check the figure against its bound."""
    true: list[float] = []
    found: list[float] = []
    count = 0
    with torch.inference_mode(), evaluating([translator]):
        for k, seen in enumerate(look(translator, poses, data, ctx, MOST_CLIPS)):
            count += 1
            true += _known(seen.gain(seen.drawn))
            found += _known(seen.gain(seen.guided))
            if k < _SHOWN:
                ctx.image(f"validation-{k}", seen.sheet())
    if not count:
        ctx.note(
            "no validation clip is long enough: acceptance checks of the generator not measured"
        )
        return
    figures: dict[str, Any] = {"val_gain": _mean(true), "val_gain_found": _mean(found)}
    ctx.log(figures)
    ctx.check(
        "generator with true future poses over copy-last",
        figures["val_gain"],
        at_least=GENERATOR_GAIN,
        unit="dB",
    )


def _known(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan
