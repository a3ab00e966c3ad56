"""Motion models without a network: two learn nothing, one remembers, one averages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vpbench.api import BadData, Clip, FitContext, KeypointView, TaskInfo
from vpbench.api.specs import Value
from vpbench.kit.state import load_state, save_state


class Frozen:
    """Repeats the last given keypoints."""

    def __init__(
        self, task: TaskInfo, params: Mapping[str, Value], space: tuple[int, str] | None
    ) -> None:
        """Nothing is set up."""

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """float32 [B,n,K,3] -> [B,horizon,K,3]; neither label nor seeds are used."""
        return _still(keypoints[:, -1], horizon)

    def save(self, folder: Path) -> None:
        """Write nothing: nothing is learned."""

    def load(self, folder: Path, device: str) -> None:
        """Read nothing: nothing is learned."""


class ConstantVelocity(Frozen):
    """Goes on with the step between the last two given frames.

    A point that one of the two frames lacks (confidence 0) stands still, and so do all points when
    a single frame is given: then this is `Frozen`. Points may leave the picture.
    """

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """float32 [B,n,K,3] -> [B,horizon,K,3]; neither label nor seeds are used."""
        future = super().rollout(keypoints, label, horizon, seeds)
        if keypoints.shape[1] < 2:
            return future
        before, last = keypoints[:, -2], keypoints[:, -1]
        seen = (before[..., 2:] > 0) & (last[..., 2:] > 0)
        step = (last[..., :2] - before[..., :2]) * seen
        times = torch.arange(1, horizon + 1, device=step.device, dtype=step.dtype)
        future[..., :2] += times[:, None, None] * step[:, None]
        return future


class NearestTrain:
    """Adds the motion of the nearest training clip to the given keypoints.

    Nearest: smallest mean squared distance between the keypoints at t0, after the mean of the
    points that both clips show was taken off each. Only clips of the asked class are candidates,
    where there is a label and such a clip. Ties go to the clip that comes first.

    Attributes:
        start: float32 [N,K,3], keypoints at t0 of the training clips.
        motion: float32 [N,T,K,2], how far each point has moved since t0; a point out of sight
            stays where it was seen last.
        label: int64 [N], -1 without labels.
    """

    def __init__(
        self, task: TaskInfo, params: Mapping[str, Value], space: tuple[int, str] | None
    ) -> None:
        self.start = torch.zeros(0, 0, 3)
        self.motion = torch.zeros(0, task.horizon, 0, 2)
        self.label = torch.zeros(0, dtype=torch.int64)

    def fit(self, data: KeypointView, ctx: FitContext) -> None:
        """Store the task's window of every training clip that is long enough for it."""
        stored, labels = _training_windows("nearest-train", data, ctx)
        if len(stored):
            self.start = stored[:, 0].clone()
            self.motion = _motion(stored)
            self.label = labels

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """Keypoints [B,n,K,3] and labels int64 [B] -> [B,horizon,K,3]; seeds are not used.

        Beyond the task's horizon the points stand still, and so they do without training;
        confidences are those of the last given frame.
        """
        last = keypoints[:, -1]
        if not len(self.start):
            return _still(last, horizon)
        return _moved(last, horizon, self.motion.to(last.device)[self._nearest(last, label)])

    def _nearest(self, last: Tensor, label: Tensor | None) -> Tensor:
        """Number of the nearest training clip, int64 [B], for keypoints [B,K,3]."""
        start = self.start.to(last.device)
        far = torch.stack([_distances(one, start) for one in last])
        if label is not None:
            same = self.label.to(last.device)[None] == label[:, None]
            far = far.masked_fill(~same & same.any(1, keepdim=True), torch.inf)
        return far.argmin(1)

    def save(self, folder: Path) -> None:
        """Write the stored windows."""
        save_state(folder, {"start": self.start, "motion": self.motion, "label": self.label})

    def load(self, folder: Path, device: str) -> None:
        """Read the stored windows and move them to `device`."""
        state = load_state(folder, device)
        self.start, self.motion, self.label = state["start"], state["motion"], state["label"]


class ClassMean:
    """Adds the mean motion of the training clips of a class to the given keypoints.

    It shows what a label alone is worth, since of the given keypoints it uses only where each
    begins. Without a label, or for a class without training clips, it adds the mean over all clips.

    Attributes:
        motion: float32 [1+A,T,K,2], how far each point has moved since t0 on average: of all clips,
            then of each class.
        known: bool [A], whether the class has training clips.
    """

    def __init__(
        self, task: TaskInfo, params: Mapping[str, Value], space: tuple[int, str] | None
    ) -> None:
        self.classes = task.n_classes
        self.motion = torch.zeros(0, task.horizon, 0, 2)
        self.known = torch.zeros(self.classes, dtype=torch.bool)

    def fit(self, data: KeypointView, ctx: FitContext) -> None:
        """Average the task's window over all training clips that are long enough for it."""
        stored, labels = _training_windows("class-mean", data, ctx)
        if not len(stored):
            return
        motion = _motion(stored).double()
        rows = [motion.mean(0)]
        for number in range(self.classes):
            own = motion[labels == number]
            self.known[number] = bool(len(own))
            rows.append(own.mean(0) if len(own) else rows[0])
        self.motion = torch.stack(rows).float()

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """Keypoints [B,n,K,3] and labels int64 [B] -> [B,horizon,K,3]; seeds are not used.

        Beyond the task's horizon the points stand still, and so they do without training;
        confidences are those of the last given frame.
        """
        last = keypoints[:, -1]
        if not len(self.motion):
            return _still(last, horizon)
        row = torch.zeros(len(last), dtype=torch.int64, device=last.device)
        if label is not None and self.classes:
            own = label.clamp(0, self.classes - 1)
            known = self.known.to(last.device)[own] & (own == label)
            row = torch.where(known, own + 1, row)
        return _moved(last, horizon, self.motion.to(last.device)[row])

    def save(self, folder: Path) -> None:
        """Write the mean motions."""
        save_state(folder, {"motion": self.motion, "known": self.known})

    def load(self, folder: Path, device: str) -> None:
        """Read the mean motions and move them to `device`."""
        state = load_state(folder, device)
        self.motion, self.known = state["motion"], state["known"]


def _training_windows(who: str, data: KeypointView, ctx: FitContext) -> tuple[Tensor, Tensor]:
    """The task's window of every training clip that is long enough for it, from t0 on.

    Returns:
        Keypoints [N,1+T,K,3] in the order of the clips, and labels int64 [N], -1 without one.

    Raises:
        BadData: there are no keypoints.
    """
    n, horizon = ctx.task.n_max, ctx.task.horizon
    window = Clip(length=n + horizon, stride="task", start="task")
    points: dict[int, Tensor] = {}
    labels: dict[int, int] = {}
    for batch in data.batches("train", window, batch=1):
        number = int(batch.index[0])
        if number in points or ctx.should_stop:
            break  # the shuffled sequence starts again: every clip was seen once
        if batch.keypoints is None:
            raise BadData(f"{who} is fitted on keypoints, the batch has none.")
        points[number] = torch.from_numpy(batch.keypoints[0]).float()
        labels[number] = -1 if batch.label is None else int(batch.label[0])
        ctx.step(data.len("train"))
    order = sorted(points)
    if not order:
        return torch.zeros(0, 1 + horizon, 0, 3), torch.zeros(0, dtype=torch.int64)
    stored = torch.stack([points[i][n - 1 :] for i in order])
    return stored, torch.tensor([labels[i] for i in order], dtype=torch.int64)


def _motion(stored: Tensor) -> Tensor:
    """[N,1+T,K,3] -> how far each point has moved since t0 when seen last, [N,T,K,2]."""
    seen = (stored[..., 2:] > 0) & (stored[:, :1, :, 2:] > 0)
    away = stored[..., :2] - stored[:, :1, :, :2]
    offsets = [torch.zeros_like(away[:, 0])]
    for t in range(1, stored.shape[1]):
        offsets.append(torch.where(seen[:, t], away[:, t], offsets[-1]))
    return torch.stack(offsets[1:], 1)


def _still(last: Tensor, horizon: int) -> Tensor:
    """[B,K,3] -> [B,horizon,K,3], the same at each step."""
    return last[:, None].repeat(1, horizon, 1, 1)


def _moved(last: Tensor, horizon: int, motion: Tensor) -> Tensor:
    """[B,K,3] and how far each point moves in T steps [B,T,K,2] -> [B,horizon,K,3].

    After T steps the points stand still.
    """
    future = _still(last, horizon)
    steps = torch.arange(horizon, device=last.device).clamp(max=motion.shape[1] - 1)
    future[..., :2] += motion[:, steps]
    return future


def _distances(one: Tensor, many: Tensor) -> Tensor:
    """[K,3] against [N,K,3] -> mean squared distance of the shared points without their mean, [N].

    A finite, very large number stands where no point is shared.
    """
    shared = ((one[None, :, 2:] > 0) & (many[..., 2:] > 0)).to(many.dtype)
    count = shared.sum(1, keepdim=True)
    difference = (one[None, :, :2] - many[..., :2]) * shared
    centred = (difference - difference.sum(1, keepdim=True) / count.clamp(min=1)) * shared
    mean = centred.square().sum((1, 2)) / count.flatten().clamp(min=1)
    return torch.where(count.flatten() > 0, mean, torch.finfo(mean.dtype).max)
