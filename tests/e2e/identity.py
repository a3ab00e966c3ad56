"""What the tests of identity share: a place with clips, a plugin of one's own, and its runs.

`Place.run` is `vpbench run` of the plugin's method with PSNR alone and without references, which is
what a test of identity needs and no more.
"""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.e2e.helpers import folder, vpbench

ROOT = Path(__file__).parents[2]

METHOD = """
import numpy as np
from vpbench.api import Capabilities, ComponentSpec, MethodSpec
{top}
SPEC = MethodSpec("mine", {factory!r}, "one grey level"{more})
class Mine:
    def __init__(self, task, params, slots):
        self.params = params
{init}
    def predict(self, given, horizon, seeds):
        shape = (len(given), seeds.shape[1], horizon, *given.frames.shape[2:])
{predict}
        return np.full(shape, int({grey}), np.uint8)
"""


def method(grey="100", top="", init="", predict="", more="", factory=":Mine"):
    """Source of a single-file plugin whose method fills its frames with one grey level."""

    def inside(text):
        return "\n".join(f"        {line}" for line in text.splitlines())

    parts = {"top": top, "init": inside(init), "predict": inside(predict)}
    return METHOD.format(grey=grey, more=more, factory=factory, **parts)


@dataclass
class Place:
    """A folder to work in.

    Attributes:
        clips: the dataset's folder.
        plugin: file of the plugin.
        env: of all commands.
    """

    path: Path
    clips: Path
    env: dict = field(default_factory=dict)
    name: str = "mine"

    @property
    def plugin(self):
        return self.path / "plugin" / "mine.py"

    @property
    def dataset(self):
        return folder(self.clips)

    def write(self, source):
        self.plugin.parent.mkdir(exist_ok=True)
        self.plugin.write_text(source)
        return self

    def run(self, *words, method=None, metrics="psnr", code=0):
        """The method's run; checks the exit code."""
        named = method or f"./{self.plugin.relative_to(self.path)}:SPEC"
        done = self.vpbench(
            *("run", named, "--dataset", self.dataset, "--no-references", "--metrics", metrics),
            *("--workers", "1", "--threads", "1", *words),
        )
        assert done.code == code, (done.code, done.err, done.out)
        return done

    def compare(self, *words, method=None, code=0):
        done = self.vpbench("compare", method or self.name, "--no-references", *words)
        assert done.code == code, (done.code, done.err, done.out)
        return done

    def row(self, method=None, words=(), **more):
        """The first row of the first table of `compare`."""
        return self.compare("--json", *words, method=method, **more).json()["groups"][0]["rows"][0]

    def psnr(self, method=None):
        return self.row(method)["scores"]["psnr"]["value"]

    def vpbench(self, *words):
        return vpbench(*words, cwd=self.path, env=self.env)

    def folders(self, method=None):
        """Run folders in force."""
        name = method or self.name
        found = (self.path / "runs").glob(f"*/{name}/*/run.json")
        return sorted(p.parent for p in found if ".retired-" not in p.parent.name)

    def folder(self, method=None):
        (only,) = self.folders(method)
        return only

    def retired(self):
        return sorted((self.path / "runs").glob("*/*/*.retired-*"))

    def grey(self, method=None):
        """The grey level that is stored."""
        frames = np.load(next(self.folder(method).glob("predictions/*.npz")))["frames"]
        assert frames.min() == frames.max()
        return int(frames.max())

    def rewrite(self, path, change):
        """Change a sealed record and seal it again, as somebody does who means it."""
        from vpbench.core.rundir import write_sealed

        value = json.loads(path.read_text())
        change(value)
        write_sealed(path, value)


def nothing_done(done, name="mine"):
    """Whether a run said that it had nothing to do, and probed nothing."""
    return f"{name}: finished before, skipped" in done.err and "again" not in done.err


def own_vpbench(target):
    """A copy of the package to edit; gives the environment in which it is the one that runs."""
    shutil.copytree(
        ROOT / "vpbench", target / "vpbench", ignore=shutil.ignore_patterns("__pycache__")
    )
    return {"PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}


def edit(path, old, new):
    """Replace a text that stands once in a file; the change shows in its time, too."""
    text = path.read_text()
    assert text.count(old) == 1, (path, old, text.count(old))
    path.write_text(text.replace(old, new))


def flip(path, position=None, bit=0):
    """Flip one bit of a file, in place as a failing disk does it: the times stay what they were."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    where = len(data) // 2 if position is None else position
    data[where] ^= 1 << bit
    path.write_bytes(bytes(data))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
