"""The cache of clips at the task's size."""

import numpy as np
import pytest

from tests.e2e.helpers import folder
from vpbench.core.places import places
from vpbench.core.registry import build
from vpbench.harness.bench import Place, open_bench
from vpbench.media.resize import centre_crop, fit


@pytest.fixture
def bench(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        (tmp_path / "clips" / split).mkdir(parents=True)
        for k, shape in enumerate(((24, 40), (40, 24), (33, 33))):
            np.savez(
                tmp_path / "clips" / split / f"{k}.npz",
                frames=rng.integers(0, 256, (20, *shape, 3), np.uint8),
            )
    return open_bench(Place(folder(tmp_path / "clips")), build(), places())


def test_window_and_whole_give_the_same_pixels_as_the_geometry(bench):
    for item in bench.task.test:
        native = bench.dataset.read(item.clip, list(item.targets))
        wanted = centre_crop(fit(native, 16), 16)
        for _ in range(2):  # converted, then from the cache
            assert np.array_equal(bench.store.window(item.clip, item.targets), wanted)
            assert np.array_equal(bench.store.whole(item.clip, item.targets), wanted)
    assert len(list(bench.store.folder.rglob("*.npy"))) == 6


def test_a_damaged_cache_file_is_made_again(bench):
    item = bench.task.test[0]
    wanted = bench.targets(item)
    for damage in (b"", b"no array", None):
        for path in bench.store.folder.rglob("*.npy"):
            path.write_bytes(path.read_bytes()[:100] if damage is None else damage)
        assert np.array_equal(bench.targets(item), wanted)


def test_the_cache_follows_the_content(bench, tmp_path):
    item = bench.task.test[0]
    before = bench.targets(item)
    path = tmp_path / "clips" / f"{item.clip.id}.npz"
    np.savez(path, frames=255 - np.load(path)["frames"])
    again = open_bench(bench.place, build(), places())
    assert again.task.id == bench.task.id
    assert again.task.data_hash != bench.task.data_hash
    assert not np.array_equal(again.targets(again.task.test[0]), before)
