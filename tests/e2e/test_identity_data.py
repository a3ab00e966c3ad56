"""Clips that are made anew, and caches that decay: no score is ever of other bytes than it says."""

import json
import os
import re
import shutil

import numpy as np
import pytest

from tests.conftest import moving_square, write_clips
from tests.e2e.identity import edit, flip, method, nothing_done, own_vpbench
from vpbench.api.errors import Corrupt
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.registry import limited_registry
from vpbench.data.puppets.dataset import Puppets
from vpbench.harness.inputs.task_data import open_task_data

pytestmark = pytest.mark.e2e


def psnr_of_copy_last(clips):
    """By hand: the mean over clips of the PSNR of repeating the first frame 8 times."""
    values = []
    for path in sorted(clips.glob("test/*/*.npz")):
        frames = np.load(path)["frames"].astype(float)
        values.append(10 * np.log10(255**2 / np.mean((frames[1:9] - frames[0]) ** 2)))
    return np.mean(values)


@pytest.fixture
def mutable(place):
    """Clips of this test alone."""
    place.clips = write_clips(place.path / "clips", (("test", 6),))
    place.name = "copy-last"
    return place


def copy_last(place, *words, **more):
    return place.run(*words, method="copy-last", **more)


def replace_clip(path, frames, times):
    np.savez(path, frames=frames)
    if times is not None:
        os.utime(path, ns=times)


@pytest.mark.parametrize("hidden", [False, True], ids=["new files", "same size and time"])
def test_clips_made_anew_under_the_same_names(mutable, hidden):
    copy_last(mutable)
    assert mutable.psnr() == pytest.approx(psnr_of_copy_last(mutable.clips), abs=1e-9)
    (first,) = mutable.folders()
    for k, path in enumerate(sorted(mutable.clips.glob("test/*/*.npz"))):
        before = path.stat()
        times = (before.st_atime_ns, before.st_mtime_ns) if hidden else None
        replace_clip(path, moving_square(500 + k, k % 2), times)
        assert not hidden or path.stat().st_size == before.st_size
    done = copy_last(mutable)
    assert "finished before" not in done.err
    assert mutable.psnr() == pytest.approx(psnr_of_copy_last(mutable.clips), abs=1e-9)
    (second,) = set(mutable.folders()) - {first}
    assert first.is_dir() and second.parent == first.parent


@pytest.mark.parametrize("what", ["given frame", "future"])
def test_one_frame_of_one_clip_is_another(mutable, what):
    """Copy-last sees the given frame alone; the score is of the futures, too."""
    copy_last(mutable)
    path = sorted(mutable.clips.glob("test/*/*.npz"))[0]
    frames = np.load(path)["frames"].copy()
    frames[0 if what == "given frame" else 5] ^= 255
    replace_clip(path, frames, None)
    assert "finished before" not in copy_last(mutable).err
    assert mutable.psnr() == pytest.approx(psnr_of_copy_last(mutable.clips), abs=1e-9)
    assert len(mutable.folders()) == 2


def test_clips_that_come_back_find_their_run_and_their_score(mutable):
    """The table after a run is of the run that was asked for, not of the newest folder."""
    copy_last(mutable)
    kept = shutil.copytree(mutable.clips, mutable.path / "kept")
    for k, path in enumerate(sorted(mutable.clips.glob("test/*/*.npz"))):
        replace_clip(path, moving_square(500 + k, k % 2), None)
    copy_last(mutable)
    shutil.rmtree(mutable.clips)
    kept.rename(mutable.clips)
    done = copy_last(mutable)
    assert nothing_done(done, "copy-last")
    value = psnr_of_copy_last(mutable.clips)
    assert re.search(rf"copy last frame .* {value:.1f}\d*\s", done.out)


def test_a_label_that_changed(mutable):
    """The clip is the same file, in the folder of another class."""
    copy_last(mutable)
    path = sorted((mutable.clips / "test" / "down").iterdir())[0]
    path.rename(mutable.clips / "test" / "right" / "moved.npz")
    assert "finished before" not in copy_last(mutable).err


def test_converted_clips_that_decay_in_the_cache(mutable):
    """Bytes flip under the harness while the clips themselves stay whole."""
    copy_last(mutable)
    value, cached = mutable.psnr(), sorted((mutable.path / "home").glob("clips/*/*/*.npy"))
    whole = {path: path.read_bytes() for path in cached}
    assert len(cached) == 12
    for path in cached:
        flip(path, path.stat().st_size // 2, bit=7)
    done = copy_last(mutable, "--again")
    assert done.err.count("in the cache was damaged; it is made again") == 12
    assert mutable.psnr() == value == pytest.approx(psnr_of_copy_last(mutable.clips), abs=1e-9)
    assert whole == {path: path.read_bytes() for path in cached}


def test_scores_are_not_taken_over_clips_that_decayed(mutable):
    """The predictions are there; only the futures are read."""
    copy_last(mutable)
    value = mutable.psnr()
    for path in mutable.folder().glob("scores/*.json"):
        path.unlink()
    for path in (mutable.path / "home").glob("clips/*/*/*.npy"):
        flip(path, path.stat().st_size // 2, bit=7)
    done = mutable.vpbench("score", "copy-last", "--metrics", "psnr")
    assert done.code == 0, done.err
    assert mutable.psnr() == value


def test_rendered_puppets_that_decay_in_the_cache(rendered_puppets, tmp_path):
    """A block of one frame is other: neither a method nor a metric is given the clip."""
    shutil.copytree(rendered_puppets / "puppets", tmp_path / "home" / "puppets")
    paths = Paths(tmp_path / "runs", tmp_path / "home", offline=True)

    def opened():
        ref = TaskRef(dataset="puppets", limit=8)
        return open_task_data(ref, limited_registry((), ()), paths)

    first, *others = opened().task.test
    (frames,) = Puppets({}, None, tmp_path / "home").folder.glob("test-frames.npy")
    data = np.lib.format.open_memmap(frames, "r+")
    data[int(first.clip.id.rpartition("/")[2]), first.targets[3], :10, :10] ^= 128
    data.flush()
    decayed = opened()
    assert decayed.task.clips_hash == opened().task.clips_hash
    for read in (decayed.targets, decayed.given):
        with pytest.raises(Corrupt, match=r"test-frames\.npy in the cache is damaged") as error:
            read(first)
        assert error.value.fix == "Render it again: vpbench data prepare puppets"
        assert read(others[0]).shape[1:] == (64, 64, 3)


def test_an_index_of_the_cache_that_decays_only_costs_time(mutable):
    copy_last(mutable)
    for path in (mutable.path / "home").rglob("*.json"):
        for position in range(0, path.stat().st_size, max(1, path.stat().st_size // 5)):
            flip(path, position, bit=1)
    done = copy_last(mutable)
    assert nothing_done(done, "copy-last"), done.err
    assert mutable.row()["notes"] == []


def test_a_plugin_is_not_given_predictions_of_other_clips(place):
    """A method that remembers what it saw last time: other given frames, another run."""
    place.clips = write_clips(place.path / "clips", (("test", 6),))
    place.write(method("given.frames[0, -1, 0, 0, 0]")).run()
    (path, *_) = sorted(place.clips.glob("test/*/*.npz"))
    frames = np.load(path)["frames"].copy()
    frames[0] ^= 255
    np.savez(path, frames=frames)
    assert "finished before" not in place.run().err and len(place.folders()) == 2


def test_what_converts_clips_is_in_the_key_of_the_cache(place, tmp_path):
    """The resize is edited: clips that the old one has cached would bear the old scores out."""
    place.clips = write_clips(place.path / "clips", (("test", 6),), size=24)
    place.name, place.env = "copy-last", own_vpbench(tmp_path / "own")
    copy_last(place)
    value = place.psnr()
    path = tmp_path / "own" / "vpbench" / "media" / "resize.py"
    edit(path, "def fitted(", "# in whole pixels\ndef fitted(")
    assert nothing_done(copy_last(place), "copy-last")
    edit(path, "(whole + (1 << (2 * _BITS - 1)))", "(whole + 0)")  # cut off instead of rounded
    assert "code of vpbench.media.resize changed; 1 shard" in copy_last(place).err
    edited = place.psnr()
    place.env = {**place.env, "VPBENCH_HOME": str(tmp_path / "new"), "VPBENCH_RUNS": "new"}
    copy_last(place)
    place.path = tmp_path
    (fresh,) = (tmp_path / "new").glob("*/copy-last/*/scores/psnr@*.json")
    assert json.loads(fresh.read_text())["value"] == edited != value
