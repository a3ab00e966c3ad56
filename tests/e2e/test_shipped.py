"""Features of the reference rows and checkpoints of the main table come with vpbench."""

import numpy as np
import pytest

from tests.unit.metrics.weights_here import i3d_path
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import user_paths
from vpbench.core.plan import make_plan
from vpbench.core.registry import build
from vpbench.core.resolve import resolve
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.training.loading import make_method
from vpbench.metrics.features import clip_hash
from vpbench.metrics.video import shipped_features


@pytest.mark.parametrize(
    "name", ["real", "real-shuffled", "copy-last", "linear", "blur-copy", "noise"]
)
def test_every_reference_clip_has_its_feature(name, puppets):
    """Those that need no training clips; the others are covered by the collected number."""
    (shipped,) = shipped_features()
    registry = build()
    task_data = open_task_data(TaskRef(dataset="puppets"), registry, user_paths())
    method = resolve(MethodRef(name, {}), registry, 64)
    instance = make_method(method, task_data.task.info, registry, {})
    items = task_data.task.test
    given, seeds = task_data.conditioning(items, method), task_data.seeds(items, 0, 1)
    if method.capabilities.oracle:
        future = np.stack([task_data.targets(i) for i in items])
        frames = instance.predict(given, future, 16, seeds)
    else:
        frames = instance.predict(given, 16, seeds)
    missing = [
        i.id for i, f in zip(items, frames, strict=True) if clip_hash(f[0]) not in shipped.features
    ]
    assert missing == []


@pytest.mark.weights
def test_shipped_features_are_what_the_network_makes(puppets):
    """Another processor may differ in the last digits."""
    from vpbench.core.hashing import digest
    from vpbench.metrics.i3d.extract import I3DFeatures

    (shipped,) = shipped_features()
    network = I3DFeatures(i3d_path())
    assert digest(dict(network.fingerprint())) == shipped.extractor
    task_data = open_task_data(TaskRef(dataset="puppets"), build(), user_paths())
    for item in task_data.task.test[:2]:
        frames = task_data.targets(item)
        made = network(frames[None])[0]
        stored = shipped.features[clip_hash(frames)]
        assert np.linalg.norm(made - stored) <= 1e-4 * np.linalg.norm(stored)


ROWS = (
    "ours",
    "ours[label=off]",
    "ours[preset=plus]",
    "ours[motion=flow-matching]",
    "villegas",
    "villegas[label=on]",
    "li",
    "li[refiner=off]",
    "li[recursion=off]",
    "wichers",
    "wichers[label=on]",
    "wichers[variant=adversarial]",
    "latent-flow",
)


@pytest.mark.parametrize("task", ["puppets", "puppets-moving"])
def test_rows_of_the_main_table_come_trained(task, puppets):
    registry, paths = build(), user_paths()
    opened = open_task_data(TaskRef(dataset="puppets", task=task), registry, paths)
    plan = make_plan(
        [MethodRef.parse(name) for name in ROWS],
        RunOptions(references=False),
        opened.task,
        registry,
        paths.runs,
        paths.cache,
    )
    assert not plan.refused and len(plan.runs) == len(ROWS)
    origins = {run.name: {stage.origin for stage in run.stages} for run in plan.runs}
    assert set(origins) == set(ROWS), "as tables write them"
    assert all("bundled" in o and o <= {"bundled", "not needed"} for o in origins.values()), origins


def test_a_row_needs_at_most_twelve_megabytes_and_all_rows_together_fifty(puppets):
    registry, paths = build(), user_paths()
    opened = open_task_data(TaskRef(dataset="puppets"), registry, paths)
    refs = [MethodRef.parse(name) for name in ROWS]
    plan = make_plan(
        refs, RunOptions(references=False), opened.task, registry, paths.runs, paths.cache
    )
    sizes = {}
    for run in plan.runs:
        folders = {s.folder.path for s in run.stages if s.origin == "bundled"}
        mine = {f: sum(p.stat().st_size for p in f.rglob("*") if p.is_file()) for f in folders}
        assert folders and 0.1e6 < sum(mine.values()) < 12e6, run.name
        sizes |= mine
    assert sum(sizes.values()) < 50e6
