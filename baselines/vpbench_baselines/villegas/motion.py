"""The motion model of `villegas`: an LSTM that is fed poses, then nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api import (
    BadData,
    Batch,
    Clip,
    Corrupt,
    FitContext,
    Frames,
    KeypointView,
    Refused,
    TaskInfo,
)
from vpbench.kit import (
    Training,
    contact_sheet,
    draw_keypoints,
    evaluating,
    load_state,
    load_weights,
    pose_to_tensor,
    rate_factor,
    require_at_least,
    require_one_of,
    round_weights,
    save_weights,
    seeded,
    set_rate,
    task_window,
    training_steps,
)
from vpbench_baselines.common.figures import read
from vpbench_baselines.villegas.errors import joint_errors, masked_error
from vpbench_baselines.villegas.networks import PoseLSTM
from vpbench_baselines.villegas.params import MOTION, MOTION_PRESETS
from vpbench_baselines.villegas.settings import augment_of, note_finished

MOST_GIVEN = 10
"""Frames that the original is given; more are left out."""
_SMOOTHING = 0.9
"""Of RMSProp's mean square; TensorFlow's default, where torch has 0.99."""
_MOST_CLIPS = 96
"""Validation clips that are looked at."""
_SHOWN = 4
"""Clips that are drawn as pictures."""
_LARGEST_RATIO = 0.8
"""Bound of the acceptance check: joint error over that of repeating the last pose; fixed before any
training."""


def numbers_of(points: Tensor) -> Tensor:
    """[...,K,3] -> [...,2K]: all x, then all y; 0 for a missing point."""
    there = points[..., 2] > 0
    axes = [torch.where(there, points[..., axis], 0.0) for axis in (0, 1)]
    return torch.cat(axes, -1)


def points_of(numbers: Tensor) -> Tensor:
    """[...,2K] -> [...,K,2]."""
    return torch.stack(numbers.chunk(2, -1), -1)


class PoseMotion(nn.Module):
    """The pose LSTM; `factory(task, params, space)` of a motion component.

    It takes points of any kind and number: how many is known when it is trained or loaded.
    """

    def __init__(self, task: TaskInfo, params: Mapping[str, Any], space: object) -> None:
        super().__init__()
        self.params = dict(params)
        require_at_least(
            params, {"embedding": 1, "hidden": 1, "steps": 1, "batch": 1, "clip": 1e-9}
        )
        require_one_of(params, {"label": ("off", "on")})
        self.classes = task.n_classes if params["label"] == "on" else 0
        self.net: PoseLSTM | None = None

    def reset(self, count: int, seed: int) -> PoseLSTM:
        """Untrained weights for `count` points, drawn from `seed`."""
        with seeded(seed):
            self.net = PoseLSTM(
                2 * count, int(self.params["embedding"]), int(self.params["hidden"]), self.classes
            )
        return self.net

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """[B,n,K,3] -> [B,T,K,3]; labels int64 [B] count with label=on, seeds never do.

        Confidences are those of the last given frame: a point that cannot be seen there stays out
        of sight.
        """
        net = self.net or self.reset(keypoints.shape[2], 0).to(keypoints.device)
        given = keypoints[:, -MOST_GIVEN:]
        places = points_of(net(numbers_of(given), horizon, self._fed(label)))
        sure = given[:, -1:, :, 2:].expand(-1, horizon, -1, -1)
        return torch.cat([places, sure], -1)

    def _fed(self, label: Tensor | None) -> Tensor | None:
        """The class as the LSTM is fed it, [B,classes]; None with label=off.

        Raises:
            Refused: it is to be fed and there is none.
        """
        if not self.classes:
            return None
        if label is None:
            raise Refused("villegas-motion[label=on] needs a label, none is given.")
        return F.one_hot(label, self.classes).float()

    # -- training -----------------------------------------------------------------------------

    def fit(self, data: KeypointView, ctx: FitContext) -> None:
        """Train on annotated joints where the detector finds these, else on its keypoints.

        Raises:
            BadData: the detector finds joints and a clip has none.
        """
        p, given, steps = self.params, min(ctx.task.n_max, MOST_GIVEN), int(self.params["steps"])
        joints = finds_joints(ctx.component("detector"), ctx.task)
        window = Clip(given + ctx.task.horizon, stride="task")
        net = self.reset(_count(data, window, joints), ctx.seed).to(ctx.device).train()
        weights = [w for w in net.parameters() if w.requires_grad]
        rmsprop = torch.optim.RMSprop(weights, float(p["rate"]), alpha=_SMOOTHING)
        training = Training(
            "villegas-motion:fit", {"lstm": net}, {"rmsprop": rmsprop}, steps, ("batch", "hidden")
        )

        def batches(done: int) -> Iterator[Batch]:
            return data.batches("train", window, int(p["batch"]), augment_of(p), done)

        with training:
            for step, batch in training_steps(ctx, training, batches, ahead=4):
                poses = paths_of(batch, joints).to(ctx.device)
                set_rate(rmsprop, float(p["rate"]) * rate_factor(str(p["schedule"]), step, steps))
                fed = self._fed(label_of(batch, ctx.device))
                predicted = points_of(net(numbers_of(poses[:, :given]), ctx.task.horizon, fed))
                loss = masked_error(predicted, poses[:, given:])
                rmsprop.zero_grad(set_to_none=True)
                loss.backward()
                length = nn.utils.clip_grad_norm_(weights, float(p["clip"]))
                rmsprop.step()
                figures = {"loss": loss.detach(), "gradient": length}
                training.log(read(figures, training), batch.index)
        if training.finished:
            round_weights(net)
            note_finished(ctx, p, MOTION, MOTION_PRESETS, MOST_GIVEN)
            self._check(data, joints, ctx)

    def _check(self, data: KeypointView, joints: bool, ctx: FitContext) -> None:
        paths = validation_paths(data, joints, ctx)
        if paths is None:
            ctx.note(
                "no validation clip is long enough: acceptance checks of the pose LSTM not measured"
            )
            return
        with torch.inference_mode(), evaluating([self]):
            seeds = torch.zeros(len(paths.given))  # which it does not use
            predicted = self.rollout(paths.given, paths.label, ctx.task.horizon, seeds)
        last = paths.last[:, None]
        counted = (last[..., 2] > 0).expand(paths.future.shape[:-1])
        error = float(joint_errors(predicted, paths.future, counted).mean())
        still = float(joint_errors(last.expand_as(predicted), paths.future, counted).mean())
        ctx.log({"val_joint_error": error, "val_joint_error_repeated": still})
        ctx.check(
            "joint error of the pose LSTM over that of repeating the last pose",
            error / still if still > 0 else float("nan"),
            at_most=_LARGEST_RATIO,
        )
        for k in range(min(_SHOWN, len(predicted))):
            ctx.image(f"poses-{k}", _sheet(paths, predicted, k, ctx.task.size))

    # -- files --------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write the weights: matrices in half precision."""
        if self.net is not None:
            save_weights(self.net, folder)

    def load(self, folder: Path, device: str) -> None:
        """Read the weights, and from them how many points there are."""
        leave = load_state(folder).get("leave.weight")
        if leave is None:
            raise Corrupt(f"{folder} holds no pose LSTM.", fix="Delete its stage folder.")
        load_weights(self.reset(len(leave) // 2, 0), folder, device)


def finds_joints(detector: Any, task: TaskInfo) -> bool:
    """Whether what a detector finds are the dataset's joints."""
    space = getattr(detector, "space", None)
    return bool(task.n_joints) and space is not None and tuple(space) == (task.n_joints, "joints")


def paths_of(batch: Batch, joints: bool) -> Tensor:
    """What is learned from a batch, [B,L,K,3]."""
    points = pose_to_tensor(batch.pose if joints else batch.keypoints)
    if points is None:
        raise BadData("villegas-motion: a training clip has no joints.")
    return points


def label_of(batch: Batch, device: str) -> Tensor | None:
    """Classes of a batch, int64 [B]."""
    return None if batch.label is None else torch.from_numpy(np.array(batch.label)).to(device)


def _count(data: KeypointView, window: Clip, joints: bool) -> int:
    return paths_of(next(data.batches("train", window, 1, stream="count")), joints).shape[2]


def _sheet(paths: Paths, predicted: Tensor, k: int, size: int) -> Frames:
    """Given and future points of clip `k` on black: true ones, then predicted ones."""
    rows: list[tuple[str, Frames]] = []
    for name, future in (("true", paths.future[k]), ("pose LSTM", predicted[k])):
        points = torch.cat([paths.given[k], future]).cpu().numpy()
        black = np.zeros((len(points), size, size, 3), np.uint8)
        rows.append((name, draw_keypoints(black, points)))
    return contact_sheet(rows, columns=10, first=1 - paths.given.shape[1])


@dataclass(frozen=True)
class Paths:
    """Validation clips: points of the detector in the given frames, and what was to come.

    Attributes:
        last: true points of the last given frame, so that repeating them is a strong comparison
            even where the detector is poor.
        label: int64 [N], or None.
    """

    given: Tensor
    last: Tensor
    future: Tensor
    label: Tensor | None


def validation_paths(data: KeypointView, joints: bool, ctx: FitContext) -> Paths | None:
    """Each validation clip as the task cuts it; None where there is none."""
    count, n = min(_MOST_CLIPS, data.len("val")), ctx.task.n_max
    if not count:
        return None
    try:
        batch = next(data.batches("val", task_window(ctx.task), count, stream="validation"))
    except BadData:  # none is long enough
        return None
    detected = pose_to_tensor(batch.keypoints, ctx.device)
    if detected is None:
        return None
    true = paths_of(batch, joints).to(ctx.device)
    seen, label = detected[:, max(0, n - MOST_GIVEN) : n], label_of(batch, ctx.device)
    return Paths(seen, true[:, n - 1], true[:, n:], label)
