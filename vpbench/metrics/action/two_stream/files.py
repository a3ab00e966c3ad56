"""Writes recognisers: after training, into a zip for others, and out of one."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

from vpbench import __version__
from vpbench.api.errors import BadData, HashMismatch, Missing, UsageError
from vpbench.api.types import ClipInfo, TaskInfo
from vpbench.core import schema
from vpbench.core.files import make_folder, write_bytes, write_json
from vpbench.core.rundir import write_sealed
from vpbench.metrics.action.two_stream.recogniser import (
    RECORD,
    WEIGHTS,
    RecogniserRecord,
    TwoStream,
    domain,
    recogniser_name,
    weights_bytes,
)
from vpbench.metrics.action.two_stream.settings import Settings
from vpbench.metrics.action.two_stream.train import Trained

LARGEST = 1 << 30
"""No larger recogniser is installed, bytes."""
_FIXED = (1980, 1, 1, 0, 0, 0)
"""Time of the files in a zip, so that the same recogniser gives the same bytes."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How a recogniser was made.

    Attributes:
        dataset: as typed.
        pretrained: sha256 of the file of weights that training began with; "" for none.
    """

    dataset: str
    preset: str
    seed: int
    device: str
    pretrained: str = ""


class Entry(TypedDict):
    """A published recogniser: what must be downloaded, and what it must be."""

    schema: str
    name: str
    file: str
    url: str
    sha256: str
    size: int


def save_recogniser(
    cache: Path,
    task: TaskInfo,
    train: Sequence[ClipInfo],
    n_validation: int,
    trained: Trained,
    settings: Settings,
    origin: Origin,
) -> TwoStream:
    """Store a trained recogniser in the user's cache.

    Raises:
        Unwritable: the disk is full or the folder may not be written.
    """
    import timm

    data = weights_bytes(trained.networks)
    key = domain(task, train)
    base = origin.dataset.partition("[")[0].partition(":")[2] or origin.dataset
    name = recogniser_name(Path(base).name, origin.preset, data)
    folder = make_folder(cache / "recognisers" / key[:16] / name)
    record: RecogniserRecord = {
        "schema": schema.RECOGNISER,
        "vpbench": __version__,
        "name": name,
        "dataset": origin.dataset,
        "preset": origin.preset,
        "domain": key,
        "classes": list(task.class_names),
        "size": task.size,
        "settings": settings.fields(),
        "weights": hashlib.sha256(data).hexdigest(),
        "train": [[clip.id, clip.sha256] for clip in train],
        "n_validation": n_validation,
        "accuracy": trained.accuracy,
        "seed": origin.seed,
        "pretrained": origin.pretrained,
        "seconds": round(trained.seconds, 1),
        "device": origin.device,
        "timm": timm.__version__,
        "created": time.time(),
    }
    write_bytes(folder / WEIGHTS, data)
    write_sealed(folder / RECORD, record)
    return TwoStream.read(folder)


def publish(recogniser: TwoStream, out: Path, url: str = "") -> Path:
    """Write a recogniser as one zip, and the entry that pins it by its hash.

    Args:
        url: https address that the zip will have; "" where it is passed on beside its entry.

    Returns:
        The entry, NAME.entry.json.

    Raises:
        UsageError: the address is not https.
        Unwritable: the folder cannot be written.
    """
    if url and not url.startswith("https://"):
        raise UsageError(f"{url} is not an https address.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (RECORD, WEIGHTS):
            info = zipfile.ZipInfo(name, _FIXED)
            archive.writestr(info, (recogniser.folder / name).read_bytes())
    data, name = buffer.getvalue(), recogniser.record["name"]
    entry: Entry = {
        "schema": schema.RECOGNISER_ENTRY,
        "name": name,
        "file": f"{name}.zip",
        "url": url,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    write_bytes(make_folder(out) / entry["file"], data)
    path = out / f"{name}.entry.json"
    write_json(path, entry)
    return path


def install(entry_path: Path, cache: Path, *, offline: bool = False) -> TwoStream:
    """Put a published recogniser into the user's cache: the zip beside its entry, or from its url.

    Raises:
        BadData: it is not an entry.
        Missing: no zip beside it, and none can be downloaded.
        HashMismatch: the zip is not what the entry pins, or what is in it is not sealed.
    """
    entry = _entry(entry_path)
    data = _zip(entry, entry_path, cache, offline)
    wrong = HashMismatch(f"{entry['file']} is not what {entry_path.name} pins.")
    if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise wrong
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sorted(archive.namelist()) != sorted((RECORD, WEIGHTS)):
            raise wrong
        if sum(part.file_size for part in archive.infolist()) > LARGEST:
            raise BadData(f"{entry['file']} holds more than {LARGEST >> 20} MiB.")
        files = {name: archive.read(name) for name in (RECORD, WEIGHTS)}
    where = cast("RecogniserRecord", json.loads(files[RECORD]))
    key, name = str(where.get("domain", "")), entry["name"]
    if not (key.isalnum() and len(key) >= 16) or Path(name).name != name:
        raise BadData(f"{entry['file']} holds no recogniser.")
    folder = make_folder(cache / "recognisers" / key[:16] / name)
    write_bytes(folder / WEIGHTS, files[WEIGHTS])
    write_bytes(folder / RECORD, files[RECORD])
    return TwoStream.read(folder)


def _entry(path: Path) -> Entry:
    wrong = BadData(f"{path} is not an entry of a recogniser.")
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise wrong from error
    fields = Entry.__annotations__
    if not isinstance(value, dict) or cast("Entry", value).get("schema") != schema.RECOGNISER_ENTRY:
        raise wrong
    entry = cast("Entry", value)
    texts = all(isinstance(entry.get(name), str) for name in fields if name != "size")
    if not texts or not isinstance(entry.get("size"), int) or entry["size"] > LARGEST:
        raise wrong
    return entry


def _zip(entry: Entry, entry_path: Path, cache: Path, offline: bool) -> bytes:
    beside = entry_path.parent / Path(entry["file"]).name
    if beside.is_file():
        return beside.read_bytes()
    if not entry["url"] or offline:
        raise Missing(f"{beside} is not there.", fix="Put the zip beside its entry.")
    from vpbench.core.download import transfer

    part = make_folder(cache / "downloads") / f"{entry['sha256'][:16]}.part"
    transfer(entry["url"], part, entry["size"], LARGEST)
    data = part.read_bytes()
    part.unlink()
    return data
