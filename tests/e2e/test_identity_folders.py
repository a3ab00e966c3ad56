"""Folders that were copied, edited, made by another vpbench or left by a failed run."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.identity import method, nothing_done
from vpbench.api.errors import Corrupt, HashMismatch
from vpbench.core.files import write_json
from vpbench.core.rundir import RunDir

pytestmark = pytest.mark.e2e


@pytest.fixture
def two(place):
    """Runs of two plugins: `mine` fills with 100, `other` with 180."""
    place.write(method("100")).run()
    second = place.path / "plugin" / "other.py"
    second.write_text(method("180").replace('"mine"', '"other"'))
    place.run(method="./plugin/other.py:SPEC")
    (folder,) = place.folders("other")
    return place, place.folder(), folder


def test_predictions_of_another_run(two):
    place, mine, other = two
    shutil.rmtree(mine / "predictions")
    shutil.copytree(other / "predictions", mine / "predictions")
    found = place.compare(code=4)
    assert str(mine / "predictions" / "MANIFEST.json") in found.err
    assert f"belongs to the run {other.name}, not to this one" in found.err


def test_shards_of_another_run_under_the_own_manifest(two):
    place, mine, other = two
    for path in (other / "predictions").glob("0*"):
        shutil.copy(path, mine / "predictions" / path.name)
    found = place.compare(code=4)
    assert "00000.npz is not what was written" in found.err


def test_shards_of_another_run_before_the_manifest_is_written(two):
    place, mine, other = two
    shutil.rmtree(mine / "scores")
    shutil.rmtree(mine / "predictions")
    shutil.copytree(other / "predictions", mine / "predictions")
    (mine / "predictions" / "MANIFEST.json").unlink()
    done = place.run()
    assert f"its folder contained predictions of the run {other.name}: predicted and" in done.err
    assert place.grey() == 100


def test_a_whole_folder_under_the_name_of_another(two):
    place, mine, other = two
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    found = place.compare(code=4)
    assert str(mine / "run.json") in found.err and f"other/{other.name}" in found.err


def test_a_score_of_another_run(two):
    place, mine, other = two
    (score,) = (other / "scores").glob("psnr@*.json")
    shutil.copy(score, mine / "scores" / score.name)
    found = place.compare(code=4)
    assert str(mine / "scores" / score.name) in found.err and "belongs to the run" in found.err


def test_a_score_that_says_that_it_is_of_this_run(two):
    """The run is rewritten and sealed again, but it names the predictions that it was made of."""
    place, mine, other = two
    (score,) = (other / "scores").glob("psnr@*.json")
    target = mine / "scores" / score.name
    shutil.copy(score, target)
    key = json.loads((mine / "run.json").read_text())["key"]
    place.rewrite(target, lambda value: value.update(run=key))
    row = place.row()
    assert row["scores"] == {} or row["scores"]["psnr"]["value"] is None
    assert "finished before" not in place.run().err  # scored again


@pytest.mark.parametrize("field", ["value", "per_clip", "frames", "metric"])
def test_a_score_that_was_sealed_again(two, field):
    place, mine, _ = two
    (score,) = (mine / "scores").glob("psnr@*.json")

    def change(value):
        if field == "value":
            value["value"] += 5
        elif field == "per_clip":
            value["per_clip"][sorted(value["per_clip"])[0]] += 5
        elif field == "frames":
            value["frames"] = 16
        else:
            value["metric"] = "ssim"

    place.rewrite(score, change)
    found = place.compare(code=4)
    assert score.name in found.err
    wanted = "does not follow from the values of its clips"
    assert (wanted if field in ("value", "per_clip") else "do not match its name") in found.err


def test_a_set_score_that_was_sealed_again(place):
    """Its value does not follow from the values without each clip."""
    from tests.e2e.helpers import PLUGINS

    place.env = {"VPBENCH_PLUGINS": str(PLUGINS / "texture.py")}
    place.name = "noise"
    place.run(method="noise", metrics="texture-plain")
    (score,) = place.folder().glob("scores/*.json")
    place.rewrite(score, lambda value: value.update(value=value["value"] + 100))
    assert score.name in place.compare(code=4).err


def test_every_field_of_a_run_record(two):
    place, mine, _ = two
    path = mine / "run.json"
    whole = path.read_text()
    fields = sorted(_paths(json.loads(whole)))
    assert len(fields) > 40
    for field in fields:
        value = json.loads(whole)
        _change(value, field)
        write_json(path, value)
        with pytest.raises((HashMismatch, Corrupt), match=r"run\.json"):
            RunDir(mine).read_record()
    path.write_text(whole)
    assert place.psnr() > 0


def _paths(value, start=()):
    if isinstance(value, dict) and value:
        for key in value:
            yield from _paths(value[key], (*start, key))
    else:
        yield start


def _change(value, path):
    *before, last = path
    for key in before:
        value = value[key]
    old = value[last]
    value[last] = f"{old}x" if isinstance(old, str) else [old]


def test_runs_of_the_first_vpbench_are_left_alone(place, finished):
    """Their records had neither seal nor code: a command is offered, nothing of them is shown."""
    place.name = "noise"
    (run,) = (p.parent for p in (place.path / "runs").glob("*/noise/*/run.json"))
    whole = json.loads((run / "run.json").read_text())
    early = {"schema": "vpbench.run/1", "vpbench": "0.0.1", "inputs": whole["inputs"]}
    (run / "run.json").write_text(json.dumps(early))
    done = place.vpbench("compare", "noise", "--no-references")
    assert done.code == 5 and "No finished run of noise in" in done.err
    assert "vpbench run noise" in done.err
    shown = place.vpbench("info", run)
    assert shown.code == 5 and "was made by an earlier vpbench" in shown.err
    assert "Run the method again" in shown.err
    scored = place.vpbench("score", "noise")
    assert scored.code == 5 and "vpbench run noise" in scored.err


def test_real_runs_of_the_first_vpbench(place, monkeypatch):
    """Where somebody has kept some: VPBENCH_TEST_FIRST_RUNS names a runs folder of puppets."""
    import os

    source = os.environ.get("VPBENCH_TEST_FIRST_RUNS")
    if not source:
        pytest.skip("VPBENCH_TEST_FIRST_RUNS names no runs of the first vpbench")
    shutil.copytree(Path(source) / "puppets", place.path / "runs" / "puppets")
    before = sorted(p.relative_to(place.path) for p in (place.path / "runs").rglob("*"))
    done = place.vpbench("compare", "copy-last", "ours", "li")
    assert done.code == 5 and "vpbench run copy-last ours li" in done.err
    for path in (place.path / "runs").glob("puppets/copy-last/*"):
        assert "earlier vpbench" in place.vpbench("info", path).err
    assert place.vpbench("doctor").code == 0
    after = sorted(p.relative_to(place.path) for p in (place.path / "runs").rglob("*"))
    assert before == after


RAISES = "raise RuntimeError('not today')"


def test_a_method_that_fails_now_never_shows_its_earlier_score(place):
    place.write(method("100")).run()
    value = place.psnr()
    place.write(method("100", predict=RAISES))
    failed = place.run(code=1)
    assert "RuntimeError: not today" in failed.err and f"{value:.1f}" not in failed.out
    row = place.row()
    assert all(s["value"] is None for s in row["scores"].values())
    assert "not today" in json.dumps(row) and "failed" in json.dumps(row)
    table = place.compare().out
    assert "—" in table and "failed" in table and f"{value:.1f}" not in table
    place.write(method("100")).run()
    assert place.psnr() == value


def test_another_version_that_fails_leaves_the_first_one_in_peace(place):
    place.write(method("100")).run()
    value = place.psnr()
    place.write(method("100", predict=RAISES, more=", version=2")).run(code=1)
    assert place.row()["scores"].get("psnr", {}).get("value") is None
    assert nothing_done(place.write(method("100")).run())
    assert place.psnr() == value


def test_the_note_of_a_failure_is_sealed(place):
    """Were it edited, the earlier score would be shown."""
    place.write(method("100")).run()
    place.write(method("100", predict=RAISES)).run(code=1)
    path = place.folder() / "failure.json"
    whole = path.read_text()
    for old, new in (('"mine"', '"mind"'), ('"time": 1', '"time": 0'), ("failure/2", "failure/3")):
        assert old in whole
        path.write_text(whole.replace(old, new))
        assert "failure.json" in place.compare(code=4).err
