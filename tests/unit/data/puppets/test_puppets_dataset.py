"""Puppets behind the dataset door."""

import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vpbench.api import Corrupt, UnknownName, UsageError
from vpbench.api.types import Clip, ClipInfo
from vpbench.core.hashing import digest
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import user_paths
from vpbench.core.plan import make_plan
from vpbench.core.registry import build
from vpbench.data.puppets import dataset as module
from vpbench.data.puppets import rendered
from vpbench.data.puppets.clips import SPLITS, render_clip
from vpbench.data.puppets.dataset import Puppets
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.training.stage import train_view

PUPPETS_FIELDS = "099cba8aa0481abf"
"""Digest of what the task `puppets` declares, by which bundled checkpoints are found."""


@pytest.fixture(scope="module")
def cache(rendered_puppets, tmp_path_factory):
    """A copy of the rendered test split: one test damages it."""
    return shutil.copytree(rendered_puppets, tmp_path_factory.mktemp("home") / "cache")


@pytest.fixture
def task_data(cache, monkeypatch):
    monkeypatch.setenv("VPBENCH_HOME", str(cache))
    return open_task_data(TaskRef(dataset="puppets"), build(), user_paths())


def test_the_task_is_the_contracts(task_data):
    fields = task_data.task.fields()
    assert (fields["n_max"], fields["t0"], fields["horizon"], fields["size"]) == (5, 4, 16, 64)
    assert task_data.task.id == "puppets" and len(task_data.task.test) == 90
    assert task_data.task.rendered and task_data.task.source == "lossless"
    item = task_data.task.test[0]
    assert item.given == (0, 1, 2, 3, 4) and item.targets == tuple(range(5, 21))
    assert task_data.task.info.n_classes == 9 and task_data.task.info.n_joints == 13


def test_frames_and_joints_are_those_of_the_renderer(task_data):
    for item in task_data.task.test[::17]:
        split, _, number = item.clip.id.partition("/")
        clip = render_clip(split, int(number))
        assert np.array_equal(task_data.given(item), clip.frames[:5])
        assert np.array_equal(task_data.targets(item), clip.frames[5:21])
        assert np.array_equal(task_data.dataset.pose(item.clip), clip.joints)
        pose = task_data.clip_cache.pose(item.clip, item.given)
        wanted = clip.joints[:5, :, :2] / 63 * 2 - 1
        seen = clip.joints[:5, :, 2] > 0
        assert np.allclose(pose[..., :2][seen], wanted[seen], atol=1e-6)
        assert (pose[..., 2] == clip.joints[:5, :, 2]).all()


def test_nothing_is_kept_twice(task_data, cache):
    task_data.targets(task_data.task.test[0])
    assert not (cache / "clips").exists()


def test_published_hashes_hold_here(task_data):
    assert task_data.dataset.warnings() == []
    assert [c.sha256 for c in task_data.dataset.clips("test")] == [
        module.expected_sha256("test", i) for i in range(90)
    ]


def test_drift_is_a_warning_and_another_fingerprint_never_a_crash(task_data, tmp_path, monkeypatch):
    def drifted(split, index, size=64):
        clip = render_clip(split, index, size)
        if index == 3:
            clip = replace(clip, frames=clip.frames ^ 1)
        return clip

    monkeypatch.setattr(rendered, "render_clip", drifted)
    monkeypatch.setenv("VPBENCH_HOME", str(tmp_path / "other"))
    other = open_task_data(TaskRef(dataset="puppets"), build(), user_paths())
    (line,) = other.dataset.warnings()
    assert "1 of 90 test clips are rendered differently here (first: test/0003)" in line
    assert other.task.data_hash != task_data.task.data_hash
    assert other.task.fingerprint(16) != task_data.task.fingerprint(16)


def test_other_sizes_are_other_tasks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SPLITS", {**SPLITS, "test": 3})
    monkeypatch.setenv("VPBENCH_HOME", str(tmp_path / "home"))
    task_data = open_task_data(TaskRef(dataset="puppets[size=96]"), build(), user_paths())
    assert task_data.task.id == "puppets-96"
    assert task_data.targets(task_data.task.test[0]).shape == (16, 96, 96, 3)
    assert np.array_equal(
        task_data.given(task_data.task.test[0]), render_clip("test", 0, 96).frames[:5]
    )


TASKS = ("puppets", "puppets-moving", "puppets@large", "puppets-moving@large")


@pytest.fixture
def tasks(cache, monkeypatch):
    """All tasks by name, with four clips in the large test set."""
    monkeypatch.setattr(module, "SPLITS", {**SPLITS, "large": 4})
    monkeypatch.setenv("VPBENCH_HOME", str(cache))
    opened = {}
    for name in TASKS:
        ref = TaskRef(dataset="puppets", task=name)
        opened[name] = open_task_data(ref, build(), user_paths()).task
    return opened


def test_tasks_differ_in_start_and_test_clips_alone(tasks):
    assert {name: task.id for name, task in tasks.items()} == {name: name for name in TASKS}
    given = {name: task.test[0].given for name, task in tasks.items()}
    targets = {name: task.test[0].targets for name, task in tasks.items()}
    for name in TASKS:
        start = 3 if "moving" in name else 0
        assert given[name] == tuple(range(start, start + 5))
        assert targets[name] == tuple(range(start + 5, start + 21))
    n = {name: task.fields()["n"] for name, task in tasks.items()}
    assert n == {name: 4 if "large" in name else 90 for name in TASKS}
    for task in tasks.values():
        prefix = "large/" if "large" in task.id else "test/"
        assert all(item.id.startswith(prefix) for item in task.test)
        assert task.training_hash == tasks["puppets"].training_hash
    fingerprints = [digest(task.fingerprint(16)) for task in tasks.values()]
    assert len(set(fingerprints)) == 4


def test_the_first_task_is_declared_as_before(tasks):
    fields = tasks["puppets"].fields()
    assert tasks["puppets"].stage_fields() == fields and "trained_as" not in fields
    assert digest(fields)[:16] == PUPPETS_FIELDS


def test_stages_are_shared_by_all_tasks(tasks, tmp_path):
    plans = {
        name: make_plan(
            [MethodRef("villegas", {}), MethodRef("ours", {"preset": "smoke"})],
            RunOptions(references=False),
            task,
            build(),
            tmp_path,
        )
        for name, task in tasks.items()
    }
    stages = {
        name: [[(s.node.key, s.origin, s.folder.path) for s in run.stages] for run in plan.runs]
        for name, plan in plans.items()
    }
    assert stages["puppets"] and all(rows == stages["puppets"] for rows in stages.values())
    made = [s.folder.path for run in plans["puppets@large"].runs for s in run.stages]
    assert {p.parent for p in made if tmp_path in p.parents} == {tmp_path / "puppets" / "stages"}
    keys = [run.key for plan in plans.values() for run in plan.runs]
    assert len(set(keys)) == len(keys)


def test_a_training_sees_the_same_whichever_task_asks_for_it(tasks, cache, monkeypatch):
    monkeypatch.setenv("VPBENCH_HOME", str(cache))
    seen = []
    for name in TASKS:
        ref = TaskRef(dataset="puppets", task=name)
        task_data = open_task_data(ref, build(), user_paths())
        view = train_view(task_data, (0, "m", "fit"))
        batch = next(view.batches("val", Clip(21, "task", "task"), 3))
        seen.append((task_data.task.training_info, batch.times.tolist(), batch.index.tolist()))
    assert seen[0][1] == [list(range(21))] * 3
    assert all(row == seen[0] for row in seen)


def test_tasks_of_another_size_keep_to_their_own_trainings(tmp_path):
    names = [(t.id, t.trained_as, t.size) for t in Puppets({"size": "96"}, None, tmp_path).tasks()]
    assert names == [
        ("puppets-96", "", 96),
        ("puppets-96-moving", "puppets-96", 96),
        ("puppets-96@large", "puppets-96", 96),
        ("puppets-96-moving@large", "puppets-96", 96),
    ]


def test_the_large_test_set_is_rendered_once_it_is_asked_for(few):
    assert not few._rendered("large").there()
    assert few.verify() == [] and not few._rendered("large").there()
    assert [c.id for c in few.clips("large")] == ["large/0000", "large/0001"]
    assert few._rendered("large").there()
    assert [c.sha256 for c in few.clips("large")] == [
        module.expected_sha256("large", i) for i in range(2)
    ]


def test_drift_of_the_large_test_set_is_a_warning(few, monkeypatch):
    def drifted(split, index, size=64):
        clip = render_clip(split, index, size)
        return replace(clip, frames=clip.frames ^ 1) if split == "large" else clip

    monkeypatch.setattr(rendered, "render_clip", drifted)
    few.clips("large")
    (line,) = few.warnings()
    assert "2 of 2 test clips" in line and "large/0000" in line
    assert [p.path for p in few.verify()] == ["puppets/large"]


def test_bad_options():
    for options, error in (
        ({"size": "x"}, UsageError),
        ({"size": "8"}, UsageError),
        ({"sise": "64"}, UnknownName),
    ):
        with pytest.raises(error):
            Puppets(options, None, user_paths().cache)


def test_it_is_picklable_for_loader_workers(task_data):
    copy = pickle.loads(pickle.dumps(task_data.dataset))
    clip = task_data.task.test[5].clip
    assert np.array_equal(copy.read(clip, [0, 9]), task_data.dataset.read(clip, [0, 9]))


@pytest.fixture
def few(tmp_path, monkeypatch):
    """Two clips a split, rendered into a cache of its own."""
    monkeypatch.setattr(module, "SPLITS", dict.fromkeys(SPLITS, 2))
    monkeypatch.setattr(rendered, "cores", lambda: 1)
    dataset = Puppets({}, None, tmp_path / "few")
    dataset.prepare()
    return dataset


def cut(data):
    return data[: len(data) // 2]


def flipped(where):
    def damage(data):
        k = int(where * (len(data) - 1))
        return data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :]

    return damage


@pytest.mark.parametrize("part", ["frames.npy", "joints.npy", "sha256"])
@pytest.mark.parametrize(
    "damage",
    [cut, lambda data: b"", lambda data: b"not this", None, *map(flipped, (0, 0.01, 0.5, 0.9, 1))],
)
def test_damage_of_the_cache_is_found_named_and_mended(few, part, damage):
    wanted = [few.read(clip, range(24)) for clip in few.clips("test")]
    path = few.folder / f"test-{part}"
    whole = path.read_bytes()
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(whole))

    def read_all():
        dataset = Puppets({}, None, few.folder.parents[1])
        return [dataset.read(clip, range(24)) for clip in dataset.clips("test")]

    if damage is None and part == "frames.npy":
        assert all(map(np.array_equal, read_all(), wanted))  # it was not rendered, then
        return
    for use in (read_all, lambda: [few.read(replace_id(k), [0]) for k in range(2)]):
        with pytest.raises(
            Corrupt, match=f"test-(frames.npy|{part}) in the cache is dam"
        ) as caught:
            use()
        assert caught.value.fix == "Render it again: vpbench data prepare puppets"
    (problem,) = few.verify()
    assert problem.level == "error" and "data prepare puppets" in problem.fix
    again = Puppets({}, None, few.folder.parents[1])
    again.prepare()
    assert path.read_bytes() == whole
    assert all(map(np.array_equal, read_all(), wanted))
    assert any("was rendered again" in line for line in again.warnings())


def replace_id(k):
    return ClipInfo(f"test/{k:04d}", 24, 64, 64, k)


def test_another_renderer_or_size_has_another_folder(tmp_path, monkeypatch):
    folders = {Puppets({"size": size}, None, tmp_path).folder for size in (64, 96)}
    monkeypatch.setattr(module, "tree_sha256", lambda *a: "another source")
    folders.add(Puppets({}, None, tmp_path).folder)
    assert len(folders) == 3


def test_train_clips_have_the_hashes_of_what_was_rendered(tmp_path, monkeypatch):
    def drifted(split, index, size=64):
        clip = render_clip(split, index, size)
        return replace(clip, frames=clip.frames ^ 1)

    monkeypatch.setattr(module, "SPLITS", dict.fromkeys(SPLITS, 2))
    monkeypatch.setattr(rendered, "cores", lambda: 1)
    monkeypatch.setattr(rendered, "render_clip", drifted)
    dataset = Puppets({}, None, tmp_path)
    published = [clip.sha256 for clip in dataset.clips("train")]
    dataset.prepare()
    assert [c.sha256 for c in dataset.clips("train")] == [
        drifted("train", i).sha256() for i in range(2)
    ]
    assert published == [module.expected_sha256("train", i) for i in range(2)]
