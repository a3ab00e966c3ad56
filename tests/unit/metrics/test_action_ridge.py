"""The ridge probe against brute force, scikit-free restatements and chance."""

import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.metrics.action.probe_store import probe_bytes, read_probes, store_probe, stored_probe
from vpbench.metrics.action.ridge import PENALTY, fit_ridge


def blobs(n, d, classes, apart, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    centres = rng.normal(size=(classes, d)) * apart
    return (centres[labels] + rng.normal(size=(n, d))).astype(np.float32), labels.tolist()


def restated(x, labels, classes):
    """Weighted least squares with rows for the penalty, an intercept column and numpy's solver."""
    x = np.asarray(x, float)
    mean, scale = x.mean(0), x.std(0)
    z, t = (x - mean) / scale, np.eye(classes)[labels]
    w = 1 / (classes * np.bincount(labels)[labels])
    centred = (z - w @ z) * np.sqrt(w)[:, None]
    penalty = PENALTY * (centred**2).sum() / len(x)
    design = np.hstack([z, np.ones((len(x), 1))]) * np.sqrt(w)[:, None]
    rows = np.hstack([np.sqrt(penalty) * np.eye(x.shape[1]), np.zeros((x.shape[1], 1))])
    target = np.vstack([t * np.sqrt(w)[:, None], np.zeros((x.shape[1], classes))])
    solution = np.linalg.lstsq(np.vstack([design, rows]), target, rcond=None)[0]
    return lambda q: np.hstack([(q - mean) / scale, np.ones((len(q), 1))]) @ solution


@pytest.mark.parametrize(("n", "d", "classes"), [(40, 7, 3), (12, 30, 2), (5, 4, 5)])
def test_scores_are_those_of_least_squares(n, d, classes):
    x, labels = blobs(n, d, classes, 2.0)
    expected = restated(x, labels, classes)(np.asarray(x, float))
    assert fit_ridge(x, labels, classes).scores(x) == pytest.approx(expected, abs=1e-9)


def test_the_spread_of_scores_is_that_of_clips_left_out(monkeypatch):
    x, labels = blobs(30, 6, 3, 1.5)
    probe = fit_ridge(x, labels, 3)
    weight = 1 / (3 * np.bincount(labels)[labels])
    z = (np.asarray(x, float) - probe.mean) / probe.scale
    total = (((z - weight @ z) * np.sqrt(weight)[:, None]) ** 2).sum() * PENALTY / 30
    errors = 0.0
    for k in range(30):  # the same weights and penalty, one clip less
        keep = np.arange(30) != k
        root = np.sqrt(weight[keep])[:, None]
        design = np.vstack(
            [
                np.hstack([z[keep], np.ones((29, 1))]) * root,
                np.hstack([np.sqrt(total) * np.eye(6), np.zeros((6, 1))]),
            ]
        )
        target = np.vstack([np.eye(3)[labels][keep] * root, np.zeros((6, 3))])
        solution = np.linalg.lstsq(design, target, rcond=None)[0]
        errors += weight[k] * ((np.append(z[k], 1) @ solution - np.eye(3)[labels[k]]) ** 2).sum()
    assert probe.variance == pytest.approx(errors / 3, rel=1e-8)


def test_classes_that_are_apart_are_recognised_and_shuffled_labels_give_chance():
    x, labels = blobs(300, 20, 5, 3.0)
    new, truth = blobs(300, 20, 5, 3.0)
    softmax = fit_ridge(x, labels, 5).softmax(new)
    assert softmax.sum(1) == pytest.approx(np.ones(300)) and (softmax >= 0).all()
    assert (softmax.argmax(1) == truth).mean() > 0.98
    rng = np.random.default_rng(1)
    shares = [
        (fit_ridge(x, rng.permutation(labels).tolist(), 5).softmax(new).argmax(1) == truth).mean()
        for _ in range(40)
    ]
    assert abs(np.mean(shares) - 0.2) < 0.05


def test_rare_classes_count_as_much_as_frequent_ones():
    x, labels = blobs(200, 5, 2, 0.0)
    labels = [int(k >= 190) for k in range(200)]
    scores = fit_ridge(x, labels, 2).scores(x)
    weight = np.where(np.array(labels) == 1, 1 / 20, 1 / 380)
    assert weight @ scores == pytest.approx([0.5, 0.5], abs=1e-9)


def test_a_feature_that_never_varies_changes_nothing():
    x, labels = blobs(30, 6, 3, 1.0)
    more = np.hstack([x, np.full((30, 1), 1e6, np.float32)])
    assert fit_ridge(more, labels, 3).scores(more) == pytest.approx(
        fit_ridge(x, labels, 3).scores(x), abs=1e-9
    )


@pytest.mark.parametrize(
    ("labels", "classes", "value", "error"),
    [
        ([0, 0, 1], 3, 0.0, UsageError),
        ([0, 0, 0], 1, 0.0, UsageError),
        ([0, 1], 2, 0.0, UsageError),
        ([0, 1, 3], 3, 0.0, UsageError),
        ([0, 1, 1], 2, np.nan, BadData),
    ],
)
def test_what_cannot_be_fitted_is_refused(labels, classes, value, error):
    with pytest.raises(error):
        fit_ridge(np.full((3, 2), value), labels, classes)


def test_a_stored_probe_is_read_back_to_the_bit_and_a_damaged_one_is_not(tmp_path):
    x, labels = blobs(30, 6, 3, 1.0)
    probe, key = fit_ridge(x, labels, 3), "ab" * 32
    assert stored_probe(tmp_path, key) is None
    store_probe(tmp_path, key, probe)
    again = stored_probe(tmp_path, key)
    assert again is not None and again.variance == probe.variance
    assert np.array_equal(again.scores(x), probe.scores(x))
    assert probe_bytes({key: probe}) == probe_bytes({key: again})
    assert read_probes(probe_bytes({key: probe, "cd": probe})).keys() == {key, "cd"}
    (file,) = tmp_path.iterdir()
    other = "ab" * 16 + "00" * 16
    assert stored_probe(tmp_path, other) is None  # of the same name, for something else
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert stored_probe(tmp_path, key) is None
