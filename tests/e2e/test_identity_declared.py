"""What is declared is in the run id: another declaration is another folder, the first one stays."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, TINY, checkpoints, folder, predictions
from tests.e2e.identity import edit, method, nothing_done

pytestmark = pytest.mark.e2e


def again(place, count, *words, **more):
    """Run, and check that it was made anew in a folder of its own beside the others."""
    done = place.run(*words, **more)
    assert "finished before" not in done.err and not place.retired()
    assert len(place.folders()) == count
    return done


def test_the_version_of_a_method(place):
    place.write(method("100")).run()
    place.write(method("100", more=", version=2"))
    again(place, 2)
    place.env = {"VPBENCH_PLUGINS": str(place.plugin)}
    assert place.row()["notes"] == []
    place.write(method("100", more=", version=3"))
    assert place.row()["notes"][0].startswith("another version of the method is installed: `")
    place.write(method("100"))
    assert nothing_done(place.run()) and place.row()["notes"] == []


def test_a_default_and_a_preset(place):
    more = ", params={'level': 100}, presets={'dim': {'level': LEVEL}, 'usual': {}}"
    more += ", default_preset=((None, 'usual'),)"

    def spec(level, default=100):
        text = more.replace("LEVEL", str(level)).replace("'level': 100", f"'level': {default}")
        return method("self.params['level']", more=text)

    named = "./plugin/mine.py:SPEC[preset=dim]"
    place.write(spec(40)).run()
    place.name = "mine+preset-dim"
    place.run(method=named)
    assert place.grey() == 40
    place.write(spec(60))
    again(place, 2, method=named)
    place.name = "mine"
    assert "code of mine.py changed; 1 shard predicted again, equal" in place.run().err
    place.write(spec(60, default=120))
    again(place, 2)


PART = """
class Part:
    def __init__(self, task, params, space): self.level = params["level"]
    def rollout(self, points, label, horizon, seed): return self.level
PART = ComponentSpec("PART", "motion", ":Part", "a part", params={"level": LEVEL}VERSION)
"""


def slotted(version="", level=100):
    parts = PART.replace("PART", "mine-part").replace("LEVEL", str(level))
    parts = parts.replace("mine-part =", "PART =").replace("VERSION", version)
    other = PART.replace("PART =", "OTHER =").replace("PART", "mine-other").replace("LEVEL", "180")
    source = method("self.level", init="self.level = slots['motion'].level")
    source = source.replace('"one grey level"', '"grey", slots={"motion": "mine-part"}')
    return source + parts + other.replace("VERSION", "")


def test_the_version_of_a_component(place):
    place.env = {"VPBENCH_PLUGINS": str(place.plugin)}
    place.write(slotted()).run(method="mine")
    place.write(slotted(", version=2"))
    again(place, 2, method="mine")


def test_a_component_that_is_swapped(place):
    place.env = {"VPBENCH_PLUGINS": str(place.plugin)}
    place.write(slotted()).run(method="mine")
    assert place.grey() == 100
    place.run(method="mine[motion=mine-other]")
    assert place.grey("mine+motion-mine-other") == 180
    place.write(slotted().replace("{'motion': 'mine-part'}", "{'motion': 'mine-other'}"))
    edit(place.plugin, 'slots={"motion": "mine-part"}', 'slots={"motion": "mine-other"}')
    again(place, 2, method="mine")


def test_an_entry_point_that_moved(place):
    """The class stands in another module; the factory names it."""
    place.write(method("100")).run()
    other = place.plugin.with_name("moved.py")
    other.write_text(method("180"))
    place.write(method("100", factory=str(other) + ":Mine"))
    again(place, 2)
    levels = {
        int(np.load(f / "predictions" / "00000.npz")["frames"].max()) for f in place.folders()
    }
    assert levels == {100, 180}


@pytest.mark.parametrize("words", [("--samples", "2"), ("--seeds", "3")])
def test_samples_and_seeds(place, words):
    more = ", capabilities=Capabilities(stochastic=True)"
    place.write(method("100", more=more)).run()
    again(place, 2, *words)


def test_samples_and_seeds_of_a_method_without_chance_are_the_same_run(place):
    place.write(method("100")).run()
    assert nothing_done(place.run("--samples", "2"))


def test_the_window_of_the_task(place):
    place.write(method("100")).run()
    first = place.folder()
    words = ("run", "./plugin/mine.py:SPEC", "--no-references", "--metrics", "psnr")
    for options in ({"horizon": 6}, {"stride": 2}, {"size": 12}):
        done = place.vpbench(*words, "--dataset", folder(place.clips, **options))
        assert done.code == 0 and "finished before" not in done.err, done.err
    assert len({p.parent.parent for p in place.folders()}) == 4 and first.is_dir()


def test_a_limit(place):
    place.write(method("100")).run()
    again(place, 2, "--limit", "3")
    assert place.row()["n"] == 6


def test_a_stage_that_is_fitted_anew(finished, finished_clips, place):
    place.clips, place.name = finished_clips, "tiny"
    place.env = {"VPBENCH_PLUGINS": TINY, "TINY_LR": "0.3"}
    before = predictions(place.path / "runs", "tiny")
    done = place.run("--fit", method="tiny")
    assert "its stages were trained again: predicted and scored again" in done.err
    folders = place.folders()
    assert len(folders) == 1
    after = {p.name: p.read_bytes() for p in folders[0].glob("predictions/*.npz")}
    assert before != after


def test_a_stage_whose_weights_are_other_ones(finished, finished_clips, place):
    """Somebody puts other trained weights in place, with a record that fits them."""
    place.clips, place.name, place.env = finished_clips, "tiny", {"VPBENCH_PLUGINS": TINY}
    own = shutil.copytree(place.path / "runs", place.path / "other")
    place.env["TINY_LR"] = "0.3"
    place.run("--fit", "--runs", str(own), method="tiny")
    place.env.pop("TINY_LR")
    for stage in (place.path / "runs").glob("*/stages/*"):
        (new,) = own.glob(f"*/stages/{stage.name}")
        shutil.rmtree(stage)
        shutil.copytree(new, stage)
    assert checkpoints(place.path / "runs")
    assert "its stages were trained again" in place.run(method="tiny").err


def test_another_opencv_or_torch_is_provenance(place):
    """Simulated: the table says other versions than are here; its code is the same."""
    place.write(method("100")).run()
    run = place.folder()
    from vpbench.core.code import table_id

    renamed = {}
    for path in list((run / "code").glob("*.json")):
        table = json.loads(path.read_text())
        table["environment"]["packages"] |= {"opencv-python-headless": "3.0", "torch": "1.0"}
        table["environment"]["python"] = "3.9.1"
        renamed[path.stem] = table_id(table)
        path.unlink()
        (run / "code" / f"{table_id(table)}.json").write_text(json.dumps(table))

    def rename(value):
        text = json.dumps(value)
        for old, new in renamed.items():
            text = text.replace(old, new)
        value.update(json.loads(text))

    for path in run.glob("predictions/0*.json"):
        place.rewrite(path, rename)
    manifest = run / "predictions" / "MANIFEST.json"
    place.rewrite(manifest, rename)
    from vpbench.core.hashing import file_sha256

    def hashes(value):
        for row in value["shards"]:
            row["sha256.json"] = file_sha256(run / "predictions" / f"{row['name']}.json")

    place.rewrite(manifest, hashes)
    sha = json.loads(manifest.read_text())["sha256"]
    for path in run.glob("scores/*.json"):
        place.rewrite(path, lambda v: (rename(v), v.update(manifest=sha)))
    assert place.row()["notes"] == []
    assert nothing_done(place.run())
    place.write(method("101"))  # with other code on top, a difference proves nothing
    done = place.run()
    assert "the cause may be the code or the machine" in done.err
    assert "`vpbench run ./plugin/mine.py:SPEC --again` predicts again" in done.err
    assert place.grey() == 100 and not place.retired()
    assert "code changed since" in place.row()["notes"][0]


COUNT = """
import numpy as np
from vpbench.api import MetricSpec, Score
SPEC = MetricSpec("level", ":Level", "level", "clip", "up", "", {version}, default=False)
class Level:
    spec = SPEC
    def __init__(self, task, params, ctx): self.seen = {{}}
    def update(self, fake, real, clip): self.seen[clip.id] = float(fake.mean()) * {factor}
    def merge(self, other): self.seen |= other.seen
    def result(self):
        values = dict(sorted(self.seen.items()))
        return Score(float(np.mean(list(values.values()))), len(values), values)
    def fingerprint(self): return {{{own}}}
"""


@pytest.fixture
def metric(place):
    """A metric of a plugin, scored beside PSNR."""
    place.write(COUNT.format(version=1, factor="1.0", own=""))
    place.env, place.name = {"VPBENCH_PLUGINS": str(place.plugin)}, "noise"
    place.scored = lambda: place.run(method="noise", metrics="psnr,level")
    place.scored()
    return place


def level(place):
    return place.row()["scores"]["level"]["value"]


def times(place):
    found = place.folder().glob("scores/*.json")
    return {p.name: p.stat().st_mtime_ns for p in found}


def test_code_of_a_clip_metric(metric):
    before, value = times(metric), level(metric)
    metric.write(COUNT.format(version=1, factor="2.0", own=""))
    assert "code changed since (mine.py)" in metric.row()["notes"][0]
    done = metric.scored()
    assert "code of mine.py changed; level differ and are scored again" in done.err
    assert level(metric) == pytest.approx(2 * value) and not metric.retired()
    after = times(metric)
    assert [n for n in after if after[n] != before.get(n)] == [
        n for n in after if n.startswith("level@")
    ]
    metric.write(COUNT.format(version=1, factor="4.0 / 2.0", own=""))
    assert "scores computed again in part, equal" in metric.scored().err
    assert nothing_done(metric.scored(), "noise") and times(metric) == after


def test_an_accepted_metric_says_nothing_of_another(metric):
    """Both were scored by the same code; only one is looked at, the other waits for its turn."""
    second = metric.plugin.with_name("second.py")
    second.write_text(COUNT.format(version=1, factor="1.0", own="").replace("level", "second"))
    metric.env = {"VPBENCH_PLUGINS": f"{metric.plugin},{second}"}
    metric.run(method="noise", metrics="level,second")
    metric.write(COUNT.format(version=1, factor="2.0", own=""))
    second.write_text(COUNT.format(version=1, factor="3.0", own="").replace("level", "second"))
    metric.run(method="noise", metrics="second")
    assert "level differ and are scored again" in metric.run(method="noise", metrics="level").err


def test_the_version_of_a_metric(metric):
    value = level(metric)
    metric.write(COUNT.format(version=2, factor="3.0", own=""))
    metric.scored()
    assert level(metric) == pytest.approx(3 * value)
    assert set(metric.row()["scores"]) == {"level", "psnr"}
    assert nothing_done(metric.scored(), "noise")
    assert list(metric.folder().glob("scores/retired/level@*.json"))


def test_what_a_metric_says_of_itself(metric):
    """Its fingerprint has a new field; version and value are what they were."""
    value = level(metric)
    metric.write(COUNT.format(version=1, factor="1.0", own="'range': 255"))
    metric.scored()
    assert level(metric) == value and set(metric.row()["scores"]) == {"level", "psnr"}
    assert nothing_done(metric.scored(), "noise")


def test_code_of_a_set_metric_whose_features_are_cached(place, tmp_path):
    """The cache knows nothing of the code; features of the old one are not scored again."""
    source = (PLUGINS / "texture.py").read_text()
    source = source.replace("astype(np.float64))", "astype(np.float64) * 1.0)")
    place.write(source)
    place.env, place.name = {"VPBENCH_PLUGINS": str(place.plugin)}, "noise"

    def scored():
        return place.run(method="noise", metrics="texture,psnr")

    scored()
    value = place.row()["scores"]["texture"]["value"]
    edit(place.plugin, "* 1.0)", "* 2.0)")
    assert "texture differ and are scored again" in scored().err
    assert place.row()["scores"]["texture"]["value"] == pytest.approx(2 * value)
    edit(place.plugin, "* 2.0)", "* (1.0 + 1.0))")
    assert "equal" in scored().err and nothing_done(scored(), "noise")


def test_score_probes_as_run_does(metric):
    value = level(metric)
    metric.write(COUNT.format(version=1, factor="2.0", own=""))
    done = metric.vpbench("score", "noise", "--metrics", "level")
    assert done.code == 0 and "level differ and are scored again" in done.err
    assert level(metric) == pytest.approx(2 * value)


def test_clips_of_other_splits_do_not_move_a_run(place):
    """A method that was not trained depends on the test clips alone, references on all."""
    place.clips = write_clips(place.path / "clips", (("train", 4), ("test", 4)))
    place.write(method("100")).run()
    first = place.folder()
    path = sorted(place.clips.glob("train/*/*.npz"))[0]
    np.savez(path, frames=np.load(path)["frames"] ^ 255)
    assert nothing_done(place.run()) and place.folder() == first


@pytest.mark.parametrize("name", ["nearest-train", "class-random", "real-other"])
def test_clips_that_a_reference_is_made_of(place, name):
    place.clips = write_clips(place.path / "clips", (("train", 4), ("test", 4)))
    place.name = name
    place.run(method=name)
    before = place.psnr()
    for path in place.clips.glob("train/*/*.npz"):
        np.savez(path, frames=np.load(path)["frames"] ^ 255)
    done = place.run(method=name)
    assert "finished before" not in done.err
    assert place.psnr() != before
