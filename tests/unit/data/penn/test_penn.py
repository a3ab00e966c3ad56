"""Penn behind the dataset door, on a small archive in the exact layout."""

import os
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.make_archives import VIDEOS, annotation, make_penn
from vpbench.api import BadData, MissingData, UnknownName, UsageError
from vpbench.core.paths import user_paths
from vpbench.core.registry import build
from vpbench.data.folder.split import by_hash
from vpbench.data.penn.dataset import Penn
from vpbench.data.penn.subsets import subsets_of
from vpbench.data.splits import load
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.media import decode


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return make_penn(tmp_path_factory.mktemp("penn") / "penn")


@pytest.fixture
def penn(archive, tmp_path):
    return Penn({}, archive, tmp_path / "cache")


@pytest.fixture
def copy(archive, tmp_path):
    """An archive to break."""
    target = tmp_path / "copy"
    shutil.copytree(archive, target)
    return target


def bench_of(archive, dataset="penn", task=None):
    return open_task_data(
        TaskRef(dataset=dataset, task=task, root=str(archive)), build(), user_paths()
    )


def first_error(copy, tmp_path):
    """What a run says, and what verify says of the same thing."""
    with pytest.raises((BadData, MissingData)) as caught:
        Penn({}, copy, tmp_path / "cache").clips("test")
    problems = Penn({}, copy, tmp_path / "cache").verify()
    errors = [p for p in problems if p.level == "error"]
    assert errors and all(p.what and p.fix for p in errors)
    return str(caught.value), errors


def test_clips_are_those_of_the_split(penn):
    assert {s: len(penn.clips(s)) for s in penn.splits()} == {"train": 8, "val": 1, "test": 3}
    for split in penn.splits():
        for clip in penn.clips(split):
            role, label, frames, size, _ = VIDEOS[clip.id]
            assert (role == "test") == (split == "test")
            assert (clip.label, clip.frames, (clip.height, clip.width)) == (label, frames, size)
            assert clip.source == "codec" and len(clip.sha256) == 64
    with pytest.raises(UnknownName):
        penn.clips("extra")


def test_validation_is_a_tenth_of_train_by_hash():
    """Of the published split: the rule of folders without test, written out."""
    import hashlib

    train = sorted(load("penn").of("train"), key=lambda v: hashlib.sha256(v.encode()).hexdigest())
    from vpbench.data.folder.findings import Findings
    from vpbench.data.folder.split import completed

    roles = completed(load("penn").roles, {}, "penn", Findings("penn"))
    assert {v for v, r in roles.items() if r == "val"} == set(train[:117])
    assert set(by_hash(["a"]).values()) == {"test"}


def test_frames_are_the_files_in_any_order(penn, archive):
    clip = penn.clips("test")[0]
    for asked in ([0, 5, 5, 2], [clip.frames - 1], []):
        frames = penn.read(clip, asked)
        assert frames.shape == (len(asked), clip.height, clip.width, 3)
        for frame, k in zip(frames, asked, strict=True):
            path = archive / "frames" / clip.id / f"{k + 1:06d}.jpg"
            assert np.array_equal(frame, np.asarray(Image.open(path)))
    whole = decode.read(archive / "frames" / clip.id)
    assert np.array_equal(penn.read(clip, range(clip.frames)), whole)


def test_joints_are_pixels_inside_the_picture_and_hidden_ones_missing(penn):
    for clip in penn.clips("test"):
        pose = penn.pose(clip)
        assert pose.shape == (clip.frames, 13, 3) and pose.dtype == np.float32
        assert (pose[: clip.frames // 4, 6] == 0).all()  # occluded: its position is no use
        assert (pose[clip.frames // 3, 5] == 0).all()
        seen = pose[..., 2] == 1
        assert seen.mean() > 0.9
        assert (pose[seen][:, 0] >= 0).all() and (pose[seen][:, 0] <= clip.width - 1).all()
        assert (pose[seen][:, 1] >= 0).all() and (pose[seen][:, 1] <= clip.height - 1).all()


def test_windows_are_the_published_rule(archive):
    task_data = bench_of(archive)
    assert task_data.task.id == "penn" and task_data.task.spec.size == 128
    items = {i.clip.id: i for i in task_data.task.test}
    assert items["2160"].given == (0,) and items["2160"].targets == tuple(range(1, 33))
    assert items["1680"].targets == tuple(range(1, 33))
    short = items["1150"].targets  # 19 frames: 0-16, each future frame twice
    assert short == tuple(k for k in range(1, 17) for _ in (0, 1))
    train = {i.clip.id: i for i in [*task_data.task.items["train"], *task_data.task.items["val"]]}
    assert train["1160"].targets == tuple(range(2, 66, 2))  # gap = floor(70 / 33)
    assert not any(task_data.task.excluded.values())


def test_the_context_task(archive):
    task_data = bench_of(archive, task="penn-context")
    assert task_data.task.excluded == {"train": 1, "val": 0, "test": 1}
    item = {i.clip.id: i for i in task_data.task.test}["2160"]
    assert item.given == tuple(range(10)) and item.targets == tuple(range(10, 26))
    train = {i.clip.id: i for i in [*task_data.task.items["train"], *task_data.task.items["val"]]}
    assert train["1160"].given == tuple(range(0, 20, 2))  # gap = floor(70 / 26), t0 = 18


@pytest.mark.parametrize("rule", ["antialias", "nearest"])
def test_geometry_is_short_side_and_centre_crop(archive, rule):
    """Against Pillow, which rounds its weights otherwise: at most one grey level apart."""
    task_data = bench_of(archive, f"penn[resize={rule}]")
    assert task_data.task.id == ("penn" if rule == "antialias" else "penn-nearest")
    assert task_data.task.geometry["rule"] == rule
    item = {i.clip.id: i for i in task_data.task.test}["2160"]
    ours = task_data.given(item)[0]
    picture = Image.open(archive / "frames" / "2160" / "000001.jpg")
    filters = {"antialias": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}
    wide = np.asarray(picture.resize((228, 128), filters[rule]))[:, 50:178]
    most = 1 if rule == "antialias" else 0
    assert np.abs(ours.astype(int) - wide.astype(int)).max() <= most


def test_resize_is_another_fingerprint(archive):
    one, other = (bench_of(archive, f"penn[resize={r}]") for r in ("antialias", "nearest"))
    assert one.task.fingerprint(16) != other.task.fingerprint(16)
    for bad in ({"resize": "bicubic"}, {"size": "64"}):
        with pytest.raises((UsageError, UnknownName)):
            Penn(bad, archive, archive)


def test_an_unchanged_archive_is_hashed_once(penn, archive, tmp_path, monkeypatch):
    from vpbench.core import stamps
    from vpbench.data.penn import dataset as module

    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    before = penn.clips("train")
    monkeypatch.setattr(module, "sha256_of", None)
    assert Penn({}, archive, tmp_path / "cache").clips("train") == before
    with pytest.raises(TypeError):
        Penn({}, archive, tmp_path / "cache").prepare(fresh=True)


@pytest.mark.parametrize("part", ["frames/2160/000003.jpg", "labels/2160.mat"])
def test_bytes_that_change_behind_a_scan_are_found_when_they_are_read(copy, tmp_path, part):
    dataset = Penn({}, copy, tmp_path / "cache")
    (clip,) = (c for c in dataset.clips("test") if c.id == "2160")
    frames, pose = dataset.read(clip, [0]), dataset.pose(clip)
    path = copy / part
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    reads_frames = part.startswith("frames")
    with pytest.raises(BadData, match=r"2160.* changed while it was in use"):
        dataset.read(clip, [0]) if reads_frames else dataset.pose(clip)
    if reads_frames:
        assert np.array_equal(dataset.pose(clip), pose)
    else:
        assert np.array_equal(dataset.read(clip, [0]), frames)


def test_joints_are_part_of_what_a_run_depends_on(copy, tmp_path):
    def task():
        return bench_of(copy).task

    before = task()
    path = copy / "labels" / "2160.mat"
    stored = annotation("2160", 0, 35, (270, 480), -1)
    stored["x"] = stored["x"] + 1
    savemat(path, stored)
    after = task()
    assert before.data_hash == after.data_hash  # the frames are the same
    assert before.clips_hash != after.clips_hash
    assert before.training_pose_hash == after.training_pose_hash != ""
    savemat(
        copy / "labels" / "2141.mat", {**annotation("2141", 0, 36, (270, 480), 1), "pose": "up"}
    )
    assert task().training_pose_hash != after.training_pose_hash
    assert task().training_hash == after.training_hash


def test_a_changed_frame_is_another_hash(copy, tmp_path):
    def hashes():
        return {c.id: c.sha256 for c in Penn({}, copy, tmp_path / "cache").clips("test")}

    before = hashes()
    path = copy / "frames" / "2160" / "000003.jpg"
    Image.fromarray(np.zeros((270, 480, 3), np.uint8)).save(path)
    after = hashes()
    assert {v for v in before if before[v] != after[v]} == {"2160"}


def test_another_split_is_said_and_verified(penn):
    (line,) = penn.warnings()
    assert "9 training and 3 test videos" in line
    problems = penn.verify()
    assert [p.level for p in problems] == ["warning"]
    assert penn.published() == {"train": 1172, "test": 90}


def test_published_subsets():
    split = load("penn")
    lengths = {v: 33 if k % 9 else 32 for k, v in enumerate(split.of("test"))}
    parts = subsets_of(split, lengths)
    assert len(parts["villegas70"]) == 70 and len(parts["no-neighbour"]) == 37
    assert parts["long"] == {v for v, n in lengths.items() if n > 32}
    kept = {split.classes[split.labels[v]] for v in parts["villegas70"]}
    assert kept == set(split.classes) - {"pull_ups", "squats"}
    train = set(split.of("train"))
    swings = [v for v in split.of("test") if split.labels[v] == 8]
    assert not parts["no-neighbour"] & set(swings)  # all ten have a neighbour in train
    for video in parts["no-neighbour"]:
        for other in (int(video) - 1, int(video) + 1):
            other = f"{other:04d}"
            assert other not in train or split.labels[other] != split.labels[video]


def test_subsets_of_a_small_split(penn):
    parts = penn.subsets()
    assert parts["long"] == {"2160", "1680"}
    assert parts["no-neighbour"] == {"2160", "1680"}  # 1150 has 1149 and 1151 in train
    assert "villegas70" not in parts


def test_it_is_picklable(penn):
    clip = penn.clips("test")[0]
    again = pickle.loads(pickle.dumps(penn))
    assert np.array_equal(again.read(clip, [3, 1]), penn.read(clip, [3, 1]))


# what may be wrong


def test_no_folder_and_wrong_nesting(archive, tmp_path):
    with pytest.raises(MissingData, match=r"VPBENCH_DATA.*--download"):
        Penn({}, None, tmp_path).clips("test")
    with pytest.raises(MissingData, match=r"nowhere is not there"):
        Penn({}, tmp_path / "nowhere", tmp_path).clips("test")
    outer = tmp_path / "outer"
    shutil.copytree(archive, outer / "Penn_Action")
    with pytest.raises(MissingData, match=f"no folder frames.*--root {outer}/Penn_Action"):
        Penn({}, outer, tmp_path).clips("test")
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "Penn_Action.tar.gz").touch()
    with pytest.raises(MissingData, match="tar -xzf"):
        Penn({}, packed, tmp_path).clips("test")
    (problem,) = Penn({}, packed, tmp_path).verify()
    assert problem.level == "error"


def test_half_extracted(copy, tmp_path):
    for k in (30, 31, 32):
        (copy / "frames" / "2160" / f"{k:06d}.jpg").unlink()
    said, errors = first_error(copy, tmp_path)
    assert "frames/2160 has 32 of 35 frames" in said and "000030.jpg" in said and "again" in said
    assert len(errors) == 1
    shutil.rmtree(copy / "frames" / "1150")
    said, errors = first_error(copy, tmp_path)
    assert "frames/1150 is not there" in said and "1 more: vpbench data verify penn" in said
    assert any("11 of 12 videos; the first that is missing is 1150" in p.what for p in errors)


def test_a_missing_annotation(copy, tmp_path):
    (copy / "labels" / "1661.mat").unlink()
    said, errors = first_error(copy, tmp_path)
    assert "labels/1661.mat is not there. Extract the folder labels" in said
    assert "has no 1661.mat" in errors[0].what


def test_a_class_that_is_not_the_split_s(copy, tmp_path):
    shutil.copy(copy / "labels" / "1149.mat", copy / "labels" / "1151.mat")
    shutil.copy(copy / "labels" / "2160.mat", copy / "labels" / "1661.mat")
    said, errors = first_error(copy, tmp_path)
    assert "1661.mat has the action tennis_serve, the split squats" in said or "1151" in said
    assert any("action tennis_serve" in p.what for p in errors)


def test_corrupt_frames(copy, tmp_path):
    path = copy / "frames" / "2160" / "000007.jpg"
    path.write_bytes(path.read_bytes()[:900])
    dataset = Penn({}, copy, tmp_path / "cache")
    clip = {c.id: c for c in dataset.clips("test")}["2160"]
    with pytest.raises(BadData, match=r"000007\.jpg is not a readable image.*again"):
        dataset.read(clip, [5, 6])
    (error,) = (p for p in dataset.verify() if p.level == "error")
    assert "000007.jpg" in error.what
    path.write_bytes(b"")
    said, _ = first_error(copy, tmp_path)
    assert "missing or empty is 000007.jpg" in said
    Image.fromarray(np.zeros((90, 160, 3), np.uint8)).save(path)
    dataset = Penn({}, copy, tmp_path / "cache")
    with pytest.raises(BadData, match=r"000007\.jpg is 160x90 px"):
        dataset.read({c.id: c for c in dataset.clips("test")}["2160"], [6])


def test_frames_that_the_annotation_does_not_know(copy, tmp_path):
    shutil.copy(copy / "frames" / "2160" / "000001.jpg", copy / "frames" / "2160" / "000036.jpg")
    said, _ = first_error(copy, tmp_path)
    assert "000036.jpg is one frame more than the 35" in said


def test_split_files(copy, tmp_path):
    (copy / "test_set.txt").write_text("frames/2160 0\nframes/21x0 0\n")
    with pytest.raises(BadData, match=r"test_set\.txt, line 2"):
        Penn({}, copy, tmp_path / "cache").clips("test")
    (copy / "test_set.txt").write_text("frames/2160 0\nframes/2141 0\n")
    with pytest.raises(BadData, match="2141 is listed twice"):
        Penn({}, copy, tmp_path / "cache").clips("test")
    (copy / "test_set.txt").unlink()
    with pytest.raises(MissingData, match="without the other"):
        Penn({}, copy, tmp_path / "cache").clips("test")


def test_the_published_split_is_asked_for_without_split_files(copy, tmp_path):
    for role in ("train", "test"):
        (copy / f"{role}_set.txt").unlink()
    said, errors = first_error(copy, tmp_path)
    assert "1249 more" in said or "more: vpbench data verify penn" in said
    assert any("has 12 of 2326 videos" in p.what for p in errors)


def test_a_scene_in_train_and_test_is_reported(copy, tmp_path):
    for k in range(1, 20):
        for folder in ("frames",):
            one = Image.open(copy / folder / "1149" / f"{k:06d}.jpg").resize((480, 360))
            one.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
                copy / folder / "1150" / f"{k:06d}.jpg", quality=85
            )
    alike = [p for p in Penn({}, copy, tmp_path / "cache").verify() if "has a frame like" in p.what]
    (problem,) = alike
    assert problem.level == "warning" and "1150" in problem.what and "1149" in problem.what
