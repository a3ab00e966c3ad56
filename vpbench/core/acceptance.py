"""Gates and marks: what a stage says about itself that has to stand beside every row it feeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vpbench.api.errors import UsageError


@dataclass(frozen=True)
class Check:
    """A figure on validation clips held against a bound that was fixed beforehand.

    Attributes:
        value: the figure; NaN and infinity never pass.
        at_least, at_most: the bounds; at least one is set.
    """

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise UsageError(f"the gate {self.name!r} has no bound.", fix="Give at_least, at_most.")

    @property
    def passed(self) -> bool:
        """Whether the figure keeps to its bounds."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return math.isfinite(self.value) and low <= self.value <= high

    def text(self) -> str:
        """`decoder gain 2.4 dB, at least 3 dB`."""
        unit = f" {self.unit}" if self.unit else ""
        bounds = [
            f"{word} {bound:.3g}{unit}"
            for word, bound in (("at least", self.at_least), ("at most", self.at_most))
            if bound is not None
        ]
        return f"{self.name} {self.value:.3g}{unit}, {' and '.join(bounds)}"

    def json(self) -> dict[str, Any]:
        """As stage.json stores it; a figure that is no number is null."""
        value = self.value if math.isfinite(self.value) else None
        return {
            "name": self.name,
            "value": value,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "unit": self.unit,
            "passed": self.passed,
        }


@dataclass
class StageNotes:
    """The gates and marks of one stage, in the order in which they were first given."""

    gates: dict[str, Check] = field(default_factory=dict[str, Check])
    marks: list[str] = field(default_factory=list[str])

    def add_check(self, gate: Check) -> bool:
        """Keep a gate; one of the same name is replaced. Tells whether it is passed."""
        self.gates[gate.name] = gate
        return gate.passed

    def add_note(self, text: str) -> None:
        """Keep a mark once."""
        text = " ".join(text.split())
        if text and text not in self.marks:
            self.marks.append(text)

    def json(self) -> dict[str, Any]:
        """The fields `gates` and `marks` of stage.json."""
        return {"gates": [g.json() for g in self.gates.values()], "marks": list(self.marks)}


def notes_of_stage(record: Mapping[str, Any]) -> dict[str, Any]:
    """The gates and marks of a stage record; those of an older record are empty."""
    return {"gates": list(record.get("gates", [])), "marks": list(record.get("marks", []))}


def table_notes(stages: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a table prints beside a row: the marks of its stages and the gates that they missed.

    Args:
        stages: `notes_of_stage` their records, each with its label in `stage`.
    """
    found: list[str] = []
    for stage in stages:
        found += stage["marks"]
        missed: Sequence[Check] = [_read(g) for g in stage["gates"] if not g["passed"]]
        found += [f"gate missed by {stage['stage']}: {gate.text()}" for gate in missed]
    return list(dict.fromkeys(found))


def _read(stored: Mapping[str, Any]) -> Check:
    value = stored["value"]
    return Check(
        stored["name"],
        math.nan if value is None else value,
        stored["at_least"],
        stored["at_most"],
        stored["unit"],
    )
