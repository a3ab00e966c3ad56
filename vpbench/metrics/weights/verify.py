"""Checking all weights that are here again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vpbench.api.errors import Corrupt, HashMismatch, Missing
from vpbench.core.hashing import file_sha256
from vpbench.metrics.weights.fetch import candidates, read_candidate
from vpbench.metrics.weights.weight_cache import cached, check_cached, record_of
from vpbench.metrics.weights.weight_file import WeightFile, Weights, weight_file


@dataclass(frozen=True)
class Verified:
    """The result of checking one file.

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


def verify(weights: Iterable[Weights], cache: Path) -> list[Verified]:
    """Check every file of some weights, in the folder VPBENCH_WEIGHTS and in the cache.

    Nothing is written. Weights that are not here have no row.
    """
    results: list[Verified] = []
    for file in map(weight_file, weights):
        proof = "230 checksums" if file.layout == "i3d" else "sha256"
        for path in [*candidates(file), *cached(file, cache)]:
            try:
                _check(file, path, cache)
                results.append(Verified(file.name, path, proof))
            except (Corrupt, Missing) as error:
                results.append(Verified(file.name, path, proof, error.message, error.fix))
    return results


def _check(file: WeightFile, path: Path, cache: Path) -> None:
    if path not in cached(file, cache):
        read_candidate(file, path, cache)
        return
    check_cached(file, path)
    if file.layout == "i3d":
        from vpbench.metrics.weights import convert, i3d

        i3d.check_i3d(convert.read(path))
    if record_of(path).get("sha256") != file_sha256(path):
        raise HashMismatch(
            f"{path} was changed after it was written.",
            fix=f"Fetch it again: vpbench weights fetch {file.name}",
        )
