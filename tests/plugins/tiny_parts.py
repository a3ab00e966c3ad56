"""The torch half of the tiny method."""

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from vpbench.api import Clip, Pair
from vpbench.kit import (
    ComposedMethod,
    from_arrays,
    load_state,
    normal,
    save_state,
    seeded,
    to_arrays,
    to_tensor,
)


class Part(nn.Module):
    def __init__(self, task, params, space):
        super().__init__()
        self.task, self.params, self.space = task, params, space
        with seeded(7):
            self.build(int(params["width"]), int(params["points"]))

    def build(self, width, points):
        """Make the layers."""

    def save(self, folder):
        save_state(folder, self.state_dict())

    def load(self, folder, device):
        self.load_state_dict(load_state(folder, device))


class Detector(Part):
    def build(self, width, points):
        self.net = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, points, 3, 2, 1)
        )

    def detect(self, frames, pose):
        b, t = frames.shape[:2]
        maps = self.net(frames.flatten(0, 1))
        soft = maps.flatten(2).softmax(-1).view_as(maps)
        axis = torch.linspace(-1, 1, maps.shape[-1])
        x, y = (soft.sum(2) * axis).sum(-1), (soft.sum(3) * axis).sum(-1)
        return torch.stack([x, y, torch.ones_like(x)], -1).view(b, t, -1, 3)


class Translator(Part):
    def build(self, width, points):
        self.net = nn.Sequential(
            nn.Conv2d(3 + 2 * points, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, 3, 3, 1, 1)
        )

    def _maps(self, points, size):
        axis = torch.linspace(-1, 1, size)
        x, y = points[..., 0, None, None], points[..., 1, None, None]
        return torch.exp(-((axis - x) ** 2 + (axis[:, None] - y) ** 2) / 0.05)

    def render(self, frame, source, target):
        t = target.shape[1]
        size = frame.shape[-1]
        first = self._maps(source, size)[:, None].expand(-1, t, -1, -1, -1)
        still = frame[:, None].expand(-1, t, -1, -1, -1)
        stack = torch.cat([still, first, self._maps(target, size)], 2)
        return (still + 0.1 * self.net(stack.flatten(0, 1)).view_as(still)).clamp(0, 1)


class Motion(Part):
    def build(self, width, points):
        self.net = nn.Linear(3 * points + max(1, self.task.n_classes) + 2, 3 * points)

    def rollout(self, keypoints, label, horizon, seeds):
        n = max(1, self.task.n_classes)
        one = F.one_hot(torch.zeros_like(seeds) if label is None else label, n).float()
        z = normal(seeds, (2,))
        now, out = keypoints[:, -1], []
        for _ in range(horizon):
            step = self.net(torch.cat([now.flatten(1), one, z], 1)).view_as(now)
            now = now + 0.1 * step.tanh()
            out.append(now)
        return torch.stack(out, 1)


class Line(Motion):
    """A third party's motion model, with a training of its own."""

    def fit(self, data, ctx):
        train(self, list(self.parameters()), ctx, self.params, lambda k: motion_loss(self, data, k))


class Still:
    def __init__(self, task, params, space):
        pass

    def rollout(self, keypoints, label, horizon, seeds):
        return keypoints[:, -1:].expand(-1, horizon, -1, -1)

    def save(self, folder):
        """Nothing is learned."""

    def load(self, folder, device):
        """Nothing is learned."""


def motion_loss(model, data, k):
    window = Clip(length=model.task.horizon + 1, stride="task", start="task")
    batch = next(data.batches("train", window, int(model.params["batch"]), start_step=k))
    points = torch.from_numpy(batch.keypoints)
    label = None if batch.label is None else torch.from_numpy(batch.label)
    made = model.rollout(points[:, :1], label, model.task.horizon, torch.from_numpy(batch.index))
    return (made - points[:, 1:]).square().mean()


def train(owner, parameters, ctx, params, loss_of):
    """Adam with a checkpoint every few steps; killed where TINY_KILL says so."""
    best = torch.optim.Adam(parameters, float(os.environ.get("TINY_LR", "1e-2")))
    done = 0
    stored = ctx.resume()
    if stored is not None:
        state = from_arrays(*stored)
        owner.load_state_dict(state["model"])
        best.load_state_dict(state["optimiser"])
        done = state["step"]
    while done < int(params["steps"]) and not ctx.should_stop:
        loss = loss_of(done)
        best.zero_grad()
        loss.backward()
        best.step()
        done = ctx.step(int(params["steps"]))
        ctx.log({"loss": float(loss.detach())})
        time.sleep(float(params["pause"]))
        if done % int(params["every"]) == 0 or ctx.should_stop:
            state = {"model": owner.state_dict(), "optimiser": best.state_dict(), "step": done}
            ctx.checkpoint(*to_arrays(state))
        _perhaps_die(done)


def _perhaps_die(done):
    """`TINY_KILL=FLAGFILE:STEP`: die once, without a word, at a step."""
    flag, _, step = os.environ.get("TINY_KILL", "").rpartition(":")
    if flag and done == int(step) and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Tiny(ComposedMethod):
    trains = {"keypoints": ("detector", "translator"), "motion": ("motion",)}  # noqa: RUF012

    def fit(self, stage, data, ctx):
        parts = self.begin(stage, ctx)
        if stage == "motion":
            motion = parts["motion"]
            train(
                motion,
                list(motion.parameters()),
                ctx,
                self.params,
                lambda k: motion_loss(motion, data, k),
            )
            return
        both = nn.ModuleDict(parts)
        train(both, list(both.parameters()), ctx, self.params, lambda k: self._loss(data, ctx, k))
        ctx.image("last", data.read("train", 0, [0])[0])

    def _loss(self, data, ctx, k):
        window = Pair(1, 4)
        batch = next(data.batches("train", window, int(self.params["batch"]), start_step=k))
        frames = to_tensor(batch.frames)
        points = ctx.component("detector").detect(frames, None)
        made = self.slots["translator"].render(frames[:, 0], points[:, 0], points[:, 1:])
        return (made - frames[:, 1:]).abs().mean()
