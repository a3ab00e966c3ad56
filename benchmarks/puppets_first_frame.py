"""How much of an action does the first frame give away?

Trains one small network twice on the `puppets` training split, once on the last given frame (t0 =
4) alone and once on whole clips, chooses the epoch on the validation split and reports the
accuracy on the test split. The first figure should be low and the second high: otherwise a
predictor is not asked to use the action label, or actions are not recognisable.

    python benchmarks/puppets_first_frame.py --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from puppets_classifier import Clips, train

from vpbench.data.puppets.actions import CLASS_NAMES
from vpbench.data.puppets.clips import SPLITS, render_clip

T0 = 4


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
            results[name] = [
                train(*data, classes=len(CLASS_NAMES), epochs=epochs, seed=seed)[1]
                for seed in args.seeds
            ]
    sys.stdout.write(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
