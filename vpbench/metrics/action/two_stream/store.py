"""Where recognisers are: in the user's cache, and those that come with vpbench.

CACHE/recognisers/<16 digits of the domain>/<name>/, with `recogniser.json` and
`weights.safetensors`. Of several for one training split, the one that was trained or installed
last is used; one that comes with vpbench is used where there is no other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vpbench.api.errors import HashMismatch, MissingWeights
from vpbench.core.shipped import REINSTALL
from vpbench.metrics.action.two_stream.recogniser import RECORD, TwoStream

SHIPPED = Path(__file__).parents[1] / "recognisers"
"""Folder of the recognisers that come with vpbench."""
PINS = {"puppets-cpu": "a08f4f4206511e5b28d9dbeeb69bc22db76a3d0a9aa40496269dd673dc45205c"}
"""Name of each of them -> the seal of its record, which holds the hash of its weights."""

Cache = Callable[[str, str], Path]
"""`MetricContext.cache`."""


class MissingRecogniser(MissingWeights):
    """No recogniser has been trained for a training split."""


def find_recogniser(domain: str, cache: Cache, dataset: str, preset: str = "") -> TwoStream:
    """The recogniser for a training split.

    Args:
        domain: of the task, `vpbench.metrics.action.two_stream.recogniser.domain`.
        cache: of the context.
        dataset: what the user calls the dataset, for the command that trains one.
        preset: only one of this preset; "" for any.

    Raises:
        MissingRecogniser: there is none; says how to train one.
        HashMismatch: its files are not what was written.
    """
    own = [TwoStream.read(path) for path in _folders(cache("recognisers", domain[:16]))]
    own.sort(key=lambda r: (r.record["created"], r.record["name"]))
    suited = [
        one
        for one in (*shipped_recognisers(), *own)
        if one.record["domain"] == domain and preset in ("", one.record["preset"])
    ]
    if not suited:
        option = f" --preset {preset}" if preset else ""
        raise MissingRecogniser(
            f"no two-stream recogniser: vpbench recogniser train --dataset {dataset}{option}"
        )
    return suited[-1]


def shipped_recognisers() -> list[TwoStream]:
    """The recognisers that come with vpbench.

    Raises:
        HashMismatch: a file is not the one that was shipped.
    """
    found: list[TwoStream] = []
    for folder in _folders(SHIPPED):
        try:
            recogniser = TwoStream.read(folder)
        except HashMismatch as error:
            raise HashMismatch(error.message, fix=REINSTALL) from error
        if recogniser.record.get("sha256") != PINS.get(folder.name):
            raise HashMismatch(f"{folder / RECORD} is not what was shipped.", fix=REINSTALL)
        found.append(recogniser)
    return found


def all_recognisers(cache: Path) -> list[TwoStream]:
    """Those that come with vpbench, and those of the user's cache in the order of their names."""
    own = [p for d in sorted((cache / "recognisers").glob("*")) for p in _folders(d)]
    return [*shipped_recognisers(), *(TwoStream.read(path) for path in own)]


def _folders(parent: Path) -> list[Path]:
    return sorted(path.parent for path in parent.glob(f"*/{RECORD}"))
