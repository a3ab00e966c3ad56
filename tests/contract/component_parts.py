"""The torch half of the component mutants."""

import torch
from torch import nn

from vpbench.kit import load_state, load_weights, normal, save_state, save_weights, seeded


class Good:
    def __init__(self, task, params, space):
        self.task, self.space = task, space

    def save(self, folder):
        pass

    def load(self, folder, device):
        pass

    def rollout(self, keypoints, label, horizon, seeds):
        return keypoints[:, -1:].repeat(1, horizon, 1, 1)


class Shows(Good):
    def render(self, frame, source, target):
        return frame[:, None].repeat(1, target.shape[1], 1, 1, 1)

    def fit(self, data, ctx):
        pass


class Drift(Good):
    def rollout(self, keypoints, label, horizon, seeds):
        out = super().rollout(keypoints, label, horizon, seeds)
        out[..., :2] += 0.01 * normal(seeds, (2,))[:, None, None]
        return out


class Net(nn.Module):
    def __init__(self, task, params, space):
        super().__init__()
        with seeded(1):
            self.net = nn.Linear(2, 2)

    def rollout(self, keypoints, label, horizon, seeds):
        out = keypoints[:, -1:].repeat(1, horizon, 1, 1)
        out[..., :2] = self.net(out[..., :2])
        return out

    def save(self, folder):
        save_state(folder, self.state_dict())

    def load(self, folder, device):
        self.load_state_dict(load_state(folder, device))


class Half(Net):
    """Stores matrices in half precision."""

    def save(self, folder):
        save_weights(self, folder)

    def load(self, folder, device):
        load_weights(self, folder, device)


class Coarse(Net):
    """Stores two decimals."""

    def save(self, folder):
        save_state(folder, {k: v.mul(100).round().div(100) for k, v in self.state_dict().items()})


class NoLoad(Good):
    load = None


class Detect(Good):
    def detect(self, frames, pose):
        b, t = frames.shape[:2]
        out = torch.ones(b, t, 4, 3)
        out[..., :2] = frames.mean((2, 3, 4))[:, :, None, None] - 0.5
        return out


class Joints(Good):
    def detect(self, frames, pose):
        out = pose.clone()
        out[..., :2] = out[..., :2].clamp(-1, 1)
        return out


class Pixels(Detect):
    def detect(self, frames, pose):
        return super().detect(frames, pose) * frames.shape[-1] + 9


class Counts(Good):
    calls = 0

    def rollout(self, keypoints, label, horizon, seeds):
        self.calls += 1
        return super().rollout(keypoints, label, horizon, seeds) * (1 - 0.01 * self.calls)


class BatchMean(Good):
    def rollout(self, keypoints, label, horizon, seeds):
        out = super().rollout(keypoints, label, horizon, seeds)
        out[..., :2] += keypoints[..., :2].mean()
        return out


class Forgets(Net):
    def load(self, folder, device):
        pass


class NeedsLabel(Good):
    """Works while it is asked alone, and trips over a read-only frame count in a method."""

    def rollout(self, keypoints, label, horizon, seeds):
        if keypoints.abs().sum() == keypoints[..., 2].sum():  # the stand-in's detector
            return keypoints[:, -1:]
        return super().rollout(keypoints, label, horizon, seeds)
