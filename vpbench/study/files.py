"""The files of a study: which lies where, and reading them with every hash checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, cast

from vpbench.api.errors import Corrupt, HashMismatch, MissingData
from vpbench.core.files import read_json
from vpbench.core.hashing import file_sha256

MANIFEST = "manifest.json"
MANIFEST_SCHEMA = "vpbench.study-bundle/1"
KEY_SCHEMA = "vpbench.study-key/1"


@dataclass(frozen=True)
class PrivatePaths:
    """DIR.private: nothing of it may be published before the answers are in."""

    folder: Path

    @classmethod
    def of(cls, public: Path) -> PrivatePaths:
        """The private folder that belongs to a public one."""
        return cls(public.with_name(public.name + ".private"))

    @property
    def key(self) -> Path:
        """Which method made which video."""
        return self.folder / "key.json"

    @property
    def settings(self) -> Path:
        """study.toml."""
        return self.folder / "study.toml"

    @property
    def salt(self) -> Path:
        """Salt of the hashes of raters' ids."""
        return self.folder / "id_salt"

    @property
    def answers(self) -> Path:
        """What the server stored, one line an event."""
        return self.folder / "answers.jsonl"

    @property
    def refusals(self) -> Path:
        """What the server refused, one line each."""
        return self.folder / "refused.jsonl"

    @property
    def imported(self) -> Path:
        """Answers from files: one file for each that was imported."""
        return self.folder / "imported"


def as_script(name: str, value: Any) -> bytes:
    """A script that hands a value to the page; pages opened from a disk may not read JSON."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    return f"Study.{name} = {text};\n".encode()


def from_script(path: Path, name: str) -> Any:
    """The value that `as_script` wrote.

    Raises:
        Corrupt: it is not such a script.
    """
    text, start = path.read_text("utf-8"), f"Study.{name} = "
    if not text.startswith(start) or not text.endswith(";\n"):
        raise Corrupt(f"{path} is not what was exported.", fix="Export the study again.")
    try:
        return json.loads(text[len(start) : -2])
    except ValueError as error:
        raise Corrupt(f"{path} is not what was exported ({error}).") from error


@dataclass(frozen=True)
class Bundle:
    """A public folder, every file of it checked.

    Attributes:
        sha256: of the manifest: stands for all of the folder.
        files: names, relative to `folder`, that the manifest lists.
        page: what the page knows: texts, questions, number of slots.
        sheets: per sheet the trials, each with its id and the media name in every slot.
    """

    folder: Path
    sha256: str
    manifest: dict[str, Any]
    page: dict[str, Any]
    sheets: list[list[dict[str, Any]]]

    @property
    def study(self) -> str:
        """Short name of the study: the first digits of the key's hash."""
        return str(self.manifest["study"])

    @property
    def files(self) -> list[str]:
        """All names that may be served."""
        return list(self.manifest["files"])

    @cached_property
    def trials(self) -> dict[str, tuple[int, int]]:
        """Trial id -> (sheet, index)."""
        return {
            trial["id"]: (number, index)
            for number, sheet in enumerate(self.sheets)
            for index, trial in enumerate(sheet)
        }

    @property
    def questions(self) -> list[str]:
        """Ids of the questions, in order."""
        return [q["id"] for q in self.page["questions"]]


def open_bundle(folder: Path) -> Bundle:
    """Read a public folder and check every file that its manifest lists.

    Raises:
        MissingData: this is no study.
        HashMismatch: a file is not what was exported, or not a plain file inside the folder.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise MissingData(
            f"{folder} holds no study.",
            fix="Make one with: vpbench study export METHOD... --out DIR",
        )
    manifest: Any = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("schema") != MANIFEST_SCHEMA:
        raise Corrupt(f"{path} is not the manifest of a study.")
    manifest = cast("dict[str, Any]", manifest)
    for name, sha in manifest["files"].items():
        file = folder / name
        inside = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
        if not inside or file.is_symlink() or not file.is_file() or file_sha256(file) != sha:
            raise HashMismatch(f"{file} is not what was exported.", fix="Export the study again.")
    page = from_script(folder / "study.js", "bundle")
    sheets = [
        from_script(folder / "sheets" / f"{number:03d}.js", "sheet")
        for number in range(page["sheets"])
    ]
    return Bundle(folder, file_sha256(path), manifest, page, sheets)


def open_key(bundle: Bundle, private: PrivatePaths) -> dict[str, Any]:
    """The key of a study, which must be the one whose hash was published with it.

    Raises:
        MissingData: it is not there.
        HashMismatch: it was changed after the export.
    """
    if not private.key.is_file():
        raise MissingData(
            f"{private.key} is missing; without the key nobody knows which method was ranked.",
            fix="Copy it from the machine that exported the study.",
        )
    if file_sha256(private.key) != bundle.manifest["key_sha256"]:
        raise HashMismatch(f"{private.key} is not the key that this study was exported with.")
    return read_json(private.key)
