"""What the run folder stores, as types: run.json, shard records, the manifest, scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

from vpbench.core.estimators import has_bias
from vpbench.core.jackknife import corrected


class Gives(TypedDict):
    """What the task's test clips have besides frames."""

    label: bool
    pose: bool


class Names(TypedDict):
    """What a dataset calls its classes and joints, in the order of their numbers."""

    classes: list[str]
    joints: list[str]


class StageOrigin(TypedDict):
    """One stage that a run depends on."""

    stage: str
    folder: str
    origin: str


class RunInputs(TypedDict):
    """Everything that defines a run, fixed before it starts.

    `names`, which methods are told, is in no key; records of earlier versions lack it.
    """

    method: str
    kind: str
    spec: dict[str, Any]
    preset: str
    task: dict[str, Any]
    data: str
    dataset: str
    gives: Gives
    names: NotRequired[Names]
    seed: int
    fit_seed: int | None
    samples: int
    uses: list[str]
    notes: list[str]
    conditioning_frames: int
    stages: list[StageOrigin]


class RunRecord(TypedDict):
    """run.json, sealed. `key` is the whole run id, whose first 8 digits name the folder."""

    schema: str
    vpbench: str
    created: float
    key: str
    inputs: RunInputs
    task_ref: dict[str, Any]
    plugins: list[str]
    device: str
    stage_hashes: dict[str, str]
    sha256: str


class ShardRecord(TypedDict):
    """Beside the array of a shard, sealed.

    `array` is the hash of the array's file, `given` that of the frames which the method saw.
    """

    schema: str
    run: str
    items: list[str]
    shape: list[int]
    array: str
    given: str
    code: str
    inputs: list[DiscoveredFile]
    changed_settings: list[str]
    device: str
    seconds: float
    sha256: str


ManifestRow = TypedDict(
    "ManifestRow",
    {
        "name": str,
        "items": list[str],
        "sha256.npz": str,
        "sha256.json": str,
        "given": str,
        "code": str,
        "device": str,
        "seconds": float,
    },
)
"""One shard in the manifest."""


class StageRow(TypedDict):
    """What tables print of a stage that made the predictions."""

    stage: str
    origin: str
    checks: list[dict[str, Any]]
    notes: list[str]
    not_comparable: list[str]
    seconds: float
    device: str
    threads: int


class Manifest(TypedDict):
    """MANIFEST.json, sealed: closes a prediction, at the time `closed`, and binds it to its run.

    `links`: `inputs` has what lies behind links to folders beside the plugin, too.
    """

    schema: str
    vpbench: str
    run: str
    method: str
    task: str
    seed: int
    n: int
    samples: int
    shards: list[ManifestRow]
    stages: list[StageRow]
    inputs: list[DiscoveredFile]
    links: NotRequired[bool]
    notes: list[str]
    closed: float
    sha256: str


class DiscoveredFile(TypedDict):
    """A file that a plugin read or that lies beside it: `how` is "opened", "beside" or "linked"."""

    path: str
    sha256: str
    how: str


class Subset(TypedDict):
    """The named part of the test split that a score is over."""

    name: str
    n: int
    hash: str
    shown: NotRequired[bool]


class RecognitionRecord(TypedDict):
    """What a recogniser says about each clip, as `vpbench.api.types.Recognition`."""

    classes: list[str]
    label: dict[str, int]
    softmax: dict[str, list[list[float]]]
    streams: dict[str, dict[str, list[list[float]]]]


class ScoreRecord(TypedDict):
    """A score file, sealed and bound to its run and predictions.

    `inputs` are the files that a plugin's metric read or that lie beside it, in `beside`: its own
    folders.

    `aggregate` is "mean" where the value is the mean over `per_clip`, "own" where it is not. Of a
    set metric, `per_clip` holds the value without each cluster, `shares` the part of the clips that
    each cluster is, where these are not equal, and `bias` and the corrected figures follow from
    both; files written before these fields were there lack them (`completed`).
    """

    schema: str
    vpbench: str
    metric: str
    kind: str
    direction: Literal["up", "down"]
    unit: str
    aggregate: str
    frames: int
    fingerprint: dict[str, Any]
    fp8: str
    value: float | None
    reason: str | None
    se: float | None
    n: int
    ci95: list[float] | None
    inputs: NotRequired[list[DiscoveredFile]]
    beside: NotRequired[list[str]]
    bias: NotRequired[float | None]
    corrected: NotRequired[float | None]
    corrected_se: NotRequired[float | None]
    corrected_ci95: NotRequired[list[float] | None]
    p: float | None
    floor: float | None
    floor_n: NotRequired[int | None]
    per_clip: dict[str, float | None]
    per_frame: dict[str, list[float | None]]
    samples: dict[str, list[float | None]]
    clusters: dict[str, str]
    shares: NotRequired[dict[str, float]]
    recognition: NotRequired[RecognitionRecord]
    subset: NotRequired[Subset]
    run: NotRequired[str]
    manifest: NotRequired[str]
    code: NotRequired[str]
    seconds: NotRequired[float]
    sha256: str


class Correction(TypedDict):
    """What the leave-one-out values of a set metric say about its bias; all None where nothing."""

    bias: float | None
    corrected: float | None
    corrected_se: float | None
    corrected_ci95: list[float] | None


def correction(
    value: float | None,
    per_clip: Mapping[str, float | None],
    shares: Mapping[str, float] | None = None,
    strata: Mapping[str, str] | None = None,
) -> Correction:
    """The jackknife correction of a set metric, as score files hold it.

    Args:
        value: of everything.
        per_clip: cluster -> the value without it.
        shares: cluster -> the part of the clips that it is; None = equal.
        strata: cluster -> the set that it is in; None = in both, or in one set.

    Returns:
        All None without a value, or where a cluster has none or there are fewer than two.
    """
    names = sorted(per_clip)
    left = [v for name in names if (v := per_clip[name]) is not None]
    got = None
    if value is not None and len(left) == len(names):
        got = corrected(
            left,
            value,
            shares=None if shares is None else [shares[name] for name in names],
            strata=None if strata is None else [strata[name] for name in names],
        )
    if got is None:
        return {"bias": None, "corrected": None, "corrected_se": None, "corrected_ci95": None}
    return {
        "bias": got.bias,
        "corrected": got.corrected,
        "corrected_se": got.se,
        "corrected_ci95": None if got.low is None or got.high is None else [got.low, got.high],
    }


def completed(record: ScoreRecord) -> ScoreRecord:
    """A score as this version would store it, from the values that its file holds.

    The bias and corrected figures of a set metric follow from its leave-one-out values; those of a
    clip metric are None, and of a set metric without a bias (`has_bias`), of which earlier versions
    stored what the jackknife found, noise where clusters differ in size. Where they do, a file of
    before the correction does not say so, and they count as equal. The reason in such a file calls
    an FVD of fewer than 256 clips "mostly bias", which it is for few rows; that goes.
    """
    biased = record["kind"] == "set" and has_bias(record["fingerprint"])
    if "bias" in record:
        return record if biased else {**record, **correction(None, {})}
    corrections = correction(record["value"], record["per_clip"] if biased else {})
    reason = record.get("reason")
    if record["kind"] == "set" and reason is not None:
        kept = [part for part in reason.split("; ") if not part.startswith("n = ")]
        reason = "; ".join(kept) or None
    return {**record, **corrections, "reason": reason, "floor_n": record.get("floor_n")}


class Accepted(TypedDict):
    """accepted.json, sealed: code tables whose results were probed and found equal.

    Both map what a result was made with to ids of tables that agree with it: `predictions` the id
    of a table, `scores` the score and the id, as "psnr@<fp8>:<id>".
    """

    schema: str
    run: str
    predictions: dict[str, list[str]]
    scores: dict[str, list[str]]
    sha256: NotRequired[str]


class Failure(TypedDict):
    """failure.json, sealed: why the last attempt at a run failed.

    `dataset` and `data` are those of the run's inputs; files of earlier versions lack them.
    """

    schema: str
    run: str
    method: str
    seed: int
    fit_seed: int
    reason: str
    code: int
    time: float
    trace: str
    dataset: NotRequired[str]
    data: NotRequired[str]
    sha256: str
