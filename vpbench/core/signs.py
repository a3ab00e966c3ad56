"""The exact sign test, in whole numbers until the last division."""

from __future__ import annotations


def sign_tail(ahead: int, behind: int) -> float:
    """P(X >= ahead), X ~ Binomial(ahead + behind, 1/2); 1 without any.

    One-sided p against "not more often ahead than behind".
    """
    n = ahead + behind
    term, total = 1, 0
    for i in range(behind + 1):  # as many ahead or more is as many behind or fewer
        total += term
        term = term * (n - i) // (i + 1)
    return total / 2**n
