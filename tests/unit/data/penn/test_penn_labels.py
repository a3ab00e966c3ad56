"""Annotation files: every trap of the real ones, and the real ones themselves."""

import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests.make_archives import annotation
from vpbench.api import BadData, MissingData
from vpbench.data.penn.labels import ACTIONS, FRAMES, SPELLED, VIDEOS, read_annotation
from vpbench.data.penn.matlab import read_matlab
from vpbench.data.splits import load


def write(path, **changes):
    stored = annotation("2141", 0, 12, (270, 480), 1)
    stored.update({k: v for k, v in changes.items() if v is not None})
    savemat(path, {k: v for k, v in stored.items() if k not in changes or v is not None})
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float64])
def test_coordinates_of_any_type_become_pixels_from_zero(tmp_path, kind):
    x = np.arange(12 * 13).reshape(12, 13) % 200 + 2
    y = x[::-1].copy()
    found = read_annotation(write(tmp_path / "2141.mat", x=x.astype(kind), y=y.astype(kind)))
    assert np.array_equal(found.xy[..., 0], x - 1.0) and np.array_equal(found.xy[..., 1], y - 1.0)
    way = found.xy[:, 1] - found.xy[:, 2]
    assert np.array_equal(way[:, 0], x[:, 1].astype(float) - x[:, 2])  # bytes would wrap around
    assert found.frames == 12 and (found.height, found.width) == (270, 480)
    assert found.action == "tennis_serve" and found.official_train


def test_joints_that_were_not_annotated(tmp_path):
    x, y = (np.full((12, 13), 50.0) for _ in "xy")
    visible = np.ones((12, 13), np.uint8)
    x[3, 5], y[3, 5], visible[3, 5] = 1, 1, 0
    x[4, 5], y[4, 5], visible[4, 5] = 0, 0, 0
    visible[5, 5] = 0
    x[6, 5], y[6, 5] = 1, 1  # seen in the very corner
    found = read_annotation(write(tmp_path / "2141.mat", x=x, y=y, visibility=visible))
    assert found.known[:, 5].tolist() == [k not in (3, 4) for k in range(12)]
    assert found.visible[:, 5].tolist() == [k not in (3, 4, 5) for k in range(12)]


def test_boxes_that_end_one_early_repeat_the_last(tmp_path):
    stored = annotation("2141", 0, 12, (270, 480), 1, short_box=True)
    savemat(tmp_path / "2141.mat", stored)
    found = read_annotation(tmp_path / "2141.mat")
    assert found.boxes.shape == (12, 4) and np.array_equal(found.boxes[-1], stored["bbox"][-1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action": "juggling"}, "action 'juggling'"),
        ({"x": np.zeros((11, 13))}, "holds joints for"),
        ({"nframes": np.array([[13]])}, "12 and 13 frames"),
        ({"bbox": np.zeros((10, 4))}, "no box for each frame"),
        ({"y": np.full((12, 13), np.nan)}, "not numbers"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, said):
    with pytest.raises(BadData, match=said) as caught:
        read_annotation(write(tmp_path / "2141.mat", **change))
    assert "2141.mat" in caught.value.message and "Extract it again" in caught.value.fix


def test_missing_cut_off_and_foreign_files(tmp_path):
    with pytest.raises(MissingData, match=r"1\.mat is not there"):
        read_annotation(tmp_path / "1.mat")
    whole = write(tmp_path / "2.mat").read_bytes()
    for size in (0, 5, 130, len(whole) // 2, len(whole) - 9):
        cut = tmp_path / f"cut{size}.mat"
        cut.write_bytes(whole[:size])
        with pytest.raises(BadData, match=f"cut{size}"):
            read_annotation(cut)
    (tmp_path / "text.mat").write_text("hello, I am no MATLAB file " * 20)
    with pytest.raises(BadData, match="is not a readable annotation file"):
        read_annotation(tmp_path / "text.mat")
    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(BadData, match="has no action, pose"):
        read_annotation(tmp_path / "other.mat")


TABLE = {  # reference: class of the split -> train, test, videos of the class in all
    "tennis_serve": (176, 10, 186),
    "pull_ups": (146, 10, 199),
    "clean_and_jerk": (69, 10, 88),
    "tennis_forehand": (141, 10, 157),
    "baseball_pitch": (157, 10, 167),
    "jumping_jacks": (92, 10, 112),
    "golf_swing": (155, 10, 166),
    "squats": (73, 10, 231),
    "baseball_swing": (163, 10, 173),
}


def test_the_packaged_split_is_the_published_table():
    split = load("penn")
    assert split.classes == tuple(TABLE)
    by_class = Counter((split.classes[split.labels[v]], role) for v, role in split.roles.items())
    for name, (train, test, _) in TABLE.items():
        assert (by_class[name, "train"], by_class[name, "test"]) == (train, test)
    assert len(split.of("train")) == 1172 and len(split.of("test")) == 90
    spelled = {v: k for k, v in SPELLED.items()}
    for video, label in split.labels.items():
        name = split.classes[label]
        first, last = ACTIONS[spelled.get(name, name)]
        assert first <= int(video) <= last
    assert split.sha256() == "3f299af61e4eb1a06ae3d9501901724e30b7edebbb3cebd2070c521b3e6a9b5b"


def test_all_real_files(shared_clips):
    folder = shared_clips / "penn_action_labels"
    split = load("penn")
    actions, frames, official = Counter(), 0, 0
    for k in range(1, VIDEOS + 1):
        found = read_annotation(folder / "labels" / f"{k:04d}.mat")
        first, last = ACTIONS[found.action]
        assert first <= k <= last
        actions[found.action] += 1
        frames += found.frames
        official += found.official_train
        if f"{k:04d}" in split.roles:
            name = SPELLED.get(found.action, found.action)
            assert split.classes[split.labels[f"{k:04d}"]] == name
    assert frames == FRAMES and sum(actions.values()) == VIDEOS and official == 1258
    for name, (_, _, count) in TABLE.items():
        assert actions[{v: k for k, v in SPELLED.items()}.get(name, name)] == count
    for role in ("train", "test"):
        text = (folder / "kim_split" / f"{role}_set.txt").read_text()
        lines = {tuple(line.removeprefix("frames/").split()) for line in text.split("\n") if line}
        assert lines == {(v, str(split.labels[v])) for v in split.of(role)}


@pytest.mark.parametrize("compressed", [False, True])
def test_the_reader_agrees_with_scipy(tmp_path, compressed):
    path = tmp_path / "any.mat"
    rng = np.random.default_rng(0)
    stored = {
        kind: rng.integers(0, 100, (5, 3)).astype(kind)
        for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
    }
    stored |= {"one": np.array([[7]], np.uint8), "deep": rng.normal(size=(2, 3, 4))}
    stored |= {"yes": np.array([[True, False]]), "word": "tennis_serve", "none": np.zeros((0, 2))}
    other = {"struct": {"a": 1}, "complex": np.array([1j]), "cell": np.array([1, "x"], object)}
    savemat(path, stored | other, do_compression=compressed)
    found, wanted = read_matlab(path.read_bytes()), loadmat(path)
    assert found.keys() == stored.keys()
    for name in stored:
        if name == "word":
            assert found[name] == wanted[name][0] == "tennis_serve"
        else:
            assert np.array_equal(found[name], wanted[name]), name
            assert found[name].shape == wanted[name].shape


@pytest.mark.parametrize("compressed", [False, True])
def test_any_flipped_byte_is_another_annotation_or_one_sentence(tmp_path, compressed):
    """A file cannot crash the reader; what it can still say has a hash of its own."""
    path = tmp_path / "2141.mat"
    savemat(path, annotation("2141", 0, 12, (270, 480), 1), do_compression=compressed)
    whole = path.read_bytes()
    first = read_annotation(path)
    refused = 0
    for k in range(126, len(whole), 5):
        for mask in (1, 0x80, 0xFF):
            path.write_bytes(whole[:k] + bytes([whole[k] ^ mask]) + whole[k + 1 :])
            try:
                assert read_annotation(path).sha256 != first.sha256
            except BadData as error:
                refused += 1
                assert "2141.mat" in error.message and error.exit_code == 4
    assert refused > (200 if compressed else 20)


def test_sizes_that_are_only_claimed_are_not_believed(tmp_path):
    path = tmp_path / "2141.mat"
    savemat(path, annotation("2141", 0, 12, (270, 480), 1))
    whole = path.read_bytes()
    place = whole.index(np.array([12, 13], "<i4").tobytes())
    for shape in ((2**31 - 1, 2**31 - 1), (-12, 13), (0, 0)):
        claim = np.array(shape, "<i4").tobytes()
        path.write_bytes(whole[:place] + claim + whole[place + 8 :])
        with pytest.raises(BadData, match="not a readable annotation file"):
            read_annotation(path)
    bomb = zlib.compress(bytes(200 << 20), 9)
    path.write_bytes(whole[:128] + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(BadData, match="larger than any annotation"):
        read_annotation(path)
