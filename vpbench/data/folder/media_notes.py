"""Notes on clips whose pixels or times are not plain: in tables, in `data verify` and so on.

Every decision of a reader is counted here; none is left to be found out from the scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from vpbench.api.types import ClipInfo
from vpbench.media.kinds import Change, Reading, ground_text

_IN_TABLES: Mapping[Change, str] = {
    "squared": "resampled to square pixels",
    "deep": "with more than 8 bits, rounded to 8",
    "streams": "with several video streams, one of them read",
    "hdr": "of high dynamic range, not tone-mapped",
    "interlaced": "interlaced",
    "variable": "of a variable frame rate, every stored frame taken",
}
"""How many clips are ..., by what their reader decided."""
_LISTED = 5
"""Rates that a sentence names before it continues with "and n more"."""


def table_notes(changes: Sequence[Change], how: Reading) -> list[str]:
    """Notes on one clip for tables, which count the clips of each."""
    notes = [_IN_TABLES[change] for change in changes if change in _IN_TABLES]
    if "transparent" in changes:
        notes.insert(0, f"transparent, shown on {ground_text(how.ground)}")
    if how.rate is not None:
        notes.append(f"resampled to {_number(float(how.rate))} frames a second")
    return notes


def note_counts(clips: Iterable[ClipInfo]) -> dict[str, int]:
    """How many clips each note is about."""
    counts = Counter[str]()
    for clip in clips:
        counts.update(filter(None, clip.note.split("; ")))
    return dict(counts)


def clip_notes(clips: Sequence[ClipInfo]) -> list[str]:
    """One sentence for each note of some clips, and one on their frame rates where these differ."""
    total = len(clips)
    sentences = [f"{count} of {total} clips: {note}." for note, count in note_counts(clips).items()]
    mixed = mixed_rates(clips)
    return [*sentences, mixed] if mixed else sentences


def mixed_rates(clips: Iterable[ClipInfo]) -> str:
    """A sentence on clips of different frame rates; "" where they are alike or all unknown."""
    counts = Counter(clip.fps for clip in clips)
    if len(counts) < 2:
        return ""
    known = sorted((rate, n) for rate, n in counts.items() if rate is not None)
    named = [f"{_number(rate)} ({n} clips)" for rate, n in known[:_LISTED]]
    if len(known) > _LISTED:
        named.append(f"{len(known) - _LISTED} more")
    if None in counts:
        named.append(f"unknown or variable ({counts[None]} clips)")
    return (
        f"frames a second differ: {', '.join(named)}. A window of a given number of frames spans "
        "different times; rate=N resamples all clips to N frames a second."
    )


def _number(rate: float) -> str:
    return f"{rate:.6g}"
