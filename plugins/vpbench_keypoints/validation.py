"""Figures and pictures of the first stage on validation clips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vpbench.api import BadData, Clip, FitContext, Frames, TrainView
from vpbench.kit import (
    PerceptualLoss,
    Training,
    evaluating,
    round_weights,
    task_window,
    to_tensor,
)
from vpbench_keypoints.losses import changed_pixels
from vpbench_keypoints.pictures import loss_curves, translation_sheet
from vpbench_keypoints.readout import Readout, linear_readout
from vpbench_keypoints.schedule import NOT_MEASURED, SMOKE_STEPS

_CLIPS = 48
_TARGETS = 4
"""A validation draws 48 clips with 4 targets each, spread over the task's horizon; all clips would
take longer than the steps between two validations."""
_BATCH = 8
"""Clips that are drawn at once, which bounds the memory."""
_READ_FRAMES = 5
"""The read-out of joints looks at so many frames of a clip, besides the first."""
_READ_CLIPS = 450
"""It looks at about so many clips of each split, which bounds its time on large datasets."""
_SHOWN = 4
"""Clips in the picture of a validation."""
_HIGHEST_PSNR = 60.0
"""dB; a cap for clips that stand still, whose error is almost 0."""


class Translation:
    """Draws target frames from a source frame and the target's own keypoints.

    Args:
        perceptual: the distance on which checkpoints are chosen; without it PSNR is.
    """

    def __init__(
        self, detector: Any, translator: Any, perceptual: PerceptualLoss | None = None
    ) -> None:
        self.detector, self.translator, self.perceptual = detector, translator, perceptual

    def __call__(self, source: Tensor, targets: Tensor, pose: Tensor | None) -> dict[str, Tensor]:
        """What the translator makes of them, and how.

        Args:
            source: [B,3,H,W] in [0,1].
            targets: [B,T,3,H,W] in [0,1].
            pose: joints [B,1+T,J,3] of both, for detectors that ask for them.

        Returns:
            The translator's intermediates [B,T,C,H,W], and keypoints [B,1+T,K,3].
        """
        frames = torch.cat([source[:, None], targets], 1)
        points = self.detector.detect(frames, pose)
        intermediates = self.translator.intermediates(source, points[:, 0], points[:, 1:])
        return {**intermediates, "keypoints": points}


@dataclass(frozen=True)
class Figures:
    """Means over validation clips.

    Attributes:
        psnr: of the drawn frames, dB; of a clip's mean squared error.
        copying: PSNR of repeating the source.
        changed: L1 on pixels that changed, as a part of copying's.
        distance: the perceptual one, where copying costs about 10; None without a network.
    """

    psnr: float
    copying: float
    changed: float
    distance: float | None

    @property
    def gain(self) -> float:
        """dB above repeating the source."""
        return self.psnr - self.copying

    @property
    def cost(self) -> float:
        """What a checkpoint is chosen by: the smaller the better."""
        return -self.psnr if self.distance is None else self.distance

    def logged(self) -> dict[str, float]:
        """As the training's log has them."""
        values = {"val_psnr": self.psnr, "val_gain": self.gain, "val_changed": self.changed}
        return values if self.distance is None else {**values, "val_perceptual": self.distance}


def window_of(ctx: FitContext) -> tuple[Clip, list[int]]:
    """The task's window, and the places of source and targets in it."""
    given, horizon = ctx.task.n_max, ctx.task.horizon
    count = min(_TARGETS, horizon)
    places = [given - 1 + round((k + 1) * horizon / count) for k in range(count)]
    return task_window(ctx.task), [given - 1, *places]


def validation_frames(data: TrainView, ctx: FitContext) -> tuple[Tensor, Tensor | None] | None:
    """Source and target frames of validation clips, [N,1+T,3,H,W] in [0,1], and their poses.

    None without validation clips, or if none is long enough.
    """
    window, places = window_of(ctx)
    n = min(_CLIPS, data.len("val"))
    if not n:
        return None
    try:
        batch = next(data.batches("val", window, n, stream="validation"))
    except BadData:
        return None
    frames = to_tensor(np.ascontiguousarray(batch.frames[:, places]))
    pose = None if batch.pose is None else torch.from_numpy(batch.pose[:, places].copy())
    return frames, pose


@torch.no_grad()
def measure(translation: Translation, frames: Tensor, pose: Tensor | None) -> Figures:
    """Figures of a translation on frames [N,1+T,3,H,W] in [0,1]."""
    psnr = copying = wrong = due = distance = 0.0
    for part in range(0, len(frames), _BATCH):
        some = frames[part : part + _BATCH]
        joints = None if pose is None else pose[part : part + _BATCH]
        source, targets = some[:, 0], some[:, 1:]
        fake = translation(source, targets, joints)["final"]
        still = source[:, None].expand_as(targets)
        psnr += float(_psnr(fake, targets).sum())
        copying += float(_psnr(still, targets).sum())
        flat = [v.flatten(0, 1) for v in (still, targets, fake)]
        changed = changed_pixels(flat[0] * 2.0, flat[1] * 2.0)
        wrong += float(((flat[2] - flat[1]).abs() * changed).sum())
        due += float(((flat[0] - flat[1]).abs() * changed).sum())
        if translation.perceptual is not None:
            distance += float(translation.perceptual(flat[2], flat[1])) * len(some)
    n = len(frames)
    return Figures(
        psnr / n,
        copying / n,
        wrong / max(due, 1e-12),
        None if translation.perceptual is None else distance / n,
    )


def _psnr(fake: Tensor, real: Tensor) -> Tensor:
    """[N], dB; capped, for clips that stand still."""
    error = (fake - real).double().square().mean((1, 2, 3, 4))
    return -10.0 * torch.log10(error.clamp_min(10.0 ** (-_HIGHEST_PSNR / 10.0)))


@torch.no_grad()
def read_joints(
    detector: Any, data: TrainView, ctx: FitContext, most: int = _READ_CLIPS
) -> Readout | None:
    """The linear read-out of joints on validation clips; None without poses or such clips."""
    if not data.len("val") or not ctx.task.n_joints:
        return None
    sides = [_keypoints_and_joints(detector, data, ctx, split, most) for split in ("train", "val")]
    if any(side is None for side in sides):
        return None
    return linear_readout(sides[0], sides[1], ctx.task.size)  # pyright: ignore[reportArgumentType]


def _keypoints_and_joints(
    detector: Any, data: TrainView, ctx: FitContext, split: str, most: int
) -> Any:
    count = data.len(split)
    chosen = range(0, count, max(1, count // most))
    points, joints, labels = [], [], []
    for i in chosen:
        length = data.length(split, i)
        places = sorted({round(k * (length - 1) / _READ_FRAMES) for k in range(_READ_FRAMES + 1)})
        pose = data.pose(split, i, places)
        if pose is None:
            return None
        frames = to_tensor(data.read(split, i, places), ctx.device)
        points.append(detector.detect(frames[None], torch.from_numpy(pose)[None])[0].cpu().numpy())
        joints.append(pose)
        labels += [data.label(split, i) or 0] * len(places)
    return np.concatenate(points), np.concatenate(joints), np.array(labels, np.int64)


class Validator:
    """Validates while a training runs, keeps the best weights, writes pictures.

    Without validation clips the last weights are kept, and no check is measured.

    Args:
        networks: whose weights are kept.
        training: its `extra` gets `validation`: the best cost so far, the weights that led to it,
            and the curve, all of which are stored and resumed with the training.
    """

    def __init__(
        self,
        translation: Translation,
        networks: Mapping[str, nn.Module],
        data: TrainView,
        ctx: FitContext,
        training: Training,
    ) -> None:
        self.translation, self.networks, self.data, self.ctx = translation, networks, data, ctx
        self.training = training
        training.extra["validation"] = {"best": None, "weights": None, "curve": []}
        self.held_out = validation_frames(data, ctx)
        if self.held_out is not None:
            frames, pose = self.held_out
            self.held_out = frames.to(ctx.device), None if pose is None else pose.to(ctx.device)

    def validate(self, done: int) -> None:
        """Measure, log, draw, and keep the weights where they are the best so far."""
        if self.held_out is None:
            return
        kept: dict[str, Any] = self.training.extra["validation"]
        with self._evaluating():
            figures = measure(self.translation, *self.held_out)
            self._picture(*self.held_out)
        self.ctx.log(figures.logged())
        curve = [*kept["curve"], [done, figures.gain, figures.changed]]
        self.ctx.image("validation", _curves(curve))
        kept = {**kept, "curve": curve}
        if kept["best"] is None or figures.cost < kept["best"]:
            weights = {
                name: {k: v.clone() for k, v in net.state_dict().items()}
                for name, net in self.networks.items()
            }
            kept |= {"best": figures.cost, "weights": weights}
        self.training.extra["validation"] = kept

    def finish(self) -> None:
        """Put the best weights back, rounded as they will be stored, and run the checks."""
        for name, net in self.networks.items():
            if self.held_out is not None:
                net.load_state_dict(self.training.extra["validation"]["weights"][name])
            round_weights(net)
        if self.held_out is None:
            self.ctx.note(NOT_MEASURED)
            return
        if self.training.steps < SMOKE_STEPS:
            return
        with self._evaluating():
            figures = measure(self.translation, *self.held_out)
            joints = read_joints(self.translation.detector, self.data, self.ctx)
        check = self.ctx.check
        check("translation above copying", figures.gain, at_least=5.0, unit="dB")
        check("L1 on changed pixels, part of copying's", figures.changed, at_most=0.4)
        if joints is not None:
            check("joint error, part of the mean pose's", joints.ratio, at_most=0.6)
            check("PCK@0.1 of joints read from keypoints", joints.pck, at_least=0.7)

    def _evaluating(self) -> Any:
        return evaluating([self.translation.detector, self.translation.translator])

    @torch.no_grad()
    def _picture(self, frames: Tensor, pose: Tensor | None) -> None:
        some = frames[:_SHOWN]
        pose = None if pose is None else pose[:_SHOWN]
        intermediates = self.translation(some[:, 0], some[:, 1:], pose)
        if math.isfinite(float(intermediates["final"].sum())):
            self.ctx.image("translation", translation_sheet(some, intermediates))


def _curves(curve: Sequence[Sequence[float]]) -> Frames:
    """The gain and the error on changed pixels over the steps."""
    return loss_curves(
        [row[0] for row in curve],
        {
            "gain on copying, dB": [row[1] for row in curve],
            "L1 on changed pixels": [row[2] for row in curve],
        },
    )
