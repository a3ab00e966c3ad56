"""Which entries may stand on the site: those that `board check` accepts, and recalled ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vpbench.board.check import check_board
from vpbench.board.entry import Entry, read_entry
from vpbench.board.errata import ERRATA, Recall, read_errata, struck
from vpbench.board.problems import problems_of
from vpbench.board.site.assemble import Source
from vpbench.board.site.recalls import without_recalled
from vpbench.core.registry import Registry


@dataclass(frozen=True)
class Accepted:
    """Entries for the site.

    Attributes:
        refused: file below the leaderboards -> why its entry is not built, one sentence each.
    """

    sources: tuple[Source, ...]
    refused: Mapping[str, tuple[str, ...]]


def accepted_entries(root: Path, registry: Registry) -> Accepted:
    """Read and check all entries below a folder of leaderboards.

    An entry whose only fault is that figures of it were recalled is accepted: those are struck
    through, the others stand.

    Raises:
        MissingData: there is no entry.
        Corrupt: errata.toml or tasks.toml cannot be read.
    """
    root = root.absolute()
    errata = read_errata(root / ERRATA)
    sources: list[Source] = []
    refused: dict[str, tuple[str, ...]] = {}
    for row in check_board(root, registry)["entries"]:
        path = root / row["path"]
        faults = [p["what"] for p in row["problems"] if p["level"] == "error"]
        if row["id"] is None:
            refused[row["path"]] = tuple(faults)
            continue
        entry = read_entry(path)
        recalled = struck(entry, errata)
        if recalled and faults:
            faults = _other_faults(entry, recalled, faults, errata, registry)
        if faults:
            refused[row["path"]] = tuple(faults)
        else:
            sources.append(Source(entry, path.read_bytes(), recalled))
    return Accepted(tuple(sources), refused)


def _other_faults(
    entry: Entry,
    recalled: Mapping[tuple[str, int, str], str],
    faults: list[str],
    errata: tuple[Recall, ...],
    registry: Registry,
) -> list[str]:
    """The faults that are not those of recalled figures, whose metric may have changed since."""
    kept = without_recalled(entry, recalled)
    emptied = {f"{at}it has no scores" for at in ("", *(f"runs[{k}]: " for k in range(99)))}
    own, others = set(problems_of(entry, registry)), set(problems_of(kept, registry)) - emptied
    said = {
        f"{score.metric} was recalled on {recall.date}: {recall.reason}"
        for recall in errata
        for run in entry.runs
        for score in run.scores
        if recall.strikes(entry, score)
    }
    return [text for text in faults if text not in own | said] + sorted(others)
