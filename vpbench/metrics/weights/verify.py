"""Checking all weights that are here again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.errors import Corrupt, HashMismatch, Missing
from vpbench.core.hashing import file_sha256
from vpbench.metrics.weights.fetch import candidates, read_candidate
from vpbench.metrics.weights.registry import Entry
from vpbench.metrics.weights.store import cached, check_cached, record_of


@dataclass(frozen=True)
class Finding:
    """What the check of one file found.

    Attributes:
        proof: what it was checked against, a few words.
        problem: a sentence, "" if all is well.
        fix: what to do about it, None where nothing is to be done.
    """

    name: str
    path: Path
    proof: str
    problem: str = ""
    fix: str | None = None


def verify(entries: Iterable[Entry], cache: Path) -> list[Finding]:
    """Check every file of some weights, in the folder VPBENCH_WEIGHTS and in the cache.

    Nothing is written. Weights that are not here have no finding.
    """
    findings: list[Finding] = []
    for entry in entries:
        proof = "230 checksums" if entry.checked == "i3d" else "sha256"
        for path in [*candidates(entry), *cached(entry, cache)]:
            try:
                _check(entry, path, cache)
                findings.append(Finding(entry.name, path, proof))
            except (Corrupt, Missing) as error:
                findings.append(Finding(entry.name, path, proof, error.message, error.fix))
    return findings


def _check(entry: Entry, path: Path, cache: Path) -> None:
    if path not in cached(entry, cache):
        read_candidate(entry, path, cache)
        return
    check_cached(entry, path)
    if entry.checked == "i3d":
        from vpbench.metrics.weights import convert, i3d

        i3d.check_i3d(convert.read(path))
    if record_of(path).get("sha256") != file_sha256(path):
        raise HashMismatch(
            f"{path} is not the file that was stored.",
            fix=f"Fetch it again: vpbench weights fetch {entry.name}",
        )
