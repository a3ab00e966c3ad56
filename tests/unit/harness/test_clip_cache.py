"""The cache of clips at the task's size."""

import numpy as np
import pytest

from tests.e2e.helpers import folder
from vpbench.core.paths import user_paths
from vpbench.core.registry import build
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.media.resize import centre_crop, fit


@pytest.fixture
def task_data(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "clips" / split).mkdir(parents=True)
        for k, shape in enumerate(((24, 40), (40, 24), (33, 33))):
            np.savez(
                tmp_path / "clips" / split / f"{k}.npz",
                frames=rng.integers(0, 256, (20, *shape, 3), np.uint8),
            )
    return open_task_data(TaskRef(dataset=folder(tmp_path / "clips")), build(), user_paths())


def test_window_and_whole_give_the_same_pixels_as_the_geometry(task_data):
    for item in task_data.task.test:
        native = task_data.dataset.read(item.clip, list(item.targets))
        wanted = centre_crop(fit(native, 16), 16)
        for _ in range(2):  # converted, then from the cache
            assert np.array_equal(task_data.clip_cache.window(item.clip, item.targets), wanted)
            assert np.array_equal(task_data.clip_cache.whole(item.clip, item.targets), wanted)
    assert len(list(task_data.clip_cache.folder.rglob("*.npy"))) == 6


def test_a_damaged_cache_file_is_made_again(task_data):
    item = task_data.task.test[0]
    wanted = task_data.targets(item)
    for damage in (b"", b"no array", None):
        for path in task_data.clip_cache.folder.rglob("*.npy"):
            path.write_bytes(path.read_bytes()[:100] if damage is None else damage)
        assert np.array_equal(task_data.targets(item), wanted)


def test_the_cache_follows_the_content(task_data, tmp_path):
    item = task_data.task.test[0]
    before = task_data.targets(item)
    path = tmp_path / "clips" / f"{item.clip.id}.npz"
    np.savez(path, frames=255 - np.load(path)["frames"])
    again = open_task_data(task_data.ref, build(), user_paths())
    assert again.task.id == task_data.task.id
    assert again.task.data_hash != task_data.task.data_hash
    assert not np.array_equal(again.targets(again.task.test[0]), before)
