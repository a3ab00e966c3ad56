"""Student's t against scipy and closed forms."""

import math
import subprocess
import sys

import pytest
from scipy import special

from vpbench.core.student import student_quantile, student_tail

DF = (0.5, 1.0, 1.7, 2.0, 3.0, 7.0, 8.5, 89.0, 90.0, 499.0, 1e4, 1e6)


@pytest.mark.parametrize("df", DF)
def test_tails_agree_with_scipy(df):
    for t in (-40.0, -3.3, -1.0, -1e-9, 0.0, 1e-9, 0.1, 1.0, 1.96, 2.74, 8.0, 39.5):
        assert student_tail(df, t) == pytest.approx(special.stdtr(df, -t), rel=2e-9, abs=1e-290)


@pytest.mark.parametrize("df", DF)
def test_quantiles_agree_with_scipy_and_invert_the_tail(df):
    for p in (1e-9, 0.001, 0.025, 0.3, 0.499, 0.501, 0.9, 0.975, 0.9995):
        got = student_quantile(df, p)
        assert got == pytest.approx(special.stdtrit(df, p), rel=1e-7)
        assert 1 - student_tail(df, got) == pytest.approx(p, rel=1e-9)
    assert student_quantile(df, 0.5) == 0.0


def test_closed_forms():
    for t in (-3.0, 0.2, 1.0, 50.0):
        assert student_tail(1, t) == pytest.approx(0.5 - math.atan(t) / math.pi, rel=1e-11)
        assert student_tail(2, t) == pytest.approx(0.5 - t / 2 / math.sqrt(2 + t * t), rel=1e-9)
    assert student_quantile(1, 0.75) == pytest.approx(1.0, rel=1e-14)
    assert student_quantile(2, 0.975) == pytest.approx(4.302652729749462, rel=1e-13)
    assert student_tail(5, math.inf) == 0.0 and student_tail(5, -math.inf) == 1.0


@pytest.mark.parametrize(
    ("df", "t"), [(0.0, 1.0), (-1.0, 1.0), (math.inf, 1.0), (math.nan, 1.0), (3.0, math.nan)]
)
def test_what_is_no_distribution_is_refused(df, t):
    with pytest.raises(ValueError, match="df="):
        student_tail(df, t)


@pytest.mark.parametrize("p", [0.0, 1.0, -1.0, math.nan])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="probability"):
        student_quantile(3, p)


def test_a_comparison_loads_no_scipy():
    code = (
        "import sys, vpbench.harness.results.compare\n"
        "from vpbench.core.samples import clip_sample, difference\n"
        "a, b = ({str(k): float(k % m) for k in range(9)} for m in (3, 4))\n"
        "d = difference(clip_sample([a]), clip_sample([b]))\n"
        "assert d.interval() and d.p_apart() is not None\n"
        "assert not any(name.split('.')[0] == 'scipy' for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
