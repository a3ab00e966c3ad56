"""The run directory: which file lies where, written whole, checked when read."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Corrupt, HashMismatch, MissingData
from vpbench.core import schema
from vpbench.core.files import TEMPORARY, Guard, json_bytes, read_json, write_json
from vpbench.core.hashing import digest, file_sha256
from vpbench.core.names import safe_name
from vpbench.core.shipped import REINSTALL


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
    def claim(self) -> Path:
        """Who is making it."""
        return self.path / "stage.claim"

    def complete(self) -> bool:
        """Whether the stage has been finished."""
        return self.record.is_file()

    def read(self) -> dict[str, Any]:
        """The record, after checking every file that it lists.

        Raises:
            HashMismatch: a file is missing or differs from what was written.
            Corrupt: the record is not one.
        """
        with self._remedy():
            return self._read()

    def content(self) -> Mapping[str, Any]:
        """The record, without checking files.

        Raises:
            Corrupt: it is not one.
        """
        with self._remedy():
            return read_object(self.record)

    @contextmanager
    def _remedy(self) -> Generator[None]:
        """What is to be done about damage: nobody should delete what came with a package."""
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
                f"{self.record} does not say which files it stands for.",
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

    def shard(self, index: int) -> Path:
        """The array file of a shard; its record has the ending .json, its claim .claim."""
        return self.predictions / f"{index:05d}.npz"

    def score(self, metric: str, fingerprint: str) -> Path:
        """The file of one score."""
        return self.scores / f"{safe_name(metric)}@{fingerprint}.json"

    def read_record(self) -> dict[str, Any]:
        """run.json.

        Raises:
            MissingData: this is no run folder.
        """
        if not self.record.is_file():
            raise MissingData(f"{self.path} holds no run.", fix="A run folder has a run.json.")
        return read_object(self.record)

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, checked against its own hash.

        Raises:
            MissingData: the prediction is not complete.
            HashMismatch: the manifest was changed.
        """
        if not self.manifest.is_file():
            raise MissingData(f"the predictions in {self.path} are not complete.", fix="Run again.")
        return read_sealed(self.manifest, schema.MANIFEST)

    def check(self) -> dict[str, Any]:
        """The manifest, after checking the bytes of every shard.

        Raises:
            HashMismatch: names the file.
        """
        manifest = self.read_manifest()
        for shard in cast("list[dict[str, Any]]", manifest["shards"]):
            for ending in (".npz", ".json"):
                path = self.predictions / (str(shard["name"]) + ending)
                if not path.is_file():
                    raise HashMismatch(
                        f"{path} is missing.", fix=f"Delete {self.path} and run again."
                    )
                if file_sha256(path) != shard["sha256" + ending]:
                    raise HashMismatch(
                        f"{path} is not what was written.",
                        fix=f"Delete {self.path} and run again.",
                    )
        return manifest

    def read_scores(self, manifest_sha: str) -> list[dict[str, Any]]:
        """All scores over the whole test split, checked; those of an earlier prediction are left
        out.

        Raises:
            HashMismatch: a score was changed after it was written.
        """
        return [s for s in self._read_scores(manifest_sha) if not s.get("subset")]

    def read_subset_scores(self, manifest_sha: str) -> dict[str, list[dict[str, Any]]]:
        """Scores over named subsets, by the subset's name, as `read_scores`."""
        found: dict[str, list[dict[str, Any]]] = {}
        for score in self._read_scores(manifest_sha):
            if score.get("subset"):
                found.setdefault(score["subset"]["name"], []).append(score)
        return found

    def _read_scores(self, manifest_sha: str) -> list[dict[str, Any]]:
        if not self.scores.is_dir():
            return []
        paths = [p for p in self.scores.glob("*.json") if not p.name.startswith(TEMPORARY)]
        found = [read_sealed(p, schema.SCORE) for p in sorted(paths)]
        return [s for s in found if s["manifest"] == manifest_sha]


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        Corrupt: the file is no JSON, or something else than an object.
        FileNotFoundError: it is not there.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise Corrupt(f"{path} holds no JSON object.", fix="Delete it and run again.")
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
        value = read_object(path)
    except Corrupt as error:
        raise changed from error
    body = {k: v for k, v in value.items() if k != "sha256"}
    if value.get("sha256") != digest(body) or path.read_bytes() != json_bytes(value):
        raise changed
    if value.get("schema") != kind:
        raise Corrupt(f"{path} has the schema {value.get('schema')!r}, not {kind!r}.")
    return value


def runs_of(runs: Path, task: str | None = None) -> Iterator[RunDir]:
    """All run folders below the runs folder, of one task or of all, in the order of their names."""
    if not runs.is_dir():
        return
    tasks = [runs / task] if task else sorted(p for p in runs.iterdir() if p.is_dir())
    for folder in tasks:
        if not folder.is_dir():
            continue
        for record in sorted(folder.glob("*/*/run.json")):
            if record.parent.parent.name != "stages":
                yield RunDir(record.parent)


def finished(runs: Path, task: str | None = None) -> Iterator[tuple[RunDir, dict[str, Any]]]:
    """Run folders with complete predictions, and the inputs of each; nothing is verified yet."""
    for folder in runs_of(runs, task):
        if folder.manifest.is_file():
            record = folder.read_record()
            if record.get("schema") == schema.RUN and "inputs" in record:
                yield folder, record["inputs"]
