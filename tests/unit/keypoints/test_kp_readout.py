"""The linear read-out of joints: what a knowing, a blind and a noisy detector get."""

import numpy as np
import pytest

from vpbench_keypoints.readout import linear_readout

SIZE = 65  # a unit of [-1,1] is 32 pixels


def figures(n, seed, joints=5, classes=2):
    """Joints float32 [n,J,3]: a pose a class, with noise, somewhere in the frame."""
    shapes = np.random.default_rng(99).uniform(-0.4, 0.4, (classes, joints, 2))
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    place = shapes[label] + rng.normal(0, 0.1, (n, joints, 2)) + rng.uniform(-0.4, 0.4, (n, 1, 2))
    return np.concatenate([place, np.ones((n, joints, 1))], 2).astype(np.float32), label


def mixed(joints, count, seed=5):
    """Keypoints that hold the joints in a linear mixture, anywhere in the frame."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(count, joints.shape[1]))
    points = np.einsum("kj,njc->nkc", mix, joints[..., :2])
    return (points + rng.uniform(-1, 1, (len(joints), 1, 2))).astype(np.float32)


def both(make, n=200):
    sides = []
    for seed, count in ((1, n), (2, n // 2)):
        joints, label = figures(count, seed)
        sides.append((make(joints), joints, label))
    return sides


def test_a_detector_that_knows_the_joints_gets_nearly_nothing_wrong():
    found = linear_readout(*both(lambda j: mixed(j, 7)), SIZE)
    assert found.error < 0.1 and found.ratio < 0.02 and found.pck == 1.0


def test_joints_themselves_are_keypoints():
    found = linear_readout(*both(lambda j: j.copy()), SIZE)
    assert found.ratio < 0.02 and found.pck == 1.0


def test_all_points_on_the_centroid_know_no_more_than_the_mean_pose():
    def blind(joints):
        return np.repeat(joints[..., :2].mean(1, keepdims=True), 7, 1)

    found = linear_readout(*both(blind), SIZE)
    assert found.ratio > 1.0  # the mean of all classes; the yardstick knows the class
    one = [(p, j, 0 * label) for p, j, label in both(blind)]
    assert linear_readout(*one, SIZE).ratio == pytest.approx(1.0, abs=0.02)
    assert found.ratio > 0.6 and found.pck < 0.7


def test_points_that_move_with_noise_alone_are_no_better():
    rng = np.random.default_rng(3)
    found = linear_readout(*both(lambda j: rng.normal(size=(len(j), 7, 2))), SIZE)
    assert found.ratio > 1.0


def test_figures_against_least_squares():
    """No ridge, no masks: numpy's lstsq on centred coordinates."""
    rng = np.random.default_rng(4)
    train, test = both(lambda j: mixed(j, 7) + rng.normal(0, 0.05, (len(j), 7, 2)))
    found = linear_readout(train, test, SIZE)

    def centred(points):
        flat = points[..., :2] - points[..., :2].mean(1, keepdims=True)
        return flat.reshape(len(points), -1).astype(np.float64)

    def design(points):
        return np.c_[centred(points), np.ones(len(points))]

    weights = np.linalg.lstsq(design(train[0]), centred(train[1]), rcond=None)[0]
    wrong = (design(test[0]) @ weights - centred(test[1])).reshape(len(test[0]), -1, 2)
    distance = 32 * np.sqrt((wrong**2).sum(-1))
    assert found.error == pytest.approx(distance.mean(), rel=1e-3)
    shapes = [centred(train[1])[train[2] == c].mean(0) for c in (0, 1)]
    usual = np.stack([shapes[c] for c in test[2]]) - centred(test[1])
    usual = 32 * np.sqrt((usual.reshape(len(usual), -1, 2) ** 2).sum(-1))
    assert found.mean_pose_error == pytest.approx(usual.mean(), rel=1e-5)
    height = 32 * np.ptp(test[1][..., 1], axis=1)
    assert found.pck == pytest.approx((distance <= 0.1 * height[:, None]).mean(), abs=0.01)
    assert 0.1 < found.pck < 0.9


def test_missing_joints_are_ignored():
    sides = both(lambda j: mixed(j, 7))
    rng = np.random.default_rng(6)
    gone = []
    for points, joints, label in sides:
        absent = rng.uniform(size=joints.shape[:2]) < 0.3
        absent[:, 0] = False
        joints = joints.copy()
        joints[absent] = 0.0
        gone.append((points, joints, label, absent))
    found = linear_readout(*[g[:3] for g in gone], SIZE)
    nonsense = []
    for points, joints, label, absent in gone:
        joints = joints.copy()
        joints[absent, :2] = rng.uniform(-50, 50, (int(absent.sum()), 2))
        nonsense.append((points, joints, label))
    assert linear_readout(*nonsense, SIZE) == found
    assert np.isfinite([found.error, found.mean_pose_error, found.pck]).all()


def test_a_joint_that_training_never_shows_is_not_a_number_out_of_nothing():
    (points, joints, label), test = both(lambda j: mixed(j, 7))
    joints = joints.copy()
    joints[:, 2] = 0.0
    found = linear_readout((points, joints, label), test, SIZE)
    assert np.isfinite([found.error, found.mean_pose_error, found.ratio]).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_frames_give_numbers(n):
    joints, label = figures(n, 1)
    new, new_label = figures(2, 2)
    train = (mixed(joints, 7), joints, label)
    found = linear_readout(train, (mixed(new, 7), new, new_label), SIZE)
    assert np.isfinite([found.error, found.mean_pose_error, found.ratio, found.pck]).all()
    assert 0 <= found.pck <= 1


def test_a_class_that_training_lacks_takes_the_mean_of_all():
    (points, joints, label), (new, truth, _) = both(lambda j: mixed(j, 7))
    strange = np.full(len(new), 9)
    some = linear_readout((points, joints, label), (new, truth, strange), SIZE)
    every = linear_readout((points, joints, 0 * label), (new, truth, 0 * strange), SIZE)
    assert some == every


def test_confidence_of_keypoints_is_not_read():
    train, test = both(lambda j: mixed(j, 7))
    plain = linear_readout(train, test, SIZE)
    sure = [
        (np.concatenate([s[0], np.ones((len(s[0]), 7, 1), np.float32)], 2), *s[1:])
        for s in (train, test)
    ]
    assert linear_readout(*sure, SIZE) == plain
