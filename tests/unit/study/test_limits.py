"""Rates of requests."""

from vpbench.study.limits import RateLimit


def test_burst_then_rate():
    now = [0.0]
    limit = RateLimit(2.0, 5, clock=lambda: now[0])
    assert [limit.allows("a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert limit.allows("b")
    now[0] = 1.0
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    now[0] = 100.0
    assert sum(limit.allows("a") for _ in range(20)) == 5


def test_memory_is_bounded():
    limit = RateLimit(1.0, 1, clock=lambda: 0.0)
    for k in range(10_050):
        limit.allows(str(k))
    assert len(limit._buckets) == 10_000
