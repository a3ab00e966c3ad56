"""Is what ours predicts taken for the action that it was asked for? See `keypoints_acceptance`."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from keypoints_trial import Line, Trial
from puppets_classifier import Classifier, Clips, classify
from puppets_classifier import train as train_classifier
from safetensors import safe_open
from safetensors.torch import save_file

from vpbench.core import stats
from vpbench.core.files import atomic_file
from vpbench.core.hashing import digest
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import BATCH, TaskData
from vpbench.harness.prediction.shards import call_predict

FEWEST = 30
"""Training clips that make one batch of the classifier."""


# label -------------------------------------------------------------------------------------------


def real_clips(task_data: TaskData, items: Sequence[Item]) -> Clips:
    """The last given frame and every second future one."""
    shown = [
        task_data.clip_cache.whole(item.clip, [item.given[-1], *item.targets])[::2].transpose(
            0, 3, 1, 2
        )
        for item in items
    ]
    labels = torch.tensor([item.clip.label or 0 for item in items])
    return Clips(torch.from_numpy(np.stack(shown)), labels)


def classifier(trial: Trial) -> tuple[Classifier, dict[str, float]]:
    """Trained on real training clips; taken from the cache when it is there."""
    args, task_data = trial.args, trial.task_data
    classes = task_data.task.info.n_classes
    key = digest([1, task_data.task.training_hash, args.epochs, args.train_clips, args.seed])[:16]
    path = trial.setup.paths.cache / "benchmarks" / f"classifier-{key}.safetensors"
    if path.is_file():
        model = Classifier(classes)
        with safe_open(path, "pt") as stored:
            model.load_state_dict({name: stored.get_tensor(name) for name in model.state_dict()})
            return model.eval(), json.loads(stored.metadata()["figures"])
    sides = [list(task_data.task.items[s]) for s in ("train", "val", "test")]
    sides[0] = sides[0][: args.train_clips]
    data = [real_clips(task_data, side) for side in sides]
    model, figures = train_classifier(data[0], data[1], data[2], classes, args.epochs, args.seed)
    with atomic_file(path) as temporary:
        save_file(model.state_dict(), temporary, {"figures": json.dumps(figures)})
    return model, figures


def wrong_labels(items: Sequence[Item], classes: int) -> list[int]:
    """For each clip another label than its own; clips of a class take the others in turn."""
    turn: dict[int, int] = defaultdict(int)
    wrong: list[int] = []
    for item in items:
        own = item.clip.label or 0
        wrong.append((own + 1 + turn[own] % (classes - 1)) % classes)
        turn[own] += 1
    return wrong


def predicted(trial: Trial, labels: Sequence[int], what: str) -> Clips:
    """Test clips predicted under some labels, as `real_clips` shows real ones."""
    loaded, task_data = trial.loaded, trial.task_data
    shown: list[Any] = []
    for part in trial.batches():
        full = [part[k % len(part)] for k in range(BATCH)]
        given = task_data.conditioning(full, loaded.run.method)
        asked = [labels[len(shown) + k % len(part)] for k in range(BATCH)]
        given = dataclasses.replace(given, label=np.array(asked, np.int64))
        frames = call_predict(
            loaded.instance,
            given,
            None,
            task_data.task.horizon,
            task_data.seeds(full, 0, 1),
            loaded.name,
        )
        for k, item in enumerate(part):
            whole = np.concatenate([task_data.given(item)[-1:], frames[k, 0]])
            shown.append(whole[::2].transpose(0, 3, 1, 2))
        trial.show(what, len(shown), len(trial.items))
    return Clips(torch.from_numpy(np.stack(shown)), torch.tensor(list(labels)))


def label(trial: Trial) -> list[Line]:
    """Whether the label that was asked for is the one that is seen."""
    model, figures = classifier(trial)
    own = [item.clip.label or 0 for item in trial.items]
    wrong = wrong_labels(trial.items, trial.task_data.task.info.n_classes)
    real = real_clips(trial.task_data, trial.items)
    right, other = (predicted(trial, w, n) for w, n in ((own, "own label"), (wrong, "wrong label")))
    seen = {
        name: classify(model, c.frames)
        for name, c in (("real", real), ("right", right), ("wrong", other))
    }

    def share(name: str, labels: Sequence[int]) -> float:
        return float((seen[name] == torch.tensor(list(labels))).float().mean())

    hits = round(share("wrong", wrong) * len(wrong))
    low, high = stats.wilson(hits, len(wrong))
    return [
        Line(
            "classifier on real test clips",
            share("real", own),
            note=f"on validation {figures['val']:.2f}",
        ),
        Line("own label seen in predictions under it", share("right", own)),
        Line(
            "wrong label seen in predictions under it",
            share("wrong", wrong),
            at_least=0.5,
            note=f"95%: {low:.2f} to {high:.2f}",
        ),
        Line("own label seen in predictions under a wrong one", share("wrong", own)),
    ]
