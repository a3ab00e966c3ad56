"""How much of an action does the first frame give away?

Trains one small network twice on the `puppets` training split, once on the last given frame (t0 =
4) alone and once on whole clips, chooses the epoch on the validation split and reports the
accuracy on the test split. The first figure should be low and the second high: otherwise a
predictor is not asked to use the action label, or nobody can tell actions apart.

    python benchmarks/puppets_first_frame.py --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vpbench.data.puppets.actions import CLASS_NAMES
from vpbench.data.puppets.clips import SPLITS, render_clip

T0 = 4


@dataclass(frozen=True)
class Clips:
    """frames uint8 [N,T,3,S,S] and labels int64 [N]."""

    frames: Tensor
    labels: Tensor


def load(split: str, times: list[int], cache: Path | None) -> Clips:
    """Renders (or reads from `cache`) the given frames of a split."""
    path = cache / f"{split}.npz" if cache else None
    if path is not None and path.exists():
        stored = np.load(path)
        frames, labels = stored["frames"], stored["labels"]
    else:
        clips = [render_clip(split, i) for i in range(SPLITS[split])]
        frames = np.stack([clip.frames for clip in clips])
        labels = np.array([clip.label for clip in clips])
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, frames=frames, labels=labels)
    chosen = np.ascontiguousarray(frames[:, times].transpose(0, 1, 4, 2, 3))
    return Clips(torch.from_numpy(chosen), torch.from_numpy(labels))


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
def accuracy(model: Classifier, clips: Clips) -> float:
    """Share of clips that are classified right."""
    model.eval()
    right = 0
    for start in range(0, len(clips.labels), 30):
        logits = model(as_input(clips.frames[start : start + 30]))
        right += int((logits.argmax(1) == clips.labels[start : start + 30]).sum())
    return right / len(clips.labels)


def train(
    clips: Clips, val: Clips, test: Clips, epochs: int, seed: int, batch: int = 30
) -> dict[str, float]:
    """Trains one classifier; the epoch with the best validation accuracy counts."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Classifier(len(CLASS_NAMES))
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
        sys.stderr.write(f"epoch {epoch} loss {loss.item():.3f} val {val_now:.3f}\n")
    best |= {"test_last": accuracy(model, test), "seconds": time.perf_counter() - start}
    return best


def main() -> None:
    """Prints one JSON object with both accuracies for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--what", choices=["first", "clip", "both"], default="both")
    parser.add_argument("--first-epochs", type=int, default=40)
    parser.add_argument("--clip-epochs", type=int, default=24)
    parser.add_argument("--cache", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    jobs = {"first": ([T0], args.first_epochs), "clip": (list(range(0, 24, 2)), args.clip_epochs)}
    results: dict[str, list[dict[str, float]]] = {}
    for name, (times, epochs) in jobs.items():
        if args.what in (name, "both"):
            data = [load(split, times, args.cache) for split in ("train", "val", "test")]
            results[name] = [train(*data, epochs=epochs, seed=seed) for seed in args.seeds]
    sys.stdout.write(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
