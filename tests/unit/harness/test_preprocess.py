"""Clips are converted once, in this process or in several, and read as if nothing had been."""

import shutil

import numpy as np
import pytest

from tests.make_archives import VIDEOS, make_mgif, make_penn
from vpbench.api import BadData, Unwritable
from vpbench.core.paths import user_paths
from vpbench.core.registry import build
from vpbench.harness.inputs import preprocess as module
from vpbench.harness.inputs.preprocess import pieces, preprocess_clips
from vpbench.harness.inputs.task_data import TaskRef, open_task_data

FEW = {v: VIDEOS[v] for v in ("2141", "2142", "1149", "1150", "2160")}


@pytest.fixture(scope="module")
def penn(tmp_path_factory):
    return make_penn(tmp_path_factory.mktemp("convert") / "penn", FEW)


@pytest.fixture
def task_data(penn):
    return open_task_data(TaskRef(dataset="penn", root=str(penn)), build(), user_paths())


@pytest.mark.parametrize("workers", [1, 2])
def test_everything_is_read_from_the_cache_afterwards(task_data, monkeypatch, workers):
    monkeypatch.setattr(module, "SERIAL_LIMIT", 2)
    wanted = {
        item.id: (task_data.given(item), task_data.targets(item)) for item in task_data.task.test
    }
    shutil.rmtree(task_data.clip_cache.folder)
    events = []
    assert len(pieces(task_data, ("train", "val", "test"))) == 5
    preprocess_clips(task_data, ("train", "val", "test"), workers, events.append)
    assert [e["done"] for e in events] == [1, 2, 3, 4, 5] and events[0]["total"] == 5
    assert pieces(task_data, ("train", "val", "test")) == []
    monkeypatch.setattr(type(task_data.dataset), "read", None)
    for item in task_data.task.test:
        assert np.array_equal(task_data.given(item), wanted[item.id][0])
        assert np.array_equal(task_data.targets(item), wanted[item.id][1])
    for item in (*task_data.task.items["train"], *task_data.task.items["val"]):
        whole = task_data.clip_cache.whole(item.clip, range(item.clip.frames))
        assert np.array_equal(task_data.targets(item), whole[list(item.targets)])  # no second copy


def test_only_what_is_asked_for(task_data):
    preprocess_clips(task_data, ("test",), 1, lambda event: None)
    assert len(pieces(task_data, ("train", "val", "test"))) == 3
    wide = next(task_data.clip_cache.folder.rglob("*.npy"))
    assert np.load(wide).shape[1] == 128 and np.load(wide).shape[2] > 128  # uncropped


def test_a_dataset_that_is_as_fast_as_the_cache_is_not_copied(monkeypatch):
    from vpbench.data.puppets import dataset as puppets
    from vpbench.data.puppets.clips import SPLITS

    small = dict.fromkeys(SPLITS, 1)
    monkeypatch.setattr(puppets, "SPLITS", small)
    task_data = open_task_data(TaskRef(dataset="puppets"), build(), user_paths())
    assert pieces(task_data, ("train", "val", "test")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_frame_is_one_sentence(penn, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(module, "SERIAL_LIMIT", 1)
    root = tmp_path / "copy"
    shutil.copytree(penn, root)
    path = root / "frames" / "2141" / "000020.jpg"
    path.write_bytes(path.read_bytes()[:500])
    task_data = open_task_data(TaskRef(dataset="penn", root=str(root)), build(), user_paths())
    with pytest.raises(BadData, match=r"2141/000020\.jpg is not a readable image") as caught:
        preprocess_clips(task_data, ("train", "val", "test"), workers, lambda event: None)
    assert caught.value.exit_code == 4 and caught.value.fix


def test_too_little_space_is_said_before_anything_is_written(task_data, monkeypatch):
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5, 5))
    with pytest.raises(Unwritable, match="VPBENCH_HOME"):
        preprocess_clips(task_data, ("train",), 1, lambda event: None)
    assert not list(task_data.clip_cache.folder.rglob("*.npy"))


def test_looping_windows_are_converted_as_they_are(tmp_path):
    root = make_mgif(tmp_path / "mgif", lengths=(40, 40, 9), test=1)
    task_data = open_task_data(TaskRef(dataset="mgif", root=str(root)), build(), user_paths())
    preprocess_clips(task_data, ("test",), 1, lambda event: None)
    (item,) = task_data.task.test
    targets = task_data.targets(item)
    assert np.array_equal(targets[:9], targets[9:18]) and not np.array_equal(targets[0], targets[1])
