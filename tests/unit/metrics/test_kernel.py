"""The kernel distance against loops, known figures and its own null distribution."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from vpbench.api.errors import BadData, UsageError
from vpbench.core.jackknife import jackknife
from vpbench.metrics import kernel as module
from vpbench.metrics.kernel import kvd, kvd_leave_one_out, permutation_p


def gauss(n, d=6, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


def by_loops(x, y, in_x=None, in_y=None):
    """Means over pairs of different clusters; unnamed rows are clusters of one set alone."""

    def mean(a, b, in_a, in_b):
        pairs = [
            (p @ q / len(p) + 1) ** 3
            for p, own in zip(a, in_a, strict=True)
            for q, other in zip(b, in_b, strict=True)
            if own != other
        ]
        return sum(pairs) / len(pairs) if pairs else math.nan

    in_x = [f"x{k}" for k in range(len(x))] if in_x is None else in_x
    in_y = [f"y{k}" for k in range(len(y))] if in_y is None else in_y
    return mean(x, x, in_x, in_x) + mean(y, y, in_y, in_y) - 2 * mean(x, y, in_x, in_y)


def numbered(n):
    return [f"c{k:03d}" for k in range(n)]


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


@pytest.mark.parametrize("groups", [2, 3, 5, 40])
@pytest.mark.parametrize("n, m", [(12, 12), (9, 30), (3, 4)])
def test_clusters_and_leaving_out_against_loops(n, m, groups):
    x, y = gauss(n, 5, 1), gauss(m, 5, 2, 1)
    random = np.random.default_rng(groups)
    in_x = [f"g{k}" for k in random.integers(0, groups, n)]
    in_y = [f"g{k}" for k in random.integers(0, groups, m)]
    value = kvd(x, y, in_x, in_y)
    wanted = by_loops(x, y, in_x, in_y)
    assert value is None if math.isnan(wanted) else value == pytest.approx(wanted, rel=1e-11)
    for name, value in kvd_leave_one_out(x, y, in_x, in_y).items():
        stay_x, stay_y = ([k for k, c in enumerate(own) if c != name] for own in (in_x, in_y))
        wanted = by_loops(
            x[stay_x], y[stay_y], [in_x[k] for k in stay_x], [in_y[k] for k in stay_y]
        )
        if math.isnan(wanted):
            assert value is None
        else:
            assert value == pytest.approx(wanted, rel=1e-10, abs=1e-12)


def test_own_pairs_do_not_count():
    """Gretton et al. 2012, equation 4: of the truth itself the distance is 0, not below."""
    x, names = gauss(20, 4, 3), numbered(20)
    assert kvd(x, x, names, names) == pytest.approx(0, abs=1e-12)
    y = x + gauss(20, 4, 4) / 10
    kernel = lambda a, b: (a @ b.T / 4 + 1) ** 3  # noqa: E731
    h = kernel(x, x) + kernel(y, y) - kernel(x, y) - kernel(y, x)
    np.fill_diagonal(h, 0)
    assert kvd(x, y, names, names) == pytest.approx(h.sum() / (20 * 19), rel=1e-11)
    assert kvd(x, y) < 0 < 0.05 + kvd(x, y, names, names)


@pytest.mark.parametrize("n, m", [(30, 30), (17, 41)])
def test_torchmetrics_agrees_on_unpaired_sets(n, m):
    torch = pytest.importorskip("torch")
    from torchmetrics.image.kid import maximum_mean_discrepancy, poly_kernel

    x, y = gauss(n, 7, 1), gauss(m, 7, 2, 0.4)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    if n == m:
        kernels = poly_kernel(a, a), poly_kernel(a, b), poly_kernel(b, b)
        assert kvd(x, y) == pytest.approx(float(maximum_mean_discrepancy(*kernels)), rel=1e-11)
    sums = [poly_kernel(p, q).numpy() for p, q in ((a, a), (b, b), (a, b))]
    for square in sums[:2]:
        np.fill_diagonal(square, 0)
    wanted = sums[0].sum() / n / (n - 1) + sums[1].sum() / m / (m - 1) - 2 * sums[2].mean()
    assert kvd(x, y) == pytest.approx(wanted, rel=1e-11)


def test_class_matched_real_clips_are_centred_at_0():
    """Pairs from equal classes that share nothing else: with own pairs the mean lies below 0."""
    values, plain = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        means = np.repeat(2 * random.normal(size=(6, 8)), 5, 0)
        x, y = (means + random.normal(size=(30, 8)) for _ in range(2))
        values.append(kvd(x, y, numbered(30), numbered(30)))
        plain.append(kvd(x, y))
    assert abs(np.mean(values)) < 3 * np.std(values, ddof=1) / np.sqrt(60)
    assert np.mean(plain) < -5 * np.std(plain, ddof=1) / np.sqrt(60)


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
    x, y = gauss(4, 3, 5), gauss(4, 3, 6, 0.8)
    pooled, observed = np.concatenate([x, y]), by_loops(x, y)
    ways = [
        by_loops(pooled[list(c)], np.delete(pooled, list(c), 0))
        for c in itertools.combinations(range(8), 4)
    ]
    share = np.mean(np.array(ways) >= observed - 1e-12)
    assert permutation_p(x, y) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_p_of_few_pairs_is_that_of_all_swaps(seed, rows):
    count = 6
    names = [f"g{k // rows}" for k in range(count * rows)]
    x = gauss(count * rows, 3, seed)
    y = 0.5 * x + gauss(count * rows, 3, seed + 50, 0.3)
    values = []
    for swapped in itertools.product([False, True], repeat=count):
        side = np.repeat(swapped, rows)[:, None]
        values.append(by_loops(np.where(side, y, x), np.where(side, x, y), names, names))
    share = np.mean(np.array(values) >= values[0] - 1e-12)
    assert permutation_p(x, y, names, names) == share


def test_p_of_unequal_clusters_is_near_that_of_all_relabellings():
    """Cluster a is in both sets, with one and two rows; b and c, d in one each."""
    x, y = gauss(4, 3, 5), gauss(4, 3, 6, 1.5)
    in_x, in_y = ["a", "b", "b", "c"], ["a", "a", "d", "e"]
    blocks = [(x, [0]), (x, [1, 2]), (x, [3]), (y, [0, 1]), (y, [2]), (y, [3])]
    names = ["a", "b", "c", "a", "d", "e"]
    values = []
    for a_first in (True, False):
        for alone in itertools.combinations([1, 2, 4, 5], 2):
            first = [0 if a_first else 3, *alone]
            sides = (first, [k for k in range(6) if k not in first])
            rows = [np.concatenate([blocks[k][0][blocks[k][1]] for k in side]) for side in sides]
            own = [[names[k] for k in side for _ in blocks[k][1]] for side in sides]
            values.append(by_loops(*rows, *own))
    share = np.mean(np.array(values) >= by_loops(x, y, in_x, in_y) - 1e-12)
    assert permutation_p(x, y, in_x, in_y) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("n", [12, 40])
def test_p_of_resembling_pairs_is_uniform_under_the_null(n):
    """Pairs share most of what they are, as clips of one class do; labels say nothing of them."""
    values = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        shared = 2 * random.normal(size=(n, 5))
        x, y = (shared + random.normal(size=(n, 5)) for _ in range(2))
        values.append(permutation_p(x, y, numbered(n), numbered(n)))
    assert scipy_stats.kstest(values, "uniform").pvalue > 0.01
    shifted = permutation_p(shared, shared + 0.3 + gauss(n, 5) / 5, numbered(n), numbered(n))
    assert shifted < 0.01


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
