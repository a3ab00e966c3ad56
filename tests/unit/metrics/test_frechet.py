"""The Frechet distance against closed forms, scipy's matrix square root and itself."""

import itertools
import math
import time

import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.core.jackknife import jackknife
from vpbench.metrics import frechet as module
from vpbench.metrics.frechet import Moments, frechet, frechet_moments
from vpbench.metrics.leave_out import leave_one_out

SIZES = [(2, 2, 3), (5, 9, 7), (30, 20, 8), (12, 40, 20), (60, 61, 20), (40, 40, 40), (2, 50, 5)]


def gauss(n, d, power=1.0, trace=1000.0, seed=0):
    """Rows whose covariance has eigenvalues i^-power with a given trace."""
    spectrum = np.arange(1, d + 1) ** -float(power)
    spectrum *= trace / spectrum.sum()
    return np.random.default_rng(seed).normal(size=(n, d)) * np.sqrt(spectrum)


def exact(covariance, mean=0.0):
    """2 d rows with exactly this covariance (ddof 1) and mean."""
    values, vectors = np.linalg.eigh(covariance)
    d = len(values)
    axes = (vectors * np.sqrt(values * (2 * d - 1) / 2)).T
    return np.concatenate([axes, -axes]) + mean


def near(value, wanted, rel=0.0, abs_=0.0):
    assert value == pytest.approx(wanted, rel=rel, abs=abs_)


def by_covariances(x, y, ddof=1):
    """An independent computation: eigenvalues of the symmetric product."""
    s1, s2 = np.cov(x.T, ddof=ddof), np.cov(y.T, ddof=ddof)
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ s2 @ root).clip(0)
    mean = x.mean(0) - y.mean(0)
    return mean @ mean + np.trace(s1) + np.trace(s2) - 2 * np.sqrt(inner).sum()


def test_1_means_alone():
    d = 2048
    x = gauss(20, d, 0, trace=d)
    near(frechet(x, x + 1), d, abs_=1e-9)
    one = exact(np.eye(128))
    near(frechet(one, one + 4), 2048, abs_=1e-9)
    a, b = (Moments(101, np.full(128, mean), np.eye(128) * 100) for mean in (0.0, 4.0))
    near(frechet_moments(a, b), 2048, abs_=1e-9)


def test_2_one_dimension():
    half = math.sqrt(0.5)
    x, y = np.array([[-half], [half]]), np.array([[3 - 2 * half], [3 + 2 * half]])
    near(frechet(x, y), 10, abs_=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_3_diagonal(seed):
    random = np.random.default_rng(seed)
    d = int(random.integers(1, 40))
    a, b, shift = random.uniform(0.01, 5, d), random.uniform(0.01, 5, d), random.normal(size=d)
    wanted = ((np.sqrt(a) - np.sqrt(b)) ** 2).sum() + (shift**2).sum()
    near(frechet(exact(np.diag(a)), exact(np.diag(b), shift)), wanted, rel=1e-12)


def test_4_two_by_two():
    a, b = np.array([[2.0, 1], [1, 2]]), np.diag([1.0, 3])
    near(frechet(exact(a), exact(b)), 0.516685226452117, abs_=1e-12)
    near(0.516685226452117, 8 - 2 * math.sqrt(14), abs_=1e-14)


@pytest.mark.parametrize("n, m, d", SIZES)
def test_5_scaled(n, m, d):
    x, c = gauss(n, d, seed=n) + 3, 1.7
    centred = x - x.mean(0)
    wanted = (1 - c) ** 2 * ((centred**2).sum() / (n - 1) + (x.mean(0) ** 2).sum())
    near(frechet(x, c * x), wanted, rel=1e-10)


@pytest.mark.parametrize("n, m, d", SIZES)
def test_6_shifted(n, m, d):
    x, shift = gauss(n, d, trace=d), np.random.default_rng(9).normal(size=d)
    near(frechet(x, x + shift), (shift**2).sum(), rel=1e-9)


@pytest.mark.parametrize("n, m, d", SIZES)
def test_7_rotated(n, m, d):
    x, z = gauss(n, d, seed=1), gauss(m, d, 0.5, seed=2)
    q = np.linalg.qr(np.random.default_rng(3).normal(size=(d, d)))[0]
    near(frechet(x @ q, z @ q), frechet(x, z), rel=1e-10)


@pytest.mark.parametrize("n", [2, 8, 90, 500])
def test_8_identical(n):
    x = gauss(n, 400)
    near(frechet(x, x), 0, abs_=1e-9)
    assert frechet(x, x[::-1]) == frechet(x, x)


@pytest.mark.parametrize("n", [2, 8, 90, 200])
def test_8_identical_moments(n):
    moments = Moments.of(gauss(n, 100))
    near(frechet_moments(moments, moments), 0, abs_=1e-3)


def test_9_orthogonal_supports():
    x, y = np.zeros((50, 40)), np.zeros((50, 40))
    x[:, :20], y[:, 20:] = gauss(50, 20, trace=20, seed=1), gauss(50, 20, trace=20, seed=2)
    mean = x.mean(0) - y.mean(0)
    wanted = mean @ mean + x.var(0, ddof=1).sum() + y.var(0, ddof=1).sum()
    near(frechet(x, y), wanted, abs_=1e-12)


def test_10_11_rank_one():
    x = np.array([[0.0, 0, 0], [2, 0, 0]])
    near(frechet(x, np.array([[0.0, 0, 0], [0, 2, 0]])), 6, abs_=1e-12)
    r = math.sqrt(2)
    near(frechet(x, np.array([[0.0, 0, 0], [r, r, 0]])), 1.7573593128807148, abs_=1e-12)


@pytest.mark.parametrize(
    "power, n, d",
    [(6, 1000, 400), *((p, n, 100) for p in (1, 2, 3, 4, 5, 6) for n in (250, 50))],
)
def test_12_ill_conditioned(power, n, d):
    x = gauss(n, d, power)
    x -= x.mean(0)
    trace = (x**2).sum() / (n - 1)
    near(frechet(x, 2 * x), trace, rel=1e-12)
    if d < 400:
        near(frechet_moments(Moments.of(x), Moments.of(2 * x)), trace, rel=1e-7)


@pytest.mark.parametrize("n, m, d", SIZES)
def test_13_any_order_and_any_batches(n, m, d):
    random = np.random.default_rng(n)
    x, y = gauss(n, d, seed=1).astype(np.float32), gauss(m, d, 0.5, seed=2).astype(np.float32)
    value = frechet(x, y)
    assert frechet(y, x) == value
    for _ in range(5):
        assert frechet(x[random.permutation(n)], y[random.permutation(m)]) == value
    whole = Moments.of(x)
    for cut in range(1, n):
        parts = Moments.of(x[:cut]).merge(Moments.of(x[cut:]))
        assert parts.n == n
        np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(parts.m2, whole.m2, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("n, m, d", SIZES)
def test_14_repeated_rows(n, m, d):
    x, y = gauss(n, d, seed=1), gauss(m, d, 0.5, seed=2)
    again = frechet(np.repeat(x, 3, axis=0), np.repeat(y, 3, axis=0), ddof=0)
    near(again, frechet(x, y, ddof=0), rel=1e-12)


def test_15_bias_of_few_clips():
    values = [
        frechet(gauss(90, 400, seed=2 * k), gauss(90, 400, seed=2 * k + 1)) for k in range(12)
    ]
    assert 605 < np.mean(values) < 640


@pytest.mark.parametrize("seed", range(4))
def test_16_moments_agree(seed):
    random = np.random.default_rng(seed)
    d = int(random.integers(1, 60))
    x, y = gauss(2 * d + 5, d, 0.5, seed=seed), gauss(3 * d + 2, d, seed=seed + 10) + 0.3
    near(frechet_moments(Moments.of(x), Moments.of(y)), frechet(x, y), rel=1e-9)


@pytest.mark.parametrize("n, m, d", SIZES)
def test_17_never_negative_or_complex(n, m, d, monkeypatch):
    monkeypatch.setattr(  # the rounding before it is cut off at 0
        module,
        "distance",
        lambda shift, traces, cross: (shift @ shift + traces - 2 * cross, traces),
    )
    for seed in range(20):
        x = gauss(n, d, 2, seed=seed)
        for y in (x, x + 1e-9, gauss(m, d, 2, seed=seed + 99)):
            value, traces = frechet(x, y)
            assert isinstance(value, float)
            assert value >= -1e-9 * traces


@pytest.mark.parametrize("power", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("n, m, d", [(40, 40, 20), (300, 41, 20), (900, 700, 60)])
def test_cholesky_and_qr_give_the_same_digits(n, m, d, power, monkeypatch):
    """To 1e-11 of the traces; nearly singular covariances go by QR in any case."""
    x, y = gauss(n, d, power, seed=1), gauss(m, d, power, seed=2)
    flat = x.copy()
    flat[:, : d // 2] = 1.0
    found = [frechet(a, b) for a, b in ((x, y), (flat, y), (x, x), (flat, flat), (1e9 + x, y))]
    monkeypatch.setattr(module, "_MANY", math.inf)
    by_qr = [frechet(a, b) for a, b in ((x, y), (flat, y), (x, x), (flat, flat), (1e9 + x, y))]
    assert found[:4] == pytest.approx(by_qr[:4], abs=1e-11 * 2000)
    assert found[4] == pytest.approx(by_qr[4], rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_17_bad_rows_are_named(bad):
    x = gauss(10, 4)
    x[7, 2] = bad
    with pytest.raises(BadData, match=r"row 7 \(7\) of the second features"):
        frechet(gauss(10, 4), x)
    with pytest.raises(BadData, match=r"row 7 \(clip7\) of the first"):
        leave_one_out(x, gauss(10, 4), [f"clip{i}" for i in range(10)])
    with pytest.raises(BadData, match="row 7"):
        Moments.of(x)


@pytest.mark.parametrize("n, m, d", [(5, 5, 9), (40, 40, 6)])
def test_18_ddof(n, m, d):
    x, y = gauss(n, d, seed=1), gauss(m, d, seed=2)
    x, y = x - x.mean(0), y - y.mean(0)
    near(frechet(x, y, ddof=0), frechet(x, y) * (n - 1) / n, rel=1e-12)


def test_refusals():
    x = gauss(5, 4)
    for wrong in (x[:1], x[0], x[:0]):
        with pytest.raises(UsageError):
            frechet(x, wrong)
    with pytest.raises(UsageError, match="4 and 3 dimensions"):
        frechet(x, x[:, :3])
    with pytest.raises(UsageError, match="ddof=2"):
        frechet(x, x, ddof=2)
    with pytest.raises(UsageError, match="have 4 clusters"):
        leave_one_out(x, x, ["a"] * 4)
    with pytest.raises(UsageError, match="4 and 3 dimensions"):
        Moments.of(x).merge(Moments.of(x[:, :3]))
    with pytest.raises(UsageError, match="at least 2"):
        frechet_moments(Moments.of(x[:1]), Moments.of(x))


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("distinct", [True, False])
def test_rows_are_in_the_order_of_their_bytes(distinct, columns):
    x = gauss(50, columns, seed=4)
    if not distinct:
        x[::3, 0] = x[0, 0]
    x[5] = -x[6]
    found = module.ordered(x, "first", [f"c{k:02}" for k in range(50)])
    wanted = sorted(range(50), key=lambda i: ((x[i] + 0.0).tobytes(), f"c{i:02}"))
    assert (found.rows == x[wanted]).all()
    assert list(found.clusters) == [f"c{i:02}" for i in wanted]


def test_inputs_stay_as_they_are():
    x, y = gauss(6, 9), gauss(30, 9)
    before = x.copy(), y.copy()
    first = frechet(x, y), leave_one_out(x, x, list("aabbcc"))
    assert first == (frechet(x, y), leave_one_out(x, x, list("aabbcc")))
    assert (x == before[0]).all() and (y == before[1]).all()


def test_large_means_cost_no_digits():
    x, y = gauss(50, 20, trace=20, seed=1), gauss(40, 20, trace=20, seed=2)
    near(frechet(x + 2.0**20, y + 2.0**20), frechet(x, y), rel=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_scipy_agrees_where_it_can(seed):
    from scipy.linalg import sqrtm

    random = np.random.default_rng(seed)
    d = int(random.integers(5, 50))
    x, y = gauss(3 * d, d, 0.7, seed=seed), gauss(4 * d, d, seed=seed + 5) + 1
    s1, s2 = np.cov(x.T), np.cov(y.T)
    mean = x.mean(0) - y.mean(0)
    wanted = mean @ mean + np.trace(s1) + np.trace(s2) - 2 * np.trace(sqrtm(s1 @ s2)).real
    near(frechet(x, y), wanted, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_random_sizes_agree_with_covariances(seed):
    random = np.random.default_rng(100 + seed)
    n, m, d = (int(k) for k in random.integers(2, 70, 3))
    x, y = gauss(n, d, 0.5, seed=seed), gauss(m, d, seed=seed + 50) - 2
    near(frechet(x, y), by_covariances(x, y) if d > 1 else frechet(y, x), rel=1e-5)


def clusters_of(n, groups, seed):
    return [f"g{k}" for k in np.random.default_rng(seed).integers(0, groups, n)]


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("n, m, d", [*SIZES, (90, 7, 12), (7, 90, 12)])
def test_leaving_out_is_computing_anew(n, m, d, ddof):
    x, y = gauss(n, d, 0.5, seed=3) + 1, gauss(m, d, 1.5, seed=4)
    for groups in (n, 4, 2):
        in_x, in_y = clusters_of(n, groups, 5), clusters_of(m, groups, 6)
        found = leave_one_out(x, y, in_x, in_y, ddof=ddof)
        assert list(found) == sorted({*in_x, *in_y})
        for name, value in found.items():
            keep_x = np.array([c != name for c in in_x])
            keep_y = np.array([c != name for c in in_y])
            if min(keep_x.sum(), keep_y.sum()) < 2:
                assert value is None
            else:
                near(value, frechet(x[keep_x], y[keep_y], ddof=ddof), rel=1e-9, abs_=1e-9)


def test_leaving_out_paired_clips_and_any_order():
    x, y = gauss(20, 30, seed=1), gauss(20, 30, seed=2)
    x[3] = x[4]  # equal rows of different clips
    names = [f"c{k}" for k in range(20)]
    found = leave_one_out(x, y, names)
    for k in range(20):
        near(found[f"c{k}"], frechet(np.delete(x, k, 0), np.delete(y, k, 0)), rel=1e-10)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(20)
        assert leave_one_out(x[order], y[order], [names[k] for k in order]) == found
        other = np.random.default_rng(seed + 9).permutation(20)
        mixed = leave_one_out(
            x[order], y[other], [names[k] for k in order], [names[k] for k in other]
        )
        assert mixed == found


def test_jackknife_of_the_mean_term():
    """Where only means differ by much, the error is known: 4 d^T (S1/n + S2/m) d."""
    n, d = 200, 3
    x, y = gauss(n, d, 0, trace=d, seed=1), gauss(n, d, 0, trace=d, seed=2) + 20
    shift = x.mean(0) - y.mean(0)
    wanted = math.sqrt(4 * shift @ (np.cov(x.T) / n + np.cov(y.T) / n) @ shift)
    se, low, high = jackknife(
        leave_one_out(x, y, [str(k) for k in range(n)]).values(), frechet(x, y)
    )
    assert abs(se / wanted - 1) < 0.2
    assert low < 3 * 400 < high


def test_jackknife_is_fast():
    x, y = gauss(90, 400, seed=1), gauss(90, 400, seed=2)
    best = math.inf
    for _ in range(3):
        started = time.process_time()
        leave_one_out(x, y, [str(k) for k in range(90)])
        best = min(best, time.process_time() - started)
    assert best < 4  # processor time of all threads; about 0.1 s on a quiet machine


def test_no_matrix_square_root_is_imported():
    import subprocess
    import sys

    code = (
        "import sys, vpbench.metrics.frechet, vpbench.metrics.kernel;"
        "assert not {'scipy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_triangle_inequality_of_the_root():
    sets = [gauss(15, 10, p, seed=k) + k for k, p in enumerate((0.5, 1, 2))]
    for a, b, c in itertools.permutations(sets):
        assert math.sqrt(frechet(a, c)) <= math.sqrt(frechet(a, b)) + math.sqrt(frechet(b, c))
