"""Clips are converted once, in this process or in several, and read as if nothing had been."""

import shutil

import numpy as np
import pytest

from tests.make_archives import VIDEOS, make_mgif, make_penn
from vpbench.api import BadData, Unwritable
from vpbench.core.places import places
from vpbench.core.registry import build
from vpbench.harness import convert as module
from vpbench.harness.bench import Place, open_bench
from vpbench.harness.convert import convert_clips, pieces

FEW = {v: VIDEOS[v] for v in ("2141", "2142", "1149", "1150", "2160")}


@pytest.fixture(scope="module")
def penn(tmp_path_factory):
    return make_penn(tmp_path_factory.mktemp("convert") / "penn", FEW)


@pytest.fixture
def bench(penn):
    return open_bench(Place("penn", None, str(penn)), build(), places())


@pytest.mark.parametrize("workers", [1, 2])
def test_everything_is_read_from_the_cache_afterwards(bench, monkeypatch, workers):
    monkeypatch.setattr(module, "FEW", 2)
    wanted = {item.id: (bench.given(item), bench.targets(item)) for item in bench.task.test}
    shutil.rmtree(bench.store.folder)
    events = []
    assert len(pieces(bench, ("train", "val", "test"))) == 5
    convert_clips(bench, ("train", "val", "test"), workers, events.append)
    assert [e["done"] for e in events] == [1, 2, 3, 4, 5] and events[0]["total"] == 5
    assert pieces(bench, ("train", "val", "test")) == []
    monkeypatch.setattr(type(bench.dataset), "read", None)
    for item in bench.task.test:
        assert np.array_equal(bench.given(item), wanted[item.id][0])
        assert np.array_equal(bench.targets(item), wanted[item.id][1])
    for item in (*bench.task.items["train"], *bench.task.items["val"]):
        whole = bench.store.whole(item.clip, range(item.clip.frames))
        assert np.array_equal(bench.targets(item), whole[list(item.targets)])  # no second copy


def test_only_what_is_asked_for(bench):
    convert_clips(bench, ("test",), 1, lambda event: None)
    assert len(pieces(bench, ("train", "val", "test"))) == 3
    wide = next(bench.store.folder.rglob("*.npy"))
    assert np.load(wide).shape[1] == 128 and np.load(wide).shape[2] > 128  # uncropped


def test_a_dataset_that_is_as_fast_as_the_cache_is_not_copied(monkeypatch):
    from vpbench.data.puppets import dataset as puppets
    from vpbench.data.puppets.clips import SPLITS

    small = dict.fromkeys(SPLITS, 1)
    monkeypatch.setattr(puppets, "SPLITS", small)
    bench = open_bench(Place("puppets"), build(), places())
    assert pieces(bench, ("train", "val", "test")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_frame_is_one_sentence(penn, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(module, "FEW", 1)
    root = tmp_path / "copy"
    shutil.copytree(penn, root)
    path = root / "frames" / "2141" / "000020.jpg"
    path.write_bytes(path.read_bytes()[:500])
    bench = open_bench(Place("penn", None, str(root)), build(), places())
    with pytest.raises(BadData, match=r"2141/000020\.jpg is no readable image") as caught:
        convert_clips(bench, ("train", "val", "test"), workers, lambda event: None)
    assert caught.value.exit_code == 4 and caught.value.fix


def test_too_little_space_is_said_before_anything_is_written(bench, monkeypatch):
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 5, 5))
    with pytest.raises(Unwritable, match="VPBENCH_HOME"):
        convert_clips(bench, ("train",), 1, lambda event: None)
    assert not list(bench.store.folder.rglob("*.npy"))


def test_looping_windows_are_converted_as_they_are(tmp_path):
    root = make_mgif(tmp_path / "mgif", lengths=(40, 40, 9), test=1)
    bench = open_bench(Place("mgif", None, str(root)), build(), places())
    convert_clips(bench, ("test",), 1, lambda event: None)
    (item,) = bench.task.test
    targets = bench.targets(item)
    assert np.array_equal(targets[:9], targets[9:18]) and not np.array_equal(targets[0], targets[1])
