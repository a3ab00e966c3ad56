"""The cache of converted weights: names, records, checks, and the pins made at a first download."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vpbench.api.errors import Corrupt, HashMismatch, MissingWeights
from vpbench.core.files import atomic_file, read_json, write_json
from vpbench.core.hashing import file_sha256
from vpbench.metrics.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from vpbench.metrics.weights.convert import Arrays


@dataclass(frozen=True)
class Origin:
    """Where converted weights came from.

    Attributes:
        source: an address, or the path of the user's file.
        sha256: of the file in its published format.
        seen: size and time of change of a user's file, to know it again without reading it.
    """

    source: str
    sha256: str
    seen: tuple[int, int] | None = None


def missing(file: WeightFile) -> MissingWeights:
    """The sentence for weights that are not here."""
    if file.own is not None:
        return MissingWeights(
            f"{file.label} weights are not here (put your own {file.own.file} into the folder "
            "VPBENCH_WEIGHTS; no hash of it is published, so it is not downloaded)",
            fix=f"It is at {file.own.url}.",
        )
    return MissingWeights(
        f"{file.label} weights are not here (`vpbench weights fetch {file.name}`)"
    )


def weights_folder(cache: Path) -> Path:
    """Where the cache keeps weights."""
    return cache / "weights"


def cached(file: WeightFile, cache: Path) -> list[Path]:
    """Converted files in the cache that should be these weights; their tensors are unverified.

    Where the content is not known beforehand, the record beside a file says from which published
    file it was made: two plugins may use one name for two files.
    """
    pattern = re.compile(re.escape(file.name) + r"-([0-9a-f]{8})\.safetensors")
    folder = weights_folder(cache)
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    matches = [(m[1], p) for p in names if (m := pattern.fullmatch(p.name)) is not None]
    if file.content:
        return [p for digits, p in matches if digits == file.content[:8]]
    return [p for _, p in matches if not _of_another(file, p)]


def _of_another(file: WeightFile, path: Path) -> bool:
    """Whether a record says that a converted file was made from another published file."""
    try:
        made_from = record_of(path).get("source_sha256")
    except HashMismatch:
        return False  # damage, which is reported when the file is used
    return isinstance(made_from, str) and not made_from.startswith(
        tuple(s.sha256 for s in file.sources)
    )


def record_of(path: Path) -> dict[str, Any]:
    """The record beside a converted file.

    Raises:
        HashMismatch: there is none, or it cannot be used.
    """
    beside = path.with_suffix(".json")
    try:
        record = read_json(beside)
    except (FileNotFoundError, Corrupt):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("content"), str):
        raise HashMismatch(f"{path} has no record of its origin beside it.", fix=_again(path))
    return record


def check_cached(file: WeightFile, path: Path) -> None:
    """Prove that a converted file is whole and the right one.

    Raises:
        HashMismatch: it is not.
    """
    from vpbench.metrics.weights import convert

    expected = file.content or record_of(path)["content"]
    try:
        content = convert.content_of(path)
    except Corrupt as error:
        raise HashMismatch(f"{path} is damaged ({error.message})", fix=_again(path)) from None
    if content != expected or path.stem[-8:] != expected[:8]:
        raise HashMismatch(f"{path} is damaged: {_what_differs(file, path)}.", fix=_again(path))


def _what_differs(file: WeightFile, path: Path) -> str:
    if file.layout == "i3d":
        from vpbench.metrics.weights import convert
        from vpbench.metrics.weights.i3d import check_i3d

        try:
            check_i3d(convert.read(path))
        except Corrupt as error:
            return error.message.rstrip(".")
    return "its tensors differ from those that were written"


def _again(path: Path) -> str:
    return f"Fetch it again: vpbench weights fetch {path.stem[:-9]}"


def require_hash(file: WeightFile, what: str, sha256: str, cache: Path) -> None:
    """Prove that a published file is the pinned one, and the same as at the first download.

    Args:
        what: the file's name in messages.
        sha256: its hash, 64 digits.

    Raises:
        HashMismatch: it is not.
    """
    pins = [s.sha256 for s in file.sources]
    if not any(sha256.startswith(pin) for pin in pins):
        raise HashMismatch(
            f"{what} is not the published file of the {file.label} weights "
            f"(its sha256 is {sha256[:8]}..., not {pins[0][:8]}...)."
        )
    if not file.pinned:
        _require_pin(file, what, sha256, cache)


def pin_path(file: WeightFile, cache: Path) -> Path:
    """Where the whole hash of a prefix-pinned file is recorded at its first download."""
    return weights_folder(cache) / f"{file.key}.pin.json"


def recorded_pin(file: WeightFile, cache: Path) -> str | None:
    """The whole sha256 recorded at the first download, None before that."""
    try:
        return read_json(pin_path(file, cache))["sha256"]
    except FileNotFoundError:
        records = [record_of(p) for p in cached(file, cache) if p.with_suffix(".json").is_file()]
        return next((r["source_sha256"] for r in records if "source_sha256" in r), None)
    except (KeyError, TypeError):
        raise Corrupt(
            f"{pin_path(file, cache)} is not a record of a hash.", fix="Delete it."
        ) from None


def _require_pin(file: WeightFile, what: str, sha256: str, cache: Path) -> None:
    pin = recorded_pin(file, cache)
    if pin not in (None, sha256):
        raise HashMismatch(
            f"{what} differs from the {file.label} file that was here first, though"
            f" its first digits agree.",
            fix=f"If you trust it, delete {pin_path(file, cache)}.",
        )


def store(
    file: WeightFile,
    arrays: Arrays,
    origin: Origin,
    cache: Path,
    guard: Callable[[], None] | None = None,
) -> Path:
    """Write converted weights and the record beside them; the file appears last, and whole."""
    from vpbench.metrics.weights import convert

    content = convert.content_sha256(arrays)
    path = weights_folder(cache) / f"{file.name}-{content[:8]}.safetensors"
    if not file.pinned and recorded_pin(file, cache) is None:
        write_json(pin_path(file, cache), {"sha256": origin.sha256, "source": origin.source}, guard)
    with atomic_file(path, guard) as temporary:
        convert.write(temporary, arrays)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        record = {
            "schema": "vpbench.weights/1",
            "name": file.name,
            "content": content,
            "sha256": file_sha256(temporary),
            "source": origin.source,
            "source_sha256": origin.sha256,
            "seen": origin.seen,
            "licence": file.licence,
            "date": now,
        }
        write_json(path.with_suffix(".json"), record, guard)
    return path
