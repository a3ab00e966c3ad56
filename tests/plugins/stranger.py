"""A motion model that a third party could have written: it fits the slot of any composed method."""

from vpbench.api import Capabilities, ComponentSpec

DRIFT = ComponentSpec(
    "stranger",
    "motion",
    f"{__file__}:Drift",
    "moves all keypoints by the mean step of their class",
    capabilities=Capabilities(label="optional"),
    params={"batch": 4},
    trained_by="self",
)


def __getattr__(name):
    """The torch half is made at first use."""
    if name != "Drift":
        raise AttributeError(name)
    import torch
    from torch import nn

    from vpbench.api import Clip
    from vpbench.kit import load_state, save_state

    class Drift(nn.Module):
        def __init__(self, task, params, space):
            super().__init__()
            self.params, self.classes = params, max(1, task.n_classes)
            self.register_buffer("step", torch.zeros(self.classes, 2))
            self.register_buffer("seen", torch.zeros(self.classes))

        def fit(self, data, ctx):
            window = Clip(ctx.task.horizon + 1, "task", "task")
            batch = next(data.batches("train", window, int(self.params["batch"])))
            points = torch.from_numpy(batch.keypoints)[..., :2]
            moved = (points[:, 1:] - points[:, :-1]).mean((1, 2))
            label = self._label(batch.label, len(moved))
            self.step.index_add_(0, label, moved)
            self.seen.index_add_(0, label, torch.ones(len(moved)))
            self.step /= self.seen.clamp_min(1)[:, None]
            ctx.log({"moved": float(moved.abs().mean())})
            ctx.step(1)

        def _label(self, label, n):
            return torch.zeros(n, dtype=torch.int64) if label is None else torch.as_tensor(label)

        def rollout(self, keypoints, label, horizon, seeds):
            step = self.step[self._label(label, len(keypoints))][:, None, None]
            times = torch.arange(1, horizon + 1, dtype=step.dtype)[None, :, None, None]
            path = keypoints[:, -1:].repeat(1, horizon, 1, 1)
            path[..., :2] += times * step
            return path

        def save(self, folder):
            save_state(folder, self.state_dict())

        def load(self, folder, device):
            self.load_state_dict(load_state(folder, device))

    return Drift
