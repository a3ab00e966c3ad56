"""NEMO and MGIF behind the dataset door, and what may be wrong with them."""

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.make_archives import make_mgif, make_nemo
from vpbench.api import BadData, MissingData, UnknownName, UsageError
from vpbench.core.paths import user_paths
from vpbench.core.registry import build
from vpbench.data.archives import TEST_PERSONS, Mgif, Nemo
from vpbench.harness.inputs.task_data import TaskRef, open_task_data

MAKERS = {Nemo: make_nemo, Mgif: make_mgif}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return {
        kind: make(tmp_path_factory.mktemp("archives") / kind.spec.name)
        for kind, make in MAKERS.items()
    }


@pytest.fixture(params=[Nemo, Mgif], ids=["nemo", "mgif"])
def made(request, archives, tmp_path):
    """Class, and a copy of its archive to break."""
    root = tmp_path / "copy"
    shutil.copytree(archives[request.param], root)
    return request.param, root


def opened(kind, root, tmp_path):
    return kind({}, root, tmp_path / "cache")


def bench_of(kind, archives):
    return open_task_data(
        TaskRef(dataset=kind.spec.name, root=str(archives[kind])), build(), user_paths()
    )


def test_test_people_are_the_published_41():
    published = (
        "133 492 174 105 445 166 525 162 447 336 071 414 116 148 502 225 205 093 141 004 456 263 "
        "418 483 265 450 201 304 505 536 510 172 112 400 270 215 155 553 343 176 213"
    )
    assert {f"{p:03d}" for p in TEST_PERSONS} == set(published.split()) and len(TEST_PERSONS) == 41


def test_nemo(archives):
    task_data = bench_of(Nemo, archives)
    assert (task_data.task.id, task_data.task.horizon, task_data.task.spec.size) == ("nemo", 31, 64)
    assert task_data.task.info.n_classes == 0 and len(task_data.task.test) == 6
    item = task_data.task.test[0]
    assert item.given == (0,) and item.targets == tuple(range(1, 32))
    strip = np.asarray(Image.open(archives[Nemo] / f"{item.clip.id}.png"))[..., :3]
    frames = np.stack([strip[:, 64 * k : 64 * k + 64] for k in range(32)])
    assert np.array_equal(task_data.given(item), frames[:1])  # native: not a byte is changed
    assert np.array_equal(task_data.targets(item), frames[1:])
    people = {
        split: {i.clip.group for i in task_data.task.items[split]}
        for split in ("train", "val", "test")
    }
    assert len(people["val"]) == 1 and not people["val"] & people["train"]  # a person, not a clip
    assert item.cluster == f"group:{item.clip.group}"


def test_mgif(archives):
    task_data = bench_of(Mgif, archives)
    assert (task_data.task.horizon, task_data.task.spec.size) == (32, 128)
    items = {i.clip.id: i for i in task_data.task.test}
    assert set(items) == {"test/00005", "test/00006", "test/00007"}
    assert items["test/00005"].targets == tuple(range(2, 66, 2))  # gap = floor(66 / 33)
    assert items["test/00006"].targets == tuple(range(1, 33))
    looped = items["test/00007"].targets  # 25 frames, a cycle
    assert looped == tuple(k % 25 for k in range(1, 33))
    assert task_data.task.notes == {
        "shorter than the window: starting again from the first frame": 1
    }
    assert task_data.task.fields()["notes"] == dict(task_data.task.notes)
    assert not any(task_data.task.excluded.values())


def test_mgif_at_another_size_is_another_task(archives, tmp_path):
    ref = TaskRef(dataset="mgif[size=64]", root=str(archives[Mgif]))
    small = open_task_data(ref, build(), user_paths())
    large = bench_of(Mgif, archives)
    assert (small.task.id, small.task.spec.size) == ("mgif-64", 64)
    assert small.task.spec.window == large.task.spec.window
    item = small.task.test[0]
    assert small.targets(item).shape == (32, 64, 64, 3)
    assert [i.id for i in small.task.test] == [i.id for i in large.task.test]
    assert Mgif({"size": 128}, archives[Mgif], tmp_path).tasks() == Mgif.spec.tasks


@pytest.mark.parametrize("size", ["0", "15", "1025", "64x64", "x", "²", "6.4"])
def test_sizes_that_cannot_be_are_refused(size, tmp_path):
    with pytest.raises(UsageError, match="whole number from 16 to 1024"):
        Mgif({"size": size}, None, tmp_path)


def test_gifs_are_drawn_with_their_disposal(archives):
    """One square on white in every frame: nothing of the frame before is left."""
    task_data = bench_of(Mgif, archives)
    for item in task_data.task.test:
        for frame in task_data.targets(item):
            dark = (frame.astype(int).sum(-1) < 700).sum()
            assert dark == 32 * 32
    assert len({f.tobytes() for f in task_data.targets(task_data.task.test[1])}) == 32


def test_counts_that_are_not_the_published_ones_are_said(made, tmp_path):
    kind, root = made
    dataset = opened(kind, root, tmp_path)
    lines = dataset.warnings()
    assert len(lines) == 2 and all(" the published archive " in line for line in lines)
    problems = dataset.verify()
    assert {p.level for p in problems} == {"warning"} and len(problems) >= 2
    assert set(dataset.published()) == {"train", "test"}


def test_one_clip_less_is_another_split_hash(made, tmp_path, archives):
    kind, root = made
    before = open_task_data(
        TaskRef(dataset=kind.spec.name, root=str(root)), build(), user_paths()
    ).task.split_hash
    next(iter(sorted((root / "train").iterdir()))).unlink()
    after = open_task_data(
        TaskRef(dataset=kind.spec.name, root=str(root)), build(), user_paths()
    ).task.split_hash
    assert before != after


def test_missing_and_wrongly_nested(made, tmp_path):
    kind, root = made
    with pytest.raises(MissingData, match="VPBENCH_DATA"):
        opened(kind, None, tmp_path).clips("test")
    with pytest.raises(MissingData, match="nowhere is not there"):
        opened(kind, tmp_path / "nowhere", tmp_path).clips("test")
    with pytest.raises(MissingData, match=f"no folder train and no folder test.*--root {root}"):
        opened(kind, root.parent, tmp_path).clips("test")
    shutil.rmtree(root / "test")
    with pytest.raises(MissingData, match=r"has no folder test\. Unpack the whole archive"):
        opened(kind, root, tmp_path).clips("test")
    (problem,) = opened(kind, root, tmp_path).verify()
    assert problem.level == "error" and problem.fix


def test_corrupt_files(made, tmp_path):
    kind, root = made
    files = sorted((root / "train").iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-40])
    files[1].write_text("text")
    with pytest.raises(BadData, match=f"{files[0].name}.*1 more: vpbench data verify"):
        opened(kind, root, tmp_path).clips("train")
    errors = [p for p in opened(kind, root, tmp_path).verify() if p.level == "error"]
    assert len(errors) == 2 and all(p.fix for p in errors)
    assert {files[0].name, files[1].name} == {p.path.rpartition("/")[2] for p in errors}


def test_a_file_that_changes_in_use(made, tmp_path):
    kind, root = made
    dataset = opened(kind, root, tmp_path)
    clip = dataset.clips("test")[0]
    path = next(p for p in (root / "test").iterdir() if p.stem == clip.id.rpartition("/")[2])
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BadData, match="changed while it was in use"):
        dataset.read(clip, [0])


def test_names_and_options(made, tmp_path):
    kind, root = made
    dataset = opened(kind, root, tmp_path)
    with pytest.raises(UnknownName):
        dataset.clips("extra")
    with pytest.raises(UnknownName):
        kind({"side": "64"}, root, tmp_path)
    assert dataset.pose(dataset.clips("test")[0]) is None
    again = pickle.loads(pickle.dumps(dataset))
    clip = dataset.clips("train")[0]
    assert np.array_equal(again.read(clip, [4, 0]), dataset.read(clip, [4, 0]))
    for word in ("licence", "cite", "train/"):
        assert word in dataset.instructions()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("train/004_deliberate_smile_2.png", "person 004 is in train and in test"),
        ("test/777_spontaneous_smile_1.png", "person 777 is none of the archive's 41"),
        ("test/face.png", "face.png is not named like 001_deliberate_smile_1"),
    ],
)
def test_people_of_nemo(archives, tmp_path, wrong, said):
    root = tmp_path / "nemo"
    shutil.copytree(archives[Nemo], root)
    shutil.copy(root / "test" / "004_deliberate_smile_1.png", root / wrong)
    with pytest.raises(BadData, match=said):
        opened(Nemo, root, tmp_path).clips("test")
    assert any(said in p.what for p in opened(Nemo, root, tmp_path).verify())


def test_faces_of_another_size(archives, tmp_path):
    root = tmp_path / "nemo"
    shutil.copytree(archives[Nemo], root)
    path = root / "test" / "004_deliberate_smile_1.png"
    Image.open(path).resize((32 * 32, 32)).save(path)
    with pytest.raises(BadData, match="frames of 32x32 px, not 64x64"):
        opened(Nemo, root, tmp_path).clips("test")


def test_short_strips_are_left_out_and_counted(archives, tmp_path):
    root = tmp_path / "nemo"
    shutil.copytree(archives[Nemo], root)
    path = root / "test" / "004_deliberate_smile_1.png"
    Image.open(path).crop((0, 0, 64 * 31, 64)).save(path)
    task = open_task_data(TaskRef(dataset="nemo", root=str(root)), build(), user_paths()).task
    assert task.excluded["test"] == 1 and len(task.test) == 5
    assert task.notes == {"too short for the window, left out": 1}


def test_real_gifs(shared_clips, tmp_path):
    root = shared_clips / "critters" / "moving-gif"
    dataset = opened(Mgif, root, tmp_path)
    counts = {s: len(dataset.clips(s)) for s in dataset.splits()}
    assert counts == {"train": 76, "val": 8, "test": 21}
    assert not [p for p in dataset.verify() if p.level == "error"]
