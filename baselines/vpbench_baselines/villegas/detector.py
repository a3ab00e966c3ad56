"""The detector of `villegas`: a heat-map regressor that is trained on annotated joints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vpbench.api import BadData, Batch, Clip, FitContext, TaskInfo, TrainView
from vpbench.kit import (
    Made,
    Prefetch,
    Training,
    contact_sheet,
    draw_keypoints,
    evaluating,
    load_weights,
    pose_to_tensor,
    round_weights,
    save_weights,
    seeded,
    to_tensor,
    to_uint8,
    train,
)
from vpbench_baselines.common.gradients import set_rate
from vpbench_baselines.villegas.errors import joint_errors
from vpbench_baselines.villegas.heatmaps import HeatMapNetwork, heat_map_loss, read_points
from vpbench_baselines.villegas.params import DETECTOR, DETECTOR_PRESETS
from vpbench_baselines.villegas.schedule import (
    augment_of,
    note_finished,
    precision_of,
    rate_factor,
    require,
)

CHUNK = 64
"""Images that pass through the network at once, which bounds the memory."""
_TIMES = 6
"""Pictures in the course of a training."""
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
    low = precision != torch.float32
    with torch.autocast(images.device.type, precision, enabled=low):
        logits, seen = network(images)
    return heat_map_loss(logits, seen, points, spread, visible_weight)


class PoseDetector(nn.Module):
    """Joints of each frame, by a network that learned them; `factory(task, params, space)`."""

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__()
        self.params = dict(params)
        require(params, {"n_keypoints": 1, "width": 1, "steps": 1, "batch": 1})
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Untrained weights, drawn from `seed`."""
        self.net = make_network(int(self.params["n_keypoints"]), int(self.params["width"]), seed)

    def detect(self, frames: Tensor, pose: Tensor | None) -> Tensor:
        """float32 [B,T,3,H,W] in [0,1] -> [B,T,J,3]; `pose` is not looked at."""
        images = frames.flatten(0, 1) * 2 - 1
        found = torch.cat([read_points(*self.net(part)) for part in images.split(CHUNK)])
        return found.unflatten(0, frames.shape[:2])

    # -- training -----------------------------------------------------------------------------

    def fit(self, data: TrainView, ctx: FitContext) -> None:
        """Train on the joints of the train split.

        Raises:
            BadData: the clips have no joints, or not as many as `n_keypoints` says.
        """
        p = self.params
        self.reset(ctx.seed)
        self.net.to(ctx.device).train()
        adam = torch.optim.Adam(self.net.parameters(), float(p["rate"]))
        steps = int(p["steps"])
        training = Training(
            "villegas-detector:fit",
            {"detector": self.net},
            {"adam": adam},
            steps,
            ("batch", "width"),
        )
        precision = precision_of(str(p["precision"]))
        held_out = _validation(data, ctx)

        def begin(done: int) -> Any:
            batches = Prefetch(data.batches("train", Clip(1), int(p["batch"]), augment_of(p), done))

            def step(k: int) -> Made:
                batch = next(batches)
                images, points = self._inputs(batch, ctx.device)
                set_rate(adam, float(p["rate"]) * rate_factor(str(p["schedule"]), k, steps))
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
                return Made({"loss": float(loss.detach())}, batch.index)

            return step

        def after(done: int) -> None:
            if held_out is not None and (done % max(50, steps // _TIMES) == 0 or done == steps):
                self._picture(*held_out, ctx)

        if train(ctx, training, begin, after):
            round_weights(self.net)
            note_finished(ctx, p, DETECTOR, DETECTOR_PRESETS, 1)
            self._judge(data, held_out, ctx)

    def _inputs(self, batch: Batch, device: str) -> tuple[Tensor, Tensor]:
        points = pose_to_tensor(batch.pose, device)
        if points is None or points.shape[2] != int(self.params["n_keypoints"]):
            there = 0 if points is None else points.shape[2]
            raise BadData(
                f"villegas-detector: the clips have {there} joints, not "
                f"{self.params['n_keypoints']}.",
                fix="Set detector.n_keypoints.",
            )
        return to_tensor(batch.frames[:, 0], device) * 2 - 1, points[:, 0]

    def _found(self, frames: Tensor) -> Tensor:
        with torch.inference_mode(), evaluating([self]):
            return self.detect(frames, None)

    def _picture(self, frames: Tensor, pose: Tensor, ctx: FitContext) -> None:
        """True and found joints of some frames."""
        some = slice(0, 8)
        shown = to_uint8(frames[some, 0])
        found = self._found(frames[some])[:, 0].cpu().numpy()
        joints = pose[some, 0].cpu().numpy()
        rows = [
            ("frame", shown),
            ("true joints", draw_keypoints(shown, joints)),
            ("found", draw_keypoints(shown, found)),
        ]
        ctx.image("joints", contact_sheet(rows, header=False))

    def _judge(
        self, data: TrainView, held_out: tuple[Tensor, Tensor] | None, ctx: FitContext
    ) -> None:
        if held_out is None:
            ctx.note(
                "no validation clip with joints: acceptance checks of the detector not measured"
            )
            return
        frames, pose = held_out
        found = self._found(frames)
        mean = _mean_pose(data, ctx)
        error = float(joint_errors(found, pose).mean())
        usual = float(joint_errors(mean.expand_as(pose), pose).mean())
        seen = pose[..., 2] > 0
        told = float(((found[..., 2] > 0) == seen).float().mean())
        ctx.log({"val_joint_error": error, "val_mean_pose_error": usual, "val_seen": told})
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
    count = min(256, 2 * data.len("val"))
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
    batch = next(data.batches("train", Clip(1), min(256, data.len("train")), stream="mean"))
    pose = np.asarray(batch.pose, np.float64)[:, 0]
    there = pose[..., 2:] > 0
    total = np.where(there, pose[..., :2], 0).sum(0) / np.maximum(there.sum(0), 1)
    mean = np.concatenate([total, np.ones_like(total[:, :1])], -1)
    return torch.from_numpy(mean.astype(np.float32)).to(ctx.device)[None, None]
