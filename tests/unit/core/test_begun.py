"""A training goes on only from a state that stands on what is here: each thing is changed once."""

import functools
import importlib.util
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from core_toys import FLAT, clip, registry, task

from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import write_json
from vpbench.core.names import MethodRef
from vpbench.core.resolve import resolve
from vpbench.core.rundir import StageDir
from vpbench.core.stages import stage_graph
from vpbench.harness.inputs.opened_files import OpenedFiles
from vpbench.harness.training.begun import Begun, StageFiles

pytestmark = pytest.mark.e2e

SOURCE = "class Flat:\n    rate = 1\n"


@pytest.fixture(scope="module")
def watcher():
    """One hook for all tests: it cannot be taken away."""
    return OpenedFiles()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One for all tests: it keeps the digests of vpbench's modules."""
    return tmp_path_factory.mktemp("home")


class Place:
    """A single-file plugin, its stage `flat:all`, an earlier stage and what was reported."""

    def __init__(self, folder, watcher, cache):
        self.folder, self.watcher, self.cache, self.notes = folder, watcher, cache, []
        self.file = folder / "plugin" / "flat_begun.py"
        self.file.parent.mkdir()
        self.write(SOURCE)
        (folder / "pretrained.txt").write_text("1")
        (folder / "plugin" / "net.safetensors").write_text("1")
        for name in ("pretrained.txt", "plugin/net.safetensors"):
            os.utime(folder / name, (1, 1))
        self.task, self.params, self.earlier = task(), {}, "1"
        spec = importlib.util.spec_from_file_location("flat_begun", self.file)
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)

    def write(self, source):
        self.file.write_text(source)

    @property
    def stage(self):
        return StageDir(self.folder / "stages" / "flat.all")

    def begin(self):
        spec = replace(FLAT, factory=f"{self.file}:Flat")
        spec = replace(spec, stages=(replace(FLAT.stages[0], params=()),))
        found = registry(replace=(spec,))
        method = resolve(MethodRef("flat", self.params), found, 64)
        (node,) = stage_graph(method, self.task.fields(), 64, found, 0)
        before = StageDir(self.folder / "stages" / "other.find-0123456789abcdef")
        write_json(before.record, {"files": {"w": self.earlier}})
        parent = replace(node, owner="other", stage="find", key="0123456789abcdef")
        plan = StagePlan(parent, "fitted", before)
        apart = [self.folder / "stages", self.cache]
        files = StageFiles(self.watcher, self.watcher, [self.file.parent], apart, self.watcher)
        tell = lambda event: self.notes.append(event["text"])  # noqa: E731
        return Begun(node, self.stage, self.task, [plan], files, self.cache, tell, lambda: None)

    def train(self):
        """One process that reads a file, stores a state and ends before it is finished."""
        begun = self.begin()
        with begun.at_work():
            there = (self.stage.resume / "state.npz").is_file()
            (self.folder / "pretrained.txt").read_text()
            begun.before_write()
            self.stage.resume.mkdir(exist_ok=True)
            (self.stage.resume / "state.npz").write_bytes(b"state")
        return there

    def clips(self, **changes):
        splits = {"train": [clip("train-a", **changes), clip("train-b", label=1)]}
        self.task = task(splits)


@pytest.fixture
def place(tmp_path, watcher, cache, monkeypatch):
    made = Place(tmp_path, watcher, cache)
    monkeypatch.setattr(
        "vpbench.core.code.STARTED", float("inf")
    )  # nothing is edited while it runs
    monkeypatch.setattr("vpbench.core.provenance.installed_folders", functools.cache(lambda: ()))
    monkeypatch.setattr("vpbench.harness.inputs.opened_files._is_scratch", lambda name: False)
    monkeypatch.setitem(__import__("sys").modules, "flat_begun", made.module)
    return made


def names(place):
    info = replace(place.task.info, class_names=("jump", "run"))
    place.task = replace(place.task, info=info)


CHANGES = {
    "bytes of a clip": (lambda p: p.clips(sha256="other"), "its training clips changed"),
    "label of a clip": (lambda p: p.clips(label=1), "its training clips changed"),
    "joints of a clip": (
        lambda p: p.clips(pose_sha256="other"),
        "the joints of its training clips changed",
    ),
    "names of classes": (names, "the names of classes or joints changed"),
    "earlier stage": (lambda p: setattr(p, "earlier", "2"), "other.find was made again"),
    "parameter that no key holds": (lambda p: p.params.update(gain=3), "gain changed"),
    "code": (lambda p: p.write(SOURCE + "    more = 2\n"), "code of flat_begun.py changed"),
    "file that it opened": (
        lambda p: (p.folder / "pretrained.txt").write_text("60"),
        "pretrained.txt changed",
    ),
    "weights beside it that it may have mapped": (
        lambda p: (p.file.parent / "net.safetensors").unlink(),
        "net.safetensors changed",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_state_of_anything_else_is_set_aside_with_the_reason(place, name):
    change, reason = CHANGES[name]
    place.train()
    place.task = replace(place.task, info=replace(place.task.info))  # equal, another object
    assert place.train() is True and place.notes == []
    change(place)
    assert place.train() is False
    (kept,) = place.stage.path.parent.glob("flat.all.retired-*")
    assert place.notes == [
        f"flat:all was left unfinished and {reason} since: it starts again from step 0; the "
        f"earlier state is kept in {kept}"
    ]
    assert (kept / "resume" / "state.npz").read_bytes() == b"state"
    assert (kept / "begun.json").is_file()
    assert place.train() is True and len(place.notes) == 1  # it now stands on what is here


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "by an earlier vpbench, which did not record the clips"),
        (lambda path: path.write_text("{"), "and begun.json, which says what its state stands on"),
        (
            lambda path: path.write_text(path.read_text().replace('"key"', '"yek"')),
            "and begun.json, which says what its state stands on",
        ),
    ],
)
@pytest.mark.parametrize("state", ["resume", "scratch", "checkpoint"])
def test_a_state_without_a_whole_record_is_set_aside(place, damage, reason, state):
    """Scratch and keypoints that were stored so far count as a state does."""
    place.train()
    (place.stage.resume / "state.npz").unlink()
    place.stage.resume.rename(place.stage.path / state)
    (place.stage.path / state / "part.npz").write_bytes(b"part")
    damage(place.begin().path)
    assert place.train() is False
    assert len(place.notes) == 1 and f"flat:all was left unfinished {reason}" in place.notes[0]
    assert state == "resume" or not (place.stage.path / state).exists()


def test_without_a_state_there_is_nothing_to_set_aside(place):
    """A process that ended before it stored anything leaves a record, which is written anew."""
    with place.begin().at_work():
        pass
    place.clips(sha256="other")
    assert place.train() is False and place.notes == [] and place.train() is True


def test_the_first_hash_of_a_file_counts_over_all_processes(place):
    """What is overwritten after it was read is not taken for what was read."""
    place.train()
    begun = place.begin()
    with begun.at_work():
        before = begun.inputs()
        (place.folder / "pretrained.txt").write_text("60")
        np.save(place.folder / "more.npy", np.zeros(2))
        with open(place.folder / "more.npy", "rb"):
            begun.store()
    assert json.loads(begun.path.read_text())["inputs"] == begun.inputs() == before
    assert place.train() is False and "pretrained.txt changed since" in place.notes[0]
