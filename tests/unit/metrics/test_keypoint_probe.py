"""Figures of keypoint detectors against closed forms and an independent ridge regression."""

import math

import numpy as np
import pytest

from vpbench.metrics.keypoint_probe import (
    Warp,
    equivariance,
    fit_readout,
    joint_errors,
    labelled_frames,
    mean_of,
    steps,
    warps,
)

RIDGES = [10.0**k for k in range(-6, 1)]


def points(rng, *shape):
    place = rng.uniform(-0.8, 0.8, (*shape, 2))
    return np.concatenate([place, np.ones((*shape, 1))], -1).astype(np.float32)


@pytest.mark.parametrize("n, k, j", [(200, 7, 3), (15, 20, 4), (3, 1, 1)])
def test_joints_that_hang_on_keypoints_linearly_are_found(n, k, j):
    rng = np.random.default_rng(n)
    own, new = points(rng, n, k), points(rng, 50, k)
    if n < 2 * k:  # all frames lie in a plane that the few ones span
        own[:, 2:], new[:, 2:] = own[:, :1], new[:, :1]
    matrix, shift = rng.normal(size=(2 * k, 2 * j)) / k, rng.normal(size=2 * j) / 9

    def joints(p):
        flat = p[..., :2].reshape(len(p), -1) @ matrix + shift
        return np.concatenate([flat.reshape(-1, j, 2), np.ones((len(p), j, 1))], -1)

    read = fit_readout(own, joints(own).astype(np.float32))(new)
    assert np.abs(read - joints(new)[..., :2]).max() < (1e-3 if n > 3 else 1)


def ridge(flat, wanted, penalty, new):
    """Predictions of a ridge regression with a free offset, as least squares of more rows."""
    columns = flat.shape[1]
    design = np.c_[flat, np.ones(len(flat))]
    more = np.c_[np.sqrt(penalty) * np.eye(columns), np.zeros(columns)]
    targets = np.r_[wanted, np.zeros((columns, wanted.shape[1]))]
    weights = np.linalg.lstsq(np.r_[design, more], targets, rcond=None)[0]
    return np.c_[new, np.ones(len(new))] @ weights


def left_out(flat, wanted, penalty):
    """Squared error where each row is predicted without itself, one fit a row."""
    total = 0.0
    for k in range(len(flat)):
        kept = np.arange(len(flat)) != k
        error = ridge(flat[kept], wanted[kept], penalty, flat[[k]]) - wanted[[k]]
        total += float((error**2).sum())
    return total


@pytest.mark.parametrize("n, k, noise", [(40, 3, 0.5), (25, 20, 0.3), (60, 5, 0.01)])
def test_the_penalty_and_the_weights_are_those_of_one_fit_a_left_out_frame(n, k, noise):
    rng = np.random.default_rng(k)
    own, new = points(rng, n, k), points(rng, 30, k)
    flat = own[..., :2].reshape(n, -1).astype(float)
    joint = flat[:, :2] * 0.5 + noise * rng.normal(size=(n, 2))
    wanted = np.concatenate([joint, np.ones((n, 1))], -1)[:, None].astype(np.float32)
    joint = wanted[:, 0, :2].astype(float)
    readout = fit_readout(own, wanted)
    assert readout.ridge == min(RIDGES, key=lambda r: left_out(flat, joint, r * n))
    known = ridge(flat, joint, readout.ridge * n, new[..., :2].reshape(30, -1).astype(float))
    assert np.allclose(readout(new)[:, 0], known, atol=1e-6)


def test_hidden_joints_do_not_count_and_a_joint_never_seen_lies_in_the_middle():
    rng = np.random.default_rng(0)
    own = points(rng, 60, 4)
    joints = own[:, [0, 1, 2]].copy()
    joints[::2, 0] = [9, 9, 0]  # nonsense, and marked as missing
    joints[:, 2, 2] = 0
    readout = fit_readout(own, joints)
    assert np.abs(readout(own)[:, 0] - own[:, 0, :2]).max() < 1e-4
    there = joints[..., 2] > 0
    assert np.allclose(readout(own)[:, 2], joints[there][:, :2].mean(0), atol=1e-6)
    errors = joint_errors(readout(own), joints, 65)
    assert np.isnan(errors.pixels[::2, 0]).all() and np.isnan(errors.parts[:, 2]).all()
    assert errors.pck(0.05) == 1


def test_without_keypoints_the_mean_pose_is_read():
    joints = points(np.random.default_rng(1), 30, 5)
    read = fit_readout(joints[:, :0], joints)(joints[:, :0])
    assert np.allclose(read, joints[..., :2].mean(0), atol=1e-6)


@pytest.mark.parametrize("wide, high, axis", [(1.0, 0.4, 0), (0.3, 0.8, 1)])
def test_pck_is_measured_by_the_longer_side_of_the_box(wide, high, axis):
    joints = np.array([[[0, 0, 1], [wide, high, 1], [0.9, -0.9, 0]]], np.float32)
    longer = max(wide, high)
    off = np.zeros((1, 3, 2))
    off[0, 0, axis], off[0, 1, axis] = 0.07 * longer, -0.15 * longer
    errors = joint_errors(joints[..., :2] + off, joints, 101)
    assert [errors.pck(part) for part in (0.05, 0.1, 0.2)] == [0, 0.5, 1]
    assert mean_of(errors.pixels) == pytest.approx(0.11 * longer * 50, rel=1e-5)
    assert mean_of(errors.parts) == pytest.approx(0.11, rel=1e-5)


def test_a_single_visible_joint_has_no_box():
    joints = np.array([[[0.1, 0.2, 1], [0, 0, 0]]], np.float32)
    errors = joint_errors(joints[..., :2] + 0.5, joints, 64)
    assert errors.pck(0.2) is None and mean_of(errors.pixels) is not None


@pytest.mark.parametrize("bad", ["pairs", "nan", "hidden"])
def test_what_cannot_be_fitted_is_refused(bad):
    own = points(np.random.default_rng(0), 5, 2)
    joints = own.copy()
    if bad == "pairs":
        joints = joints[:4]
    elif bad == "nan":
        own[0, 0, 0] = np.nan
    else:
        joints[..., 2] = 0
    with pytest.raises(ValueError):
        fit_readout(own, joints)


def test_few_labelled_frames_come_from_as_many_clips_as_there_are():
    clips = [f"c{k // 6}" for k in range(120)]
    some = labelled_frames(clips, 20, 3)
    assert len({clips[k] for k in some}) == 20
    more = labelled_frames(clips, 50, 3)
    assert max(sum(clips[k] == name for k in more) for name in set(clips)) == 3
    assert list(labelled_frames(clips, 500, 0)) == list(range(120))
    assert list(labelled_frames(clips, 10, 0)) != list(labelled_frames(clips, 10, 1))


@pytest.mark.parametrize("size", [64, 65])
def test_a_dot_goes_where_the_warp_says(size):
    """The middle of a drawn dot, which is no business of the code under test."""
    y, x = np.mgrid[:size, :size]
    for warp in warps(size):
        at = np.array([[0.3, -0.25, 1.0]], np.float32)
        px, py = (at[0, :2] + 1) * (size - 1) / 2
        dot = 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 18)
        frame = np.repeat(dot[..., None], 3, -1).round().astype(np.uint8)
        moved = warp.images(frame[None])[0, ..., 0].astype(float)
        found = np.array([(moved * x).sum(), (moved * y).sum()]) / moved.sum()
        due = (warp.points(at, size)[0, :2] + 1) * (size - 1) / 2
        assert np.abs(found - due).max() < 0.06, warp.name


def test_a_perfect_detector_has_no_error_and_one_that_is_blind_all_of_it():
    before = points(np.random.default_rng(2), 50, 9) * np.float32([0.5, 0.5, 1])
    for warp in warps(64):
        error, still = equivariance(before, warp.points(before, 64), warp, 64)
        blind, same = equivariance(before, before, warp, 64)
        assert error == 0 and still == blind == same
    shift = Warp("", shift=(3.0, 4.0))
    assert equivariance(before, before, shift, 64)[0] == pytest.approx(5)
    turn = Warp("", degrees=30)
    radius = np.linalg.norm(before[..., :2], axis=-1).mean() * 31.5
    chord = 2 * math.sin(math.radians(15)) * radius
    assert equivariance(before, before, turn, 64)[0] == pytest.approx(chord, rel=1e-5)


def test_points_that_leave_the_picture_and_missing_ones_do_not_count():
    before = np.array([[[0.9, 0, 1], [0, 0, 1], [0.1, 0, 0]]], np.float32)
    after = np.zeros_like(before)
    after[..., 2] = 1
    warp = Warp("", shift=(8.0, 0.0))
    assert equivariance(before, after, warp, 65) == (pytest.approx(8), pytest.approx(8))
    assert equivariance(before[:, :1], after[:, :1], warp, 65) == (None, None)


def test_jitter_is_nothing_for_uniform_motion_and_the_acceleration_for_a_parabola():
    t = np.arange(7)[:, None, None]
    straight = np.concatenate([0.1 * t, -0.05 * t, np.ones_like(t)], -1).astype(np.float32)
    parabola = np.concatenate([0.01 * t * t, 0 * t, np.ones_like(t)], -1).astype(np.float32)
    assert steps([straight], 65, 2) == pytest.approx(0, abs=1e-5)
    assert steps([straight], 65, 1) == pytest.approx(math.hypot(0.1, 0.05) * 32, rel=1e-5)
    assert steps([parabola], 65, 2) == pytest.approx(0.02 * 32, rel=1e-4)
    gone = parabola.copy()
    gone[3] = [5, 5, 0]
    assert steps([gone], 65, 2) == pytest.approx(0.02 * 32, rel=1e-4)
    assert steps([gone[2:5]], 65, 2) is None
