"""Clips, splits, labels and tasks of a folder."""

import hashlib
import os
import unicodedata

import numpy as np
import pytest
from folder_toys import (
    everything,
    sha,
)

from vpbench.api.protocols import Dataset
from vpbench.api.windows import WindowRule
from vpbench.data.folder import split
from vpbench.data.folder.dataset import FolderDataset


def test_all_kinds_of_clips_live_in_one_folder(tmp_path, put, folder):
    lossless = {
        rel: put(rel, length, size)
        for rel, length, size in [
            ("a.mkv", 7, (16, 24)),
            ("b.npz", 9, (8, 8)),
            ("sub/c.png", 5, (12, 12)),
            ("frames/d", 6, (10, 14)),
        ]
    }
    for rel in ("e.mp4", "f.avi", "g.webm"):
        put(rel, 8, (32, 48))
    put("h.gif", 11, (16, 16))
    found = _without_labels(tmp_path, folder)
    ids = ["a", "b", "e", "f", "frames/d", "g", "h", "sub/c"]
    assert sorted(found) == ids
    assert [found[i][1].frames for i in ids] == [7, 9, 8, 8, 6, 8, 11, 5]
    dataset = _dataset(tmp_path, folder)
    for rel, frames in lossless.items():
        clip = found[os.path.splitext(rel)[0]][1]
        assert clip.source == "lossless"
        assert (clip.frames, clip.height, clip.width) == frames.shape[:3]
        assert np.array_equal(dataset.read(clip, [clip.frames - 1, 0]), frames[[-1, 0]])
    assert found["e"][1].source == "codec"
    assert (found["e"][1].fps, found["b"][1].fps, found["h"][1].fps) == (30, None, 20)


def _dataset(tmp_path, folder):
    names = "abefgh"
    rows = [f"{name},x" for name in names] + ["frames/d,x", "sub/c,y"]
    (tmp_path / "data" / "labels.csv").write_text("file,kind\n" + "\n".join(rows))
    return folder(label="kind")


def _without_labels(tmp_path, folder):
    return everything(_dataset(tmp_path, folder))


def test_it_is_a_dataset_without_joints(put, folder):
    put("a.npz")
    dataset = folder()
    assert isinstance(dataset, Dataset)
    (clip,) = dataset.clips("test")
    assert dataset.pose(clip) is None
    assert dataset.joint_names() == ()
    assert dataset.class_names() == ()
    assert clip.label is None


def test_sha256_is_that_of_the_source_bytes(tmp_path, put, folder):
    put("a.npz")
    put("b", 3)
    found = everything(folder())
    data = (tmp_path / "data" / "a.npz").read_bytes()
    assert found["a"][1].sha256 == hashlib.sha256(data).hexdigest()
    before = found["b"][1].sha256
    files = sorted((tmp_path / "data" / "b").iterdir())
    first, second = files[0].read_bytes(), files[1].read_bytes()
    files[0].write_bytes(second)
    files[1].write_bytes(first)
    assert everything(folder())["b"][1].sha256 != before


def test_descriptions_and_hidden_files_are_no_clips(tmp_path, put, folder):
    put("walk/a.npz")
    put("walk/.b.npz")
    put(".cache/c.npz")
    for name in ("README", "LICENSE", "notes.txt", "a.md", "b.json", "labels.csv", "c.yaml"):
        (tmp_path / "data" / name).write_text("words\n")
    for name in ("README.md", "Thumbs.db", ".DS_Store"):
        (tmp_path / "data" / "walk" / name).write_text("words")
    assert list(everything(folder())) == ["walk/a"]


def test_ids_are_nfc_and_keep_inner_dots(put, folder):
    decomposed = unicodedata.normalize("NFD", "café/é.1.npz")
    put(decomposed)
    assert list(everything(folder())) == ["café/é.1"]
    ((_, clip),) = everything(folder()).values()
    assert folder().read(clip, [0]).shape == (1, 16, 16, 3)


def test_root_takes_the_place_of_the_path(tmp_path, put, folder):
    put("a.npz")
    assert FolderDataset({"path": "/nowhere"}, tmp_path / "data", tmp_path / "c").splits()
    assert folder(root=tmp_path / "data").path == (tmp_path / "data").resolve()


def test_a_folder_that_is_one_clip(tmp_path, put, folder):
    frames = put("only", 6)
    dataset = folder(root=tmp_path / "data" / "only")
    ((_, clip),) = everything(dataset).values()
    assert (clip.id, clip.frames) == ("only", 6)
    assert np.array_equal(dataset.read(clip, [2]), frames[[2]])


# layouts


def test_strips_and_frames_are_told_apart_folder_by_folder(put, folder):
    put("strips/a.png", 4)
    put("strips/b.jpg", 9)
    put("c", 5)
    found = everything(_labelled(folder))
    assert {i: clip.frames for i, (_, clip) in found.items()} == {
        "strips/a": 4,
        "strips/b": 9,
        "c": 5,
    }


def _labelled(folder, **options):
    path = folder(**options).path / "labels.csv"
    rows = ["strips/a,x", "strips/b,x", "c,x"]
    path.write_text("\n".join(["file,kind", *rows]))
    return folder(label="kind", **options)


def test_layout_and_frame_overrule(tmp_path, put, folder):
    put("wide", 3, (8, 40))  # frames that look like strips
    assert {i: c.frames for i, (_, c) in everything(folder()).items()} == {
        f"wide/{n:05d}": 5 for n in (1, 2, 3)
    }
    frames = everything(folder(layout="frames"))
    assert {i: (c.frames, c.width) for i, (_, c) in frames.items()} == {"wide": (3, 40)}
    cut = everything(folder(frame="20x8"))
    assert {(c.frames, c.width) for _, c in cut.values()} == {(2, 20)}
    assert len(everything(folder())) == 3, "answers for one layout are not those for another"


def test_short_strips_need_the_layout(put, folder):
    put("a/1.png", 2)
    put("a/2.png", 3)
    assert sorted(c.frames for _, c in everything(folder(layout="strips")).values()) == [2, 3]


# splits


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, (0, 0, 1)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (9, (6, 1, 2)),
        (12, (9, 1, 2)),
        (13, (9, 1, 3)),
        (25, (17, 3, 5)),
        (100, (70, 10, 20)),
    ],
)
def test_shares_by_hash(count, expected):
    keys = [f"group {n}" for n in range(count)]
    roles = split.by_hash(keys)
    assert tuple(list(roles.values()).count(r) for r in ("train", "val", "test")) == expected
    order = sorted(keys, key=sha)
    rank = {"test": 0, "val": 1, "train": 2}
    ranks = [rank[roles[key]] for key in order]
    assert ranks == sorted(ranks)
    assert split.by_hash(reversed(keys * 2)) == roles


def test_clips_are_split_by_the_hash_of_their_id(put, folder):
    for n in range(10):
        put(f"c{n}.npz", 2)
    parts = {i: part for i, (part, _) in everything(folder()).items()}
    order = sorted(parts, key=sha)
    assert [parts[i] for i in order] == ["test"] * 2 + ["val"] + ["train"] * 7
    assert [c.id for c in folder().clips("train")] == sorted(order[3:])


def test_groups_stay_together(put, folder, table):
    rows = ["file,person"]
    for n in range(24):
        put(f"c{n}.npz", 2)
        rows.append(f"c{n}.npz,p{n % 6}")
    table("\n".join(rows))
    found = everything(folder(group="person"))
    parts = {}
    for part, clip in found.values():
        parts.setdefault(clip.group, set()).add(part)
    assert len(parts) == 6
    assert all(len(part) == 1 for part in parts.values())
    order = sorted(parts, key=sha)
    assert [min(parts[group]) for group in order] == ["test", "val"] + ["train"] * 4


def test_split_folders_with_and_without_val(put, folder):
    for n in range(10):
        put(f"train/run/a{n}.npz", 2)
        put(f"train/jump/b{n}.npz", 2)
    put("test/run/c.npz", 2)
    put("test/jump/d.npz", 2)
    found = everything(folder())
    train = sorted((i for i in found if i.startswith("train")), key=sha)
    assert [found[i][0] for i in train] == ["val"] * 2 + ["train"] * 18
    assert {i for i in found if found[i][0] == "test"} == {"test/run/c", "test/jump/d"}
    assert folder().class_names() == ("jump", "run")
    assert found["test/run/c"][1].label == 1
    put("val/run/e.npz", 2)
    found = everything(folder())
    assert [i for i in found if found[i][0] == "val"] == ["val/run/e"]


def test_split_folders_may_lie_in_one_folder_or_below_the_classes(put, folder):
    for n in range(3):
        put(f"archive/train/a{n}.npz", 2)
    put("archive/test/b.npz", 2)
    dataset = folder()
    assert [len(dataset.clips(part)) for part in ("train", "val", "test")] == [2, 1, 1]
    assert dataset.class_names() == ()
    put("more/train/c.npz", 2)
    assert folder().class_names() == ("archive", "more")
    assert len(folder().clips("test")) == 1


def test_split_by_column_and_by_file(put, folder, table):
    for name in "abcd":
        put(f"x/{name}.npz", 2)
    rows = ["x/a.npz,test,1", "x/b,Train,1", "./x/c.npz,validation,2", "x\\d.npz,training,2"]
    table("file,part,n\n" + "\n".join(rows) + "\n\n")
    expected = {"x/a": "test", "x/b": "train", "x/c": "val", "x/d": "train"}
    assert {i: part for i, (part, _) in everything(folder(split="part")).items()} == expected
    table("file\tsplit\n" + "\n".join(f"{i}\t{p}" for i, p in expected.items()), "mine.txt")
    assert {i: part for i, (part, _) in everything(folder(split="mine.txt")).items()} == expected
    elsewhere = folder().path.parent / "other.csv"
    (folder().path / "mine.txt").rename(elsewhere)
    found = everything(folder(split=str(elsewhere)))
    assert {i: part for i, (part, _) in found.items()} == expected


def test_a_column_without_val_gives_whole_groups_of_train(put, folder, table):
    rows = ["file;who;part"]
    for n in range(20):
        put(f"c{n:02d}.npz", 2)
        rows.append(f"c{n:02d};p{n // 4};{'test' if n >= 16 else 'train'}")
    table("\ufeff" + "\n".join(rows))
    found = everything(folder(split="part", group="who"))
    val = {clip.group for part, clip in found.values() if part == "val"}
    assert val == {min((f"p{k}" for k in range(4)), key=sha)}
    assert sum(part == "val" for part, _ in found.values()) == 4


# labels


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["walk", "Run", "jump"], ("Run", "jump", "walk")),
        (["10", "9", "2"], ("2", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        (["-1", "1", "01"], ("-1", "01", "1")),
    ],
)
def test_classes_are_sorted_as_numbers_or_text(put, folder, names, order):
    for name in names:
        put(f"{name}/x.npz", 2)
    dataset = folder()
    assert dataset.class_names() == order
    for clip_id, (_, clip) in everything(dataset).items():
        assert order[clip.label] == clip_id.split("/")[0]


def test_label_column_goes_before_folders(put, folder, table):
    put("1/a.npz", 2)
    put("1/b.npz", 2)
    table('file,class name\n1/a.npz,"sit, up"\n1/b.npz, squat \n')
    dataset = folder(label="class name")
    assert dataset.class_names() == ("sit, up", "squat")
    assert {i: c.label for i, (_, c) in everything(dataset).items()} == {"1/a": 0, "1/b": 1}


# task


def test_the_task_follows_the_options(tmp_path, put, folder):
    put("a.npz", 2, (32, 32))
    (task,) = folder().tasks()
    assert task.id == "folder-data"
    assert (task.size, task.native) == (64, False)
    assert task.window == WindowRule(n_max=1, horizon=16)
    options = {"conditioning": "3", "horizon": 5, "stride": "2", "windows": 4, "size": "32"}
    (task,) = folder(**options, short="loop").tasks()
    assert task.native
    assert task.window == WindowRule(n_max=3, horizon=5, gap=2, windows=4, short="loop")
    put("b.npz", 2, (32, 33))
    assert not folder(size=32).tasks()[0].native
    (tmp_path / "data").rename(tmp_path / "My clips (2)")
    assert folder(root=tmp_path / "My clips (2)").tasks()[0].id == "folder-My-clips-2"


def test_the_digest_holds_ids_splits_and_labels(put, folder, table):
    for n in range(6):
        put(f"c{n}.npz", 2)
    rows = [f"c{n}.npz,{'ab'[n % 2]},{'test' if n < 3 else 'train'}" for n in range(6)]
    table("file,kind,part\n" + "\n".join(rows))
    digests = {
        folder().digest(),
        folder(label="kind").digest(),
        folder(split="part").digest(),
        folder(split="part", label="kind").digest(),
    }
    assert len(digests) == 4
    assert folder(horizon=3, size=8).digest() == folder().digest()
    before = folder(label="kind").digest()
    rows[0] = rows[0].replace(",a,", ",b,")
    table("file,kind,part\n" + "\n".join(rows))
    assert folder(label="kind").digest() != before
    put("c6.npz", 2)
    assert folder().digest() not in digests
