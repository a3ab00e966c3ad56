"""The kernel distance against loops, known figures and its own null distribution."""

import numpy as np
import pytest

from vpbench.api.errors import BadData, UsageError
from vpbench.core.jackknife import jackknife
from vpbench.metrics import kernel as module
from vpbench.metrics.kernel import kvd, kvd_leave_one_out, permutation_p


def gauss(n, d=6, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def by_loops(x, y):
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    xy = sum(k(a, b) for a in x for b in y)
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def test_known_figure():
    assert kvd(np.eye(2), np.array([[1.0, 1], [0, 0]])) == pytest.approx(-2.375, abs=1e-14)


@pytest.mark.parametrize("n, m, d", [(2, 2, 1), (5, 9, 3), (20, 11, 40)])
def test_against_loops(n, m, d):
    x, y = gauss(n, d, 1), gauss(m, d, 2, 0.5)
    assert kvd(x, y) == pytest.approx(by_loops(x, y), rel=1e-12)
    assert kvd(y, x) == pytest.approx(kvd(x, y), rel=1e-12)


def test_blocks_of_rows_change_nothing(monkeypatch):
    x, y = gauss(30, 5, 1), gauss(22, 5, 2, 0.2)
    names = list(map(str, range(30))), list(map(str, range(22)))
    whole = kvd(x, y), kvd_leave_one_out(x, y, *names)
    p = permutation_p(x, y, permutations=500)
    monkeypatch.setattr(module, "_BLOCK", 52 * 7)
    assert kvd(x, y) == pytest.approx(whole[0], rel=1e-12)
    assert kvd_leave_one_out(x, y, *names) == pytest.approx(whole[1], rel=1e-12)
    assert permutation_p(x, y, permutations=500) == p


def test_centred_under_the_null_and_sometimes_negative():
    scale = np.sqrt(1 / np.arange(1, 401))
    values = [
        kvd(gauss(90, 400, 2 * k) * scale, gauss(90, 400, 2 * k + 1) * scale) for k in range(40)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values, ddof=1) / np.sqrt(40)
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("n, m", [(12, 12), (9, 30), (3, 4)])
def test_leaving_out_is_computing_anew(n, m):
    x, y = gauss(n, 5, 1), gauss(m, 5, 2, 1)
    for groups in (n, 3):
        random = np.random.default_rng(groups)
        in_x = [f"g{k}" for k in random.integers(0, groups, n)]
        in_y = [f"g{k}" for k in random.integers(0, groups, m)]
        for name, value in kvd_leave_one_out(x, y, in_x, in_y).items():
            keep_x = np.array([c != name for c in in_x])
            keep_y = np.array([c != name for c in in_y])
            if min(keep_x.sum(), keep_y.sum()) < 2:
                assert value is None
            else:
                assert value == pytest.approx(by_loops(x[keep_x], y[keep_y]), rel=1e-10, abs=1e-12)


def test_any_order_gives_the_same_bits():
    x, y = gauss(20, 8, 1), gauss(20, 8, 2, 0.3)
    names = [f"c{k // 2}" for k in range(20)]
    value, left = kvd(x, y), kvd_leave_one_out(x, y, names)
    p = permutation_p(x, y, names, names, permutations=300)
    alone = permutation_p(x, y, permutations=300)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(20)
        mixed = [names[k] for k in order]
        assert kvd(x[order], y[order[::-1]]) == value
        assert kvd_leave_one_out(x[order], y[order], mixed) == left
        assert permutation_p(x[order], y[order], mixed, mixed, permutations=300) == p
        assert permutation_p(x[order], y[order[::-1]], permutations=300) == alone


def test_jackknife_error_is_that_of_repeated_draws():
    values, errors = [], []
    for k in range(60):
        x, y = gauss(40, 4, 2 * k), gauss(40, 4, 2 * k + 1, 1.0)
        value = kvd(x, y)
        one = [f"x{i}" for i in range(40)]
        left = kvd_leave_one_out(x, y, one, [f"y{i}" for i in range(40)])
        values.append(value)
        errors.append(jackknife(left.values(), value)[0])
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.25)


def test_permutation_p_by_all_relabellings():
    """With 10^4 draws p is near the share of all 70 ways to choose 4 of 8 rows."""
    import itertools

    x, y = gauss(4, 3, 5), gauss(4, 3, 6, 0.8)
    pooled, observed = np.concatenate([x, y]), by_loops(x, y)
    ways = [
        by_loops(pooled[list(c)], np.delete(pooled, list(c), 0))
        for c in itertools.combinations(range(8), 4)
    ]
    share = np.mean(np.array(ways) >= observed - 1e-12)
    assert permutation_p(x, y) == pytest.approx(share, abs=0.02)


def test_permutation_p_is_uniform_under_the_null_and_small_for_a_shift():
    null = [
        permutation_p(gauss(20, 5, k), gauss(15, 5, k + 500), permutations=199) for k in range(200)
    ]
    assert abs(np.mean(null) - 0.5) < 0.07
    assert 0.01 <= np.mean(np.array(null) <= 0.05) <= 0.1
    assert permutation_p(gauss(30, 5, 1), gauss(30, 5, 2, 1.5)) == 1 / 10_001


def test_rows_of_a_group_are_not_evidence_of_their_own():
    """Eight persons with ten clips each: by rows the test is fooled, by groups it is not."""
    grouped, alone = [], []
    for k in range(40):
        random = np.random.default_rng(k)
        x, y = (
            np.repeat(random.normal(size=(8, 5)), 10, 0) + 0.1 * random.normal(size=(80, 5))
            for _ in range(2)
        )
        a, b = ([f"{s}{i // 10}" for i in range(80)] for s in "xy")
        grouped.append(permutation_p(x, y, a, b, permutations=199))
        alone.append(permutation_p(x, y, permutations=199))
    assert np.mean(np.array(grouped) <= 0.05) <= 0.15
    assert np.mean(np.array(alone) <= 0.05) > 0.5


def test_no_test_without_two_blocks_a_side():
    assert permutation_p(gauss(4), gauss(4, seed=1), ["a"] * 4, list("abcd")) is None
    assert permutation_p(gauss(4), gauss(4, seed=1), list("aabb"), list("abcd")) is not None


def test_refusals():
    x = gauss(5)
    with pytest.raises(UsageError):
        kvd(x, x[:1])
    with pytest.raises(UsageError, match="dimensions"):
        kvd(x, x[:, :3])
    x[2, 1] = np.nan
    with pytest.raises(BadData, match=r"row 2 \(2\) of the second"):
        kvd(gauss(5), x)


def test_known_figure_with_the_diagonal():
    x, y = np.eye(2), np.array([[1.0, 1], [0, 0]])
    xx, yy, xy = (module._kernel(a, b).mean() for a, b in ((x, x), (y, y), (x, y)))
    assert xx + yy - 2 * xy == pytest.approx(0.5625, abs=1e-14)
