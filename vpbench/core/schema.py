"""The JSON objects that vpbench prints and stores, as types."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

RUN = "vpbench.run/1"
RUN_RECORD = "vpbench.run-record/2"
ACCEPTED = "vpbench.accepted/1"
ATTESTED = "vpbench.attested/1"
FAILURE = "vpbench.failure/2"
COMPARE = "vpbench.compare/1"
MEASURE = "vpbench.measure/1"
PICTURES = "vpbench.pictures/1"
FIGURE = "vpbench.figure/1"
JOB = "vpbench.job/1"
DATASET_INDEX = "vpbench.dataset-index/1"
PROBE = "vpbench.probe/1"
STAGE = "vpbench.stage/1"
SHARD = "vpbench.shard/2"
MANIFEST = "vpbench.manifest/2"
SCORE = "vpbench.score/2"


class ScoreJson(TypedDict):
    """One figure. Never NaN; a missing value is None with a reason."""

    value: float | None
    reason: str | None
    se: float | None
    ci95: list[float] | None
    n: int
    floor: float | None
    p: float | None
    fingerprint: str
    rank: str | None


class RunJson(TypedDict):
    """One method on one task with one seed."""

    method: str
    kind: str
    task: str
    seed: int
    fit_seed: int
    status: Literal["ok", "failed", "refused"]
    reason: str | None
    run_dir: str | None
    seconds: dict[str, float]
    scores: dict[str, ScoreJson]


class RowJson(TypedDict):
    """One row of a comparison.

    `notes` are for readers; `not_comparable` holds the reasons why the row may not be ranked.
    """

    method: str
    kind: str
    conditioning_frames: int | None
    uses: list[str]
    n: int | None
    samples: int | None
    seeds: list[int]
    fit_seeds: list[int]
    checkpoint: str | None
    scores: dict[str, ScoreJson]
    notes: list[str]
    not_comparable: list[str]


class GroupJson(TypedDict):
    """One table: rows that share task and number of frames."""

    task: dict[str, Any]
    frames: int
    metrics: dict[str, dict[str, str]]
    rows: list[RowJson]


class CompareJson(TypedDict):
    """A comparison: one group for each (task, frames)."""

    schema: str
    groups: list[GroupJson]
    differences: list[str]


def score_json(
    value: float | None,
    *,
    n: int,
    fingerprint: str,
    reason: str | None = None,
    se: float | None = None,
    ci95: tuple[float, float] | None = None,
    floor: float | None = None,
    p: float | None = None,
    rank: str | None = None,
) -> ScoreJson:
    """A figure in the order of the contract."""
    return {
        "value": value,
        "reason": reason,
        "se": se,
        "ci95": list(ci95) if ci95 else None,
        "n": n,
        "floor": floor,
        "p": p,
        "fingerprint": fingerprint,
        "rank": rank,
    }
