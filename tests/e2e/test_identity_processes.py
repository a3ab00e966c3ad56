"""What a plugin does to its interpreter reaches nobody else's rows and no score."""

import pytest

from tests.e2e.identity import method, nothing_done

pytestmark = pytest.mark.e2e

REPLACES = """
import vpbench.harness.references.trivial as trivial
trivial.CopyLast.frame = lambda self, given: given.frames[:, -1] * 0
import vpbench.harness.scoring.score as score
score.feed = lambda *a, **k: None
import vpbench.metrics.frames as frames
frames.Psnr.update = lambda self, fake, real, clip: None
"""


def others(place):
    """The rows of copy-last and noise, without the plugin in their way."""
    rows = {}
    for name in ("copy-last", "noise"):
        (row,) = place.compare("--json", method=name).json()["groups"][0]["rows"]
        rows[name] = row["scores"]["psnr"]["value"], row["notes"]
    return rows


@pytest.fixture
def honest(place, tmp_path):
    """What copy-last and noise are when nobody is in their way."""
    for name in ("copy-last", "noise"):
        place.run("--runs", str(tmp_path / "honest"), method=name)
    place.env = {"VPBENCH_RUNS": str(tmp_path / "honest")}
    found = others(place)
    place.env = {}
    return found


@pytest.mark.parametrize("when", ["imported", "made", "predicts"])
@pytest.mark.parametrize("known", ["named", "announced"])
def test_a_plugin_that_replaces_functions_of_the_harness(place, honest, when, known):
    part = {"imported": "top", "made": "init", "predicts": "predict"}[when]
    place.write(method("100", **{part: REPLACES}))
    run = "./plugin/mine.py:SPEC"
    if known == "announced":
        place.env = {"VPBENCH_PLUGINS": str(place.plugin)}
        run = "mine"
    done = place.run("copy-last", "noise", method=run)
    assert place.grey() == 100
    place.env = {}
    assert others(place) == honest
    value = place.psnr()
    place.write(method("100")).run("--runs", "clean")
    place.env = {"VPBENCH_RUNS": "clean"}
    assert place.psnr() == value, done.err


SETTINGS = {
    "import torch\ntorch.backends.mkldnn.enabled = False": (
        "torch.backends.mkldnn.enabled (True -> False)"
    ),
    "import torch\ntorch.set_default_dtype(torch.float64)": (
        "the default dtype of torch (torch.float32 -> torch.float64)"
    ),
    "import torch\ntorch.set_num_threads(2)": "the threads of torch (1 -> 2)",
    "np.seterr(all='ignore')": "numpy's error handling",
    "import os\nos.environ['MINE'] = '1'": "the environment (MINE)",
    "import os\nos.chdir('/')": "the working directory",
    "import cv2\ncv2.setNumThreads(3)": "the threads of OpenCV",
}


@pytest.mark.parametrize("change", SETTINGS)
@pytest.mark.parametrize("when", ["top", "predict"])
def test_settings_of_the_interpreter(place, honest, change, when):
    place.write(method("100", **{when: change}))
    place.run("copy-last", "noise")
    (note,) = place.row()["notes"]
    assert note.startswith("changes interpreter-wide settings: ")
    assert SETTINGS[change] in note
    assert others(place) == honest
    assert nothing_done(place.run())


def test_nothing_is_said_of_a_plugin_that_changes_nothing(place):
    place.write(method("100", top="import torch, cv2", predict="torch.zeros(3).sum()")).run()
    assert place.row()["notes"] == []


METRIC = """
import numpy as np
from vpbench.api import MetricSpec, Score
import vpbench.metrics.frames as frames
frames.Psnr.update = lambda self, fake, real, clip: None
SPEC = MetricSpec("count", ":Count", "clips", "clip", "up", "", 1, default=False)
class Count:
    spec = SPEC
    def __init__(self, task, params, ctx): self.seen = {}
    def update(self, fake, real, clip): self.seen[clip.id] = 1.0
    def merge(self, other): self.seen |= other.seen
    def result(self): return Score(1.0, len(self.seen), dict(sorted(self.seen.items())))
    def fingerprint(self): return {}
"""


def test_a_metric_that_replaces_another(place, honest):
    place.write(METRIC)
    place.env = {"VPBENCH_PLUGINS": str(place.plugin)}
    place.run("noise", method="copy-last", metrics="count,psnr")
    assert place.row("copy-last")["scores"]["count"]["value"] == 1.0
    place.env = {}
    assert others(place) == honest


def test_scoring_later_is_not_reached_either(place, honest):
    """`vpbench score` with the plugin announced: what it scores is what `run` scores."""
    place.write(method("100", top=REPLACES))
    for name in ("copy-last", "noise"):
        place.run(method=name)
    for path in place.path.glob("runs/*/*/*/scores/*.json"):
        path.unlink()
    place.env = {"VPBENCH_PLUGINS": str(place.plugin)}
    done = place.vpbench("score", "copy-last", "noise", "--metrics", "psnr")
    assert done.code == 0, done.err
    place.env = {}
    assert others(place) == honest
