"""Rates: how many requests one sender may make."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_SENDERS = 10_000
"""Senders remembered at once; the one that was silent longest is forgotten first."""


class RateLimit:
    """A token bucket for each sender: `burst` requests at once, then `rate` a second."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, sender: str) -> bool:
        """Whether the sender may make one more request now; counts it if so."""
        now = self._clock()
        tokens, last = self._buckets.pop(sender, (self._burst, now))
        tokens = min(self._burst, tokens + (now - last) * self._rate)
        allowed = tokens >= 1
        self._buckets[sender] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > _SENDERS:
            self._buckets.popitem(last=False)
        return allowed
