"""Recognised actions from the command line, on puppets and on real people."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_clips
from tests.e2e.helpers import folder, vpbench
from tests.unit.metrics.weights_here import i3d_path
from vpbench.metrics.action.two_stream.store import shipped_recognisers


def test_columns_of_recognised_actions_are_for_datasets_with_classes(clips, tmp_path):
    """By default; where one was asked for, the reason is given."""
    flat = tmp_path / "flat"
    for path in clips.glob("*/*/*.npz"):
        split, label, _ = path.relative_to(clips).parts
        (flat / split).mkdir(parents=True, exist_ok=True)
        path.rename(flat / split / f"{label}-{path.name}")
    words = ("run", "copy-last", "--no-references", "--json", "--dataset")
    bare = vpbench(*words, folder(flat), cwd=tmp_path).json()["runs"][0]["scores"]
    assert "action" not in bare and "psnr" in bare
    asked = vpbench(*words, folder(flat), "--metrics", "action", cwd=tmp_path)
    assert asked.code == 5
    reason = asked.json()["runs"][0]["scores"]["action"]["reason"]
    assert reason == "not scored: action needs a dataset with classes."
    write_clips(clips)
    short = vpbench(*words, folder(clips), "--metrics", "action-2s", cwd=tmp_path)
    reason = short.json()["runs"][0]["scores"]["action-2s"]["reason"]
    assert short.code == 5 and "at least 11 frames" in reason
    long = vpbench(*words, folder(clips, horizon=12), "--metrics", "action-2s", cwd=tmp_path)
    reason = long.json()["runs"][0]["scores"]["action-2s"]["reason"]
    assert reason == (
        "not scored: no two-stream recogniser: vpbench recogniser train --dataset "
        f"'{folder(clips, horizon=12)}'"
    )
    measured = vpbench("measure", clips / "test" / "right", clips / "test" / "right", cwd=tmp_path)
    assert measured.code == 0 and "action" not in measured.out


@pytest.fixture
def home(tmp_path):
    """The real weights in this test's own cache."""
    source = i3d_path().parent
    made = tmp_path / "home"
    made.mkdir()
    os.symlink(source, made / "weights")
    return {"VPBENCH_HOME": made}


@pytest.mark.e2e
@pytest.mark.weights
@pytest.mark.parametrize("name", ["action", "action-2s"])
def test_puppets_are_recognised_and_copies_of_the_given_frame_are_not(name, home, tmp_path):
    """With the bundled probe, and with a bundled recogniser; also what a table says of it."""
    if name == "action-2s" and not shipped_recognisers():
        pytest.skip("no two-stream recogniser is bundled")
    words = ("run", "copy-last", "--dataset", "puppets", "--metrics", name)
    done = vpbench(*words, cwd=tmp_path, env=home)
    assert done.code == 0, done.err
    shown = vpbench("compare", "copy-last", "linear", "--json", cwd=tmp_path, env=home).json()
    (group,) = shown["groups"]
    found = group["recognition"][name]
    rows = {row["method"]: row for row in found["rows"]}
    share = {method: row["overall"]["share"] for method, row in rows.items()}
    assert share["real"] >= 0.95 and share["copy-last"] <= 0.5, share
    assert share["real-shuffled"] <= share["real"]
    assert found["chance"] == 1 / 9 and len(found["classes"]) == 9
    assert np.sum(rows["real"]["confusion"]) == 90
    assert rows["real"]["overall"]["ci95"] == shown_interval(group, "real", name)
    streams = {"spatial", "temporal"} if name == "action-2s" else set()
    assert set(rows["real"]["streams"]) == streams
    text = vpbench("compare", "copy-last", "--per-class", cwd=tmp_path, env=home).out
    assert "squats" in text and "chance" in text
    words = ("figure", "confusion", "copy-last", "--metric", name)
    drawn = vpbench(*words, cwd=tmp_path, env=home)
    assert drawn.code == 0, drawn.err
    with Image.open(tmp_path / "figures" / f"confusion-puppets-16-{name}.png") as picture:
        assert picture.size[0] > 600
    record = json.loads((tmp_path / "figures" / "confusion.json").read_text())
    assert record["panels"][0]["metric"] == name


def shown_interval(group, method, metric):
    (row,) = (row for row in group["rows"] if row["method"] == method)
    return row["scores"][metric]["ci95"]


@pytest.mark.e2e
@pytest.mark.weights
def test_clips_of_the_class_that_is_asked_for_are_controllable(home, tmp_path):
    """`class-random` shows real clips of any label; predictions are made once, and checked."""
    words = ("controllability", "class-random", "--dataset", "puppets", "--labels", 1)
    early = vpbench(*words, cwd=tmp_path, env=home)
    assert early.code == 5 and "has no finished run" in early.err
    run = ("run", "class-random", "--dataset", "puppets", "--metrics", "psnr", "--no-references")
    assert vpbench(*run, cwd=tmp_path, env=home).code == 0
    done = vpbench(*words, "--json", cwd=tmp_path, env=home)
    assert done.code == 0, done.err
    (row,) = done.json()["rows"]
    assert row["n"] == 90 and row["value"] >= 0.95 and row["ci95"][0] < row["value"]
    made = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/*/*/wrong-labels/*")}
    assert vpbench(*words, "--json", cwd=tmp_path, env=home).json()["rows"] == [row]
    assert made and made == {p: p.stat().st_mtime_ns for p in made}
    table = vpbench("compare", "class-random", "--json", cwd=tmp_path, env=home).json()["groups"][0]
    found = table["recognition"]["controllability"]["rows"][0]
    assert found["overall"]["share"] == row["value"]
    refused = vpbench(
        "controllability", "copy-last", "--dataset", "puppets", cwd=tmp_path, env=home
    )
    assert refused.code == 2 and "is given no label" in refused.err


@pytest.mark.slow
@pytest.mark.weights
def test_the_shipped_probe_is_what_the_training_clips_give(monkeypatch, tmp_path, puppets):
    """The features of 900 clips are shared with the simulations; another processor may differ."""
    from tests.simulations.population import HOME
    from vpbench.core.paths import Paths
    from vpbench.core.registry import build
    from vpbench.harness.inputs.task_data import TaskRef, open_task_data
    from vpbench.harness.inputs.training_clips import TaskTrainingClips
    from vpbench.harness.training.context import ScoreContext
    from vpbench.metrics.action import probe_store
    from vpbench.metrics.action.probe_metric import Action
    from vpbench.metrics.video_specs import I3D

    HOME.mkdir(parents=True, exist_ok=True)
    if not (HOME / "weights").exists():
        (HOME / "weights").symlink_to(i3d_path().parent)
    paths = Paths(tmp_path, HOME, True)
    task_data = open_task_data(TaskRef(dataset="puppets"), build(), paths)
    task_data.dataset.prepare()
    training = TaskTrainingClips(task_data)
    ctx = ScoreContext("cpu", 1, HOME, declared=(I3D,), training=training)
    metric = Action(task_data.task.info, {}, ctx)
    shipped = probe_store.shipped_probe(metric.probe_key(16))
    assert shipped is not None
    monkeypatch.setattr(probe_store, "SHIPPED", tmp_path)
    monkeypatch.setattr(Action, "_known", lambda self, frames: None)
    made = metric.probe(16)
    for name in ("mean", "scale", "weights", "bias"):
        one, other = getattr(shipped, name), getattr(made, name)
        assert np.linalg.norm(one - other) <= 1e-3 * np.linalg.norm(one), name
    assert made.variance == pytest.approx(shipped.variance, rel=1e-3)


@pytest.mark.slow
@pytest.mark.weights
def test_real_people_are_recognised_by_a_probe_that_has_not_seen_them():
    """Weizmann, four actions, one subject left out at a time: 93 % is what centroids reach."""
    from vpbench.metrics.action.ridge import fit_ridge
    from vpbench.metrics.i3d.extract import I3DFeatures

    data = os.environ.get("VPBENCH_TEST_DATA")
    if not data or not (Path(data) / "weizmann" / "labels.csv").is_file():
        pytest.skip("VPBENCH_TEST_DATA has no weizmann")
    root = Path(data) / "weizmann"
    with (root / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    network = I3DFeatures(i3d_path())
    clips = []
    for row in rows:
        with Image.open(root / row["file"]) as picture:
            strip = np.array(picture.convert("RGB"))
        side = strip.shape[0]
        frames = strip.reshape(side, -1, side, 3).swapaxes(0, 1)
        clips.append(np.ascontiguousarray(frames[: 16 * 3 : 3]))
    features = np.stack([network(clip[None])[0] for clip in clips])
    names, labels = np.unique([row["class_name"] for row in rows], return_inverse=True)
    subject = np.array([row["subject"] for row in rows])
    right = 0
    for one in np.unique(subject):
        seen = subject != one
        probe = fit_ridge(features[seen], labels[seen].tolist(), len(names))
        right += int((probe.softmax(features[~seen]).argmax(1) == labels[~seen]).sum())
    assert right / len(rows) >= 0.93
