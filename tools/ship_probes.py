"""Fit the probes of `action` for the tasks of puppets into the file that vpbench ships.

    python tools/ship_probes.py

Run it after a change of the extractor, the puppets or the recipe of the probe. The features of the
training clips are computed where the cache does not have them: 20 minutes on one core.
"""

from __future__ import annotations

import hashlib
import sys

from vpbench.core.files import write_bytes
from vpbench.core.paths import user_paths
from vpbench.core.registry import registry
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.inputs.training_clips import TaskTrainingClips
from vpbench.harness.training.context import ScoreContext
from vpbench.metrics.action.probe_metric import Action
from vpbench.metrics.action.probe_store import SHIPPED, probe_bytes
from vpbench.metrics.action.ridge import Ridge
from vpbench.metrics.video_specs import I3D

TASKS = ("puppets", "puppets-moving")
"""The other tasks of the dataset have the same training windows."""


def main() -> int:
    """Write SHIPPED/puppets.npz."""
    probes: dict[str, Ridge] = {}
    paths = user_paths()
    for name in TASKS:
        task_data = open_task_data(TaskRef(dataset="puppets", task=name), registry(), paths)
        training = TaskTrainingClips(task_data)
        ctx = ScoreContext("cpu", 1, paths.cache, declared=(I3D,), training=training)
        metric = Action(task_data.task.info, {}, ctx)
        for frames in task_data.task.frames:
            probes[metric.probe_key(frames)] = metric.probe(frames)
    data = probe_bytes(probes)
    SHIPPED.mkdir(exist_ok=True)
    write_bytes(SHIPPED / "puppets.npz", data)
    sys.stdout.write(f"{len(probes)} probes, {len(data) / 1e6:.2f} MB\n")
    sys.stdout.write("PINS of vpbench.metrics.action.probe_store: 'puppets.npz': ")
    sys.stdout.write(f"{hashlib.sha256(data).hexdigest()!r}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
