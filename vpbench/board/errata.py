"""Numbers that are known to be wrong: `errata.toml` beside the entries.

A metric's version, a method's, a file of weights or a single entry is recalled with a reason. What
is recalled is refused when an entry comes in, and struck through where it stands already.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from vpbench.api.errors import Corrupt
from vpbench.board.decode import decode
from vpbench.board.entry import Entry, EntryScore

ERRATA = "errata.toml"


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Something that is known to be wrong.

    Attributes:
        what: "metric" and "method" by name and versions, "weights" by sha256, "entry" by id.
        name: of the metric, method or entry; the sha256 of weights.
        versions: which ones; () for all.
        reason: one sentence.
        date: when it was found, as 2026-11-26.
        metrics: of a method, weights or an entry, only these metrics; () for all.
    """

    what: Literal["metric", "method", "weights", "entry"]
    name: str
    reason: str
    date: str
    versions: tuple[int, ...] = ()
    metrics: tuple[str, ...] = ()

    def strikes(self, entry: Entry, score: EntryScore) -> bool:
        """Whether a score of an entry is recalled."""
        if self.metrics and score.metric not in self.metrics:
            return False
        match self.what:
            case "metric":
                own = score.metric.partition("@")[0]
                return own == self.name and self._counts(score.fingerprint.get("version"))
            case "method":
                base = entry.method.name.partition("[")[0]
                return base == self.name and self._counts(entry.method.version)
            case "weights":
                used = [*score.fingerprint.values(), *entry.method.weights.values()]
                return self.name in used
            case "entry":
                return entry.id == self.name

    def _counts(self, version: object) -> bool:
        return not self.versions or version in self.versions


@dataclass(frozen=True, kw_only=True)
class _File:
    recalled: tuple[Recall, ...] = ()


def read_errata(path: Path) -> tuple[Recall, ...]:
    """What errata.toml recalls; () where there is no such file.

    Raises:
        Corrupt: it is not TOML, or says something else than recalls.
    """
    if not path.is_file():
        return ()
    try:
        value: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} is not valid TOML: {error}.") from error
    return decode(_File, cast("Any", value), path.name).recalled


def struck(entry: Entry, errata: tuple[Recall, ...]) -> dict[tuple[str, int, str], str]:
    """(metric, frames, fingerprint) of recalled scores -> why."""
    return {
        (score.metric, score.frames, score.fp8): recall.reason
        for recall in reversed(errata)
        for run in entry.runs
        for score in run.scores
        if recall.strikes(entry, score)
    }
