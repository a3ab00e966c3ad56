"""Runs of a plugin in a single file, by the name that was typed and by the bare one."""

import json

import pytest

from tests.e2e.identity import method

pytestmark = pytest.mark.e2e

FILE = "./plugin/mine.py:SPEC"


def test_every_verb_takes_the_run_of_a_single_file(place):
    words = ("--dataset", place.dataset)
    place.write(method(more=', licence="MIT"')).run()
    (run,) = place.path.glob("runs/*/mine/*")
    packed = []
    for name in (FILE, "mine", str(run)):
        score = ("score", name, "--metrics", "psnr")
        for verb in (("pack", name, "--out", "x.vpb"), ("board", "add", name), score):
            done = place.vpbench(*verb)
            assert done.code == 0, (verb, done.err)
        packed.append((place.path / "x.vpb").read_bytes())
    assert len(set(packed)) == 1
    (entry,) = place.path.glob("leaderboards/*/*.json")  # the same by every name
    assert json.loads(entry.read_text())["method"]["licence"] == "MIT"
    for name in (FILE, "mine"):
        rows = place.vpbench("compare", name, "--json").json()["groups"][0]["rows"]
        assert [row["doubts"] for row in rows if row["method"] == "mine"] == [[]]
        shown = place.vpbench("info", name)
        assert f"vpbench run {FILE} --dataset puppets" in shown.out, shown.err
    # what was written beside the plugin is none of its data, and what `plan` says holds
    (place.path / "x.vpb").rename(place.path / "plugin" / "x.vpb")
    planned = plan(place, *words)
    assert (planned["status"], planned["reason"]) == ("predicted", "ssim to be scored")
    assert place.vpbench("score", "mine").code == 0
    assert plan(place, *words)["status"] == "finished"
    place.write(method(grey="90"))
    check = f"vpbench run {FILE} --dataset"
    for verb in (("pack", "mine"), ("board", "add", FILE), ("board", "add", "--all")):
        done = place.vpbench(*verb)
        assert done.code == 4 and "code changed since (mine.py)" in done.err
        assert check in done.err
    assert plan(place, *words)["reason"] == "code of mine.py changed"
    assert check in " ".join(place.vpbench("info", str(run)).out.split())
    (row,) = place.vpbench("compare", "mine", "--json", "--no-references").json()["groups"][0][
        "rows"
    ]
    assert any(check in note for note in row["notes"])


def plan(place, *words):
    done = place.vpbench("plan", FILE, *words, "--no-references", "--json")
    assert done.code == 0, done.err
    (row,) = done.json()["runs"]
    return row


@pytest.mark.parametrize("verb", [("pack",), ("score",), ("board", "add"), ("report",)])
def test_a_name_that_nothing_has_is_no_missing_run(verb, place):
    done = place.vpbench(*verb, "copy-lst")
    assert done.code == 2 and "Did you mean copy-last?" in done.err
    if verb != ("report",):
        done = place.vpbench(*verb, "/nope/dir")
        assert done.code == 2 and "/nope/dir is neither a method nor" in done.err
    done = place.vpbench(*verb, "copy-last")
    assert done.code == 5 and "vpbench run copy-last --dataset" in done.err


def test_nothing_to_train_is_not_called_fitted(place):
    done = place.vpbench("fit", "copy-last", "--dataset", place.dataset)
    assert done.code == 0 and "copy-last: nothing to train" in done.err
    assert "fitted" not in done.err
