"""Polynomial kernels other than KVD's, with and without their diagonal."""

import numpy as np
import pytest

from vpbench.api.errors import BadData
from vpbench.metrics.kernel import CUBIC, KernelSums, Polynomial
from vpbench.metrics.whole_kernel import mmd_with_diagonal

QUADRATIC = Polynomial(degree=2, offset=0.0)


def test_the_vectors_of_the_definition():
    """X = {(1,0),(0,1)}, Y = {(1,1),(0,0)}, k = (x.y/2 + 1)^3."""
    x, y = np.eye(2), np.array([[1.0, 1.0], [0.0, 0.0]])
    assert KernelSums.of(x, y).value() == -2.375
    assert mmd_with_diagonal(x, y, "ab", "ab", CUBIC)[0] == 0.5625


@pytest.mark.parametrize(("degree", "offset"), [(2, 0.0), (3, 1.0), (4, 0.5)])
def test_both_sums_against_loops(degree, offset):
    rng = np.random.default_rng(degree)
    x, y = rng.standard_normal((7, 5)), rng.standard_normal((9, 5)) + 0.4
    in_x, in_y = list("aabcdef"), list("abcdefghi")
    kernel = Polynomial(degree, offset)

    def mean(one, two, own, other, apart):
        values = [
            (float(p @ q) / 5 + offset) ** degree
            for p, i in zip(one, own, strict=True)
            for q, j in zip(two, other, strict=True)
            if not apart or i != j
        ]
        return sum(values) / len(values)

    def distance(x, y, in_x, in_y, apart):
        return (
            mean(x, x, in_x, in_x, apart)
            + mean(y, y, in_y, in_y, apart)
            - 2 * mean(x, y, in_x, in_y, apart)
        )

    unbiased = KernelSums.of(x, y, in_x, in_y, test=True, kernel=kernel)
    assert unbiased.value() == pytest.approx(distance(x, y, in_x, in_y, True), rel=1e-10)
    whole, left = mmd_with_diagonal(x, y, in_x, in_y, kernel)
    assert whole == pytest.approx(distance(x, y, in_x, in_y, False), rel=1e-10)
    lefts = unbiased.leave_one_out()
    for name in ("a", "c", "i"):
        i, j = ([k for k, own in enumerate(names) if own != name] for names in (in_x, in_y))
        parts = x[i], y[j], [in_x[k] for k in i], [in_y[k] for k in j]
        assert left[name] == pytest.approx(distance(*parts, False), rel=1e-9)
        assert lefts[name] == pytest.approx(distance(*parts, True), rel=1e-9)
    order = rng.permutation(7)
    again = mmd_with_diagonal(x[order], y, [in_x[k] for k in order], in_y, kernel)
    assert again == (whole, left)
    p = unbiased.p()
    assert p is not None and 0 < p <= 1


def test_the_quadratic_kernel_compares_second_moments():
    """(x.y/d)^2 sums to the squared Frobenius distance of the two mean outer products, over d^2."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((30, 4)), 2 * rng.standard_normal((20, 4))
    wanted = np.square(x.T @ x / 30 - y.T @ y / 20).sum() / 16
    clusters = [[str(k) for k in range(n)] for n in (30, 20)]
    assert mmd_with_diagonal(x, y, *clusters, QUADRATIC)[0] == pytest.approx(wanted, rel=1e-12)


def test_what_is_left_too_small_has_no_value_and_nan_is_refused():
    x = np.random.default_rng(0).standard_normal((3, 2))
    _, left = mmd_with_diagonal(x, x, ["a", "a", "b"], ["a", "b", "c"], QUADRATIC)
    assert left["a"] is None and left["c"] is not None
    x[1, 1] = np.nan
    with pytest.raises(BadData, match="NaN"):
        mmd_with_diagonal(x, x, "abc", "abc", QUADRATIC)
