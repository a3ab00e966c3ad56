"""Keypoint flow matching: sampler against closed forms, code, component, training."""

import json
import math

import numpy as np
import pytest
import torch
from kp_toys import FRAMES, HORIZON, TASK, Context, View
from torch import nn

from vpbench.api import MethodFailed, TaskInfo, UsageError
from vpbench.core.rundir import StageDir
from vpbench.kit import round_weights, to_arrays
from vpbench.kit.weights import count
from vpbench_keypoints import flow_motion
from vpbench_keypoints.flow import FlowNetwork, PathSpace, integrate, straight_line
from vpbench_keypoints.flow_motion import FlowMotion
from vpbench_keypoints.spec import FLOW, FLOW_MATCHING, FLOW_PRESETS, PRESETS

TINY = {**FLOW, **FLOW_PRESETS["smoke"], "n_keypoints": 3, "components": 6}


def component(task=TASK, **more):
    return FlowMotion(task, {**TINY, **more}, (int({**TINY, **more}["n_keypoints"]), "any"))


def points(*shape, seed=0):
    found = np.random.default_rng(seed).uniform(-0.8, 0.8, (*shape, 3)).astype(np.float32)
    found[..., 2] = 1
    return torch.from_numpy(found)


def fit(folder, made=None, data=None, stop_after=math.inf, task=TASK, **more):
    made = made or component(task, **more)
    ctx = Context(
        task,
        ("motion",),
        "cpu",
        1,
        5,
        StageDir(folder),
        "flow-matching:fit",
        folder,
        lambda e: None,
    )
    ctx.stop_after = stop_after
    made.fit(data or View(), ctx)
    return made, ctx


def weights(made):
    arrays, _ = to_arrays(made.net.state_dict())
    return {k: v.tobytes() for k, v in arrays.items()}


# sampler -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_on_a_linear_field_a_step_is_a_known_matrix(steps):
    """Heun's step of x' = A x is I + hA + (hA)^2 / 2; its powers tend to the exponential."""
    a = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    start = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = integrate(lambda x, t: x @ a.T, start, steps)
    h = a / steps
    step = torch.eye(4, dtype=torch.float64) + h + h @ h / 2
    wanted = start @ torch.linalg.matrix_power(step, steps).T
    torch.testing.assert_close(found, wanted)
    exact = start @ torch.linalg.matrix_exp(a).T
    error = float((integrate(lambda x, t: x @ a.T, start, 400) - exact).abs().max())
    assert error < 1e-3 and error < float((found - exact).abs().max())


def test_the_error_falls_with_the_square_of_the_step():
    """x' = x cos(2 pi t) + t^2, solved with a step so small that it counts as exact."""

    def field(x, t):
        return x * torch.cos(2 * math.pi * t)[:, None] + t[:, None].square()

    start = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)
    exact = integrate(field, start, 5000)
    errors = [float((integrate(field, start, n) - exact).abs().max()) for n in (20, 40, 80)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_a_straight_line_is_followed_in_one_step():
    noise, data = torch.randn(3, 5), torch.randn(3, 5)
    time = torch.tensor([0.0, 0.3, 1.0])
    place, velocity = straight_line(noise, data, time)
    torch.testing.assert_close(place, noise + time[:, None] * velocity)
    torch.testing.assert_close(place[0], noise[0])
    torch.testing.assert_close(place[2], data[2])
    torch.testing.assert_close(integrate(lambda x, t: velocity, noise, 1), data)


def test_times_of_the_sampler():
    seen = []

    def field(x, t):
        seen.append(t.tolist())
        return torch.zeros_like(x)

    integrate(field, torch.zeros(2, 1), 4)
    assert seen[::2] == [[k / 4] * 2 for k in range(4)]
    assert seen[1::2] == [[(k + 1) / 4] * 2 for k in range(4)]


def test_a_gaussian_is_sampled_from_its_exact_field():
    """For data N(m, s^2) the velocity is known: noise then becomes m + s * noise."""
    m, s = 3.0, 0.4

    def field(x, t):
        t = t[:, None]
        mean, variance = t * m, (1 - t) ** 2 + (t * s) ** 2
        slope = (t * s**2 - (1 - t)) / variance
        return m + slope * (x - mean)

    noise = torch.randn(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(integrate(field, noise, 400), m + s * noise, atol=2e-3, rtol=0)


# code --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("numbers", "rank", "components"), [(12, 3, 3), (12, 3, 5), (9, 9, 4)])
def test_the_code_is_white_and_keeps_what_it_says(numbers, rank, components):
    rng = np.random.default_rng(numbers + components)
    mix = rng.standard_normal((rank, numbers)) * np.linspace(3, 0.5, rank)[:, None]
    data = torch.from_numpy(rng.standard_normal((500, rank)) @ mix + 2.0).float()
    space = PathSpace(numbers, components)
    kept = space.fit(data)
    code = space.encode(data)
    count_ = min(rank, components)
    covariance = (code.T @ code / len(code))[:count_, :count_]
    torch.testing.assert_close(covariance, torch.eye(count_), atol=2e-3, rtol=0)
    torch.testing.assert_close(code.mean(0), torch.zeros(components), atol=2e-3, rtol=0)
    torch.testing.assert_close(space.basis @ space.basis.T, torch.eye(components))
    left = (space.decode(code) - data).square().sum() / (data - data.mean(0)).square().sum()
    assert 1 - kept == pytest.approx(float(left), abs=1e-4)
    assert (kept > 1 - 1e-6) == (components >= rank)
    spectrum = np.linalg.svd((data - data.mean(0)).numpy(), compute_uv=False) ** 2
    assert kept == pytest.approx(spectrum[:components].sum() / spectrum.sum(), rel=1e-4)


def test_paths_that_stand_still_have_a_code():
    space = PathSpace(6, 2)
    space.fit(torch.zeros(10, 6))
    code = space.encode(torch.zeros(1, 6))
    assert bool(code.isfinite().all()) and float(space.decode(torch.randn(1, 2)).abs().max()) < 1e-3


# component ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 2, 5, 40])
@pytest.mark.parametrize(("k", "classes", "trained"), [(1, 0, 5), (10, 3, 16), (61, 9, 1)])
@torch.no_grad()
def test_any_number_of_points_classes_and_frames(k, classes, trained, horizon):
    task = TaskInfo("toy", 64, trained, 1, None, classes, tuple(map(str, range(classes))), 0, ())
    part = component(task, n_keypoints=k, components=200)
    label = torch.tensor([0, classes - 1]) if classes else None
    found = part.rollout(points(2, 3, k), label, horizon, torch.tensor([5, 6]))
    assert found.shape == (2, horizon, k, 3) and bool(found.isfinite().all())
    assert bool((found[..., 2] == 1).all())
    longer = part.rollout(points(2, 3, k), label, horizon + 7, torch.tensor([5, 6]))
    assert torch.equal(longer[:, :horizon], found)
    still = longer[:, trained - 1 :]
    assert torch.equal(still, still[:, :1].expand_as(still))


def test_a_path_depends_on_its_own_seed_pose_and_label(tmp_path):
    part, _ = fit(tmp_path, steps=60, rate=0.02)
    part.requires_grad_(False)
    start, label, seeds = points(3, 2, 3), torch.tensor([0, 1, 1]), torch.tensor([7, 8, 9])

    def ask(start=start, label=label, seeds=seeds):
        return part.rollout(start, label, 4, seeds)

    path = ask()
    assert torch.equal(ask(), path)
    torch.testing.assert_close(ask(start[2:], label[2:], seeds[2:])[0], path[2])
    torch.testing.assert_close(ask(start[:, -1:]), path)  # earlier frames do not matter
    for other in (
        ask(start + 0.1),
        ask(label=1 - label),
        ask(label=None),
        ask(seeds=seeds + 1),
    ):
        assert float((other - path)[..., :2].abs().amax((1, 2, 3)).min()) > 1e-6


def test_without_labels_there_is_no_class_input():
    off = component(label=False)
    assert off.capabilities.label == "no" and off.classes == 0
    assert component().capabilities.label == "optional"
    wider = component().net.condition.in_features - off.net.condition.in_features
    assert wider == TASK.n_classes


def test_wrong_sizes_are_named():
    with pytest.raises(UsageError, match="sampling_steps=0 must be at least 1"):
        component(sampling_steps=0)
    with pytest.raises(UsageError, match="components=0"):
        component(components=0)


def test_the_network_of_every_preset_is_small_and_begins_at_rest():
    for name, preset in FLOW_PRESETS.items():
        p = {**FLOW, **preset}
        sizes = (p["n_keypoints"], 9, 16, p["components"], p["width"], p["blocks"])
        net = FlowNetwork(*map(int, sizes))
        assert count(net) + sum(b.numel() for b in net.buffers()) < 1_000_000, name
        code, first = torch.randn(4, p["components"]), torch.randn(4, 2 * p["n_keypoints"])
        with torch.no_grad():
            assert not net(code, torch.rand(4), first, torch.zeros(4, 9)).any()
    assert set(FLOW_PRESETS) == set(PRESETS) == set(FLOW_MATCHING.presets)
    for name, preset in PRESETS.items():
        wanted = preset.get("n_keypoints", 40)
        assert {**FLOW, **FLOW_PRESETS[name]}["n_keypoints"] == wanted


# training ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 5])
def test_a_stopped_training_goes_on_to_the_same_bytes(tmp_path, cut):
    whole, _ = fit(tmp_path / "whole")
    again, _ = fit(tmp_path / "again")
    assert weights(whole) == weights(again)
    fit(tmp_path / "cut", stop_after=cut)
    assert (tmp_path / "cut" / "resume" / "state.npz").is_file()
    resumed, _ = fit(tmp_path / "cut")
    assert weights(resumed) == weights(whole) != weights(component())


def test_stored_and_read_back_it_predicts_the_same(tmp_path):
    made, _ = fit(tmp_path / "fit")
    made.save(tmp_path / "w")
    again = component()
    again.load(tmp_path / "w", "cpu")
    ask = (points(2, 1, 3), torch.tensor([0, 1]), 7, torch.tensor([1, 2]))
    with torch.no_grad():
        assert torch.equal(made.rollout(*ask), again.rollout(*ask))
        assert not torch.equal(made.rollout(*ask), component().rollout(*ask))


@pytest.mark.e2e
def test_it_learns_which_way_each_action_goes(tmp_path):
    """Points move right or down by the label, 0.05 a frame."""
    more = {"steps": 600, "width": 48, "blocks": 2, "batch": 64, "rate": 3e-3}
    more |= {"dropout": 0.0, "pose_noise": 0.0}  # twelve paths need no help against memorising
    made, ctx = fit(tmp_path, motion_augment="none-resident", **more)
    view = View()
    start = torch.from_numpy(np.stack([view.path(i, [3], 3) for i in range(8)]))
    label = torch.arange(8) % 2
    with torch.no_grad():
        path = made.rollout(start, label, HORIZON, torch.arange(8))
        wrong = made.rollout(start, 1 - label, HORIZON, torch.arange(8))
    moved = (path[:, -1] - start[:, 0])[..., :2].mean(1)
    wanted = torch.where(label[:, None] == 0, torch.tensor([1.0, 0]), torch.tensor([0, 1.0]))
    assert float((moved - 0.05 * HORIZON * wanted).abs().mean()) < 0.06  # of 0.25
    assert torch.equal(moved.argmax(1), label)
    # eight first poses give their label away; another label leads elsewhere all the same
    apart = (path - wrong)[:, -1, :, :2].mean(1)
    sign = torch.where(label == 0, 1.0, -1.0)
    assert float((sign * (apart[:, 0] - apart[:, 1])).mean()) > 0.05
    checks = {c["name"]: c["value"] for c in ctx.notes.json()["checks"]}
    assert checks["movement of sampled paths, part of real ones'"] == pytest.approx(1, abs=0.2)
    assert checks["variance of paths in the code"] > 0.999
    rows = [json.loads(x) for x in (tmp_path / "train.jsonl").read_text().splitlines()]
    losses = [r["val_flow"] for r in rows if "val_flow" in r]
    assert losses[-1] < 0.7 * losses[0]


def test_a_smoke_training_is_not_compared_and_checks_nothing(tmp_path):
    _, ctx = fit(tmp_path)
    assert ctx.notes.not_comparable == ["a few training steps only"]
    assert not ctx.notes.json()["checks"] and not ctx.notes.notes


def test_without_validation_clips_the_row_says_so(tmp_path):
    _, ctx = fit(tmp_path, data=View(val=0))
    assert any("acceptance checks not measured" in m for m in ctx.notes.notes)


def test_the_lowest_loss_on_validation_paths_is_kept(tmp_path, monkeypatch):
    import functools

    from vpbench.kit import validation_due

    due = functools.partial(validation_due, between=1)
    monkeypatch.setattr(flow_motion, "validation_due", due)
    seen = []
    validate = flow_motion.FlowTraining._validate

    def noted(self, done, training):
        validate(self, done, training)
        state = {k: v.clone() for k, v in self.average.state_dict().items()}
        seen.append((training.extra["validation"]["curve"][-1][1], state))

    monkeypatch.setattr(flow_motion.FlowTraining, "_validate", noted)
    made, _ = fit(tmp_path, rate=0.3, steps=6)
    assert len(seen) == 6 and len({loss for loss, _ in seen}) > 1
    _, best = min(seen, key=lambda row: row[0])
    wanted = component()
    wanted.net.load_state_dict(best)
    round_weights(wanted.net)
    assert weights(made) == weights(wanted)


def test_without_labels_and_validation_clips(tmp_path):
    task = TaskInfo("toy", TASK.size, HORIZON, 1, None, 0, (), 0, ())
    made, _ = fit(tmp_path, data=View(labels=False, val=0), task=task)
    assert made.rollout(points(2, 1, 3), None, FRAMES, torch.tensor([1, 2])).shape[1] == FRAMES


def test_a_loss_that_is_no_number_stops_the_training(tmp_path):
    with pytest.raises(MethodFailed, match="flow-matching:fit stopped at step"):
        fit(tmp_path, rate=1e30)


def test_the_running_mean_follows_the_weights():
    training = flow_motion.FlowTraining.__new__(flow_motion.FlowTraining)
    training.net = nn.Linear(2, 1)
    training.average = nn.Linear(2, 1).requires_grad_(False)
    with torch.no_grad():
        training.net.weight.fill_(1.0)
        training.average.weight.fill_(0.0)
    value = 0.0
    for step in range(5):
        training._follow(step)
        keep = (1 + step) / (10 + step)
        value = keep * value + (1 - keep)
        assert float(training.average.weight[0, 0]) == pytest.approx(value, rel=1e-5)
