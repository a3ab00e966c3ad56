"""SPyNet's weights (Ranjan and Black 2017): one Torch7 file a level of its pyramid. Data only."""

from __future__ import annotations

from vpbench.metrics.weights.registry import Entry, Https

_BASE = "https://raw.githubusercontent.com/anuragranj/spynet"
_COMMITS = ("d800009ae434fc325b5cc7f0b7a8f92af653b964",) * 3 + (
    "93a3f64031210c064f0c65d1a758231d1d1eef0a",
) * 2
"""Of the authors' repository, in which each file is what it is today."""
_SIZE = 1_927_718
_SHA256 = ("0270a837", "4e7fa57d", "907280d9", "f5d54420", "4f863ce8")


def _level(number: int, sha256: str) -> Entry:
    file = f"modelL{number}_4.t7"
    return Entry(
        name=f"spynet-{number}",
        label=f"SPyNet (level {number})",
        purpose="motion, optical flow",
        licence="non-commercial research",
        sources=(
            Https(f"{_BASE}/{_COMMITS[number - 1]}/models/{file}", sha256, _SIZE, _SIZE, "torch7"),
        ),
        files=(file,),
        note="trained on clean Flying Chairs; never part of a plugin or a release",
        terms="SPyNet's weights are for non-commercial research only and may not be passed on",
    )


SPYNET = tuple(_level(k + 1, sha256) for k, sha256 in enumerate(_SHA256))
"""Levels 1 (coarsest) to 5."""
