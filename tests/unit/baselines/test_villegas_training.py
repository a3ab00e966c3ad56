"""Training the three parts of Villegas et al.: to the same bytes, and to what it should."""

import shutil

import numpy as np
import pytest
import torch
from villegas_toys import (
    BODY,
    SIZE,
    SLOTS,
    Corners,
    View,
    changed,
    context,
    fit,
    given,
    logged,
    make,
    task,
    weights,
)

from vpbench.api import (
    BadData,
    Batch,
)
from vpbench.kit import round_weights
from vpbench_baselines.villegas.method import Villegas
from vpbench_baselines.villegas.training import GeneratorTraining


@pytest.mark.parametrize("slot", SLOTS)
def test_a_stopped_training_goes_on_to_the_same_bytes(tmp_path, slot):
    whole, _ = fit(tmp_path / "whole", slot)
    fit(tmp_path / "cut", slot, stop_after=3)
    assert (tmp_path / "cut" / "resume" / "state.npz").is_file()
    again, _ = fit(tmp_path / "cut", slot)
    assert weights(again) == weights(whole)
    assert logged(tmp_path / "cut") == logged(tmp_path / "whole")
    other, _ = fit(tmp_path / "other", slot, seed=6)
    assert weights(other) != weights(whole)


@pytest.mark.parametrize("cut", [1, 4])
def test_a_regressor_of_its_own_is_part_of_the_state(tmp_path, cut):
    """With a foreign detector the first steps teach the network of the pose features."""
    whole, _ = fit(tmp_path / "whole", "translator", detector=Corners(), regressor_steps=3)
    rows = logged(tmp_path / "whole")
    assert [("regressor" in r, "pixels" in r) for r in rows if "val_gain" not in r] == [
        *[(True, False)] * 3,
        *[(False, True)] * 5,
    ]
    more = {"detector": Corners(), "regressor_steps": 3}
    fit(tmp_path / "cut", "translator", stop_after=cut, **more)
    again, _ = fit(tmp_path / "cut", "translator", **more)
    assert weights(again) == weights(whole)


def test_memory_and_disk_hold_the_same_weights_and_predict_the_same(tmp_path):
    trained = {slot: fit(tmp_path / slot, slot)[0] for slot in SLOTS}
    again = {slot: make(slot) for slot in SLOTS}
    for slot, part in trained.items():
        part.save(tmp_path / "saved" / slot)
        again[slot].load(tmp_path / "saved" / slot, "cpu")
        again[slot].save(tmp_path / "twice" / slot)
        for file in (tmp_path / "saved" / slot).iterdir():
            assert file.read_bytes() == (tmp_path / "twice" / slot / file.name).read_bytes()
        assert weights(part) == weights(again[slot])
        for value in part.net.state_dict().values():
            assert value.ndim < 2 or torch.equal(value, value.half().float())
    seeds = np.zeros((2, 1), np.int64)
    one, two = (
        Villegas(task(), {}, parts).predict(given(), 7, seeds) for parts in (trained, again)
    )
    assert one.shape == (2, 1, 7, SIZE, SIZE, 3) and np.array_equal(one, two)


def test_every_frame_is_drawn_from_the_last_given_one_alone(tmp_path):
    """Frame t is the same whatever frames are asked for beside it, and none feeds the next."""
    part, _ = fit(tmp_path, "translator")
    part.eval()
    with torch.inference_mode():
        frame, points = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 40, 13, 3) * 2 - 1
        points[..., 2] = 1
        whole = part.render(frame, points[:, 0], points[:, 1:])
        alone = part.render(frame, points[:, 0], points[:, [30]])
        torch.testing.assert_close(whole[:, 29], alone[:, 0])
        backwards = part.render(frame, points[:, 0], points[:, 1:].flip(1))
        torch.testing.assert_close(backwards.flip(1), whole)
        assert float(whole.min()) >= 0 and float(whole.max()) <= 1


def test_the_motion_model_looks_at_ten_frames_and_hides_what_it_cannot_see(tmp_path):
    part, _ = fit(tmp_path, "motion")
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(-1, 1, (2, 14, 13, 3)).astype(np.float32))
    points[..., 2] = 1
    points[:, -1, 4, 2] = 0
    seeds = torch.zeros(2, dtype=torch.int64)
    with torch.inference_mode():
        found = part.rollout(points, None, 6, seeds)
        torch.testing.assert_close(part.rollout(points[:, -10:], None, 6, seeds), found)
        points[:, -1, 4, :2] = 7.0  # out of sight: its place is not used
        torch.testing.assert_close(part.rollout(points, None, 6, seeds), found)
    assert found.shape == (2, 6, 13, 3) and not found[:, :, 4, 2].any()
    assert found[..., :2].abs().max() <= 1


# -- poses -----------------------------------------------------------------------------------------


def test_joints_are_drawn_as_48_maps_and_other_points_as_one_each(tmp_path):
    limbs, _ = fit(tmp_path / "a", "translator", stop_after=1)
    assert limbs.limbs and limbs.net.pose[0].in_channels == 48
    points, _ = fit(tmp_path / "b", "translator", detector=Corners(), stop_after=3)
    assert not points.limbs and points.net.pose[0].in_channels == 4
    names = tuple(f"joint {k}" for k in range(13))
    nameless, _ = fit(tmp_path / "c", "translator", info=task(names), stop_after=1)
    assert not nameless.limbs and nameless.net.pose[0].in_channels == 13


@pytest.mark.parametrize(
    ("others", "marked"), [(0, True), (0, False), (35, True)], ids=["kept", "earlier", "48 joints"]
)
def test_48_points_that_are_no_joints_are_drawn_as_points_from_disk_too(tmp_path, others, marked):
    """As many points as there are maps along the limbs; even if there are as many joints."""
    info = task(BODY + tuple(f"point {k}" for k in range(others)))
    part = make("translator", info)
    round_weights(part.reset(48, False, 0))
    part.save(tmp_path)
    if not marked:  # before the kind of the maps was kept
        shutil.rmtree(tmp_path / "maps")
    again = make("translator", info)
    again.load(tmp_path, "cpu")
    frame, points = torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 4, 48, 3) * 2 - 1
    points[..., 2] = 1
    with torch.no_grad():
        pairs = [p.eval().render(frame, points[:, 0], points[:, 1:]) for p in (part, again)]
        points[:, 1:, 13:, :2] = 0.0
        moved = again.render(frame, points[:, 0], points[:, 1:])
    assert torch.equal(*pairs) and not torch.equal(moved, pairs[1])


def test_limbs_need_no_mark_on_disk(tmp_path):
    part = make("translator")
    part.reset(48, True, 0)
    part.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"state.json", "tensors.safetensors"}
    again = make("translator")
    again.load(tmp_path, "cpu")
    assert again.limbs


def test_a_foreign_detector_needs_no_joints(tmp_path):
    part, ctx = fit(tmp_path / "t", "translator", View(joints=0), task(()), Corners())
    assert part.net.pose[0].in_channels == 4 and ctx.notes.checks

    class Points(View):
        def keypoints(self, frames, paths):
            return self.path(0, range(frames.shape[1]))[None, :, :4].repeat(len(frames), 0)

        def batches(self, *words, **more):
            for b in super().batches(*words, **more):
                yield Batch(b.frames, None, None, b.index, b.times, b.keypoints)

    motion, _ = fit(tmp_path / "m", "motion", Points(), task(()), Corners())
    assert motion.net.enter.in_features == 8


@pytest.mark.parametrize("slot", SLOTS)
def test_clips_without_joints_are_an_error_that_says_so(tmp_path, slot):
    class Bare(View):
        def batches(self, *words, **more):
            for b in super().batches(*words, **more):
                yield Batch(b.frames, None, None, b.index, b.times, b.keypoints)

    with pytest.raises(BadData, match="joints"):
        fit(tmp_path, slot, Bare())


def test_the_motion_model_learns_from_true_joints_not_from_what_was_found(tmp_path):
    class Wrong(View):
        def keypoints(self, frames, paths):
            return np.random.default_rng(9).uniform(-1, 1, paths.shape).astype(np.float32)

    one, _ = fit(tmp_path / "a", "motion")
    two, _ = fit(tmp_path / "b", "motion", Wrong())
    assert weights(one) == weights(two)


# -- losses and the two networks -------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path):
    part = make("translator", adversarial_start=0.0)
    made = GeneratorTraining(part, View(), context(tmp_path, "translator"))
    made.run()
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(4, 2, 3, SIZE, SIZE, generator=rng) * 2 - 1
    poses = torch.from_numpy(np.stack([View().path(k, [0, 5]) for k in range(4)]))
    return made, images, poses


@pytest.mark.parametrize(
    ("moves", "wanted"),
    [
        ({"generator": True, "discriminator": True}, {"generator", "discriminator"}),
        ({"generator": False, "discriminator": True}, {"discriminator"}),
        ({"generator": True, "discriminator": False}, {"generator"}),
    ],
)
def test_each_network_is_updated_alone_and_the_regressor_stays(trained, moves, wanted):
    made, images, poses = trained
    made.training.extra["moves"] = dict(moves)
    networks = {
        "generator": made.net,
        "discriminator": made.discriminator,
        "regressor": made.regressor,
    }
    assert changed(networks, lambda: made._step(0, images, poses)) == wanted


def test_the_wrong_pose_is_a_pair_that_the_discriminator_sees(trained):
    """Its third pair is the reference frame under the pose of the wanted one."""
    made, images, poses = trained
    seen = []
    look = type(made.discriminator).forward

    def spy(image, maps):
        seen.append((image.detach().clone(), maps.detach().clone()))
        return look(made.discriminator, image, maps)

    made.discriminator.forward = spy
    figures = made._step(0, images, poses)
    wanted = made.drawer.maps(poses[:, 1])
    assert len(seen) == 4 and all(torch.equal(maps, wanted) for _, maps in seen)
    assert torch.equal(seen[0][0], images[:, 1]) and torch.equal(seen[2][0], images[:, 0])
    torch.testing.assert_close(seen[1][0], seen[3][0])  # what was drawn, for both networks
    assert {"pixels", "pose", "adversarial", "judged_real", "judged_fake"} <= set(figures)


def test_the_pose_loss_reaches_the_frame_and_not_the_regressor(trained):
    made, images, _ = trained
    fake = images[:, 0].clone().requires_grad_()
    made._pose_features()(fake, images[:, 1]).backward()
    assert fake.grad.abs().sum() > 0
    assert all(w.grad is None for w in made.regressor.parameters())
    assert not made.regressor.training


def test_the_discriminator_begins_where_it_is_told_to(tmp_path):
    fit(tmp_path, "translator", adversarial_start=0.6)
    rows = [r for r in logged(tmp_path) if "pixels" in r]
    assert ["adversarial" in r for r in rows] == [False, False, False, True, True]
