"""Leaving clusters out by downdates against doing so by an SVD each, and against starting anew."""

import math

import numpy as np
import pytest

from vpbench.metrics import leave_out as module
from vpbench.metrics.frechet import frechet
from vpbench.metrics.leave_out import leave_one_out
from vpbench.metrics.nuclear import Decomposed, orthonormal

SIZES = [
    (2, 2, 3),
    (3, 4, 5),
    (5, 9, 7),
    (30, 20, 8),
    (12, 40, 20),
    (40, 40, 40),
    (41, 41, 40),
    (90, 90, 200),
    (3, 50, 5),
    (150, 131, 30),
]


def gauss(n, d, power=1.0, seed=0):
    """Rows whose covariance has eigenvalues i^-power and the trace 1000."""
    spectrum = np.arange(1, d + 1) ** -float(power)
    spectrum *= 1000 / spectrum.sum()
    return np.random.default_rng(seed).normal(size=(n, d)) * np.sqrt(spectrum)


def clusters(kind, n, side):
    if kind == "single":
        return [f"c{k}" for k in range(n)]
    if kind == "apart":
        return [f"{side}{k}" for k in range(n)]
    random = np.random.default_rng(n)
    return [f"g{k}" for k in random.integers(0, max(2, n // 3), n)]


def both_ways(monkeypatch, *args):
    found = []
    for few in (math.inf, -1):
        monkeypatch.setattr(module, "FEW", few)
        found.append(leave_one_out(*args))
    return found


@pytest.mark.parametrize("power", [0, 1, 4])
@pytest.mark.parametrize("kind", ["single", "apart", "groups"])
@pytest.mark.parametrize("n, m, d", SIZES)
def test_downdates_give_the_digits_of_an_svd_each(n, m, d, kind, power, monkeypatch):
    x, y = gauss(n, d, power, 1), gauss(m, d, power, 2) + 0.5
    names = clusters(kind, n, "x"), clusters(kind, m, "y")
    by_svd, by_downdates = both_ways(monkeypatch, x, y, *names)
    assert by_svd.keys() == by_downdates.keys()
    for name, value in by_svd.items():
        if value is None:
            assert by_downdates[name] is None
            continue
        assert by_downdates[name] == pytest.approx(value, abs=1e-10 * 2000)
        stay_x, stay_y = ([k for k, c in enumerate(own) if c != name] for own in names)
        anew = frechet(x[stay_x], y[stay_y])
        assert by_downdates[name] == pytest.approx(anew, abs=1e-9 * 2000, rel=1e-8)


@pytest.mark.parametrize("shape", ["same", "repeated", "constant", "flat", "one dimension"])
def test_singular_features(shape, monkeypatch):
    x = gauss(30, 12, seed=3)
    y = gauss(30, 12, seed=4)
    if shape == "same":
        y = x
    elif shape == "repeated":
        x = np.repeat(x[:6], 5, 0)
        y = x + 1
    elif shape == "constant":
        x = np.ones((30, 12))
    elif shape == "flat":
        x[:, 3:] = 2.0
    else:
        x, y = x[:, :1], y[:, :1]
    names = clusters("single", 30, "x")
    by_svd, by_downdates = both_ways(monkeypatch, x, y, names)
    for k, name in enumerate(names):
        anew = frechet(np.delete(x, k, 0), np.delete(y, k, 0))
        assert by_downdates[name] == pytest.approx(anew, abs=1e-6)
        assert by_downdates[name] == pytest.approx(by_svd[name], abs=1e-6)


def test_large_clusters_have_an_svd_of_their_own(monkeypatch):
    x, y = gauss(90, 6, seed=1), gauss(90, 6, seed=2)
    names = ["big"] * 60 + [f"c{k}" for k in range(30)]
    by_svd, by_downdates = both_ways(monkeypatch, x, y, names)
    assert by_downdates == pytest.approx(by_svd, rel=1e-10)
    assert by_downdates["big"] == by_svd["big"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("r, c", [(1, 1), (2, 5), (9, 4), (8, 8)])
def test_nuclear_norm_after_downdates_of_any_rank(r, c, seed):
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(r, c)) * np.exp(random.normal(size=c) * 3)
    if seed == 3:
        matrix[:, 0] = 0
    whole = Decomposed.of(matrix)
    for k in range(4):
        sides, factors = [], []
        for size in (r, c):
            rows = random.normal(size=(min(k, size), size))
            rows *= random.uniform(0.1, 1) / max(1e-9, np.linalg.norm(rows, 2) if rows.size else 1)
            step = orthonormal(rows) if len(rows) else None
            sides.append(step)
            root = np.eye(size)
            if step is not None:
                root = root - (step.basis * (1 - np.sqrt(1 - step.loss))) @ step.basis.T
            factors.append(root)
        wanted = np.linalg.svd(factors[0] @ matrix @ factors[1], compute_uv=False).sum()
        scale = np.linalg.svd(matrix, compute_uv=False)[0]
        assert whole.after(*sides) == pytest.approx(wanted, abs=1e-11 * scale)
    zero = Decomposed.of(np.zeros((r, c)))
    assert zero.after(*sides) == 0
    assert (zero.after_each(np.eye(r)[:1], np.ones(1), np.eye(c)[:1], np.ones(1)) == 0).all()


def test_any_order_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(module, "FEW", 3)
    x, y = gauss(25, 6, seed=1), gauss(25, 6, seed=2)
    for names in (clusters("single", 25, ""), clusters("groups", 25, "")):
        found = leave_one_out(x, y, names)
        order = np.random.default_rng(0).permutation(25)
        assert leave_one_out(x[order], y[order], [names[k] for k in order]) == found
