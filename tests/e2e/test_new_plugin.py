"""A generated plugin: installed, listed, run, compared and removed, as its README says."""

import json
import os
import re
import shlex
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import TINY, folder
from vpbench.cli.new_plugin import KINDS

pytestmark = pytest.mark.e2e

METHODS = {
    "end-to-end": "my-method",
    "trainable": "my-network",
    "composed": "my-composed",
    "folder": "my-videos",
}
PARTS = {"detector": "my-detector", "motion": "my-motion", "translator": "my-translator"}
METRICS = {"metric": "my-metric", "set-metric": "my-distance"}
NAMES = {**METHODS, **PARTS, **METRICS, "dataset": "my-dataset", "executor": "my-executor"}
BESIDE = "detector=my-detector,motion=tiny-still,"
"""What stands beside the translator: a detector with a training of its own."""


@dataclass
class Home:
    """An environment of its own that borrows this one's packages, clips, and a folder to work in.

    It is used by all tests of this module, so that the reference rows are made once.
    """

    home: Path

    @property
    def python(self):
        return self.home / "env" / "bin" / "python"

    @property
    def dataset(self):
        return folder(self.home / "clips", conditioning=2)

    def run(self, *words, cwd=None, code=0, plugins=TINY):
        env = {
            **os.environ,
            "VPBENCH_HOME": str(self.home / "cache"),
            "VPBENCH_PLUGINS": plugins,
            "VPBENCH_RUNS": str(self.home / "runs"),
            "PIP_NO_INDEX": "1",
            "PYTHONPATH": "",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        done = subprocess.run(
            [self.python, "-m", *map(str, words)],
            cwd=cwd or self.home,
            env=env,
            text=True,
            capture_output=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def listed(self, name):
        """(kind, status) of all rows of `vpbench list` with a name."""
        items = json.loads(self.run("vpbench", "list", "--json"))["items"]
        return [(i["kind"], i["status"]) for i in items if i["name"] == name]

    def generate(self, kind):
        """The folder of a new package, made as the command line makes it.

        Components are written for the tiny method, which is trained in seconds.
        """
        told = self.run(
            "vpbench", "new-plugin", NAMES[kind], "--kind", kind, "--into", "tiny", "--json"
        )
        package = Path(self.home / json.loads(told)["folder"])
        (spec,) = package.glob("*/spec.py")  # enough to see that it trains
        spec.write_text(re.sub(r'"steps": \d+', '"steps": 40', spec.read_text()))
        return package

    def package(self, kind):
        """The folder of a package that another test has perhaps made before."""
        there = self.home / f"vpbench-{NAMES[kind]}"
        return there if there.exists() else self.generate(kind)

    def install(self, package):
        self.run(
            "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", ".", cwd=package
        )

    def uninstall(self, kind):
        self.run("pip", "uninstall", "-q", "-y", f"vpbench-{NAMES[kind]}")

    def stages(self, owner):
        return sorted(p.name for p in (self.home / "runs").glob(f"*/stages/{owner}.*"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("plugins")
    venv.create(home / "env", with_pip=False)
    inside = Path(
        sysconfig.get_path("purelib", vars={"base": str(home / "env")}, scheme="posix_prefix")
    )
    borrowed = sysconfig.get_path("purelib")
    (inside / "borrowed.pth").write_text(f"import site; site.addsitedir({borrowed!r})\n")
    write_clips(home / "clips")
    return Home(home)


def commands(package):
    """The commands of a README."""
    (block,) = re.findall(r"```sh\n(.*?)```", (package / "README.md").read_text(), re.DOTALL)
    return [shlex.split(line) for line in block.splitlines()]


def follow(place, package):
    """Run the commands of a README on the small clips; gives what the last one printed."""
    out = ""
    for command in commands(package):
        words = command[2:] if command[:2] == ["python", "-m"] else command
        words = [place.dataset if word == "puppets" else word for word in words]
        words = [word.replace("tiny[translator=", f"tiny[{BESIDE}translator=") for word in words]
        out = place.run(*words, cwd=package)
    return out


def test_every_kind_is_tried():
    assert set(NAMES) == set(KINDS)


@pytest.mark.parametrize("kind", NAMES)
def test_a_plugin_from_its_readme(kind, place):
    """Generated, installed, checked, run and compared as its README says; its own tests pass."""
    package = place.generate(kind)
    name = NAMES[kind]
    assert place.listed(name) == []
    if kind == "translator":
        place.install(place.package("detector"))
    table = follow(place, package)
    assert place.listed(name) == [(KINDS[kind].registry, "ok")]
    assert (name if kind in METHODS or kind in PARTS else "copy last frame") in table
    assert kind not in METRICS or name in table.lower()
    assert place.run("vpbench", "list", "--broken", "--json").count('"name"') == 0
    tests = place.run("pytest", "-q", "-p", "no:cacheprovider", cwd=package)
    assert re.search(r"[1-9]\d* passed", tests), tests
    if kind in PARTS:
        fitted = [stage for stage in place.stages(name) if stage.startswith(f"{name}.fit-")]
        assert len(fitted) == 1
    if kind == "trainable":
        assert len(place.stages(name)) == 1
    if kind == "translator":
        (stage,) = place.home.glob(f"runs/*/stages/{name}.fit-*/stage.json")
        assert json.loads(stage.read_text())["trains"] == ["translator"]
        place.uninstall("detector")
    place.uninstall(kind)
    assert place.listed(name) == []
    if kind in METHODS:
        place.run("vpbench", "run", name, "--dataset", place.dataset, code=2)
        assert name in place.run("vpbench", "compare", name)  # what it has scored stays


def test_a_strangers_motion_model_leaves_the_method_alone(place):
    """The stages of the method are the same with and without it, and are trained once."""
    place.install(place.package("motion"))
    run = ("vpbench", "run", "--no-references", "--json", "--dataset", place.dataset)
    place.run(*run, "tiny[motion=my-motion]")
    before = place.stages("tiny")
    assert any(name.startswith("tiny.keypoints-") for name in before)
    made = json.loads(place.run(*run, "tiny", "tiny[motion=my-motion]", "tiny[motion=tiny-still]"))
    assert [r["status"] for r in made["runs"]] == ["ok"] * 3
    keypoints = [name for name in place.stages("tiny") if name.startswith("tiny.keypoints-")]
    assert keypoints == [name for name in before if name.startswith("tiny.keypoints-")]
    assert len(place.stages("my-motion")) == 1
    psnr = [r["scores"]["psnr"]["value"] for r in made["runs"]]
    assert len(set(psnr)) == 3  # three motion models, three results
    (log,) = place.home.glob("runs/*/stages/my-motion.fit-*/train.jsonl")
    losses = [json.loads(line)["loss"] for line in log.read_text().splitlines()]
    assert losses and max(losses) < 1
    place.uninstall("motion")


def test_a_strangers_translator_beside_a_detector_that_is_trained_with_another(place):
    """The detector keeps its usual partner in training; the stranger's learns from it alone."""
    place.install(place.package("translator"))
    try:
        done = place.run(
            "vpbench",
            "run",
            "tiny[translator=my-translator,translator.steps=4]",
            "--no-references",
            "--dataset",
            place.dataset,
            "--metrics",
            "psnr",
            "--json",
        )
        (run,) = json.loads(done)["runs"]
        assert run["status"] == "ok" and run["scores"]["psnr"]["value"] is not None
        plan = place.run(
            "vpbench",
            "plan",
            "tiny[translator=my-translator,translator.steps=4]",
            "--no-references",
            "--dataset",
            place.dataset,
            "--json",
        )
        stages = {s["stage"]: s["origin"] for s in json.loads(plan)["runs"][0]["stages"]}
        assert stages == dict.fromkeys(stages, "fitted")
        assert {"tiny:keypoints", "my-translator:fit"} <= set(stages)
    finally:
        place.uninstall("translator")


def test_a_detector_of_another_space_is_refused_in_a_sentence(place):
    place.install(place.package("detector"))
    words = (
        "vpbench",
        "run",
        "tiny[detector=my-detector,detector.n_keypoints=7]",
        "--json",
        "--dataset",
        place.dataset,
    )
    done = subprocess.run(
        [place.python, "-m", *words],
        cwd=place.home,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VPBENCH_PLUGINS": TINY, "VPBENCH_RUNS": str(place.home / "runs")},
    )
    assert done.returncode == 2
    assert "7 keypoints" in done.stdout + done.stderr
    place.uninstall("detector")


def test_nothing_is_taken_from_the_network(place):
    """What the README installs needs neither an index nor a build environment."""
    assert (
        "import site" in next(place.home.glob("env/lib/*/site-packages/borrowed.pth")).read_text()
    )
    package = place.package("end-to-end")
    assert commands(package)[0] == ["pip", "install", "--no-build-isolation", "-e", "."]
    place.run(*commands(package)[0], cwd=package)  # PIP_NO_INDEX is set: dependencies are here
    place.uninstall("end-to-end")
