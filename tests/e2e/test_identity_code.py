"""Code that changes between two runs: judged by what it makes, never trusted and never guessed."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import TINY
from tests.e2e.identity import edit, method, nothing_done, own_vpbench

pytestmark = pytest.mark.e2e

ROLLOUT = 'target = self.slots["motion"].rollout(points, label, horizon, own_seeds)'


@pytest.fixture
def composed(place, finished, finished_clips, tmp_path):
    """Finished runs of `tiny`, and a vpbench of one's own in which they were not made."""
    place.clips, place.name = finished_clips, "tiny"
    place.env = {"VPBENCH_PLUGINS": TINY, **own_vpbench(tmp_path / "own")}
    return place


def own(place, name):
    return place.path / "own" / "vpbench" / name


def tiny(place, *words):
    return place.run(*words, method="tiny")


def test_arithmetic_of_the_kit_retires_every_composed_run(composed):
    before = composed.row()
    assert before["notes"] == []
    edit(own(composed, "kit/composed.py"), ROLLOUT, f"{ROLLOUT} * 0.0")
    doubtful = composed.row()
    assert doubtful["scores"] == before["scores"]
    (note,) = doubtful["notes"]
    assert note.startswith("code changed since (vpbench.kit.composed): `vpbench run tiny ")
    done = tiny(composed)
    assert "code of vpbench.kit.composed changed; 1 shard predicted again, differ by" in done.err
    assert "predicted and scored again; the earlier run is kept in" in done.err
    after = composed.row()
    assert after["notes"] == []
    assert after["scores"]["psnr"]["value"] != before["scores"]["psnr"]["value"]
    (kept,) = composed.retired()
    assert list(kept.glob("predictions/*.npz")) and str(kept) in done.err
    shutil.rmtree(composed.path / "runs" / composed.folder().parent.parent.name / "tiny")
    tiny(composed)
    assert composed.psnr() == after["scores"]["psnr"]["value"]  # what a fresh folder gives
    assert nothing_done(tiny(composed), "tiny")


def test_words_predict_nothing_again(composed):
    path = own(composed, "kit/composed.py")
    edit(path, f"        {ROLLOUT}\n", f"        # so says the paper\n        {ROLLOUT}  # here\n")
    edit(path, '"""Predict S futures of B clips;', '"""Predicts S futures of B clips;')
    edit(
        path,
        "def __init__(self, frame: Tensor, points: Tensor)",
        "def __init__(self, frame, points)",
    )
    path.write_text(path.read_text().replace("\n\n\n", "\n\n\n\n"))
    edit(own(composed, "harness/scoring/score.py"), "_POLL_S = 0.3\n", "_POLL_S: float = 0.3\n")
    assert composed.row()["notes"] == []
    assert nothing_done(tiny(composed), "tiny")
    assert not composed.folder().joinpath("accepted.json").exists()


def test_harmless_arithmetic_is_probed_once(composed):
    edit(own(composed, "kit/composed.py"), ROLLOUT, f"{ROLLOUT} * 1.0")
    assert "code changed since" in composed.row()["notes"][0]
    before = {p: p.read_bytes() for p in composed.folder().rglob("predictions/*.npz")}
    done = tiny(composed)
    lines = [line for line in done.err.splitlines() if line.startswith("tiny:")]
    assert lines[0] == (
        "tiny: code of vpbench.kit.composed changed; 1 shard predicted again, equal"
    )
    assert composed.row()["notes"] == []
    assert before == {p: p.read_bytes() for p in before} and not composed.retired()
    accepted = json.loads((composed.folder() / "accepted.json").read_text())
    assert len(accepted["predictions"]) == 1
    assert nothing_done(tiny(composed), "tiny")
    assert json.loads((composed.folder() / "accepted.json").read_text()) == accepted


def test_code_that_an_accepted_edit_brought_in_counts_from_then_on(composed):
    """The accepted edit imports a new module; what is written into that later is seen."""
    extra = own(composed, "kit/factors.py")
    extra.write_text("MOTION = 1.0\n")
    path = own(composed, "kit/composed.py")
    edit(path, ROLLOUT, f"{ROLLOUT} * factors.MOTION")
    edit(
        path,
        "from torch import Tensor, nn\n",
        "from torch import Tensor, nn\nfrom vpbench.kit import factors\n",
    )
    before = composed.psnr()
    assert "predicted again, equal" in tiny(composed).err
    assert nothing_done(tiny(composed), "tiny")
    extra.write_text("MOTION = 0.0\n")
    assert "code changed since (vpbench.kit.factors)" in composed.row()["notes"][0]
    assert "predicted and scored again" in tiny(composed).err
    assert composed.psnr() != before


def test_an_accepted_edit_that_is_taken_back_is_known(composed):
    path = own(composed, "kit/composed.py")
    edit(path, ROLLOUT, f"{ROLLOUT} * 1.0")
    tiny(composed)
    edit(path, f"{ROLLOUT} * 1.0", ROLLOUT)
    assert nothing_done(tiny(composed), "tiny")


def test_a_helper_beside_a_plugin_file(place):
    top = "import sys\nsys.path.insert(0, __file__.rpartition('/')[0])\nimport helper"
    place.write(method("helper.GREY", top=top))
    helper = place.plugin.with_name("helper.py")
    helper.write_text("GREY = 100\n")
    place.run()
    assert place.grey() == 100 and place.row()["notes"] == [] and nothing_done(place.run())
    helper.write_text("GREY = 180\n")
    assert "code changed since (helper.py)" in place.row()["notes"][0]
    assert "code of helper.py changed" in place.run().err
    assert place.grey() == 180 and len(place.retired()) == 1


HERE = "import sys, pathlib, importlib.util\nHERE = __file__.rpartition('/')[0]\n"
UNSEEN = {  # neither is a module of the process
    "exec": (
        "space = {}\nexec(pathlib.Path(HERE, 'helper.py').read_text(), space)\nGREY = space['GREY']"
    ),
    "an unregistered module": (
        "spec = importlib.util.spec_from_file_location('helper', HERE + '/helper.py')\n"
        "helper = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(helper)\n"
        "GREY = helper.GREY"
    ),
    "a module that appears": (
        "sys.path.insert(0, HERE)\ntry:\n    from helper import GREY\n"
        "except ImportError:\n    GREY = 100"
    ),
}


@pytest.mark.parametrize("how", UNSEEN)
def test_python_that_is_no_module_or_is_not_there_yet(place, how):
    place.write(method("GREY", top=HERE + UNSEEN[how]))
    helper = place.plugin.with_name("helper.py")
    if how != "a module that appears":
        helper.write_text("GREY = 100\n")
    place.run()
    place.plugin.with_name("test_mine.py").write_text("def test_it():\n    pass\n")
    assert place.grey() == 100 and place.row()["notes"] == [] and nothing_done(place.run())
    helper.write_text("GREY = 180\n")
    assert "code changed since (helper.py)" in place.row()["notes"][0]
    assert "code of helper.py changed" in place.run().err
    assert place.grey() == 180 and len(place.retired()) == 1


def test_a_plugin_that_moved_to_another_file_is_not_the_old_one(place):
    """Both files are there, and both call their method `mine` and its class `Mine`."""
    place.write(method("100")).run()
    other = place.path / "elsewhere" / "mine.py"
    other.parent.mkdir()
    other.write_text(method("180"))
    done = place.run(method="./elsewhere/mine.py:SPEC")
    assert "predicted and scored again" in done.err
    assert place.grey() == 180
    assert "predicted and scored again" in place.run().err  # and back again
    assert place.grey() == 100


def test_a_plugin_that_was_only_moved_is_accepted(place):
    place.write(method("100")).run()
    target = place.path / "elsewhere" / "mine.py"
    place.plugin.parent.rename(target.parent)
    done = place.run(method="./elsewhere/mine.py:SPEC")
    assert "1 shard predicted again, equal" in done.err and not place.retired()
    assert nothing_done(place.run(method="./elsewhere/mine.py:SPEC"))


def test_what_a_spec_says_of_inputs_is_not_taken_from_an_older_one(place):
    """The frames are equal, but the method now sees labels and two frames, and its row says so."""
    place.write(method("100")).run()
    assert place.row()["conditioning_frames"] == 1 and place.row()["uses"] == []
    more = ", capabilities=Capabilities((1, 2), label='optional')"
    place.write(method("100", more=more)).run()
    assert place.row()["uses"] == ["label"]


def test_an_interrupted_run_does_not_go_on_with_other_code(place):
    """Of two shards one is there; the code changes before the second is made."""
    place.clips = write_clips(place.path / "many", (("test", 12),))
    place.write(method("100")).run()
    run = place.folder()
    (run / "predictions" / "MANIFEST.json").unlink()
    for path in run.glob("predictions/00001.*"):
        path.unlink()
    place.write(method("180"))
    done = place.run()
    assert "code changed while it was interrupted" in done.err
    shards = sorted(place.folder().glob("predictions/*.npz"))
    assert [int(np.load(shard)["frames"].max()) for shard in shards] == [180, 180]
    assert len(place.retired()) == 1


def test_a_module_edited_while_it_ran_is_not_taken_for_what_ran(place):
    """The plugin rewrites itself while it predicts, as an editor does in the middle of a run."""
    rewrite = (
        "import pathlib, time\nme = pathlib.Path(__file__)\n"
        "if 'int(1' + '80)' not in me.read_text():\n"
        "    time.sleep(0.05)\n"
        "    me.write_text(me.read_text().replace('int(1' + '00)', 'int(1' + '80)'))"
    )
    place.write(method("100", predict=rewrite)).run()
    assert place.grey() == 100
    assert "code changed since" in place.row()["notes"][0]
    assert "predicted and scored again" in place.run().err
    assert place.grey() == 180


def test_an_environment_beside_a_plugin_is_not_its_code(place):
    """As in a project with `.venv` and `mine.py` side by side."""
    top = (
        "import sys\nsys.path.insert(0, __file__.rpartition('/')[0] + "
        "'/.venv/lib/python3/site-packages')\nimport stranger_of_mine"
    )
    installed = place.path / "plugin/.venv/lib/python3/site-packages/stranger_of_mine.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("VALUE = 1\n")
    place.write(method("100", top=top)).run()
    installed.write_text("VALUE = 2\n")
    assert nothing_done(place.run())
    tables = [json.loads(p.read_text()) for p in place.folder().glob("code/*.json")]
    assert not any("stranger_of_mine" in name for t in tables for name in t["modules"])
