"""Acceptance checks and notes of a stage, printed beside every row that uses it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vpbench.api.errors import UsageError


@dataclass(frozen=True)
class Check:
    """A figure on validation clips and the bounds for it that were fixed before any training.

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
            raise UsageError(
                f"the acceptance check {self.name!r} has no bound.",
                fix="Pass at_least or at_most.",
            )

    @property
    def passed(self) -> bool:
        """Whether the figure is within its bounds."""
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
        """As stage.json stores it; a value that is not finite becomes null."""
        value = self.value if math.isfinite(self.value) else None
        return {
            "name": self.name,
            "value": value,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "unit": self.unit,
            "passed": self.passed,
        }

    @staticmethod
    def of(fields: Mapping[str, Any]) -> Check:
        """The check from the fields of `json`."""
        value = fields["value"]
        return Check(
            fields["name"],
            math.nan if value is None else value,
            fields["at_least"],
            fields["at_most"],
            fields["unit"],
        )


@dataclass
class StageNotes:
    """Checks and notes of one stage, in the order in which they were first added.

    Attributes:
        checks: acceptance checks by name.
        notes: sentences for readers of a table.
        not_comparable: reasons why its rows may not be ranked.
    """

    checks: dict[str, Check] = field(default_factory=dict[str, Check])
    notes: list[str] = field(default_factory=list[str])
    not_comparable: list[str] = field(default_factory=list[str])

    def add_check(self, check: Check) -> bool:
        """Keep a check, replacing one of the same name; returns whether it is passed."""
        self.checks[check.name] = check
        return check.passed

    def add_note(self, text: str) -> None:
        """Keep a note once."""
        _add_once(self.notes, text)

    def add_not_comparable(self, reason: str) -> None:
        """Keep a reason once."""
        _add_once(self.not_comparable, reason)

    def json(self) -> dict[str, Any]:
        """The fields of stage.json."""
        return {
            "checks": [check.json() for check in self.checks.values()],
            "notes": list(self.notes),
            "not_comparable": list(self.not_comparable),
        }

    @staticmethod
    def of(record: Mapping[str, Any]) -> StageNotes:
        """What a stage's record, or a prediction's record of a stage, says.

        Fields that are not there are empty. Records of the first build, some of them bundled with
        the methods, have `gates` and `marks`, and a mark that begins with "not comparable".
        """
        notes = StageNotes()
        for fields in record.get("checks", record.get("gates", [])):
            notes.add_check(Check.of(fields))
        for text in record.get("notes", record.get("marks", [])):
            reason = text.removeprefix(_OLD_PREFIX)
            if "notes" in record:
                notes.add_note(text)
            elif reason != text:
                notes.add_not_comparable(reason)
            else:
                notes.add_note(text.replace(", tier: ", ", preset "))
        for reason in record.get("not_comparable", []):
            notes.add_not_comparable(reason)
        return notes

    def table_notes(self, stage: str) -> list[str]:
        """What tables print beside a row that uses the stage; a check only where it is missed."""
        return [
            *self.notes,
            *not_comparable_notes(self.not_comparable),
            *(f"acceptance check missed by {text}" for text in self.missed(stage)),
        ]

    def missed(self, stage: str) -> list[str]:
        """The acceptance checks that the stage missed: `mine:fit: joint error 0.9, at most 0.8`."""
        return [f"{stage}: {c.text()}" for c in self.checks.values() if not c.passed]


_OLD_PREFIX = "not comparable: "


def not_comparable_notes(reasons: Iterable[str]) -> list[str]:
    """How tables print why a row may not be ranked."""
    return [f"not comparable: {reason}" for reason in reasons]


def _add_once(texts: list[str], text: str) -> None:
    text = " ".join(text.split())
    if text and text not in texts:
        texts.append(text)
