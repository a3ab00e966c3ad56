"""The index of a folder's clips, and folders of real clips."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from folder_toys import (
    everything,
    sha,
)
from PIL import Image

from vpbench.core import stamps
from vpbench.data.folder import scan
from vpbench.data.folder.dataset import FolderDataset

# index


def counting(monkeypatch):
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    calls = []
    original = scan.decode.probe

    def probe(path, how):
        calls.append(path.name)
        return original(path, how)

    monkeypatch.setattr(scan.decode, "probe", probe)
    return calls


def test_a_second_scan_decodes_only_what_changed(tmp_path, put, folder, monkeypatch):
    calls = counting(monkeypatch)
    for rel in ("a.npz", "b.mkv", "c.gif", "d", "strips/e.png"):
        put(rel, 5)
    rows = "\n".join(["file,k", "a,x", "b,x", "c,x", "d,x", "strips/e,x"])
    (tmp_path / "data" / "labels.csv").write_text(rows)
    first = everything(folder(label="k"))
    assert sorted(calls) == ["a.npz", "b.mkv", "c.gif", "d", "e.png"]
    calls.clear()
    opened = []
    monkeypatch.setattr("vpbench.media.images.header", lambda path: opened.append(path))
    assert everything(folder(label="k")) == first
    assert not calls
    assert not opened
    monkeypatch.undo()
    calls = counting(monkeypatch)
    put("a.npz", 6)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "data" / "d" / "00003.png")
    second = everything(folder(label="k"))
    assert sorted(calls) == ["a.npz", "d"]
    assert second["a"][1].frames == 6
    assert second["d"][1].sha256 != first["d"][1].sha256


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[1, 2]",
        lambda text: "[" * 100000,
        lambda text: json.dumps({**json.loads(text), "entries": {"a.npz\t": 7}}),
        lambda text: json.dumps({**json.loads(text), "entries": [1]}),
        lambda text: text.replace('"frames"', "7").replace("20", '"20"'),
        lambda text: json.dumps({**json.loads(text), "decode": -1}),
    ],
)
def test_a_broken_index_is_made_again(tmp_path, put, folder, damage, monkeypatch):
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    put("a.npz")
    put("b", 20)
    first = everything(folder())
    (file,) = (tmp_path / "cache" / "scan").iterdir()
    assert file.name == sha(str((tmp_path / "data").resolve())) + ".json"
    good = file.read_text()
    file.write_text(damage(good))
    calls = counting(monkeypatch)
    assert everything(folder()) == first
    assert calls
    assert json.loads(file.read_text()) == json.loads(good)


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path, put, folder):
    put("a.npz")
    (tmp_path / "cache").write_text("a file, not a folder")
    assert list(everything(folder())) == ["a"]


def test_prepare_fills_the_index(tmp_path, put, folder, monkeypatch):
    put("a.npz")
    folder().prepare()
    calls = counting(monkeypatch)
    folder().clips("test")
    assert not calls
    FolderDataset({"path": "."}, None, tmp_path / "cache").prepare(tmp_path / "data")


def test_a_dataset_can_go_to_another_process(put, folder):
    put("a.npz")
    dataset = folder()
    for _ in range(2):
        copy = pickle.loads(pickle.dumps(dataset))
        (clip,) = copy.clips("test")
        assert np.array_equal(copy.read(clip, [1]), dataset.read(clip, [1]))


def test_the_spec_loads_nothing_heavy():
    code = (
        "import sys; from vpbench.data.folder import SPEC; "
        "print([m for m in ('numpy', 'PIL', 'av', 'torch') if m in sys.modules], SPEC.name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] folder"


# real clips


def test_weizmann_keeps_subjects_apart(real_clips, tmp_path):
    options = {"path": str(real_clips / "weizmann"), "group": "subject", "label": "class_name"}
    dataset = FolderDataset(options, None, tmp_path)
    groups = {part: {c.group for c in dataset.clips(part)} for part in dataset.splits()}
    assert {part: len(dataset.clips(part)) for part in groups} == {
        "train": 48,
        "val": 8,
        "test": 16,
    }
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == 9
    assert dataset.class_names() == ("bend", "jack", "wave1", "wave2")
    assert sum(c.frames for _, c in everything(dataset).values()) == 5290
    assert dataset.tasks()[0].native
    by_folder = FolderDataset({"path": options["path"]}, None, tmp_path)
    assert by_folder.class_names() == ("0", "1", "3", "4")


def test_critters_come_with_their_split(real_clips, tmp_path):
    for path, options in (
        ("critters/moving-gif", {}),
        ("critters", {}),
        ("critters", {"split": "split", "label": "species", "size": 128}),
    ):
        dataset = FolderDataset({"path": str(real_clips / path), **options}, None, tmp_path)
        counts = {part: len(dataset.clips(part)) for part in dataset.splits()}
        assert counts == {"train": 76, "val": 8, "test": 21}
    assert len(dataset.class_names()) == 16
    assert dataset.tasks()[0].native
    assert not [p for p in dataset.verify() if p.level == "error"]


def test_real_videos_of_many_kinds(real_clips, tmp_path):
    dataset = FolderDataset({"path": str(real_clips / "videos")}, None, tmp_path)
    found = everything(dataset)
    assert len(found) == 7
    assert len({(c.height, c.width) for _, c in found.values()}) >= 5
    assert not [p for p in dataset.verify() if p.level == "error"]
