"""The JSON objects that vpbench prints and stores, as types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict

RUN = "vpbench.run/1"
RUN_RECORD = "vpbench.run-record/2"
ACCEPTED = "vpbench.accepted/1"
ATTESTED = "vpbench.attested/1"
FAILURE = "vpbench.failure/2"
LEAKS = "vpbench.leaks/1"
COMPARE = "vpbench.compare/1"
MEASURE = "vpbench.measure/1"
EXPLAIN = "vpbench.explain/1"
PICTURES = "vpbench.pictures/1"
WRONG_LABELS = "vpbench.wrong-labels/1"
RECOGNISER = "vpbench.recogniser/1"
RECOGNISER_ENTRY = "vpbench.recogniser-entry/1"
FIGURE = "vpbench.figure/1"
JOB = "vpbench.job/1"
DATASET_INDEX = "vpbench.dataset-index/1"
PROBE = "vpbench.probe/1"
DETECTOR_PROBE = "vpbench.detector-probe/1"
STAGE = "vpbench.stage/1"
SHARD = "vpbench.shard/2"
LAYERS = "vpbench.layers/1"
MANIFEST = "vpbench.manifest/2"
SCORE = "vpbench.score/2"


class ScoreJson(TypedDict):
    """One figure. Never NaN; a missing value is None with a reason.

    `se` and `ci95` belong to `value`; `corrected` is the value without its `bias`, None where a
    metric has none. `floor` is what other real clips give with `floor_n` clips.
    """

    value: float | None
    reason: str | None
    se: float | None
    ci95: list[float] | None
    bias: float | None
    corrected: float | None
    corrected_se: float | None
    corrected_ci95: list[float] | None
    n: int
    floor: float | None
    floor_n: int | None
    p: float | None
    fingerprint: str
    rank: str | None


class ControlJson(TypedDict):
    """A metric on real clips with one thing wrong; see `vpbench.testing.control_table.ControlRow`.

    A value or p-value that is missing has a `reason`.
    """

    control: str
    value: float | None
    se: float | None
    corrected: float | None
    n: int
    p: float | None
    p_holm: float | None
    told: bool | None
    worse: bool | None
    reason: str | None


class ControlsJson(TypedDict):
    """What a metric can tell from real clips; `told` is at `level`, adjusted for the rows."""

    dataset: str
    n: int
    frames: int
    permutations: int
    level: float
    rows: list[ControlJson]


class ExplainedJson(TypedDict):
    """FVD with one choice changed, and what that moves.

    `change` is less the figure of the definition; `change_se` its error over the same clips, and
    `change_percent` its part of that figure. What could not be tried has no figures and a `reason`.
    """

    factor: str
    setting: str
    value: float | None
    se: float | None
    bias: float | None
    corrected: float | None
    change: float | None
    change_se: float | None
    change_percent: float | None
    n: int
    n_real: int
    reason: str | None


class ExplainJson(TypedDict):
    """What moves the FVD of two sets: `lines` have the largest change first."""

    schema: str
    metric: str
    real: str
    fake: str
    reference: str | None
    frames: int
    sampling: dict[str, Any]
    notes: list[str]
    default: ExplainedJson
    lines: list[ExplainedJson]


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


class NullJson(TypedDict):
    """A row against a null row in one metric.

    `difference` is the row less the null over the same clips, without bias; `se` and `ci95` are its
    own. `claim` says what a whole table may: `p` is one-sided and adjusted for all its comparisons.
    Without an error, `claim` is None with a `reason`.
    """

    metric: str
    null: str
    difference: float | None
    se: float | None
    ci95: list[float] | None
    p: float | None
    claim: Literal["better", "not better", "worse"] | None
    reason: str | None


class ComparisonsJson(TypedDict):
    """How many comparisons stand behind a table's claims, and how many tables may hold a false one.

    `pairs` are those behind ranks.
    """

    nulls: int
    pairs: int
    level: float


class DifferenceJson(TypedDict):
    """A row against one chosen row in one metric, over the same clips.

    `difference` is the row less the chosen one, without bias; `se` and `ci95` are its own. `claim`
    says on which side the row lies where a whole table may say so: `p` is two-sided and adjusted
    for all comparisons with the chosen row. `detectable` is the smallest true difference that four
    of five such comparisons would find at 5 %, taken alone. Without an error all of them are None,
    with a `reason`; without a test all but the difference and its error are.
    """

    metric: str
    method: str
    row: str
    kind: str
    difference: float | None
    se: float | None
    ci95: list[float] | None
    p: float | None
    claim: Literal["better", "not told apart", "worse"] | None
    detectable: float | None
    reason: str | None


class VersusJson(TypedDict):
    """All rows of a table against one of them."""

    method: str
    row: str
    comparisons: int
    level: float
    pairs: list[DifferenceJson]


class RowJson(TypedDict):
    """One row of a comparison.

    `row` is its name within the table: that of the method, and where a method has several rows,
    what tells them apart, as `noise (4 samples)`.

    `notes` are for readers; `not_comparable` holds the reasons why the row may not be ranked.
    `missed` holds the acceptance checks that its training missed, `doubts` why its results may not
    be what a run would make now, `tied` the metrics in which the paired difference does not tell it
    apart from the best value of the table.
    """

    method: str
    row: str
    kind: str
    conditioning_frames: int | None
    uses: list[str]
    n: int | None
    samples: int | None
    seeds: list[int]
    fit_seeds: list[int]
    checkpoint: str | None
    scores: dict[str, ScoreJson]
    nulls: list[NullJson]
    notes: list[str]
    not_comparable: list[str]
    missed: list[str]
    doubts: list[str]
    tied: list[str]


class ShareJson(TypedDict):
    """A share of `n` predicted clips, all samples of all runs counted.

    `ci95` is Wilson's, None where clips were counted more than once.
    """

    correct: int
    n: int
    share: float | None
    ci95: list[float] | None


class RecognisedJson(TypedDict):
    """What a recogniser says about one row, over all its runs.

    `confusion` counts [class asked for][class recognised].
    """

    method: str
    row: str
    kind: str
    overall: ShareJson
    classes: list[ShareJson]
    streams: dict[str, ShareJson]
    confusion: list[list[int]]


class McNemarJson(TypedDict):
    """Two rows on the clips of both: p of a paired test, and the same adjusted by Holm.

    `test` is exact McNemar, or where several clips are of one group, Student's t over groups.
    `only_a` counts the clips that only the first has right. None where a clip is neither right nor
    wrong, because it has several samples or runs. Without p there is a `reason`.
    """

    a: str
    b: str
    n: int
    only_a: int | None
    only_b: int | None
    test: Literal["mcnemar", "groups"] | None
    p: float | None
    p_holm: float | None
    reason: str | None


class RecognitionJson(TypedDict):
    """One column of recognised actions in full; `pairs` are those of all methods."""

    classes: list[str]
    chance: float
    rows: list[RecognisedJson]
    pairs: list[McNemarJson]


class CurveJson(TypedDict):
    """A row's metric over time: mean over n clips, and standard error, of each predicted frame."""

    method: str
    row: str
    n: int
    values: list[float]
    se: list[float | None]


class GroupJson(TypedDict):
    """One table: rows that share task and number of frames.

    `to_run` is the command that makes what is missing, "" where nothing is. `on` is the dataset,
    where another table is of the same task on another one.
    """

    task: dict[str, Any]
    frames: int
    metrics: dict[str, dict[str, str]]
    rows: list[RowJson]
    comparisons: ComparisonsJson
    to_run: str
    on: NotRequired[str]
    versus: NotRequired[VersusJson]
    recognition: NotRequired[dict[str, RecognitionJson]]
    curves: NotRequired[dict[str, list[CurveJson]]]


class CompareJson(TypedDict):
    """A comparison: one group for each (task, frames)."""

    schema: str
    groups: list[GroupJson]
    differences: list[str]


def compared(score: ScoreJson | None) -> float | None:
    """The figure by which rows are compared: without bias where that is known."""
    if score is None or score["value"] is None:
        return None
    return score["value"] if score["corrected"] is None else score["corrected"]


def score_json(
    value: float | None,
    *,
    n: int,
    fingerprint: str,
    reason: str | None = None,
    se: float | None = None,
    ci95: Sequence[float] | None = None,
    bias: float | None = None,
    corrected: float | None = None,
    corrected_se: float | None = None,
    corrected_ci95: Sequence[float] | None = None,
    floor: float | None = None,
    floor_n: int | None = None,
    p: float | None = None,
    rank: str | None = None,
) -> ScoreJson:
    """A figure in the order of the contract."""
    return {
        "value": value,
        "reason": reason,
        "se": se,
        "ci95": list(ci95) if ci95 else None,
        "bias": bias,
        "corrected": corrected,
        "corrected_se": corrected_se,
        "corrected_ci95": list(corrected_ci95) if corrected_ci95 else None,
        "n": n,
        "floor": floor,
        "floor_n": floor_n,
        "p": p,
        "fingerprint": fingerprint,
        "rank": rank,
    }
