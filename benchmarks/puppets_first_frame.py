"""How much of an action do the given frames give away?

Trains one small network on the `puppets` training split for each thing that a predictor may be
shown, chooses the epoch on the validation split, and reports the accuracy on both test sets: the
last given frame alone and all five given frames of the tasks `puppets` and `puppets-moving`, and
every second frame of whole clips. The last given frame of `puppets` should tell little: otherwise a
predictor is not asked to use the action label. Whole clips should tell all: otherwise actions are
not recognisable. The given frames of `puppets-moving` should lie between.

    python benchmarks/puppets_first_frame.py --seeds 0 1 2 --cache /tmp/puppets
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from puppets_classifier import Clips, accuracy, train

from vpbench.data.puppets.actions import CLASS_NAMES, FRAMES
from vpbench.data.puppets.clips import SPLITS, render_clip
from vpbench.data.specs import PUPPETS


def shown() -> dict[str, list[int]]:
    """Which frames the network is shown, by name."""
    frames = {}
    for task in PUPPETS.tasks:
        if not task.id.endswith("@large"):  # it differs in its test clips alone
            given = list(range(task.window.start, task.window.start + task.window.n_max))
            frames |= {f"{task.id}, last given frame": given[-1:], f"{task.id}, given": given}
    return {**frames, "every second frame": list(range(0, FRAMES, 2))}


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


def measure(times: list[int], epochs: int, seed: int, cache: Path | None) -> dict[str, float]:
    """Accuracies of one classifier, on `test` and on `large`."""
    data = [load(split, times, cache) for split in ("train", "val", "test")]
    model, figures = train(*data, classes=len(CLASS_NAMES), epochs=epochs, seed=seed)
    return {**figures, "large": accuracy(model, load("large", times, cache))}


def main() -> None:
    """Prints one JSON object: accuracies by what is shown, for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--what", choices=[*shown(), "all"], default="all")
    parser.add_argument("--frame-epochs", type=int, default=40, help="where one frame is shown")
    parser.add_argument("--clip-epochs", type=int, default=24, help="where several are shown")
    parser.add_argument("--cache", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, list[dict[str, float]]] = {}
    for name, times in shown().items():
        if args.what in (name, "all"):
            epochs = args.frame_epochs if len(times) == 1 else args.clip_epochs
            results[name] = [measure(times, epochs, seed, args.cache) for seed in args.seeds]
            sys.stderr.write(f"{name}: {results[name]}\n")
    sys.stdout.write(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
