"""The run directory: which file is where, written atomically, checked when read."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Corrupt, HashMismatch, MissingData
from vpbench.core import schema
from vpbench.core.code import TABLE_DIGITS, CodeTable, table_id
from vpbench.core.files import TEMPORARY, Guard, parse_json, read_json, stored_bytes, write_json
from vpbench.core.hashing import digest, file_sha256, stored_digest
from vpbench.core.names import safe_name
from vpbench.core.recognition import follows
from vpbench.core.records import Manifest, RunRecord, ScoreRecord
from vpbench.core.shipped import REINSTALL
from vpbench.core.stamps import Stamp, file_stamp


@dataclass(frozen=True)
class StageDir:
    """RUNS/<task>/stages/<owner>.<stage>-<key>/: one trained stage, shared by all runs.

    Attributes:
        shipped: it came with a package.
    """

    path: Path
    shipped: bool = False

    @property
    def record(self) -> Path:
        """Written last: the stage is complete when it is there."""
        return self.path / "stage.json"

    @property
    def checkpoint(self) -> Path:
        """What `save` wrote."""
        return self.path / "checkpoint"

    @property
    def resume(self) -> Path:
        """State inside the stage, deleted when it is complete."""
        return self.path / "resume"

    @property
    def lock(self) -> Path:
        """Held by the process that makes the stage."""
        return self.path / "stage.lock"

    def complete(self) -> bool:
        """Whether the stage has been finished."""
        return self.record.is_file()

    def read(self) -> dict[str, Any]:
        """The record, after checking every file that it lists.

        Raises:
            HashMismatch: a file is missing or differs from what was written.
            Corrupt: it is not a stage record.
        """
        with self._remedy():
            return self._read()

    def content(self) -> Mapping[str, Any]:
        """The record, without checking files.

        Raises:
            Corrupt: it is not a stage record.
        """
        with self._remedy():
            return read_object(self.record)

    @contextmanager
    def _remedy(self) -> Generator[None]:
        """Correct the advice for damage: files that came with a package must not be deleted."""
        try:
            yield
        except Corrupt as error:
            if not self.shipped:
                raise
            raise type(error)(error.message, fix=REINSTALL) from error

    def _read(self) -> dict[str, Any]:
        record = read_sealed(self.record, schema.STAGE)
        files = record.get("files")
        if not isinstance(files, dict):
            raise Corrupt(
                f"{self.record} does not list its files.",
                fix="Delete its folder and fit again.",
            )
        for name, sha in cast("dict[str, str]", files).items():
            path = self.checkpoint / name
            if not path.is_file():
                raise HashMismatch(f"{path} is missing.", fix="Delete its folder and fit again.")
            if file_sha256(path) != sha:
                raise HashMismatch(
                    f"{path} is not what was written.", fix="Delete its folder and fit again."
                )
        return record

    def files(self) -> dict[str, str]:
        """sha256 of every file of the checkpoint."""
        return {
            p.relative_to(self.checkpoint).as_posix(): file_sha256(p)
            for p in sorted(self.checkpoint.rglob("*"))
            if p.is_file() and not p.name.startswith(TEMPORARY)  # left by a killed process
        }


@dataclass(frozen=True)
class RunDir:
    """RUNS/<task>/<method>/<8 hex>/: one method on one task with one seed."""

    path: Path

    @property
    def record(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def predictions(self) -> Path:
        """Folder of shards."""
        return self.path / "predictions"

    @property
    def manifest(self) -> Path:
        """Closes the prediction: hashes of all shards."""
        return self.predictions / "MANIFEST.json"

    @property
    def scores(self) -> Path:
        """Folder of scores."""
        return self.path / "scores"

    @property
    def preview(self) -> Path:
        """Pictures to look at; never hashed."""
        return self.path / "preview"

    @property
    def events(self) -> Path:
        """One log a job."""
        return self.path / "events"

    @property
    def code(self) -> Path:
        """Tables of the code behind the results, by id."""
        return self.path / "code"

    @property
    def accepted(self) -> Path:
        """Which other code was probed and gave the same results."""
        return self.path / "accepted.json"

    @property
    def failure(self) -> Path:
        """Why the last attempt failed; not there after a good one."""
        return self.path / "failure.json"

    def shard(self, index: int) -> Path:
        """The array file of a shard; its record has the ending .json, its lock .lock."""
        return self.predictions / f"{index:05d}.npz"

    def score(self, metric: str, fingerprint: str) -> Path:
        """The file of one score."""
        return self.scores / f"{safe_name(metric)}@{fingerprint}.json"

    def read_record(self) -> RunRecord:
        """run.json, checked against its own hash and against its location.

        Raises:
            MissingData: this is not a run folder, or one of an earlier vpbench.
            HashMismatch: it was changed, or belongs to another folder.
        """
        if not self.record.is_file():
            raise MissingData(f"{self.path} holds no run.", fix="A run folder has a run.json.")
        try:
            record = cast("RunRecord", read_sealed(self.record, schema.RUN_RECORD))
        except Corrupt:
            if read_object(self.record).get("schema") != schema.RUN:
                raise
            raise MissingData(
                f"{self.path} was made by an earlier vpbench, which did not record its code and "
                "data.",
                fix="Run the method again.",
            ) from None
        inputs = record["inputs"]
        home = (inputs["task"]["id"], safe_name(inputs["method"]), record["key"][:8])
        if self.path.resolve().parts[-3:] != home:
            raise HashMismatch(
                f"{self.record} belongs to the run {'/'.join(home)}.",
                fix="Move the folder back, or delete it and run again.",
            )
        return record

    def read_manifest(self) -> Manifest:
        """The manifest, checked against its own hash and against its run.

        Raises:
            MissingData: the prediction is not complete.
            HashMismatch: the manifest was changed, or is that of another run.
        """
        if not self.manifest.is_file():
            raise MissingData(f"the predictions in {self.path} are not complete.", fix="Run again.")
        manifest = cast("Manifest", read_sealed(self.manifest, schema.MANIFEST))
        self.check_bound(self.manifest, manifest["run"])
        return manifest

    def check_bound(self, path: Path, run: str, key: str | None = None) -> None:
        """Refuse a file that belongs to another run.

        Raises:
            HashMismatch: names the file.
        """
        if run != (key or self.read_record()["key"]):
            raise HashMismatch(
                f"{path} belongs to the run {run[:8]}, not to this one.",
                fix=f"Delete {self.path} and run again.",
            )

    def check(self) -> Manifest:
        """The manifest, after checking the bytes of every shard.

        Raises:
            HashMismatch: names the file.
        """
        manifest = self.read_manifest()
        for shard in manifest["shards"]:
            for ending, sha in ((".npz", shard["sha256.npz"]), (".json", shard["sha256.json"])):
                path = self.predictions / (shard["name"] + ending)
                if not path.is_file():
                    raise HashMismatch(
                        f"{path} is missing.", fix=f"Delete {self.path} and run again."
                    )
                if file_sha256(path) != sha:
                    raise HashMismatch(
                        f"{path} is not what was written.",
                        fix=f"Delete {self.path} and run again.",
                    )
        return manifest

    def read_scores(self, manifest_sha: str) -> list[ScoreRecord]:
        """All scores over the whole test split, checked; those of an earlier prediction are left
        out.

        Raises:
            HashMismatch: a score was changed after it was written, or is that of another run.
        """
        return [s for s in self.all_scores(manifest_sha) if not s.get("subset")]

    def all_scores(self, manifest_sha: str) -> list[ScoreRecord]:
        """Scores over the test split and over its subsets, as `read_scores`."""
        paths = self.score_files()
        key = self.read_record()["key"] if paths else ""
        scores = [self.read_score(path, key) for path in paths]
        return [s for s in scores if s.get("manifest") == manifest_sha]

    def score_files(self) -> list[Path]:
        """All score files, in the order of their names."""
        return sorted(p for p in self.scores.glob("*.json") if not p.name.startswith(TEMPORARY))

    def read_score(self, path: Path, key: str | None = None) -> ScoreRecord:
        """One score file, checked: its bytes, its run, and that it does not contradict itself.

        A process reads a file once, and again when its stamp shows that it may have changed. The
        record is shared: copy it before changing anything in it.

        Args:
            key: the run id, where it is known already.

        Raises:
            HashMismatch: it was changed.
        """
        stamp = file_stamp(path)
        known = _SCORES.get(path)
        if known is not None and known[0].proves(stamp):
            return known[1]
        score = self._read_score(path, key)
        _SCORES[path] = (stamp, score)
        return score

    def _read_score(self, path: Path, key: str | None) -> ScoreRecord:
        score = cast("ScoreRecord", read_sealed(path, schema.SCORE))
        self.check_bound(path, score.get("run", ""), key)
        contradiction = _contradiction(score, path)
        if contradiction:
            raise HashMismatch(f"{path}: {contradiction}.", fix="Delete it and run again.")
        return score

    def read_code(self, table: str) -> CodeTable | None:
        """The table of that id; None when it is not there.

        Raises:
            HashMismatch: it is not what its name says.
        """
        path = self.code / f"{table}.json"
        if not path.is_file():
            return None
        changed = HashMismatch(f"{path} is not what was written.", fix="Delete it and run again.")
        try:
            value = read_object(path)
        except Corrupt as error:
            raise changed from error
        if stored_digest(value)[: len(table)] != table or len(table) != TABLE_DIGITS:
            raise changed
        return cast("CodeTable", value)

    def write_code(self, table: CodeTable) -> str:
        """Store a table unless it is there; returns its id."""
        name = table_id(table)
        path = self.code / f"{name}.json"
        if not path.is_file():
            write_json(path, table)
        return name


_SCORES: dict[Path, tuple[Stamp, ScoreRecord]] = {}
"""Score files that this process has read and checked."""


def _contradiction(score: ScoreRecord, path: Path) -> str:
    """What in a score cannot be true together; "" for nothing."""
    fingerprint, value, interval = score["fingerprint"], score["value"], score["ci95"]
    name = f"{safe_name(score['metric'])}@{digest(fingerprint)[:8]}.json"
    named = name.endswith(f"@{score['fp8']}.json") and path.name == name
    if not named or fingerprint.get("frames") != score["frames"]:
        return "its fields do not match its name and fingerprint"
    if "recognition" in score and not follows(score["per_clip"], score["recognition"]):
        return "the values of its clips do not follow from what was recognised in them"
    if score["aggregate"] == "mean":
        mean = mean_of(score["per_clip"].values())
        if mean is None or value is None or not is_close(value, mean):
            return "the value does not follow from the values of its clips"
    elif score["kind"] == "set" and value is not None:
        bias, rest = score.get("bias"), score.get("corrected")
        if bias is not None and (rest is None or not is_close(value - bias, rest)):
            return "the value does not follow from the values without each clip"
        if interval is not None and not interval[0] <= value <= interval[1]:
            return "the value lies outside its own interval"
    return ""


def mean_of(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are there; None without any."""
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if known else None


def is_close(one: float, other: float) -> bool:
    """Equal but for the order in which a sum was taken."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Corrupt: the file is not JSON, or not an object.
        FileNotFoundError: it is not there.
    """
    return _object(read_json(path), path)


def _object(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Corrupt(f"{path} is not a JSON object.", fix="Delete it and run again.")
    return cast("dict[str, Any]", value)


def write_sealed(path: Path, value: Mapping[str, Any], guard: Guard | None = None) -> None:
    """Write JSON with a hash of its own content in the field `sha256`."""
    body = {k: v for k, v in value.items() if k != "sha256"}
    write_json(path, {**body, "sha256": digest(body)}, guard)


def read_sealed(path: Path, kind: str) -> dict[str, Any]:
    """Read what `write_sealed` wrote, to the byte.

    Raises:
        HashMismatch: the content and its hash do not agree, or any byte was changed.
        Corrupt: it is of another kind, or written by a newer vpbench.
    """
    changed = HashMismatch(f"{path} is not what was written.", fix="Delete it and run again.")
    try:
        data = path.read_bytes()
        value = _object(parse_json(data, path), path)
    except Corrupt as error:
        raise changed from error
    body = {k: v for k, v in value.items() if k != "sha256"}
    if value.get("sha256") != stored_digest(body) or data != stored_bytes(value):
        raise changed
    if value.get("schema") != kind:
        raise Corrupt(f"{path} has the schema {value.get('schema')!r}, not {kind!r}.")
    return value
