"""Which set metrics have a bias of few clips: what their fingerprints declare.

A score file holds the fingerprint, so this is known of every stored score, and of an entry of a
leaderboard whose metric is not installed. It follows from the definition of the metric; an estimate
of the bias would be noise where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNBIASED_U = "unbiased-u-between-clusters"
"""`estimator` in the fingerprint of a U-statistic over pairs of rows of different clusters."""

_DECLARED = "biased_by_few_clips"


def has_bias(fingerprint: Mapping[str, Any]) -> bool:
    """Whether the expected value of a set metric depends on the number of clips.

    Args:
        fingerprint: of a score. Without a declaration the answer is yes, and its jackknife decides
            how much.
    """
    declared = fingerprint.get(_DECLARED)
    return declared is not False and fingerprint.get("estimator") != UNBIASED_U


def bias_field(biased: bool, fingerprint: Mapping[str, Any]) -> dict[str, bool]:
    """What a fingerprint needs besides, so that `has_bias` knows what the metric declares.

    Args:
        biased: as the metric declares it; True is the default and adds nothing.
        fingerprint: as the metric gives it.
    """
    return {} if biased or not has_bias(fingerprint) else {_DECLARED: False}
