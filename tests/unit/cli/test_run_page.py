"""The page of a run says what its JSON says, in words."""

from pathlib import Path

import pytest

from vpbench.cli.run_page import print_run

SCORE = {
    "value": 756.6,
    "se": 91.2,
    "bias": 266.0,
    "corrected": 490.6,
    "corrected_se": 91.2,
    "n": 90,
}
NONE = dict.fromkeys(SCORE) | {"n": 0}


def record(**changed):
    task = {"id": "toy", "split": "test", "n": 90, "size": 64, "horizon": 16, "limit": None}
    inputs = {
        **{"method": "mine[a=1]", "task": task, "dataset": "toy", "conditioning_frames": 1},
        **{"seed": 3, "fit_seed": None, "samples": 2, "spec": {"params": {"a": 1}}},
    }
    return {
        **{"inputs": inputs, "vpbench": "0.1.0", "created": 0.0, "device": "cpu", "key": "0" * 64},
        **{"training": None, "doubt": "", "code of stages": {}},
        "scores": {"fvd over 16 frames": SCORE, "fid over 16 frames": NONE},
        **changed,
    }


def page(capsys, monkeypatch, path="a b/toy/mine/run", **changed):
    monkeypatch.setenv("COLUMNS", "80")
    print_run(Path(path), record(**changed), "mine[a=1]")
    return capsys.readouterr().out


def test_figures_seeds_and_commands(capsys, monkeypatch):
    shown = page(capsys, monkeypatch)
    assert shown.startswith("mine[a=1] on toy\n")
    assert "90 clips of test, 64 px; 1 given frame, 16 predicted" in shown
    assert [line.split() for line in shown.splitlines() if " over 16 frames " in line] == [
        ["fvd", "over", "16", "frames", "757", "91", "491", "90"],
        ["fid", "over", "16", "frames", "—", "0"],
    ]
    assert "prediction seed 3; 2 samples a clip" in shown and "training" not in shown
    assert "vpbench report 'a b/toy/mine/run'" in shown and "nothing that it was made from" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(("count", "named"), [(3, "m0, m1, m2"), (9, "m0, m1, m2 and 6 more")])
def test_what_has_changed_since(count, named, capsys, monkeypatch, tmp_path):
    run = tmp_path / "my runs" / "toy" / "mine" / "0f1e2d3c"
    modules = ", ".join(f"m{k}" for k in range(count))
    stages = {"mine:fit": f"changed since: {modules}"}
    more = {"training": "bundled (5 s on cpu)", "code of stages": stages, "scores": {}}
    shown = page(capsys, monkeypatch, run, doubt="code changed since (m0)", **more)
    assert f"mine:fit: changed since: {named}\n" in shown and "bundled (5 s on cpu)" in shown
    plain = " ".join(shown.split())
    again = "code changed since (m0): vpbench run 'mine[a=1]' --dataset toy"
    assert f"{again} --runs '{tmp_path}/my runs' checks it" in plain
    monkeypatch.setenv("VPBENCH_RUNS", str(tmp_path / "my runs"))
    shown = page(capsys, monkeypatch, run, doubt="code changed since (m0)", **more)
    assert f"{again} checks it" in " ".join(shown.split())
    assert "none: vpbench score RUN" in shown


def test_texts_of_others_do_not_paint_the_terminal(capsys, monkeypatch):
    assert "\x1b" not in page(capsys, monkeypatch, training="\x1b[31mred")
