"""Detector, motion model and translator as the harness calls them."""

import numpy as np
import pytest
import torch

from vpbench.api import TaskInfo, UnknownName
from vpbench.kit import evaluating, load_state, round_weights, save_weights
from vpbench_keypoints import detector as detectors
from vpbench_keypoints.detector import KeypointDetector
from vpbench_keypoints.motion import KeypointMotion
from vpbench_keypoints.networks import soft_argmax_marginal, soft_argmax_plane
from vpbench_keypoints.spec import DETECTOR, MOTION, PRESETS, TRANSLATOR
from vpbench_keypoints.translator import KeypointTranslator, map_sharpness

SMOKE = PRESETS["smoke"]


def task(size=64, horizon=5, classes=3):
    names = tuple(f"c{k}" for k in range(classes))
    return TaskInfo("toy", size, horizon, 1, None, classes, names, 0, ())


def params(defaults, **more):
    return {**defaults, **{k: v for k, v in SMOKE.items() if k in defaults}, **more}


def detector(size=64, **more):
    return KeypointDetector(task(size), params(DETECTOR, **more), None).eval()


def translator(size=64, **more):
    return KeypointTranslator(task(size), params(TRANSLATOR, **more), None).eval()


def motion(classes=3, **more):
    return KeypointMotion(task(classes=classes), params(MOTION, **more), None).eval()


def points(*shape, seed=0):
    """Random keypoints float32 [*shape,3] with full confidence."""
    rng = np.random.default_rng(seed)
    found = rng.uniform(-0.8, 0.8, (*shape, 3)).astype(np.float32)
    found[..., 2] = 1
    return torch.from_numpy(found)


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# -- detector -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plane", "marginal"])
@pytest.mark.parametrize(("size", "count"), [(16, 1), (64, 10), (72, 33), (128, 2)])
@torch.no_grad()
def test_detector_at_any_size_and_number_of_points(size, count, kind):
    part = detector(size, n_keypoints=count, soft_argmax=kind)
    found = part.detect(images(2, 3, 3, size, size), None)
    assert found.shape == (2, 3, count, 3) and found.dtype == torch.float32
    assert bool((found[..., 2] == 1).all()) and float(found[..., :2].abs().max()) <= 1


@torch.no_grad()
def test_detector_reads_its_logits_as_it_is_told():
    frames = images(2, 1, 3, 16, 16)
    for kind, temperature in (("plane", 0.1), ("plane", 1.0), ("marginal", 1.0), ("marginal", 0.5)):
        part = detector(soft_argmax=kind, temperature=temperature)
        logits = part.net(frames[:, 0] * 2 - 1)
        read = (
            soft_argmax_plane(logits, temperature)
            if kind == "plane"
            else soft_argmax_marginal(logits / temperature)
        )
        torch.testing.assert_close(part.detect(frames, None)[:, 0, :, :2], read)
    with pytest.raises(UnknownName, match="centre"):
        detector(soft_argmax="centre")


@torch.no_grad()
def test_detector_sees_every_frame_alone(monkeypatch):
    part, frames = detector(), images(3, 4, 3, 16, 16)
    whole = part.detect(frames, None)
    monkeypatch.setattr(detectors, "CHUNK", 5)
    torch.testing.assert_close(part.detect(frames, None), whole)
    torch.testing.assert_close(part.detect(frames[2:, 1:2], None)[0, 0], whole[2, 1])


def test_untrained_weights_follow_from_the_seed():
    one, two = detector(), detector()
    assert torch.equal(one.net.out.weight, two.net.out.weight)
    two.reset(9)
    assert not torch.equal(one.net.out.weight, two.net.out.weight)
    two.reset(0)
    assert torch.equal(one.net.out.weight, two.net.out.weight)


# -- motion model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("horizon", [1, 2, 16, 40])
@pytest.mark.parametrize(("count", "classes"), [(1, 0), (10, 3), (61, 9)])
@torch.no_grad()
def test_motion_for_any_horizon_number_of_points_and_classes(count, classes, horizon, residual):
    part = motion(classes, n_keypoints=count, residual=residual)
    label = torch.tensor([0, classes - 1]) if classes else None
    found = part.rollout(points(2, 3, count), label, horizon, torch.tensor([5, 6]))
    assert found.shape == (2, horizon, count, 3) and bool(found.isfinite().all())
    assert bool((found[..., 2] == 1).all())
    if not residual:
        assert float(found[..., :2].abs().max()) < 1


@torch.no_grad()
def test_same_seed_same_path_and_other_seed_or_label_another():
    part, start = motion(), points(1, 1, 10)

    def path(seed, label):
        return part.rollout(start, torch.tensor([label]), 8, torch.tensor([seed]))

    assert torch.equal(path(1, 0), path(1, 0))
    apart = [float((path(*other) - path(1, 0)).abs().max()) for other in ((2, 0), (1, 1), (1, 2))]
    assert min(apart) > 1e-4


@torch.no_grad()
def test_a_path_depends_on_the_last_given_pose_alone():
    part, start = motion(), points(2, 3, 10)
    label, seeds = torch.tensor([0, 1]), torch.tensor([3, 4])
    path = part.rollout(start, label, 6, seeds)
    torch.testing.assert_close(part.rollout(start[:, -1:], label, 6, seeds), path)
    torch.testing.assert_close(part.rollout(start[1:], label[1:], 6, seeds[1:])[0], path[1])
    assert not torch.equal(part.rollout(start.flip(1), label, 6, seeds), path)


@torch.no_grad()
def test_without_labels_there_is_no_class_input():
    start, seeds = points(2, 1, 10), torch.tensor([3, 4])
    off = motion(3, label=False)
    assert off.capabilities.label == "no" and off.net.classes == 0
    none = off.rollout(start, None, 4, seeds)
    assert torch.equal(off.rollout(start, torch.tensor([0, 2]), 4, seeds), none)
    assert off.net.entry.in_features == motion(0).net.entry.in_features
    on = motion(3)
    assert on.capabilities.label == "optional"
    assert on.net.entry.in_features == off.net.entry.in_features + 3
    # a label that is not given is none of the classes
    blank = on.rollout(start, None, 4, seeds)
    for k in range(3):
        assert not torch.equal(on.rollout(start, torch.tensor([k, k]), 4, seeds), blank)


@torch.no_grad()
def test_a_residual_motion_begins_at_the_given_pose():
    part, start = motion(residual=True), points(2, 1, 10)
    part.net.out.weight.zero_()
    found = part.rollout(start, torch.tensor([0, 1]), 5, torch.tensor([1, 2]))
    assert torch.equal(found, start.expand(-1, 5, -1, -1))


@torch.no_grad()
def test_a_stored_motion_model_holds_what_prediction_needs(tmp_path):
    part, again = motion(), motion()
    part.reset(3)
    round_weights(part.net)
    part.save(tmp_path)
    names = set(load_state(tmp_path))
    assert names == {
        n for n in part.net.state_dict() if n.partition(".")[0] in ("entry", "decoder", "out")
    }
    again.load(tmp_path, "cpu")
    ask = (points(2, 1, 10), torch.tensor([0, 2]), 7, torch.tensor([5, 6]))
    assert torch.equal(part.rollout(*ask), again.rollout(*ask))
    # checkpoints of earlier releases hold the posterior encoder too
    save_weights(part.net, tmp_path / "whole")
    whole = motion()
    whole.load(tmp_path / "whole", "cpu")
    assert torch.equal(part.rollout(*ask), whole.rollout(*ask))
    assert torch.equal(whole.net.posterior.weight, part.net.posterior.weight)


# -- translator -----------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 40])
@pytest.mark.parametrize(
    ("size", "count", "more"),
    [
        (64, 10, {}),
        (72, 1, {"mask": False}),
        (128, 3, {"skips": True}),
        (64, 61, {"reference_keypoints": False}),
        (72, 7, {"mask": False, "reference_keypoints": False, "skips": True}),
    ],
)
@torch.no_grad()
def test_translator_at_any_size_horizon_and_switch(size, count, more, horizon):
    part = translator(size, n_keypoints=count, **more)
    frame, source, target = images(1, 3, size, size), points(1, count), points(1, horizon, count)
    intermediates = part.intermediates(frame, source, target)
    assert set(intermediates) == {"final", "coarse"} | (
        {"mask"} if more.get("mask", True) else set()
    )
    for name, value in intermediates.items():
        channels = 1 if name == "mask" else 3
        assert value.shape == (1, horizon, channels, size, size)
        assert 0 <= float(value.min()) <= float(value.max()) <= 1
    assert torch.equal(part.render(frame, source, target), intermediates["final"])


@torch.no_grad()
def test_frames_are_drawn_one_by_one():
    """41 frames of 3 clips pass in several parts; each is what it is alone."""
    part = translator(16)
    frame, source, target = images(3, 3, 16, 16), points(3, 10), points(3, 41, 10)
    whole = part.render(frame, source, target)
    for clip, t in ((0, 0), (1, 20), (1, 21), (2, 40)):
        alone = part.render(
            frame[clip : clip + 1], source[clip : clip + 1], target[clip : clip + 1, t : t + 1]
        )
        torch.testing.assert_close(alone[0, 0], whole[clip, t], atol=1e-5, rtol=0)


@torch.no_grad()
def test_without_reference_keypoints_the_source_pose_is_not_seen():
    frame, target = images(1, 3, 16, 16), points(1, 2, 10)
    one, two = points(1, 10, seed=1), points(1, 10, seed=2)
    blind, seeing = translator(16, reference_keypoints=False), translator(16)
    assert torch.equal(blind.render(frame, one, target), blind.render(frame, two, target))
    assert not torch.equal(seeing.render(frame, one, target), seeing.render(frame, two, target))
    for part in (blind, seeing):
        other = part.render(frame, one, target.flip(1))
        assert not torch.equal(part.render(frame, one, target), other)


@torch.no_grad()
def test_a_mask_of_one_gives_the_frame_and_of_zero_the_crude_image():
    part = translator(16)
    frame, source, target = images(2, 3, 16, 16), points(2, 10), points(2, 3, 10)
    for bias, what in ((1e4, "frame"), (-1e4, "coarse")):
        part.net.mask.bias.fill_(bias)
        intermediates = part.intermediates(frame, source, target)
        wanted = (
            frame[:, None].expand(-1, 3, -1, -1, -1) if what == "frame" else intermediates["coarse"]
        )
        torch.testing.assert_close(intermediates["final"], wanted, atol=1e-6, rtol=0)
        assert float(intermediates["mask"].mean()) == float(bias > 0)


@torch.no_grad()
def test_without_a_mask_the_crude_image_is_the_result():
    part = translator(16, mask=False)
    intermediates = part.intermediates(images(2, 3, 16, 16), points(2, 10), points(2, 3, 10))
    assert torch.equal(intermediates["final"], intermediates["coarse"])


@torch.no_grad()
def test_with_skips_every_level_of_the_source_reaches_the_decoder():
    part = translator(16, skips=True)
    appearance = part.net.encode(images(1, 3, 16, 16) * 2 - 1)
    assert [m.shape[-1] for m in appearance] == [16, 8, 4]
    assert len(translator(16).net.encode(images(1, 3, 16, 16))) == 1
    target = points(1, 10)
    coarse, _ = part.net.decode(appearance, target, target, 7.0)
    for level in range(3):
        changed = [m + (1.0 if k == level else 0.0) for k, m in enumerate(appearance)]
        assert not torch.equal(part.net.decode(changed, target, target, 7.0)[0], coarse)


@torch.no_grad()
def test_drawing_in_training_is_rendering_before_the_clip():
    part = translator(16)
    frame, source, target = images(2, 3, 16, 16), points(2, 10), points(2, 10, seed=4)
    final, _, mask = part.draw(frame * 2 - 1, source, target, map_sharpness(16))
    intermediates = part.intermediates(frame, source, target[:, None])
    torch.testing.assert_close((final.clamp(-1, 1) + 1) / 2, intermediates["final"][:, 0])
    torch.testing.assert_close(mask, intermediates["mask"][:, 0])


# -- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [detector, motion, translator], ids=lambda f: f.__name__)
@torch.no_grad()
def test_rounded_parts_predict_the_same_from_disk(tmp_path, make):
    part, again = make(), make()
    part.reset(3)
    round_weights(part.net)
    part.eval()
    part.save(tmp_path)
    again.load(tmp_path, "cpu")

    def ask(p):
        with evaluating([p]):
            if make is detector:
                return p.detect(images(1, 2, 3, 16, 16), None)
            if make is motion:
                return p.rollout(points(1, 1, 10), torch.tensor([1]), 4, torch.tensor([5]))
            return p.render(images(1, 3, 16, 16), points(1, 10), points(1, 2, 10))

    assert torch.equal(ask(part), ask(again))
    assert not torch.equal(ask(again), ask(make()))
