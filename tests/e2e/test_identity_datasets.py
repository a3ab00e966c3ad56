"""Runs on several folders in one folder of runs: ids of tasks hold neither path nor content."""

import json
import re
import shlex

import numpy as np
import pytest

from tests.conftest import moving_square, write_clips
from tests.e2e.helpers import TINY, folder
from tests.e2e.identity import method, nothing_done
from tests.e2e.test_identity_data import psnr_of_copy_last

pytestmark = pytest.mark.e2e

FAILING = method(
    "100", predict="if os.environ.get('FAIL'): raise ValueError('no')", top="import os"
)


@pytest.fixture
def place(place):
    """Two sets of six clips with the same names, of which `a` is at work."""
    for seed, name in enumerate("ab", start=1):
        write_clips(place.path / name / "set", (("test", 6),), seed=seed)
    place.name = "copy-last"
    return at(place, "a")


def at(place, name):
    place.clips = place.path / name / "set"
    return place


def copy_last(place):
    return place.run(method="copy-last")


def tables(place, *words):
    """Dataset -> row -> PSNR, or the reason why there is none."""
    groups = place.compare(*words, "--json").json()["groups"]
    return {
        g["task"]["dataset"]: {r["method"]: _figure(r, g) for r in g["rows"]}
        for g in groups
        if g["frames"] == 8
    }


def _figure(row, group):
    assert list(group["metrics"]) == ["psnr"]  # one column: one fingerprint
    score = row["scores"]["psnr"]
    return score["reason"] if score["value"] is None else pytest.approx(score["value"], abs=1e-9)


def test_two_datasets_with_the_same_names_share_no_table(place):
    values = {}
    for name in "ab":
        copy_last(at(place, name))
        values[name] = psnr_of_copy_last(place.clips)
    assert len({p.parent.parent for p in place.folders()}) == 1
    assert values["a"] != values["b"]
    a, b = (folder(place.path / name / "set") for name in "ab")
    assert tables(place, "--dataset", a) == {a: {"copy-last": values["a"]}}
    assert tables(place, "--dataset", b) == {b: {"copy-last": values["b"]}}
    place.run(method=str(place.write(FAILING).plugin) + ":SPEC")  # on b
    at(place, "a").env["FAIL"] = "1"
    place.run(method=str(place.plugin) + ":SPEC", code=1)
    place.env["COLUMNS"] = "400"  # titles have the paths of folders
    done = place.vpbench("compare", "copy-last", "mine", "--no-references", "--all-groups")
    assert f"differ in dataset: {a} against {b}" in done.out
    assert all(f"· {dataset} ·" in done.out for dataset in (a, b))
    both = place.vpbench("compare", "copy-last", "mine", "--no-references", "--json").json()
    rows = {g["task"]["dataset"]: {r["method"]: r for r in g["rows"]} for g in both["groups"]}
    assert rows[a]["mine"]["scores"]["psnr"]["reason"].startswith("failed: ")
    assert rows[b]["mine"]["scores"]["psnr"]["value"] is not None
    for name, dataset in (("a", a), ("b", b)):
        score = rows[dataset]["copy-last"]["scores"]["psnr"]["value"]
        assert score == pytest.approx(values[name], abs=1e-9)
    place.env.clear()
    copy_last(at(place, "b"))  # another method's, and no matter of a's failure
    assert len(list((place.path / "runs").glob("*/mine/*/failure.json"))) == 1


def test_a_dataset_that_was_moved_keeps_its_runs(place):
    copy_last(place)
    value = psnr_of_copy_last(place.clips)
    (place.path / "c").mkdir()
    place.clips.rename(place.path / "c" / "set")
    done = copy_last(at(place, "c"))
    assert nothing_done(done, "copy-last")
    suggested = re.search(r"^Next: vpbench (compare .*)$", done.out, re.M)
    words = [*shlex.split(suggested[1]), "blur-copy", "--no-references", "--json"]
    (group,) = place.vpbench(*words).json()["groups"]
    first, other = group["rows"]
    assert first["scores"]["psnr"]["value"] == pytest.approx(value, abs=1e-9)
    assert first["notes"] == [] and place.dataset in other["scores"]["psnr"]["reason"]


def test_clips_and_groups_that_changed_since_are_noted(place):
    groups = place.clips / "labels.csv"
    files = sorted(place.clips.glob("test/*/*.npz"))

    def group(count):
        rows = [f"{p.relative_to(place.clips)},{k % count}" for k, p in enumerate(files)]
        groups.write_text("\n".join(["file,subject", *rows]) + "\n")

    def noted():
        dataset = folder(place.clips, group="subject")
        notes = place.row(words=("--dataset", dataset))["notes"]
        assert all(f"--dataset '{dataset}'" in note for note in notes)
        return [note.partition(" changed since")[0] for note in notes]

    def run():
        words = ("--dataset", folder(place.clips, group="subject"), "--metrics", "psnr")
        done = place.vpbench("run", "copy-last", *words, "--no-references", "--workers", "1")
        assert done.code == 0, done.err
        return done

    group(6)
    run()
    assert noted() == []
    first = place.folder()
    group(2)
    assert noted() == ["the groups of its clips"]
    assert "predicting" not in run().err and noted() == [] and place.folder() == first
    (score,) = first.glob("scores/*.json")
    assert len(set(json.loads(score.read_text())["clusters"].values())) == 2
    np.savez(files[0], frames=moving_square(77, 0))
    assert noted() == ["its clips"]
    run()
    assert noted() == []


def test_names_of_classes_reach_methods_and_trainings(place):
    """The classes are called otherwise; their numbers, and so all keys, are the same."""
    clips = place.path / "named" / "set"
    write_clips(clips, (("train", 4), ("test", 4)))
    files = sorted(p.relative_to(clips) for p in clips.glob("*/*/*.npz"))
    place.clips, place.name, place.env["VPBENCH_PLUGINS"] = clips, "mine", TINY
    place.write(method("len(self.names[0])", init="self.names = task.class_names"))
    words = ("--dataset", folder(clips, label="action", split="split"))

    def called(*names):
        rows = [f"{p},{p.parts[0]},{names[p.parts[1] == 'down']}" for p in files]
        (clips / "labels.csv").write_text("\n".join(["file,split,action", *rows]) + "\n")
        return place.run(*words)

    called("aaa", "bbb")
    fitted = place.vpbench("fit", "tiny", *words)
    assert place.grey() == 3 and fitted.code == 0, fitted.err
    first = place.folder()
    assert nothing_done(called("aaa", "bbb"))
    assert "the names of classes changed: predicted and scored again" in called("aaaaa", "bbb").err
    assert place.grey() == 5 and place.folder() == first and len(place.retired()) == 1
    assert place.vpbench("fit", "tiny", *words).code == 0
    retired = [p.parent.name for p in place.retired()]
    assert retired == ["mine", "stages", "stages", "stages"]
