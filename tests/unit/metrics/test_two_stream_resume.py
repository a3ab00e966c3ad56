"""Trainings of the two-stream recogniser that are killed resume to the same weights."""

import dataclasses

import pytest

from tests.unit.metrics.test_two_stream import SMALL
from tests.unit.metrics.test_two_stream_metric import TASK, Clips
from vpbench.core.rundir import StageDir
from vpbench.harness.training.context import StageContext
from vpbench.metrics.action.two_stream import train as module
from vpbench.metrics.action.two_stream.recogniser import weights_bytes
from vpbench.metrics.action.two_stream.settings import PRESETS
from vpbench.metrics.action.two_stream.train import train_streams

pytestmark = pytest.mark.e2e

SETTINGS = dataclasses.replace(SMALL, steps=6, temporal_steps=6, validations=2, batch=2)


class Killed(Exception):
    """What a killed process cannot see."""


def trained(folder=None, kill=None, seed=3):
    """Weights as bytes, accuracy, and the steps that were made."""
    steps = []

    def report(what, done, total, figures):
        if what != "optical flow":
            steps.append((what.partition(" ")[0], done))
        if steps and steps[-1] == kill:
            raise Killed

    ctx = None
    if folder is not None:
        ctx = StageContext(
            TASK, (), "cpu", 1, seed, StageDir(folder), "toy", folder, lambda event: None
        )
    clips, checks = Clips("train", 6), Clips("val", 4, seed=50)
    try:
        made = train_streams(clips, checks, 2, SETTINGS, report, seed=seed, ctx=ctx)
    except Killed:
        return None, None, steps
    return weights_bytes(made.networks), made.accuracy, steps


@pytest.fixture(scope="module")
def straight():
    return trained()


@pytest.mark.parametrize(
    ("kill", "first"),
    [
        (("spatial", 2), ("spatial", 1)),
        (("spatial", 5), ("spatial", 4)),
        (("temporal", 1), ("temporal", 1)),
        (("temporal", 6), ("temporal", 4)),
    ],
)
def test_a_killed_training_resumes_to_the_same_bytes(kill, first, straight, tmp_path, monkeypatch):
    """States are stored after every third step and at a stream's end."""
    monkeypatch.setattr(module, "N_STORED", 2)
    assert trained(tmp_path, kill)[0] is None
    weights, accuracy, steps = trained(tmp_path)
    assert steps[0] == first
    assert (weights, accuracy) == straight[:2]


def test_what_is_stored_of_a_finished_training_needs_no_step(straight, tmp_path):
    once, again = trained(tmp_path), trained(tmp_path)
    assert once[:2] == again[:2] == straight[:2]
    assert len(once[2]) == 12 and again[2] == []


def test_another_seed_gives_other_weights(straight):
    assert trained(seed=4)[0] != straight[0]


def test_preset_paper_makes_steps_on_clips_smaller_than_its_crops():
    few = {"steps": 1, "temporal_steps": 1, "batch": 2, "views": 2}
    settings = dataclasses.replace(PRESETS["paper"], **few)
    assert settings.crop == 224
    clips, checks, seen = Clips("train", 2), Clips("val", 2, seed=50), []
    made = train_streams(clips, checks, 2, settings, lambda *event: seen.append(event))
    losses = [figures["loss"] for *_, figures in seen if figures]
    assert len(losses) == 2 and all(0 < loss < 5 for loss in losses)
    assert set(made.accuracy) == {"fused", "spatial", "temporal"}
