"""What is kept of a plugin's dataset, and each thing that makes it be asked again."""

import json
import os
import pickle

import numpy as np
import pytest

from vpbench.api import BadData, ClipInfo, HashMismatch, MethodFailed, MissingData
from vpbench.core import stamps
from vpbench.core.paths import Paths
from vpbench.core.registry import build
from vpbench.harness.inputs import dataset_index as module
from vpbench.harness.inputs.dataset_index import index_folder, stored_index
from vpbench.harness.inputs.stored_dataset import StoredDataset
from vpbench.harness.inputs.task_data import make_dataset, open_dataset

SOURCE = """
import os
from pathlib import Path
import numpy as np
import index_helper
from vpbench.api import BadData, ClipInfo, DatasetSpec, MissingData, Problem, TaskSpec, WindowRule
SPEC = DatasetSpec("indexed", ":Indexed", "x")
class Indexed:
    spec = SPEC
    reading = "1"
    reports_progress = True
    def __init__(self, options, root, cache):
        self.root, self.options = root, options
        if "broken" in options: raise MissingData("no files.", fix="Get them.")
    def prepare(self, root=None, report=None): report(1, 2)
    def verify(self, root=None, report=None):
        return [Problem("warning", "a", "is odd", "Leave it.")]
    def tasks(self): return (TaskSpec("own", WindowRule(1, 2), 8),)
    def subsets(self): return {"some": frozenset({"b", "a"})}
    def warnings(self): return ("Careful.",)
    def published(self): return {"test": 3}
    def splits(self): return ("test", "extra")
    def clips(self, split):
        names = sorted(p.stem for p in self.root.glob("*.txt"))
        return [
            ClipInfo(n, 4, 9, 12, None, np.float64(2.5), "g", "" if n == "b" else n)
            for n in (names if split == "test" else ())
        ]
    def read(self, clip, indices):
        if clip.id == "c": raise BadData("it is torn.", fix="Mend it.")
        value = int((self.root / f"{clip.id}.txt").read_text())
        return np.full((len(indices), 9, 12, 3), value + index_helper.MORE, np.uint8)
    def pose(self, clip):
        if clip.id == "b": return None
        return np.full((4, 2, 3), len(clip.sha256) + index_helper.TURN, np.float64)
    def class_names(self): return ()
    def joint_names(self): return ("left", "right")
    def instructions(self): return "Ask."
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    plug, data = tmp_path / "plug", tmp_path / "data"
    plug.mkdir(), data.mkdir()
    (plug / "indexed_toy.py").write_text(f"import sys; sys.path.insert(0, {str(plug)!r})\n{SOURCE}")
    (plug / "index_helper.py").write_text("MORE = 1\nTURN = 0\n")
    (plug / "table.csv").write_text("1")
    for name in "abc":
        (data / f"{name}.txt").write_text("7")
    monkeypatch.setenv("VPBENCH_PLUGINS", str(plug / "indexed_toy.py"))
    monkeypatch.setenv("VPBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)  # nothing is written here without a trace
    return tmp_path


def opened(place, text="indexed"):
    paths = Paths(place / "runs", place / "home", True)
    dataset, name = open_dataset(text, build(), paths, str(place / "data"))
    assert name == "indexed" and isinstance(dataset, StoredDataset)
    return dataset


def settled(place):
    """An index of files that have been at rest."""
    dataset = opened(place)
    dataset.prepare()
    assert stored_index(dataset.source) is not None
    return dataset


def test_it_says_what_the_dataset_says(place):
    dataset = opened(place)
    heard = []
    dataset.prepare(None, lambda done, total: heard.append((done, total)))
    assert heard == [(1, 2)] and dataset.spec.name == "indexed"
    assert dataset.splits() == ("test", "extra") and dataset.clips("extra") == ()
    assert [c.id for c in dataset.clips("test")] == ["a", "b", "c"]
    assert dataset.clips("no such split") == ()
    clip = dataset.clips("test")[0]
    assert (clip.frames, clip.height, clip.width, clip.fps, clip.group) == (4, 9, 12, 2.5, "g")
    assert [t.id for t in dataset.tasks()] == ["own"]
    assert dataset.subsets() == {"some": frozenset("ab")}
    assert dataset.warnings() == ("Careful.",) and dataset.published() == {"test": 3}
    assert dataset.joint_names() == ("left", "right") and dataset.class_names() == ()
    (problem,) = dataset.verify()
    assert (problem.level, problem.what, problem.fix) == ("warning", "is odd", "Leave it.")
    assert dataset.offers("instructions") and not dataset.offers("download")
    assert dataset.instructions() == "Ask."
    frames = dataset.read(clip, [0, 2])
    assert frames.shape == (2, 9, 12, 3) and frames.dtype == np.uint8 and (frames == 8).all()
    pose = dataset.pose(clip)
    assert pose.dtype == np.float32 and pose.shape == (4, 2, 3)
    assert (pose == 1).all()  # it was asked with the hash that it declares
    assert dataset.pose(dataset.clips("test")[1]) is None


def test_errors_are_those_of_the_dataset(place):
    dataset = opened(place)
    torn = dataset.clips("test")[2]
    for _ in range(2):  # its process goes on
        with pytest.raises(BadData, match="it is torn"):
            dataset.read(torn, [0])
    with pytest.raises(MissingData, match="no files"):
        opened(place, "indexed[broken=1]").splits()
    with pytest.raises(MethodFailed, match="the dataset 'indexed' failed: FileNotFoundError"):
        dataset.read(ClipInfo("gone", 4, 9, 12, None), [0])


def sha(place):
    return {c.id: c.sha256 for c in opened(place).clips("test")}


CHANGES = {
    "a file of the data": lambda p: (p / "data" / "d.txt").write_text("9"),
    "a file that is gone": lambda p: (p / "data" / "a.txt").unlink(),
    "other bytes": lambda p: (p / "data" / "b.txt").write_text("8"),
    "a helper": lambda p: (p / "plug" / "index_helper.py").write_text("MORE = 2\nTURN = 0\n"),
    "the module": lambda p: (p / "plug" / "indexed_toy.py").open("a").write("MORE = 3\n"),
    "a file beside it": lambda p: (p / "plug" / "table.csv").write_text("2"),
    "a new file beside it": lambda p: (p / "plug" / "new.csv").write_text("2"),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("change", CHANGES)
def test_each_change_makes_it_be_asked_again(place, change):
    dataset = settled(place)
    before = sha(place)
    CHANGES[change](place)
    assert stored_index(dataset.source) is None
    after = sha(place)
    if change in ("a helper", "the module"):
        assert all(before[name] != after[name] for name in "ac")  # by code
        assert (before["b"] == after["b"]) is (change == "the module")  # by frames
    elif change == "other bytes":
        assert before["b"] != after["b"] and before["a"] == after["a"]
    else:
        assert all(before[name] == after[name] for name in before.keys() & after.keys())


def test_comments_and_other_options_and_roots(place):
    dataset = settled(place)
    helper = place / "plug" / "index_helper.py"
    helper.write_text(f"# why\n{helper.read_text()}")
    assert stored_index(dataset.source) is not None
    other = opened(place, "indexed[n=2]").source
    assert index_folder(other) != index_folder(dataset.source) and stored_index(other) is None


def test_joints_count_by_content(place):
    before = {c.id: c.pose_sha256 for c in opened(place).clips("test")}
    assert before["a"] and not before["b"]
    (place / "plug" / "index_helper.py").write_text("MORE = 1\nTURN = 1\n")
    after = {c.id: c.pose_sha256 for c in opened(place).clips("test")}
    assert before["a"] != after["a"] and not after["b"]


def test_a_damaged_index_or_pose_is_made_again(place):
    dataset = settled(place)
    clip = dataset.clips("test")[0]
    for path in (place / "home").rglob("poses/*/*.npy"):
        data = bytearray(path.read_bytes())
        data[-40] ^= 1
        path.write_bytes(bytes(data))
    assert (opened(place).pose(clip) == 1).all()
    path = dataset.index.path
    path.write_text(path.read_text().replace('"extra"', '"other"'))
    assert stored_index(dataset.source) is None
    assert opened(place).splits() == ("test", "extra")


def test_files_that_have_just_been_written_prove_nothing(place, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("VPBENCH_PLUGINS", str(place / "plug" / "indexed_toy.py"))
    monkeypatch.setenv("VPBENCH_HOME", str(place / "home"))
    dataset = opened(place)
    (place / "data" / "a.txt").write_text("7")
    dataset.prepare()
    assert stored_index(dataset.source) is not None  # by the process that has made it
    monkeypatch.setattr(module, "_made_here", {})
    assert stored_index(dataset.source) is None


def test_a_job_gets_the_dataset_that_it_was_planned_with(place):
    index = opened(place).index
    again = StoredDataset.of_index(index.path, index.digest)
    assert again.index == index and again.spec.name == "indexed"
    assert (again.read(index.clips["test"][0], [1]) == 8).all()
    copy = pickle.loads(pickle.dumps(again))
    assert copy.index == index and (copy.read(index.clips["test"][0], [1]) == 8).all()
    with pytest.raises(HashMismatch, match="has changed since this job was planned"):
        StoredDataset.of_index(index.path, "0" * 64)
    os.unlink(index.path)
    with pytest.raises(HashMismatch, match="has changed since"):
        StoredDataset.of_index(index.path, index.digest)


def test_an_index_of_another_version_is_made_again(place):
    dataset = settled(place)
    path = dataset.index.path
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "schema": "vpbench.dataset-index/0"}))
    assert stored_index(dataset.source) is None


def test_whoever_examines_a_plugin_gets_its_own_object(place):
    paths = Paths(place / "runs", place / "home", True)
    dataset, _ = make_dataset("indexed", build(), paths, str(place / "data"))
    assert type(dataset).__name__ == "Indexed"
