"""Brings pretrained weights here before jobs start, in the one process that may use the network."""

from __future__ import annotations

from collections.abc import Sequence

from vpbench.api.errors import MissingWeights
from vpbench.core.places import Places
from vpbench.harness.events import Emit
from vpbench.harness.score import Wanted


def ready_weights(wanted: Sequence[Wanted], places: Places, emit: Emit) -> dict[str, str]:
    """Fetch the weights of metrics that are not here yet.

    Returns:
        Weights name -> why they could not be had; the metrics say so when they are scored.
    """
    from vpbench.metrics.weights.fetch import fetch

    missing: dict[str, str] = {}
    for name in dict.fromkeys(w.name for one in wanted for w in one.spec.weights):

        def tell(done: int, total: int | None, name: str = name) -> None:
            emit(
                {
                    "event": "progress",
                    "method": name,
                    "what": "weights",
                    "done": done,
                    "total": total,
                    "unit": "B",
                }
            )

        try:
            fetch(name, places.cache, offline=places.offline, progress=tell)
        except MissingWeights as error:
            missing[name] = str(error)
    return missing
