"""A small network that tells the actions of `puppets` apart, for the benchmarks that need one."""

from __future__ import annotations

import copy
import sys
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Clips:
    """frames uint8 [N,T,3,S,S] and labels int64 [N]."""

    frames: Tensor
    labels: Tensor


class Classifier(nn.Module):
    """A convolutional network per frame, two convolutions over time, a mean, a linear layer.

    A frame enters with its difference from the clip's mean, so that what stands still is easy to
    ignore. The same layers and widths serve one frame and whole clips.
    """

    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        before = 6
        for channels in widths:
            layers += [
                nn.Conv2d(before, channels, 3, stride=2, padding=1),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
            before = channels
        self.frame = nn.Sequential(*layers)
        self.squeeze = nn.Linear(before * 16, 96)
        self.time = nn.ModuleList(nn.Conv1d(96, 96, 3, padding=1) for _ in range(2))
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(96, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """float32 [B,T,3,S,S] to logits [B,classes]."""
        batch, length = clips.shape[:2]
        moving = clips - clips.mean(1, keepdim=True)  # zero for a single frame
        maps = self.frame(torch.cat([clips, moving], 2).flatten(0, 1)).flatten(1)
        series = functional.relu(self.squeeze(maps)).view(batch, length, -1).transpose(1, 2)
        for layer in self.time:
            series = series + functional.relu(layer(series))
        return self.head(self.drop(series.mean(-1)))


def augment(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Random flips, shifts up to 4 px and brightness, the same for all frames of a clip."""
    out = torch.empty_like(clips)
    size = clips.shape[-1]
    padded = functional.pad(clips.flatten(1, 2), (4, 4, 4, 4), mode="replicate")
    padded = padded.view(*clips.shape[:3], size + 8, size + 8)
    for i in range(len(clips)):
        dy, dx, flip = (int(v) for v in torch.randint(0, 9, (3,), generator=generator))
        crop = padded[i, ..., dy : dy + size, dx : dx + size]
        gain = 0.8 + 0.4 * torch.rand(3, generator=generator).view(1, 3, 1, 1)
        out[i] = (crop.flip(-1) if flip % 2 else crop) * gain
    return out


def as_input(frames: Tensor) -> Tensor:
    """uint8 to float32 in [-1,1]."""
    return frames.float() / 127.5 - 1.0


@torch.no_grad()
def classify(model: Classifier, frames: Tensor) -> Tensor:
    """The label that is seen in each clip: uint8 [N,T,3,S,S] -> int64 [N]."""
    model.eval()
    return torch.cat([model(as_input(part)).argmax(1) for part in frames.split(30)])


def accuracy(model: Classifier, clips: Clips) -> float:
    """Share of clips that are classified right."""
    return int((classify(model, clips.frames) == clips.labels).sum()) / len(clips.labels)


def train(
    clips: Clips, val: Clips, test: Clips, classes: int, epochs: int, seed: int, batch: int = 30
) -> tuple[Classifier, dict[str, float]]:
    """Trains one classifier; the epoch with the best validation accuracy counts.

    Returns:
        The classifier of that epoch; its accuracies, and the seconds of all.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Classifier(classes)
    weights = copy.deepcopy(model.state_dict())
    steps = epochs * (len(clips.labels) // batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    best = {"val": -1.0, "test": 0.0, "epoch": -1.0, "test_last": 0.0}
    start = time.perf_counter()
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(clips.labels), generator=generator)
        for at in range(0, len(order) - batch + 1, batch):
            rows = order[at : at + batch]
            inputs = augment(as_input(clips.frames[rows]), generator)
            loss = functional.cross_entropy(model(inputs), clips.labels[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        val_now = accuracy(model, val)
        if val_now >= best["val"]:
            best |= {"val": val_now, "test": accuracy(model, test), "epoch": float(epoch)}
            weights = copy.deepcopy(model.state_dict())
        sys.stderr.write(f"epoch {epoch} loss {loss.item():.3f} val {val_now:.3f}\n")
    best |= {"test_last": accuracy(model, test), "seconds": time.perf_counter() - start}
    model.load_state_dict(weights)
    return model.eval(), best
