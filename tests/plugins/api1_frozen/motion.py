"""A learned motion model in torch. Changed only with the contract of api 1."""

import torch
from torch import nn

from vpbench.api import Clip
from vpbench.kit import from_arrays, load_state, save_state, seeded, to_arrays


class Line(nn.Module):
    def __init__(self, task, params, space):
        super().__init__()
        self.task, self.params = task, dict(params)
        with seeded(0):
            self.step = nn.Embedding(max(1, task.n_classes), 2)

    def rollout(self, keypoints, label, horizon, seeds):
        last = keypoints[:, -1:]
        chosen = torch.zeros_like(seeds) if label is None else label
        step = 0.1 * self.step(chosen)[:, None, None]
        times = torch.arange(1, horizon + 1, device=last.device)[None, :, None, None]
        places = last[..., :2] + times * step
        return torch.cat([places, last[..., 2:].expand(-1, horizon, -1, -1)], -1)

    def fit(self, data, ctx):
        self.to(ctx.device)
        best = torch.optim.Adam(self.parameters(), float(self.params["rate"]))
        done, total = 0, int(self.params["steps"])
        stored = ctx.resume()
        if stored is not None:
            state = from_arrays(*stored)
            self.load_state_dict(state["model"])
            best.load_state_dict(state["optimiser"])
            done = state["done"]
        window = Clip(length=1 + ctx.task.horizon, stride="task", start="random")
        while done < total and not ctx.should_stop:
            batch = next(data.batches("train", window, int(self.params["batch"]), start_step=done))
            points = torch.as_tensor(batch.keypoints, device=ctx.device)
            label = None if batch.label is None else torch.as_tensor(batch.label)
            seeds = torch.as_tensor(batch.index)
            made = self.rollout(points[:, :1], label, ctx.task.horizon, seeds)
            loss = (made - points[:, 1:]).square().mean()
            best.zero_grad()
            loss.backward()
            best.step()
            done = ctx.step(total)
            ctx.log({"loss": float(loss.detach())})
            state = {"model": self.state_dict(), "optimiser": best.state_dict(), "done": done}
            ctx.checkpoint(*to_arrays(state))

    def save(self, folder):
        save_state(folder, self.state_dict())

    def load(self, folder, device):
        self.load_state_dict(load_state(folder, device))
        self.to(device)
