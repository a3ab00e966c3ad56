"""The keypoint method's benchmarks: what they compare with is the same method, and they
compute what they say."""

import argparse
import json
import math
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vpbench.api import TaskInfo
from vpbench_keypoints.detector import KeypointDetector
from vpbench_keypoints.first_stage import FirstStage
from vpbench_keypoints.spec import DETECTOR, PRESETS, TRANSLATOR
from vpbench_keypoints.translator import KeypointTranslator

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SCRIPTS = (
    "keypoints_speed",
    "learning_aids",
    "keypoints_acceptance",
    "keypoints_ablation",
    "motion_ablation",
    "published_step",
    "puppets_first_frame",
)


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def stage():
    task = TaskInfo("toy", 32, 8, 1, None, 0, (), 0, ())
    p = {**DETECTOR, **TRANSLATOR, **PRESETS["smoke"]}
    detector, translator = (make(task, p, None) for make in (KeypointDetector, KeypointTranslator))
    ctx = SimpleNamespace(trains=("detector", "translator"), task=task, seed=0, device="cpu")
    return FirstStage(detector, translator, None, ctx)


def frames(n, seed=0):
    return torch.rand(n, 2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_plain_form_is_the_same_method(stage):
    from keypoints_plain import same_results

    torch.manual_seed(0)
    for net in (stage.detector.net, stage.translator.net):  # running statistics of their own
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.running_mean.normal_(0.0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
    apart = same_results(stage, frames(3))
    assert set(apart) == {"keypoints", "image", "logits", "pixels"}
    assert max(apart.values()) < 1e-5


def test_another_method_is_noticed(stage):
    from keypoints_plain import same_results

    original = stage.detector.points
    stage.detector.points = lambda images: original(images) * 0.9
    with pytest.raises(ValueError, match="another method"):
        same_results(stage, frames(2))


@pytest.mark.parametrize("shared", [False, True])
def test_every_network_of_the_plain_form_moves(stage, shared):
    from keypoints_plain import Plain

    plain = Plain(stage, shared=shared)
    nets = (plain.detector, plain.translator, plain.discriminator)
    before = [[w.detach().clone() for w in net.parameters()] for net in nets]
    figures = plain.step(frames(4, 1), frames(4, 2))
    assert set(figures) == {"discriminator", "pixels", "equivariance", "adversarial"}
    assert all(math.isfinite(v) for v in figures.values())
    for net, old in zip(nets, before, strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(net.parameters(), old, strict=True))


def test_variants_go_back_to_the_published_method():
    from learning_aids import AIDS

    published, preset = {**DETECTOR, **TRANSLATOR}, PRESETS["cpu"]
    changes = [change for variant in AIDS.values() for change in variant.items()]
    assert len(changes) == 5
    for name, value in changes:
        assert str(published[name]) == value != str(preset[name])


def test_effects_are_paired_by_seed():
    from learning_aids import FIGURES, effects

    def row(variant, seed, value):
        return {"variant": variant, "seed": seed, **dict.fromkeys(FIGURES, value)}

    rows = [row("as it is", s, 10.0 + s) for s in range(3)]
    rows += [row("no equivariance", s, 8.0 + s) for s in range(3)]
    rows += [row("marginal soft-argmax", 0, None)]
    found = effects(rows)
    assert found["no equivariance"]["gain_effect"] == 2.0
    assert found["no equivariance"]["gain_ci95"] == [2.0, 2.0]
    assert found["as it is"]["gain"] == 11.0
    assert found["marginal soft-argmax"]["gain_effect"] is None


def test_a_line_that_was_cut_short_is_no_result(tmp_path):
    from learning_aids import append, chosen, finished

    path = tmp_path / "results.jsonl"
    row = {"variant": "as it is", "seed": 0, "steps": 8, "preset": "smoke"}
    append(path, row)
    with path.open("a") as stream:
        stream.write('{"variant": "no equi')
    append(path, {**row, "seed": 1})
    asked = argparse.Namespace(steps=8, preset="smoke", seeds=[0, 1])
    assert [r["seed"] for r in chosen(finished(path), asked)] == [0, 1]
    assert json.loads(path.read_text().splitlines()[0]) == row


def test_bounds():
    from keypoints_trial import Line

    assert Line("a", 5.0, at_least=5.0).met and Line("a", 0.4, at_most=0.4).met
    assert not Line("a", 4.99, at_least=5.0).met and not Line("a", 0.41, at_most=0.4).met
    assert Line("a", None, at_least=1.0).met is False
    assert Line("a", math.nan, at_most=1.0).met is False
    assert Line("a", 1.0).met is None


def test_the_part_of_the_way():
    from keypoints_acceptance import closing

    rng = np.random.default_rng(0)
    keys = [f"clip:{k}" for k in range(9)]

    def record(value, noise):
        return {"value": value, "per_clip": {k: value + noise * rng.normal() for k in keys}}

    exact = closing(record(40.0, 0.0), record(100.0, 0.0), record(20.0, 0.0))
    assert exact.value == 0.75 and exact.se == 0.0 and exact.met
    sides = [record(value, 0.1) for value in (70.0, 100.0, 20.0)]
    ours, still, real = (9 * s["value"] - 8 * np.mean(list(s["per_clip"].values())) for s in sides)
    loose = closing(*sides)
    assert loose.value == pytest.approx((still - ours) / (still - real))
    assert loose.value != pytest.approx(0.375, abs=1e-4)
    assert loose.se > 0 and not loose.met


def test_error_on_changed_pixels():
    from keypoints_acceptance import changed_error

    still = np.full((1, 8, 8, 3), 100, np.uint8)
    real = np.repeat(still, 4, axis=0)
    real[:, :4] = 200  # changed
    real[:, 4:] = 110  # by less than counts
    half = np.repeat(still, 4, axis=0)
    half[:, :4] = 150
    bench = SimpleNamespace(given=lambda item: still, targets=lambda item: real)
    items = [SimpleNamespace(id="a")]
    answers = {"real": real, "still": np.repeat(still, 4, axis=0), "half": half}
    found = {name: changed_error(bench, items, {"a": made}) for name, made in answers.items()}
    assert found == pytest.approx({"real": 0.0, "still": 1.0, "half": 0.5})


def test_missing_fvd_keeps_no_bound():
    from keypoints_acceptance import fvd

    run = SimpleNamespace(inputs={"method": "m"})
    trial = SimpleNamespace(score=lambda *_: None, finished=lambda _: run, apart=lambda *_: None)
    lines = fvd(trial)
    assert [line.met for line in lines] == [None] * 4 + [False] * 2


def test_fvd_beside_frozen_motion():
    from keypoints_acceptance import fvd
    from keypoints_trial import FROZEN, METHOD

    from vpbench.core.samples import Difference

    values = {METHOD: 50.0, "copy-last": 90.0, "real-other": 10.0, FROZEN: 80.0}
    trial = SimpleNamespace(
        score=lambda name, _: {"value": values[name], "per_clip": {}, "se": 1.0},
        finished=lambda name: SimpleNamespace(inputs={"method": name}),
        apart=lambda a, b, _: Difference(values[a] - values[b], 12.0, 8.0, 9),
    )
    bound = {line.name: line.value for line in fvd(trial) if line.at_least is not None}
    assert list(bound.values()) == [0.5, 2.5]


def test_wrong_labels_take_turns():
    from keypoints_labels import wrong_labels

    items = [SimpleNamespace(clip=SimpleNamespace(label=k % 9)) for k in range(72)]
    wrong = wrong_labels(items, 9)
    pairs = {(item.clip.label, w) for item, w in zip(items, wrong, strict=True)}
    assert all(own != w for own, w in pairs)
    assert len(pairs) == 72


def test_distance_of_paths():
    from keypoints_acceptance import pair_distance

    paths = torch.zeros(3, 4, 5, 2)
    paths[1, ..., 0], paths[1, ..., 1], paths[2, :2, :, 0] = 3.0, 4.0, 2.0
    assert pair_distance(paths) == pytest.approx([5.0, 1.0, (2 * 17**0.5 + 2 * 5.0) / 4])


@pytest.mark.parametrize("name", SCRIPTS)
def test_help(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    assert end.value.code == 0
    assert f"python benchmarks/{name}.py" in " ".join(capsys.readouterr().out.split())
