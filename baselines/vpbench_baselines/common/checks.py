"""Acceptance checks of pixels that any model of videos can be asked for, with contact sheets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor

from vpbench.api import FitContext
from vpbench.kit import contact_sheet, to_tensor, to_uint8
from vpbench_baselines.common.windows import Windows

_SHEETS = 6
"""Clips that are drawn as pictures."""
_GAIN, _CHANGE, _SPREAD = 3.0, (0.5, 1.5), 0.1
"""Bounds, fixed before any training."""


def check_redrawn(held_out: Windows, redraw: Callable[[Tensor], Tensor], ctx: FitContext) -> None:
    """Frames that a codec draws from their own codes.

    Args:
        redraw: a clip [1,1+T,3,H,W] -> its frames after the first, [1,T,3,H,W].
    """
    gains: list[float] = []
    for k, clip in enumerate(_clips(held_out)):
        drawn, real = redraw(clip), clip[:, 1:]
        errors = [float((x - real).square().mean()) for x in (clip[:, :1], drawn)]
        if errors[0] > 0:  # a clip that stands still has no gain
            gains.append(10 * math.log10(errors[0] / max(errors[1], 1e-10)))
        _sheet(ctx, k, [("real", real), ("drawn", drawn)])
    gain = float(np.mean(gains)) if gains else math.nan
    ctx.log({"val_gain": gain})
    ctx.check("frames drawn from their codes, PSNR over copy-last", gain, at_least=_GAIN, unit="dB")


def check_samples(
    held_out: Windows, draw: Callable[[Tensor, Tensor, int], Tensor], ctx: FitContext
) -> None:
    """Two samples for each clip: do they move as much as real ones, and in their own ways?

    Args:
        draw: first frame [1,3,H,W], label [1], seed -> a future [1,T',3,H,W], T' at least T.
    """
    moved, apart = np.zeros(2), np.zeros(2)
    for k, clip in enumerate(_clips(held_out)):
        first, real, label = clip[:, 0], clip[:, 1:], held_out.label[k : k + 1]
        two = [draw(first, label, 2 * held_out.index[k] + s) for s in (0, 1)]
        one, other = (video[:, : real.shape[1]] for video in two)
        moved += [float(v.diff(dim=1).abs().mean()) for v in (one, real)]
        apart += [float((a - b).abs().mean()) for a, b in ((one, other), (real, first[:, None]))]
        _sheet(ctx, k, [("real", real), ("sample 1", one), ("sample 2", other)])
    change, spread = (a / b if b > 0 else math.nan for a, b in (moved.tolist(), apart.tolist()))
    ctx.log({"val_change": change, "val_spread": spread})
    name = "frame change of samples over that of real clips"
    ctx.check(name, change, at_least=_CHANGE[0], at_most=_CHANGE[1])
    name = "difference of two samples over that of real futures from their first frame"
    ctx.check(name, spread, at_least=_SPREAD)


def _clips(held_out: Windows) -> Iterator[Tensor]:
    """One clip [1,1+T,3,H,W] after the other."""
    return (to_tensor(x[None], x.device) for x in held_out.frames)


def _sheet(ctx: FitContext, number: int, rows: Sequence[tuple[str, Tensor]]) -> None:
    if number < _SHEETS:
        sheet = contact_sheet([(n, to_uint8(v[0])) for n, v in rows], columns=8, first=1)
        ctx.image(f"validation-{number}", sheet)
