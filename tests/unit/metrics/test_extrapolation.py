"""The Frechet distance of infinitely many clips, against closed forms."""

import numpy as np
import pytest

from vpbench.metrics.extrapolation import frechet_infinity, least_clusters
from vpbench.metrics.frechet import frechet


def names(count):
    return [f"{k:05d}" for k in range(count)]


def test_the_bias_goes_and_the_distance_stays():
    """N(0, S) against N(t, S): |t|^2, and 0 without t."""
    rng = np.random.default_rng(0)
    d, n = 24, 240
    scale, shift = np.arange(1, d + 1) ** -0.5, np.zeros(d)
    shift[0] = 2.0
    plain: list[float] = []
    there: list[float] = []
    for _ in range(12):
        x, y = (rng.standard_normal((n, d)) * scale for _ in range(2))
        plain.append(frechet(x, y + shift))
        value = frechet_infinity(x, y + shift, names(n), names(n))
        assert value is not None
        there.append(value)
    bias, rest = np.mean(plain) - 4, np.mean(there) - 4
    error = np.std(plain) / np.sqrt(len(plain))
    # The mean term alone has a bias of 2 tr S / n, the covariances have more.
    assert bias + 3 * error > 2 * np.square(scale).sum() / n
    assert abs(rest) < 0.2 * bias + 3 * error


def test_at_the_edge_of_its_range_nothing_is_left_of_no_distance():
    """20 dimensions and 40 clips: the distance of two samples of one Gaussian is all bias."""
    rng = np.random.default_rng(4)
    plain: list[float] = []
    there: list[float] = []
    for _ in range(20):
        x, y = rng.standard_normal((2, 40, 20))
        value = frechet_infinity(x, y, names(40), names(40))
        assert value is not None
        plain.append(frechet(x, y))
        there.append(value)
    assert min(plain) > 4
    assert abs(np.mean(there)) < 3 * np.std(there) / np.sqrt(20) < 1


@pytest.mark.parametrize(("clusters", "defined"), [(16, True), (15, False)])
def test_clusters_decide_not_rows(clusters, defined):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, clusters * 9, 8))
    own = np.repeat(names(clusters), 9).tolist()
    assert least_clusters(8) == 16
    assert (frechet_infinity(x, y, own, own) is not None) is defined
    rows = clusters * 9
    assert frechet_infinity(x, y, names(rows), names(rows)) is not None


def test_the_order_of_rows_changes_no_bit():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 21, 3))
    own = np.array([f"c{k // 2}" for k in range(21)])
    there, back = (
        frechet_infinity(x[o], y, own[o].tolist(), names(21))
        for o in (
            np.arange(21),
            rng.permutation(21),
        )
    )
    assert there is not None and there == back
