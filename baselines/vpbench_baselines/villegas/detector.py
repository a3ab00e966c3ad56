"""The detector of `villegas`: a heat-map regressor that is trained on annotated joints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vpbench.api import BadData, Clip, FitContext, TaskInfo, TrainView
from vpbench.kit import (
    Training,
    autocast,
    contact_sheet,
    draw_keypoints,
    evaluating,
    load_weights,
    named_precision,
    pose_to_tensor,
    rate_factor,
    require_at_least,
    round_weights,
    save_weights,
    seeded,
    set_rate,
    to_tensor,
    to_uint8,
    training_steps,
    validation_due,
)
from vpbench_baselines.common.batches import TensorBatch, as_tensors, tensor_batches
from vpbench_baselines.common.figures import read
from vpbench_baselines.villegas.errors import joint_errors
from vpbench_baselines.villegas.heatmaps import HeatMapNetwork, heat_map_loss, read_points
from vpbench_baselines.villegas.params import DETECTOR, DETECTOR_PRESETS
from vpbench_baselines.villegas.settings import augment_of, note_finished

CHUNK = 64
"""Images that pass through the network at once, which bounds the memory."""
_N_PICTURES = 6
"""Pictures in the course of a training."""
_MOST_FRAMES = 256
"""Frames of validation, and of training for the mean pose."""
_SHOWN = 8
"""Frames in a picture."""
_LARGEST_ERROR = 0.4
"""Bound of the acceptance check: joint error, as a part of that of the mean pose; fixed before any
training."""


def make_network(count: int, width: int, seed: int) -> HeatMapNetwork:
    """An untrained regressor, drawn from `seed`."""
    with seeded(seed):
        network = HeatMapNetwork(count, width)
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def regression_loss(
    network: HeatMapNetwork,
    images: Tensor,
    points: Tensor,
    precision: torch.dtype,
    spread: float,
    visible_weight: float,
) -> Tensor:
    """The loss on images [N,3,H,W] in [-1,1] with points [N,K,3]."""
    with autocast(images.device, precision):
        logits, seen = network(images)
    return heat_map_loss(logits, seen, points, spread, visible_weight)


class PoseDetector(nn.Module):
    """Joints of each frame, by a network that learned them; `factory(task, params, space)`."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__()
        self.params = dict(params)
        require_at_least(params, {"n_keypoints": 1, "width": 1, "steps": 1, "batch": 1})
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Untrained weights, drawn from `seed`."""
        self.net = make_network(int(self.params["n_keypoints"]), int(self.params["width"]), seed)

    def detect(self, frames: Tensor, pose: Tensor | None) -> Tensor:
        """float32 [B,T,3,H,W] in [0,1] -> [B,T,J,3]; `pose` is not looked at."""
        images = frames.flatten(0, 1) * 2 - 1
        points = torch.cat([read_points(*self.net(part)) for part in images.split(CHUNK)])
        return points.unflatten(0, frames.shape[:2])

    # -- training -----------------------------------------------------------------------------

    def fit(self, data: TrainView, ctx: FitContext) -> None:
        """Train on the joints of the train split.

        Raises:
            BadData: the clips have no joints, or not as many as `n_keypoints` says.
        """
        p, steps = self.params, int(self.params["steps"])
        rate, precision = float(p["rate"]), named_precision(str(p["precision"]))
        self.reset(ctx.seed)
        self.net.to(ctx.device).train()
        adam = torch.optim.Adam(self.net.parameters(), rate)
        training = Training(
            "villegas-detector:fit",
            {"detector": self.net},
            {"adam": adam},
            steps,
            ("batch", "width"),
        )
        held_out = _validation(data, ctx)

        source = tensor_batches(data, ctx, Clip(1), int(p["batch"]), augment_of(p))

        with training:
            for step, made in training_steps(ctx, training, *source):
                batch = as_tensors(made, ctx.device)
                images, points = self._inputs(batch)
                set_rate(adam, rate * rate_factor(str(p["schedule"]), step, steps))
                loss = regression_loss(
                    self.net,
                    images,
                    points,
                    precision,
                    float(p["spread"]),
                    float(p["visible_weight"]),
                )
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                done = training.log(read({"loss": loss.detach()}, training), batch.index)
                if held_out is not None and validation_due(done, steps, _N_PICTURES):
                    self._picture(*held_out, ctx)
        if training.finished:
            round_weights(self.net)
            note_finished(ctx, p, DETECTOR, DETECTOR_PRESETS, 1)
            self._check(data, held_out, ctx)

    def _inputs(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        points = batch.pose
        if points is None or points.shape[2] != int(self.params["n_keypoints"]):
            there = 0 if points is None else points.shape[2]
            raise BadData(
                f"villegas-detector: the clips have {there} joints, not "
                f"{self.params['n_keypoints']}.",
                fix="Set detector.n_keypoints.",
            )
        return batch.frames[:, 0] * 2 - 1, points[:, 0]

    def _detected(self, frames: Tensor) -> Tensor:
        with torch.inference_mode(), evaluating([self]):
            return self.detect(frames, None)

    def _picture(self, frames: Tensor, pose: Tensor, ctx: FitContext) -> None:
        """True and detected joints of some frames."""
        some = slice(0, _SHOWN)
        shown = to_uint8(frames[some, 0])
        detected = self._detected(frames[some])[:, 0].cpu().numpy()
        joints = pose[some, 0].cpu().numpy()
        rows = [
            ("frame", shown),
            ("true joints", draw_keypoints(shown, joints)),
            ("detected", draw_keypoints(shown, detected)),
        ]
        ctx.image("joints", contact_sheet(rows, header=False))

    def _check(
        self, data: TrainView, held_out: tuple[Tensor, Tensor] | None, ctx: FitContext
    ) -> None:
        if held_out is None:
            ctx.note(
                "no validation clip with joints: acceptance checks of the detector not measured"
            )
            return
        frames, pose = held_out
        detected = self._detected(frames)
        mean = _mean_pose(data, ctx)
        error = float(joint_errors(detected, pose).mean())
        usual = float(joint_errors(mean.expand_as(pose), pose).mean())
        seen = pose[..., 2] > 0
        right = float(((detected[..., 2] > 0) == seen).float().mean())
        ctx.log({"val_joint_error": error, "val_mean_pose_error": usual, "val_seen": right})
        ctx.check(
            "joint error of the detector over that of the mean pose",
            error / usual if usual > 0 else float("nan"),
            at_most=_LARGEST_ERROR,
        )

    def save(self, folder: Path) -> None:
        """Write the weights: matrices in half precision."""
        save_weights(self.net, folder)

    def load(self, folder: Path, device: str) -> None:
        """Read the weights."""
        load_weights(self.net, folder, device)


def _validation(data: TrainView, ctx: FitContext) -> tuple[Tensor, Tensor] | None:
    """Frames [N,1,3,H,W] and joints [N,1,J,3] of validation clips; None without."""
    count = min(_MOST_FRAMES, 2 * data.len("val"))  # about two frames of each clip
    if not count:
        return None
    try:
        batch = next(data.batches("val", Clip(1), count, stream="validation"))
    except BadData:
        return None
    pose = pose_to_tensor(batch.pose, ctx.device)
    return None if pose is None else (to_tensor(batch.frames, ctx.device), pose)


def _mean_pose(data: TrainView, ctx: FitContext) -> Tensor:
    """Mean place of each joint over training frames, [1,1,J,3]."""
    batch = next(
        data.batches("train", Clip(1), min(_MOST_FRAMES, data.len("train")), stream="mean")
    )
    pose = np.asarray(batch.pose, np.float64)[:, 0]
    there = pose[..., 2:] > 0
    total = np.where(there, pose[..., :2], 0).sum(0) / np.maximum(there.sum(0), 1)
    mean = np.concatenate([total, np.ones_like(total[:, :1])], -1)
    return torch.from_numpy(mean.astype(np.float32)).to(ctx.device)[None, None]
