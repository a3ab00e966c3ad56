"""Folders that are wrong: each problem is one sentence with the file and the way out."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from vpbench.api.errors import BadData, MissingData, UnknownName, UsageError
from vpbench.data.folder.dataset import FolderDataset


def fails(dataset, kind, *says):
    """The first problem, which `verify` must know too."""
    with pytest.raises(kind) as error:
        dataset.splits()
    text = str(error.value)
    for words in says:
        assert words in text, text
    problems = dataset.verify()
    assert error.value.message in {problem.what for problem in problems if problem.level == "error"}
    return text


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"hrizon": 4}, UnknownName, "unknown option 'hrizon' of folder. Did you mean horizon?"),
        ({"horizon": "x"}, UsageError, "horizon=x must be a whole number"),
        ({"horizon": 0}, UsageError, "horizon=0"),
        ({"stride": 1.5}, UsageError, "stride=1.5"),
        ({"size": True}, UsageError, "size=True"),
        ({"windows": "-1"}, UsageError, "windows=-1"),
        ({"short": "double"}, UsageError, "one of exclude, error, loop"),
        ({"layout": "strip"}, UsageError, "one of auto, strips, frames"),
        ({"frame": "64"}, UsageError, "WIDTHxHEIGHT"),
        ({"frame": "0x4"}, UsageError, "WIDTHxHEIGHT"),
        ({"frame": "4x4", "layout": "frames"}, UsageError, "layout=frames"),
    ],
)
def test_options_are_checked_before_anything_is_read(put, folder, options, kind, says):
    put("a.npz")
    with pytest.raises(kind) as error:
        folder(**options)
    assert says in str(error.value)


def test_the_folder_must_be_there(tmp_path, put, folder):
    with pytest.raises(MissingData, match="data is not there"):
        folder()
    with pytest.raises(UsageError, match="folder:PATH"):
        FolderDataset({}, None, tmp_path)
    put("a.npz")
    with pytest.raises(UsageError, match="is a file"):
        folder(root=tmp_path / "data" / "a.npz")
    with pytest.raises(UnknownName, match="Did you mean test"):
        folder().clips("tst")


def test_a_folder_without_clips_is_missing_data(tmp_path, folder):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "README.md").write_text("nothing yet")
    fails(folder(), MissingData, "holds no clips")


def test_two_clips_of_one_id_are_named_both(put, folder):
    put("x/a.npz")
    put("x/a.gif")
    fails(folder(), BadData, "a.npz", "a.gif", "clip 'x/a'")


def test_ids_that_differ_in_unicode_form_only(put, folder):
    put(unicodedata.normalize("NFC", "é.npz"))
    put(unicodedata.normalize("NFD", "é.gif"))
    fails(folder(), BadData, "are both clip 'é'")


@pytest.mark.parametrize("name", ["walk/a.xyz", "walk/a.txt", "walk/a.mat", "a.wav", "noname"])
def test_unknown_types_are_named(tmp_path, put, folder, name):
    put("walk/b.npz")
    (tmp_path / "data" / name).write_text("x")
    fails(folder(), BadData, name, "does not read")


def test_an_empty_class_folder_is_named(tmp_path, put, folder):
    put("walk/a.npz")
    (tmp_path / "data" / "run").mkdir()
    fails(folder(), BadData, f"{tmp_path / 'data' / 'run'} holds no clips")


def test_broken_clips_are_named_and_counted(tmp_path, put, folder):
    for name in ("a.npz", "b.mp4", "c.gif", "d.avi"):
        put(name)
        path = tmp_path / "data" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    put("good.npz")
    text = fails(folder(), BadData, "a.npz")
    assert "3 more: vpbench data verify" in text
    problems = folder().verify()
    assert [os.path.basename(p.path) for p in problems if p.level == "error"] == [
        "a.npz",
        "b.mp4",
        "c.gif",
        "d.avi",
    ]
    assert all(p.fix for p in problems)


def test_links_in_circles_and_to_nowhere(tmp_path, put, folder):
    put("a/b.npz")
    (tmp_path / "data" / "a" / "loop").symlink_to(tmp_path / "data")
    fails(folder(), BadData, "link to a folder above")
    (tmp_path / "data" / "a" / "loop").unlink()
    (tmp_path / "data" / "a" / "c.npz").symlink_to(tmp_path / "gone.npz")
    fails(folder(), BadData, "c.npz", "broken link")


def test_links_to_clips_elsewhere_are_followed(tmp_path, put, folder):
    put("a/b.npz")
    (tmp_path / "data" / "a").rename(tmp_path / "elsewhere")
    (tmp_path / "data" / "a").symlink_to(tmp_path / "elsewhere")
    assert [clip.id for clip in folder().clips("test")] == ["a/b"]


# images


def image(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def test_images_that_can_be_neither_strips_nor_frames(tmp_path, folder):
    data = tmp_path / "data"
    image(data / "x" / "1.png", (16, 16))
    image(data / "x" / "2.png", (16, 24))
    fails(folder(), BadData, "1.png is 16x16 px and 2.png is 16x24 px", "layout=")
    (data / "x" / "2.png").unlink()
    image(data / "x" / "photo.png", (16, 16))
    fails(folder(), BadData, "photo.png has no frame number", "layout=")
    (data / "x" / "photo.png").unlink()
    (data / "x" / "1.png").unlink()
    image(data / "x" / "1.png", (70, 16))
    fails(folder(), BadData, "70x16 px, neither", "layout=")
    (data / "x" / "1.png").write_bytes(b"no image")
    fails(folder(), BadData, "1.png")


def test_missing_frames_are_noticed(tmp_path, put, folder):
    put("x", 9)
    (tmp_path / "data" / "x" / "00005.png").unlink()
    fails(folder(), BadData, "jump from 4 to 6", "layout=frames")
    assert folder(layout="frames").clips("test")[0].frames == 8


def test_strips_that_do_not_divide(tmp_path, put, folder):
    put("x/a.png", 5)
    image(tmp_path / "data" / "x" / "b.png", (81, 16))
    fails(folder(layout="strips"), BadData, "b.png is 81x16")
    fails(folder(frame="16x16"), BadData, "b.png is 81x16", "frame=WxH")


# labels.csv


@pytest.fixture
def three(put):
    """Three clips: a, b and c."""
    for name in "abc":
        put(f"{name}.npz", 18)


TABLES = [
    ("file,k\na.npz,x\nb.npz,y\nc.npz,z\nd.npz,z\n", BadData, "line 5: 'd.npz' is not a clip"),
    ("file,k\na.npz,x\nb.npz,y\n", BadData, "no row for clip 'c'"),
    ("file,k\na.npz,x\nb.npz,\nc.npz,z\n", BadData, "line 3: the k of 'b.npz' is empty"),
    ("file,k\na.npz,x\nb.npz,  \nc.npz,z\n", BadData, "line 3: the k of 'b.npz' is empty"),
    ("file,k\na.npz,x\na,y\nb,y\nc,z\n", BadData, "line 3: clip 'a' already has line 2"),
    ("file,k\na.npz,x\nb.npz\nc.npz,z\n", BadData, "line 3: 1 cells under 2"),
    ("file,k\na.npz,x,y\nb,y\nc.npz,z\n", BadData, "line 2: 3 cells under 2"),
    ("file,k\n,x\nb,y\nc.npz,z\n", BadData, "line 2: the file is empty"),
    ("path,k\na.npz,x\n", BadData, "no column 'file', only path, k"),
    ("file,k,k\na.npz,x,y\n", BadData, "two columns of the same name"),
    ("", BadData, "no column 'file'"),
    ("file,kk\na,x\nb,y\nc,z\n", UnknownName, "Did you mean kk?"),
    ('file,k\na,"x\nb,y\nc,z\n', BadData, "labels.csv"),
    ("file,k\n../data/a.npz,x\nb,y\nc,z\n", BadData, "'../data/a.npz' is not a clip"),
]


@pytest.mark.parametrize(("text", "kind", "says"), TABLES)
@pytest.mark.parametrize("option", ["label", "group"])
def test_tables_that_do_not_fit(three, table, folder, text, kind, says, option):
    table(text)
    fails(folder(**{option: "k"}), kind, says)


def test_a_table_that_is_no_text_or_not_there(tmp_path, three, folder):
    fails(folder(label="k"), MissingData, "labels.csv is not there", "file,k")
    (tmp_path / "data" / "labels.csv").write_bytes(b"file,k\na,\xff\xfe\n")
    fails(folder(label="k"), BadData, "UTF-8")


def test_the_key_column_is_no_label(three, table, folder):
    table("file,k\na,x\nb,y\nc,z\n")
    fails(folder(label="file"), UnknownName, "column 'file' of")


def test_an_unused_table_is_checked_by_verify_only(three, table, folder):
    table("file,k\na,x\nb,y\nc,z\nd,z\n")
    assert folder().splits()
    (problem,) = [p for p in folder().verify() if p.level == "error"]
    assert "'d' is not a clip" in problem.what


# splits and labels


def test_splits_that_do_not_fit(three, table, folder):
    table("file,part\na,tset\nb,train\nc,train\n")
    fails(folder(split="part"), BadData, "the split of clip 'a' is 'tset'", "train, val or test")
    table("file,part\na,train\nb,train\nc,val\n")
    fails(folder(split="part"), MissingData, "no test clips")
    fails(folder(split="prt"), UnknownName, "neither column nor file 'prt'", "Did you mean part?")
    table("file,split\na,test\nb,train\n", "mine.csv")
    fails(folder(split="mine.csv"), BadData, "mine.csv has no row for clip 'c'")
    table("file,sp\na,test\nb,train\nc,train\n", "mine.csv")
    fails(folder(split="mine.csv"), UnknownName, "column 'split' of mine.csv", "sp")


def test_split_folders_that_do_not_fit(tmp_path, put, folder):
    put("train/a.npz")
    fails(folder(), MissingData, "no test clips")
    put("test/b.npz")
    put("other/c.npz")
    fails(folder(), BadData, "'other/c' is not in a split folder")


def test_clips_outside_of_the_class_folders(put, folder):
    put("walk/a.npz")
    put("b.npz")
    fails(folder(), BadData, "clip 'b' is not in a class folder", "label=COLUMN")


# reading


def test_clips_that_change_or_vanish_in_use(tmp_path, put, folder):
    put("a.npz")
    put("b", 4)
    dataset = folder(label="")
    clips = {clip.id: clip for part in dataset.splits() for clip in dataset.clips(part)}
    put("a.npz", 19)
    with pytest.raises(BadData, match="changed while it was in use"):
        dataset.read(clips["a"], [0])
    (tmp_path / "data" / "b" / "00002.png").unlink()
    with pytest.raises(BadData, match="changed while it was in use"):
        dataset.read(clips["b"], [0])
    with pytest.raises(BadData, match="frame 99"):
        folder(root=_only(tmp_path, put)).read(clips["a"], [99])


def _only(tmp_path, put):
    np.savez(tmp_path / "x.npz", frames=np.zeros((3, 4, 4, 3), np.uint8))
    (tmp_path / "single").mkdir()
    (tmp_path / "x.npz").rename(tmp_path / "single" / "a.npz")
    return tmp_path / "single"


# verify


def test_verify_of_a_good_folder_is_silent(put, folder):
    for n in range(4):
        put(f"c{n}.npz", 17)
    assert folder().verify() == []


def test_verify_tells_of_short_clips(put, folder):
    for n in range(4):
        put(f"c{n}.npz", 16)
    for short, level, says in (
        ("exclude", "warning", "left out"),
        ("loop", "warning", "starts again"),
        ("error", "error", "needs 17"),
    ):
        problems = folder(short=short).verify()
        assert [p.level for p in problems] == [level] * 4
        assert all(says in p.what and "has 16 frames" in p.what for p in problems)
    assert len(folder(stride=2, horizon=8).verify()) == 4
    assert folder(stride=2, horizon=7).verify() == []


def test_verify_tells_of_the_same_bytes_in_several_splits(tmp_path, put, folder):
    for name in ("train/a", "train/b", "val/c", "test/d", "test/e"):
        put(f"{name}.npz")
    data = tmp_path / "data"
    (data / "test" / "e.npz").write_bytes((data / "test" / "d.npz").read_bytes())
    assert folder().verify() == [], "twice in one split is no leak"
    (data / "test" / "d.npz").write_bytes((data / "train" / "a.npz").read_bytes())
    (problem,) = folder().verify()
    assert problem.level == "warning"
    assert "test/d (test), train/a (train)" in problem.what


@pytest.mark.parametrize("frame", [0, 10, 19])
@pytest.mark.parametrize("mirrored", [False, True])
def test_verify_tells_of_test_clips_that_look_like_training_clips(
    tmp_path, put, folder, frame, mirrored
):
    """One of the three frames that are compared is that of a training clip, other bytes around."""
    known = put("train/a.npz", 20, (32, 48))
    for name in ("train/b", "val/c", "test/d"):
        own = put(f"{name}.npz", 20, (32, 48))
    assert folder().verify() == []
    own[frame] = known[10][:, ::-1] if mirrored else known[10]
    np.savez(tmp_path / "data" / "test" / "d.npz", frames=own)
    (problem,) = folder().verify()
    assert problem.level == "warning"
    assert "test/d has a frame like one of training clip train/a" in problem.what


def test_verify_tells_of_groups_and_classes_across_splits(put, folder, table):
    names = ["a", "b", "c", "d"]
    for name in names:
        put(f"{name}.npz")
    rows = ["a,p1,x,train", "b,p2,x,val", "c,p1,y,test", "d,p3,x,test"]
    table("file,who,what,part\n" + "\n".join(rows))
    problems = folder(group="who", label="what", split="part").verify()
    assert [p.level for p in problems] == ["warning"] * 2
    assert "group 'p1' is in several splits: test, train" in problems[0].what
    assert "class 'y' is in test but not in train" in problems[1].what


def test_verify_finds_all_at_once_and_decodes_again(tmp_path, put, folder, table):
    for name in ("walk/a.npz", "walk/b.mkv", "run/c.gif"):
        put(name)
    (tmp_path / "data" / "hop").mkdir()
    (tmp_path / "data" / "run" / "notes.doc").write_text("x")
    table("file,k\nwalk/a,x\nrun/c,\nrun/z,y\n")
    problems = folder(label="k").verify()
    text = "\n".join(p.what for p in problems)
    for words in ("hop holds no clips", "notes.doc", "'run/z'", "clip 'walk/b'", "is empty"):
        assert words in text
    assert all(p.fix and p.path for p in problems)

    for path in ("hop", "run/notes.doc"):
        target = tmp_path / "data" / path
        target.rmdir() if target.is_dir() else target.unlink()
    table("file,k\nwalk/a,x\nrun/c,y\nwalk/b,x\n")
    dataset = folder(label="k")
    assert dataset.splits()
    path = tmp_path / "data" / "walk" / "a.npz"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [p.path for p in folder(label="k").verify() if p.level == "error"] == [str(path)]


def test_verify_of_another_root(tmp_path, put, folder):
    put("a.npz")
    (tmp_path / "other").mkdir()
    (problem,) = folder().verify(tmp_path / "other")
    assert "other holds no clips" in problem.what
