"""Trouble while fitting: not a number, no memory, a killed process; batches made ahead."""

import json

import pytest

from tests.e2e.helpers import PLUGINS, folder, vpbench

ENV = {"VPBENCH_PLUGINS": str(PLUGINS / "trouble.py")}


def fit(tmp_path, clips, runs="runs", env=None, **params):
    words = ",".join(f"{k}={v}" for k, v in params.items())
    name = f"trouble[{words}]" if words else "trouble"
    where = ("--dataset", folder(clips), "--threads", 1, "--runs", runs)
    return vpbench("fit", name, *where, cwd=tmp_path, env={**ENV, **(env or {})})


def stage(tmp_path, runs="runs"):
    (found,) = (tmp_path / runs).glob("*/stages/trouble.all-*")
    return found


def lines(tmp_path):
    text = (stage(tmp_path) / "train.jsonl").read_text()
    return [json.loads(line)["step"] for line in text.splitlines()]


def test_a_loss_that_is_no_number_stops_with_step_clips_and_the_last_good_state(clips, tmp_path):
    known = {p.relative_to(clips).with_suffix("").as_posix() for p in clips.rglob("*.npz")}
    for _ in range(2):  # the second time goes on from the last good state, and meets it again
        done = fit(tmp_path, clips, what="nan")
        assert done.code == 1
        assert "trouble:all stopped at step 5 of 8: loss = nan" in done.err
        assert "last good state is that of step 4" in done.err
        named = done.err.partition("(training clips ")[2].partition(")")[0].split(", ")
        assert named != [""] and {*named} <= {k for k in known if k.startswith("train")}
        assert (stage(tmp_path) / "resume" / "state.npz").is_file()
        assert not (stage(tmp_path) / "stage.json").exists()
        assert lines(tmp_path) == [1, 2, 3, 4]


def test_no_memory_says_what_to_lower_and_lowers_nothing(clips, tmp_path):
    done = fit(tmp_path, clips, what="memory", at=3)
    assert done.code == 1
    assert "trouble:all ran out of memory at step 3" in done.err
    assert "Lower batch or width; nothing was lowered automatically" in done.err
    assert lines(tmp_path) == [1, 2]


@pytest.mark.parametrize("ahead", [1, 3])
@pytest.mark.e2e
def test_batches_made_ahead_give_the_same_weights_also_after_a_kill(clips, tmp_path, ahead):
    def weights(runs):
        return (stage(tmp_path, runs) / "checkpoint" / "tensors.safetensors").read_bytes()

    assert fit(tmp_path, clips, "plain").code == 0
    assert fit(tmp_path, clips, "ahead", ahead=ahead).code == 0
    assert weights("plain") == weights("ahead")
    flag = tmp_path / "killed"
    killed = fit(tmp_path, clips, "killed-runs", {"TROUBLE_KILL": str(flag)}, ahead=ahead)
    assert killed.code == 1 and flag.exists()
    assert fit(tmp_path, clips, "killed-runs", {"TROUBLE_KILL": str(flag)}, ahead=ahead).code == 0
    assert weights("plain") == weights("killed-runs")
    assert stage(tmp_path, "plain").name == stage(tmp_path, "ahead").name
