"""A leaderboard entry: all runs of one method on one task, as one JSON file, `vpbench.entry/1`.

An entry says what was run, what it scored and what proves it. It holds the value of each clip and
the hash of each predicted clip, so that it stands in a table beside runs with the same paired
intervals, and so that a missing clip is seen; it holds no frames. What is not known is null.

The file is leaderboards/<task>/<id>.json, in one byte form, sealed with its own sha256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from vpbench.api.errors import Corrupt, HashMismatch, MissingData
from vpbench.board.decode import decode, encode
from vpbench.board.parts import EntryMachine, EntryMethod, EntryStage, EntryTask
from vpbench.board.structure import misfits
from vpbench.core.files import parse_json, stored_bytes, write_bytes
from vpbench.core.hashing import stored_digest

ENTRY = "vpbench.entry/1"

MAX_BYTES = 64 * 2**20
"""Of an entry; one of 10,000 clips, five metrics and three training runs has about 8 MiB."""

Level = Literal["self-reported", "rescored", "rerun"]
"""Who vouches for the scores: the authors alone; somebody who scored their stored predictions again
(`rescored`); somebody who predicted again (`rerun`)."""


@dataclass(frozen=True, kw_only=True)
class EntrySubset:
    """A named part of the test split."""

    name: str
    n: int
    hash: str
    shown: bool | None = None


@dataclass(frozen=True, kw_only=True)
class EntryScore:
    """One metric over the first `frames` frames: the score file, without what follows from it.

    Attributes:
        aggregate: "mean" where the value is the mean over clips, "own" where it is not.
        fingerprint: everything that moves the number; fp8: 8 digits of its hash.
        values: of clip metrics one for each of `names`, of set metrics the value without it.
        names: the clips, or clusters of clips, that `values` are of; () for all clips of the entry
            in their order.
        clusters: the cluster of each name; () where every clip stands alone.
        shares: of set metrics, the part of the clips that each cluster is; () where all are equal.
        curve: mean over clips for each frame; () where the metric has none.
        recognised: for each name the class recognised in each sample, where it is about actions.
    """

    metric: str
    kind: Literal["clip", "set"]
    direction: Literal["up", "down"]
    unit: str
    aggregate: str
    frames: int
    fingerprint: Mapping[str, Any]
    fp8: str
    value: float | None
    n: int
    reason: str | None = None
    se: float | None = None
    ci95: tuple[float, float] | None = None
    bias: float | None = None
    corrected: float | None = None
    corrected_se: float | None = None
    corrected_ci95: tuple[float, float] | None = None
    p: float | None = None
    subset: EntrySubset | None = None
    values: tuple[float | None, ...] = ()
    names: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    curve: tuple[float | None, ...] = ()
    recognised: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, kw_only=True)
class EntryRun:
    """One run: one training seed and one prediction seed.

    Attributes:
        key: the run id, over everything that was declared.
        manifest_sha256: of MANIFEST.json, which holds the hashes of all stored files.
        predictions_sha256: over `clip_sha256` and the ids: the predicted frames and nothing else,
            so that two runs with the same frames have the same.
        clip_sha256: of the predicted frames of each clip, in the order of the entry's clips.
        predictions_url: where the bundle is published.
        closed: when the predictions were complete, as 2026-11-26T22:29:37Z.
        predict_seconds: of all clips.
        discovered: files that the method read by itself: name -> sha256.
    """

    seed: int
    fit_seed: int | None
    key: str
    vpbench: str
    manifest_sha256: str
    predictions_sha256: str
    clip_sha256: tuple[str, ...]
    closed: str
    predict_seconds: float
    device: str
    scores: tuple[EntryScore, ...]
    predictions_url: str | None = None
    hardware: EntryMachine = field(default_factory=EntryMachine)
    stages: tuple[EntryStage, ...] = ()
    notes: tuple[str, ...] = ()
    discovered: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What somebody found who looked at the evidence.

    Attributes:
        when: as 2026-11-26T22:29:37Z.
        vpbench: version that scored.
        largest: largest absolute difference of a score, by metric; 0 where nothing differs.
    """

    level: Literal["rescored", "rerun"]
    by: str
    when: str
    vpbench: str
    largest: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Who made the numbers, and who looked at them.

    Attributes:
        sampled_by, scored_by: names; None where no one says.
        level: the highest of the verifications.
        isolation: how predictions were kept from the true future.
    """

    sampled_by: str | None
    scored_by: str | None
    level: Level
    isolation: str
    verifications: tuple[Verification, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A figure that a paper reports for this method on this task; never ranked.

    Attributes:
        source: where it stands, such as "Kim et al. 2019, table 1".
    """

    metric: str
    value: float
    source: str
    n: int | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recogniser:
    """A network behind a score that was trained by whoever scored.

    Attributes:
        sha256: of its weights, as the score's fingerprint has it.
        train: ids of the clips that it was trained on; () where no one knows, which is refused.
    """

    metric: str
    sha256: str
    train: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What it costs; None where the runs do not say.

    Attributes:
        train_gpu_h: hours of training on a GPU, of one training run.
        train_cpu_h: the same on CPUs, cores not counted.
        params_m: millions of parameters.
    """

    train_gpu_h: float | None = None
    train_cpu_h: float | None = None
    predict_s_per_clip: float | None = None
    params_m: float | None = None
    peak_gib: float | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry.

    Attributes:
        id: name of its file.
        created: when the last of its predictions was complete, so that the same runs give the same
            bytes.
        vpbench: version that wrote the entry.
        clips: ids of the test clips, sorted; all lists of clips are in this order.
        classes: names of the classes; () where there are none, or no score names them.
        labels: index of the class of each clip; () as before.
        runs: one for each training and prediction seed, in their order.
        notes: of whoever made the entry.
    """

    schema: Literal["vpbench.entry/1"]
    id: str
    created: str
    vpbench: str
    task: EntryTask
    method: EntryMethod
    trust: Trust
    clips: tuple[str, ...]
    runs: tuple[EntryRun, ...]
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    cost: Cost = field(default_factory=Cost)
    recognisers: tuple[Recogniser, ...] = ()
    reported: tuple[Reported, ...] = ()
    notes: tuple[str, ...] = ()


def entry_bytes(entry: Entry) -> bytes:
    """The one form of an entry, sealed: the same entry gives the same bytes."""
    body = encode(entry)
    return stored_bytes({**body, "sha256": stored_digest(body)})


def write_entry(entry: Entry, folder: Path) -> Path:
    """Write an entry below a folder of leaderboards; returns its file."""
    path = folder / entry.task.id / f"{entry.id}.json"
    write_bytes(path, entry_bytes(entry))
    return path


def read_entry(path: Path) -> Entry:
    """Read an entry; its seal, form and schema are checked, not what it says.

    Raises:
        MissingData: there is no file.
        HashMismatch: a byte was changed after it was written.
        Corrupt: another schema, a field too many or too few, a wrong type, a number that is not
            finite, a control character, lists that do not fit together.
    """
    if not path.is_file():
        raise MissingData(f"there is no entry {path}.")
    if path.stat().st_size > MAX_BYTES:
        raise Corrupt(f"{path} has more than {MAX_BYTES >> 20} MiB; an entry holds no frames.")
    return parse_entry(path.read_bytes(), path)


def parse_entry(data: bytes, path: Path) -> Entry:
    """The entry in the bytes of a file, as `read_entry`."""
    try:
        value = parse_json(data, path)
    except (Corrupt, RecursionError) as error:
        reason = error.message if isinstance(error, Corrupt) else f"{path} is nested too deeply."
        raise Corrupt(reason) from None  # deleting it, as for results, would help no one
    if not isinstance(value, dict):
        raise Corrupt(f"{path} is not a JSON object.")
    body = cast("dict[str, Any]", value)
    if body.get("schema") != ENTRY:
        raise Corrupt(f"{path} has the schema {str(body.get('schema'))[:40]!r}, not {ENTRY!r}.")
    seal = body.pop("sha256", None)
    entry = decode(Entry, body, path.name)
    if seal != stored_digest(body) or data != stored_bytes({**body, "sha256": seal}):
        raise HashMismatch(
            f"{path} is not what was written: its sha256 does not match.",
            fix="Write it again with `vpbench board add`.",
        )
    for fault in misfits(entry):
        raise Corrupt(f"{path}: {fault}.")
    return entry


def find_entries(root: Path) -> list[Path]:
    """Files of entries below a folder of leaderboards, sorted."""
    return sorted(p for p in root.glob("*/*.json") if not p.name.startswith("."))


def with_verification(entry: Entry, verification: Verification) -> Entry:
    """The entry with what somebody found, and the level that follows; earlier ones stay."""
    order = ("self-reported", "rescored", "rerun")
    trust = entry.trust
    level = max(trust.level, verification.level, key=order.index)
    found = (*trust.verifications, verification)
    return replace(entry, trust=replace(trust, level=level, verifications=found))


def same_claims(one: Entry, other: Entry) -> bool:
    """Whether two entries say the same but for what others have verified."""
    level: Level = "self-reported"
    return _unverified(one, level) == _unverified(other, level)


def _unverified(entry: Entry, level: Level) -> Entry:
    return replace(entry, trust=replace(entry.trust, level=level, verifications=()))
