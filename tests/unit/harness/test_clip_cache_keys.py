"""The clip cache: what is in its key, and that no damaged file is believed."""

import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vpbench.api.types import ClipInfo
from vpbench.harness.inputs import clip_cache as module
from vpbench.harness.inputs import sealed_arrays
from vpbench.harness.inputs.clip_cache import ClipCache, damaged_files
from vpbench.media.geometry import Geometry

FRAMES = np.random.default_rng(0).integers(0, 256, (9, 24, 32, 3), np.uint8)
CLIP = ClipInfo("a", 9, 24, 32, None, sha256="1" * 64)


class Spec:
    def __init__(self, name):
        self.name = name


class Memory:
    """A dataset in memory that counts its reads."""

    def __init__(self, name="memory", frames=FRAMES):
        self.spec, self.frames, self.reads = Spec(name), frames, 0

    def read(self, clip, indices):
        self.reads += 1
        return self.frames[list(indices)]


def reads(cache, clip=CLIP, indices=(0, 3)):
    """How often the dataset is read for a window."""
    before = cache.dataset.reads
    frames = cache.window(clip, indices)
    assert frames.shape == (len(indices), cache.geometry.size, cache.geometry.size, 3)
    return cache.dataset.reads - before


@pytest.fixture
def cache(tmp_path):
    made = ClipCache(Memory(), Geometry(16), tmp_path)
    assert reads(made) == 1 and reads(made) == 0
    return made


@pytest.mark.parametrize(
    "clip",
    [
        replace(CLIP, sha256="2" * 64),
        replace(CLIP, frames=8),
        replace(CLIP, height=25),
        replace(CLIP, width=33),
    ],
)
def test_each_thing_of_the_clip(cache, clip):
    assert reads(cache, clip) == 1 and reads(cache, clip) == 0 and reads(cache) == 0


def test_the_frames_of_the_window(cache):
    assert reads(cache, indices=(0, 4)) == 1 and reads(cache, indices=(3, 0)) == 1
    cache.whole(CLIP, [0])
    assert reads(cache, indices=(5, 6)) == 0  # from the whole clip
    assert reads(cache, replace(CLIP, id="another name")) == 0


@pytest.mark.parametrize("geometry", [Geometry(17), Geometry(16, "nearest")])
def test_the_geometry(cache, tmp_path, geometry):
    assert reads(ClipCache(Memory(), geometry, tmp_path)) == 1


def test_decoders_and_version(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(module.decode, "versions", lambda: {"pillow": "another"})
    assert reads(ClipCache(Memory(), Geometry(16), tmp_path)) == 1
    monkeypatch.undo()
    monkeypatch.setattr(module, "VERSION", -1)
    assert reads(ClipCache(Memory(), Geometry(16), tmp_path)) == 1
    monkeypatch.undo()
    assert reads(ClipCache(Memory(), Geometry(16), tmp_path)) == 0


def test_the_dataset_and_the_source_of_a_foreign_one(cache, tmp_path, monkeypatch):
    assert reads(ClipCache(Memory("other"), Geometry(16), tmp_path)) == 1
    reader = Memory()
    reader.reading = "another renderer"
    assert reads(ClipCache(reader, Geometry(16), tmp_path)) == 1
    monkeypatch.setattr(module, "file_sha256", lambda path: "edited")
    assert reads(ClipCache(Memory(), Geometry(16), tmp_path)) == 1


def test_no_damage_is_believed(cache):
    (path,) = cache.folder.rglob("*.npy")
    wanted, whole = cache.window(CLIP, (0, 3)), path.read_bytes()
    flips = [whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in range(0, len(whole), 97)]
    notes = []
    cache.note = notes.append
    for wrong in (b"", b"x", whole[:100], whole[:-1], whole[:-32], whole + b"\0", *flips):
        path.write_bytes(wrong)
        assert damaged_files(cache.folder) == cache.damaged(CLIP, (0, 3)) == [path]
        assert np.array_equal(cache.window(CLIP, (0, 3)), wanted)
        assert path.read_bytes() == whole and damaged_files(cache.folder) == []
        assert len(notes) == 1 and str(path) in notes.pop()


def test_a_file_of_another_key_is_foreign(cache):
    cache.window(replace(CLIP, sha256="2" * 64), (0, 3))
    first, second = sorted(cache.folder.rglob("*.npy"))
    wanted = cache.window(CLIP, (0, 3))
    kept = first.read_bytes(), second.read_bytes()
    first.write_bytes(kept[1])
    second.write_bytes(kept[0])
    assert len(damaged_files(cache.folder)) == 2
    assert np.array_equal(cache.window(CLIP, (0, 3)), wanted)


def test_hashed_once_in_a_process_and_again_after_a_change(cache, monkeypatch):
    (path,) = cache.folder.rglob("*.npy")
    hashed = []
    original = sealed_arrays._salt
    monkeypatch.setattr(sealed_arrays, "_salt", lambda p: hashed.append(p) or original(p))
    for _ in range(3):
        cache.window(CLIP, (0, 3))
    assert hashed == []  # it was verified when the fixture read it
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").replace(path)
    for _ in range(3):
        cache.window(CLIP, (0, 3))
    assert hashed == [path]


def test_it_is_picklable_with_a_listener(cache):
    notes = []
    cache.note = lambda text: notes.append(text)
    again = pickle.loads(pickle.dumps(cache))
    assert again.folder == cache.folder and reads(again) == 0
    again.note("nobody listens in another process")
    assert notes == []
