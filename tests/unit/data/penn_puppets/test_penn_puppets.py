"""Figures that move as annotated joints do."""

import pickle
import shutil

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests.make_archives import VIDEOS, annotation, make_labels
from vpbench.api import BadData, MissingData, UnknownName
from vpbench.core.paths import user_paths
from vpbench.core.registry import build
from vpbench.data.penn.labels import read_annotation
from vpbench.data.penn_puppets.dataset import PennPuppets
from vpbench.data.penn_puppets.joints import filled, incomplete, to_picture
from vpbench.data.penn_puppets.render import figure_of, render, standing_height
from vpbench.data.splits import load, read
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.media.geometry import Geometry


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return make_labels(tmp_path_factory.mktemp("labels") / "penn-labels")


@pytest.fixture
def puppets(labels, tmp_path):
    return PennPuppets({}, labels, tmp_path / "cache")


@pytest.fixture
def copy(labels, tmp_path):
    target = tmp_path / "copy"
    shutil.copytree(labels, target)
    return target


def change(folder, video, **changes):
    path = folder / "labels" / f"{video}.mat"
    stored = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    for name, edit in changes.items():
        edit(stored[name])
    savemat(path, stored)


def blank(joint, frames):
    """Take the position of a joint away."""

    def coordinates(array):
        array[frames, joint] = 1

    def visibility(array):
        array[frames, joint] = 0

    return {"x": coordinates, "y": coordinates, "visibility": visibility}


def test_the_task_is_that_of_penn_at_64(labels):
    task_data = open_task_data(
        TaskRef(dataset="penn-puppets", root=str(labels)), build(), user_paths()
    )
    assert (task_data.task.id, task_data.task.horizon, task_data.task.spec.size) == (
        "penn-puppets",
        32,
        64,
    )
    assert task_data.task.rendered and task_data.task.info.n_joints == 13
    assert {i.clip.id: i.targets for i in task_data.task.test}["1150"][:4] == (1, 1, 2, 2)
    assert task_data.targets(task_data.task.test[0]).shape == (32, 64, 64, 3)


def test_labels_may_lie_in_any_of_three_places(labels, tmp_path, monkeypatch):
    wanted = [c.id for c in PennPuppets({}, labels, tmp_path).clips("test")]
    assert [c.id for c in PennPuppets({}, labels / "labels", tmp_path).clips("test")] == wanted
    for name in ("penn", "penn-labels"):  # the second, once it is there
        shutil.copytree(labels, tmp_path / "data" / name)
        monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "data"))
        task_data = open_task_data(TaskRef(dataset="penn-puppets"), build(), user_paths())
        assert [i.clip.id for i in task_data.task.test] == wanted
        assert task_data.dataset.root == tmp_path / "data" / name


def test_frames_do_not_depend_on_which_others_are_read(puppets):
    for clip in puppets.clips("test"):
        whole = puppets.read(clip, range(clip.frames))
        asked = [clip.frames - 1, 3, 3, 0]
        assert np.array_equal(puppets.read(clip, asked), whole[asked])
        assert len({f.tobytes() for f in whole}) > clip.frames // 2  # it moves


def test_the_figure_stands_where_the_joints_are(puppets, labels):
    """Pixels that change against the empty place lie around the joints."""
    clip = puppets.clips("test")[0]
    frames, pose = puppets.read(clip, range(clip.frames)), puppets.pose(clip)
    ground = np.median(frames, axis=0)
    moving = (np.abs(frames - ground).sum(-1) > 60).any(0)
    rows, columns = np.nonzero(moving)
    low, high = pose[..., :2].min((0, 1)) - 12, pose[..., :2].max((0, 1)) + 12
    assert (columns >= low[0]).all() and (columns <= high[0]).all()
    assert (rows >= low[1]).all() and (rows <= high[1]).all() and moving.sum() > 30


def test_joints_are_those_of_the_film_through_the_task_geometry(puppets, labels):
    for clip in puppets.clips("test"):
        found = read_annotation(labels / "labels" / f"{clip.id}.mat")
        native = np.concatenate([found.xy, np.ones((*found.xy.shape[:2], 1))], -1)
        unit = Geometry(64).pose(native.astype(np.float32), found.height, found.width)
        wanted = (unit[..., :2] + 1) / 2 * 63
        known = found.known
        assert np.allclose(puppets.pose(clip)[..., :2][known], wanted[known], atol=1e-3)


def test_gaps_lie_on_straight_lines_and_are_flagged(copy, tmp_path):
    change(copy, "2160", **blank(4, slice(10, 14)))
    change(copy, "2160", **blank(9, slice(0, 3)))
    found = read_annotation(copy / "labels" / "2160.mat")
    xy, guessed = filled(found)
    assert guessed[10:14, 4].all() and guessed[:3, 9].all()
    for k in range(10, 14):
        share = (k - 9) / 5
        assert np.allclose(xy[k, 4], (1 - share) * found.xy[9, 4] + share * found.xy[14, 4])
    assert (xy[:3, 9] == found.xy[3, 9]).all()
    assert np.array_equal(xy[~guessed], found.xy[~guessed])
    dataset = PennPuppets({}, copy, tmp_path / "cache")
    clip = {c.id: c for c in dataset.clips("test")}["2160"]
    assert clip.note == "with interpolated joints"
    assert np.array_equal(dataset.pose(clip)[..., 2] == 0.5, guessed)


def test_videos_that_are_too_incomplete_are_left_out_and_listed(copy, tmp_path):
    change(copy, "1680", **blank(12, slice(0, 20)))  # known in 16 of 36 frames
    change(copy, "2160", **blank(12, slice(0, 17)))  # known in 18 of 35
    dataset = PennPuppets({}, copy, tmp_path / "cache")
    assert dataset.left_out() == {"1680": "right_ankle has a position in 44% of the frames"}
    assert [c.id for c in dataset.clips("test")] == ["1150", "2160"]
    assert "1680" not in dataset.subsets()["long"]
    assert any("1680 (test) is left out" in p.what for p in dataset.verify())


def test_nothing_but_the_first_frame_decides_about_size(labels):
    found = read_annotation(labels / "labels" / "2160.mat")
    figure = figure_of(found, "2160", "test", 64)
    import dataclasses

    later = found.xy.copy()
    later[1:] = later[1:] * 1.5
    other = figure_of(dataclasses.replace(found, xy=later), "2160", "test", 64)
    assert np.array_equal(render(figure, [0], 64), render(other, [0], 64))
    joints = to_picture(found.xy, found.height, found.width, 64)
    tall = joints[0, 11:, 1].max() - joints[0, 0, 1]
    assert 0.9 * tall < standing_height(joints[0], 64) < 1.5 * tall


def test_looks_and_places_belong_to_one_split(puppets, labels):
    found = read_annotation(labels / "labels" / "2160.mat")
    figures = {s: figure_of(found, "2160", s, 64) for s in ("train", "val", "test")}
    assert len({f.look.outfit for f in figures.values()}) == 3
    assert len({(f.place.kind, f.place.palette) for f in figures.values()}) == 3


def test_hashes_are_of_what_is_rendered_and_made_once(puppets, labels, tmp_path, monkeypatch):
    import hashlib

    from vpbench.data.penn_puppets import dataset as module

    clips = puppets.clips("test")
    for clip in clips:
        pixels = puppets.read(clip, range(clip.frames))
        assert clip.sha256 == hashlib.sha256(pixels.tobytes()).hexdigest()
    monkeypatch.setattr(module, "_hash_rendered", None)
    assert PennPuppets({}, labels, tmp_path / "cache").clips("test") == clips
    (tmp_path / "cache" / "penn-puppets" / "rendered.json").write_text("{broken")
    with pytest.raises(TypeError):  # hashes in a broken file do not count
        PennPuppets({}, labels, tmp_path / "cache").clips("test")


def test_each_thing_in_the_key_of_rendered_clips(copy, tmp_path, monkeypatch):
    from vpbench.data.penn_puppets import dataset as module

    rendered = []
    original = module._hash_rendered
    monkeypatch.setattr(module, "_hash_rendered", lambda w: rendered.append(w[1]) or original(w))

    def again():
        rendered.clear()
        PennPuppets({}, copy, tmp_path / "cache").clips("test")
        return rendered

    assert len(again()) == 3 and again() == []
    stored = annotation("2160", 0, 35, (270, 480), -1)
    savemat(copy / "labels" / "2160.mat", {**stored, "y": stored["y"] + 2})
    assert again() == ["2160"]
    monkeypatch.setattr(module, "_renderer", lambda: "another source")
    assert len(again()) == 3
    monkeypatch.setattr(module, "SIZE", 32)
    assert len(again()) == 3 and again() == []
    path = tmp_path / "cache" / "penn-puppets" / "rendered.json"
    good, wanted = path.read_bytes(), PennPuppets({}, copy, tmp_path / "cache").clips("test")
    for k in range(0, len(good), 29):
        path.write_bytes(good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :])
        assert PennPuppets({}, copy, tmp_path / "cache").clips("test") == wanted


def test_a_label_file_that_changes_behind_a_scan_is_found(puppets, copy, tmp_path):
    dataset = PennPuppets({}, copy, tmp_path / "cache")
    clip = dataset.clips("test")[0]
    path = copy / "labels" / f"{clip.id}.mat"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for use in (lambda: dataset.read(clip, [0]), lambda: dataset.pose(clip)):
        with pytest.raises(BadData, match=rf"{clip.id}\.mat changed while it was in use"):
            use()


def test_errors_name_the_file(copy, tmp_path):
    with pytest.raises(MissingData, match="penn-labels"):
        PennPuppets({}, None, tmp_path).clips("test")
    with pytest.raises(MissingData, match="holds no labels"):
        PennPuppets({}, tmp_path, tmp_path).clips("test")
    with pytest.raises(UnknownName):
        PennPuppets({"size": "96"}, copy, tmp_path)
    (copy / "labels" / "2160.mat").unlink()
    with pytest.raises(MissingData, match=r"2160\.mat is not there"):
        PennPuppets({}, copy, tmp_path / "cache").clips("test")
    shutil.copy(copy / "labels" / "1150.mat", copy / "labels" / "2160.mat")
    with pytest.raises(BadData, match=r"2160\.mat has the action pullup, the split tennis_serve"):
        PennPuppets({}, copy, tmp_path / "cache").clips("test")
    errors = [p for p in PennPuppets({}, copy, tmp_path / "c").verify() if p.level == "error"]
    assert len(errors) == 1


def test_it_is_picklable(puppets):
    clip = puppets.clips("train")[0]
    again = pickle.loads(pickle.dumps(puppets))
    assert np.array_equal(again.read(clip, [1]), puppets.read(clip, [1]))


def test_the_real_labels_give_the_packaged_clips(shared_clips, tmp_path):
    dataset = PennPuppets({}, shared_clips / "penn_action_labels", tmp_path / "cache")
    manifest = read("penn-puppets")
    assert dataset.left_out() == manifest["excluded"] and len(manifest["excluded"]) == 2
    assert {c.id: c.sha256 for c in dataset.clips("test")} == manifest["sha256"]
    assert {s: len(dataset.clips(s)) for s in dataset.splits()} == {
        "train": 1054,
        "val": 116,
        "test": 90,
    }
    assert dataset.warnings() == [] and dataset.split().sha256() == load("penn").sha256()
    assert {k: len(v) for k, v in dataset.subsets().items()} == {
        "long": 79,
        "no-neighbour": 37,
        "villegas70": 70,
    }
    assert not any(
        incomplete(read_annotation(shared_clips / "penn_action_labels" / "labels" / f"{c.id}.mat"))
        for c in dataset.clips("test")
    )
    assert VIDEOS["2160"][0] == "test"
