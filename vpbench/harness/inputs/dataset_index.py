"""What a plugin's dataset holds, kept in the cache so that it need not be opened to know it.

key: where its spec stands, its options and its root. An index holds until anything has changed that
may have decided it: the code of vpbench and of the plugin that was loaded (`vpbench.core.code`),
the stamps of all files below its folders and of what lies in others that it has listed, the bytes
of the files that it has opened and of the data files beside it. Joints lie beside the index, by
content; frames are in the clip cache.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from vpbench.api.errors import BadData, Corrupt, HashMismatch
from vpbench.api.optional import Progress
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, Pose
from vpbench.core import schema
from vpbench.core.code import changed_modules, digest_cache
from vpbench.core.dataset_json import clip_info, dataset_spec, task_spec, to_json
from vpbench.core.files import read_json, write_json
from vpbench.core.hashing import digest, plain
from vpbench.core.input_files import changed_inputs, file_hashes
from vpbench.core.provenance import own_folder, source_path
from vpbench.core.stamps import Stamp, joint_stamp, stamp_of
from vpbench.harness.inputs.dataset_reader import DatasetReader, DatasetSource
from vpbench.harness.inputs.opened_files import data_beside
from vpbench.harness.inputs.sealed_arrays import intact, write_array

_ABSENT = "absent"
"""Stands for the stamp of a folder that is not there."""

_made_here: dict[Path, str] = {}
"""Indexes that this process has made, with the hashes of their files: files that were written a
moment before prove nothing to a later command, but need not be read twice by one."""


@dataclass(frozen=True)
class DatasetIndex:
    """All that a dataset says about itself, without its frames.

    Attributes:
        clips: split -> clips. Their `sha256` covers what the dataset declares and the code that
            reads it, or the frames where it declares nothing; `pose_sha256` is of their joints.
        declared: clip id -> `sha256` and `pose_sha256` as the dataset declares them.
        poses: clip id -> sha256 of its joints in native pixels.
        tasks: its own, or those of its spec.
        reading: changes whenever its code, or what it says about itself, could give other frames of
            the same source bytes.
        digest: of all of this.
    """

    source: DatasetSource
    clips: Mapping[str, tuple[ClipInfo, ...]]
    declared: Mapping[str, tuple[str, str]]
    class_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    tasks: tuple[TaskSpec, ...]
    subsets: Mapping[str, frozenset[str]]
    warnings: tuple[str, ...]
    published: Mapping[str, int]
    reading: str
    poses: Mapping[str, str]
    digest: str

    @property
    def path(self) -> Path:
        """File of the index."""
        return index_folder(self.source) / "index.json"

    def as_declared(self, clip: ClipInfo) -> ClipInfo:
        """A clip as the dataset knows it."""
        sha256, pose_sha256 = self.declared.get(clip.id, (clip.sha256, clip.pose_sha256))
        return replace(clip, sha256=sha256, pose_sha256=pose_sha256)


def index_folder(source: DatasetSource) -> Path:
    """Where the index of a dataset and its joints lie."""
    key = digest([source.spec.name, source.value, dict(source.options), source.root])[:16]
    return source.cache / "datasets" / key


def stored_index(source: DatasetSource) -> DatasetIndex | None:
    """The index in the cache; None where there is none, or where it does not hold any more."""
    path = index_folder(source) / "index.json"
    try:
        stored, sha256 = _read(path)
    except (OSError, Corrupt):  # it is made again
        return None
    own = _made_here.get(path) == sha256
    if stored["spec"] != plain(source.spec) or not _holds(stored["made"], source, own):
        return None
    return _parsed(stored, source)


def read_index(path: Path, expected: str) -> DatasetIndex:
    """The index that a job was planned with.

    Args:
        expected: its digest.

    Raises:
        HashMismatch: it is another one, or damaged.
    """
    changed = HashMismatch(f"{path} has changed since this job was planned.", fix="Run again.")
    try:
        stored, _ = _read(path)
    except (OSError, Corrupt) as error:
        raise changed from error
    if stored["digest"] != expected:
        raise changed
    where = stored["source"]
    root = Path(where["root"]) if where["root"] is not None else None
    source = DatasetSource(
        dataset_spec(stored["spec"]),
        where["value"],
        where["options"],
        root,
        path.parents[2],
    )
    return _parsed(stored, source)


def make_index(
    source: DatasetSource, reader: DatasetReader, report: Progress, *, fresh: bool = False
) -> DatasetIndex:
    """Prepare a dataset, and store what it says about itself.

    Args:
        fresh: let it hash and decode its files again, where it keeps an index of them itself.

    Raises:
        VpbenchError: it cannot be opened or read.
    """
    folder, started = index_folder(source), time.time_ns()
    reader.ask("prepare", report, fresh=fresh)
    stamps = {str(path): _folder_stamp(path) for path in source.folders}
    description = reader.ask("describe")
    clips = {split: list(map(clip_info, rows)) for split, rows in description["clips"].items()}
    everything = {clip.id: clip for rows in clips.values() for clip in rows}
    poses: dict[str, str] = {}
    if description["joint_names"]:
        poses = {name: _store_pose(clip, reader, folder) for name, clip in everything.items()}
    frames = {c.id: _frames_hash(c, reader) for c in everything.values() if not c.sha256}
    code = reader.ask("code")
    own = {n: d for n, d in code["modules"].items() if n.partition(".")[0] != "vpbench"}
    reading = digest([description["reading"], own])[:16]

    def known(clip: ClipInfo) -> ClipInfo:
        sha = frames.get(clip.id) or digest([clip.sha256, reading])
        return replace(clip, sha256=sha, pose_sha256=poses.get(clip.id, ""))

    content = {
        **description,
        "clips": {split: [to_json(known(c)) for c in rows] for split, rows in clips.items()},
        "declared": {n: [c.sha256, c.pose_sha256] for n, c in everything.items()},
        "reading": reading,
        "poses": {name: sha for name, sha in poses.items() if sha},
    }
    where = {
        "value": source.value,
        "options": dict(source.options),
        "root": None if source.root is None else str(source.root),
    }
    stored = {
        "schema": schema.DATASET_INDEX,
        "spec": plain(source.spec),
        "source": where,
        "content": content,
        "digest": digest([plain(source.spec), content]),
        "made": {
            "modules": code["modules"],
            "opened": code["opened"],
            "listed": _plain({name: _listing(name, started) for name in code["listed"]}),
            "beside": _beside(source),
            "folders": _plain(stamps),
        },
    }
    path, sha256 = folder / "index.json", digest(stored)
    write_json(path, {**stored, "sha256": sha256})
    _made_here[path] = sha256
    return _parsed(stored, source)


def read_pose(index: DatasetIndex, clip: ClipInfo, reader: DatasetReader) -> Pose | None:
    """Joints of a clip in native pixels, float32 [L,J,3]; None where it has none.

    A file that is not what was written is asked for again.

    Raises:
        BadData: the dataset gives other joints now.
    """
    sha = index.poses.get(clip.id)
    if sha is None:
        return None
    folder = index_folder(index.source)
    path = _pose_path(folder, sha)
    whole = path.is_file() and intact(path)
    if not whole and _store_pose(index.as_declared(clip), reader, folder) != sha:
        raise BadData(
            f"the joints of the clip {clip.id!r} have changed while it was in use.",
            fix="Run the command again.",
        )
    return np.load(path, allow_pickle=False)


# making ------------------------------------------------------------------------------------------


def _frames_hash(clip: ClipInfo, reader: DatasetReader) -> str:
    """sha256 of the shape and the bytes of all frames of a clip."""
    frames = reader.read(clip, range(clip.frames))
    total = hashlib.sha256(f"{frames.dtype} {list(frames.shape)}\n".encode())
    total.update(np.ascontiguousarray(frames).data)
    return total.hexdigest()


def _store_pose(clip: ClipInfo, reader: DatasetReader, folder: Path) -> str:
    """Store the joints of a clip; their hash, "" where it has none."""
    pose = reader.pose(clip)
    if pose is None:
        return ""
    array = np.ascontiguousarray(pose, np.float32)
    total = hashlib.sha256(f"{list(array.shape)}\n".encode())
    total.update(array.data)
    path = _pose_path(folder, total.hexdigest())
    if not (path.is_file() and intact(path)):
        write_array(path, array)
    return total.hexdigest()


def _pose_path(folder: Path, sha: str) -> Path:
    return folder / "poses" / sha[:2] / f"{sha[:32]}.npy"


def _beside(source: DatasetSource) -> list[Any]:
    """Data files beside the plugin, with their hashes."""
    ignored = [source.cache, *source.folders]
    return list(data_beside(_plugin_folders(source), file_hashes(source.cache), ignored))


def _plugin_folders(source: DatasetSource) -> list[Path]:
    factory, home = source.spec.factory, source.value
    path = source_path(factory.partition(":")[0] or home.partition(":")[0], home)
    folder = None if path is None else own_folder(path)
    return [] if folder is None else [folder]


def _plain(stamps: Mapping[str, Stamp]) -> dict[str, Any]:
    return {name: [stamp.text, stamp.settled] for name, stamp in stamps.items()}


def _listing(folder: str, looked: int) -> Stamp:
    """One stamp of what lies in a folder, not deeper.

    Args:
        looked: when the dataset may have listed it first, `time.time_ns()`.
    """
    try:
        with os.scandir(folder) as entries:
            return joint_stamp((entry.name, stamp_of(entry.stat(), looked)) for entry in entries)
    except OSError:
        return Stamp(_ABSENT, settled=True)


def _folder_stamp(folder: Path) -> Stamp:
    """One stamp of all files below a folder."""
    if not folder.exists():
        return Stamp(_ABSENT, settled=True)
    return joint_stamp(_stamps(folder))


def _stamps(folder: Path) -> Iterator[tuple[str, Stamp]]:
    looked = time.time_ns()
    if folder.is_file():
        yield folder.name, stamp_of(folder.stat(), looked)
        return
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    pending.append(entry.path)
                elif entry.is_file():
                    yield os.path.relpath(entry.path, folder), stamp_of(entry.stat(), looked)


# reading -----------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """What `make_index` has stored, and its hash.

    Raises:
        Corrupt: it is damaged, or of another version.
        OSError: it is not there.
    """
    read = read_json(path)
    if not isinstance(read, dict):
        raise Corrupt(f"{path} is not an index of a dataset.")
    stored = cast("dict[str, Any]", read)
    if stored.get("schema") != schema.DATASET_INDEX:
        raise Corrupt(f"{path} is not an index of a dataset, or one of another version.")
    sha256 = str(stored.pop("sha256", ""))
    if sha256 != digest(stored):
        raise HashMismatch(f"{path} is not what was written.")
    return stored, sha256


def _holds(made: Mapping[str, Any], source: DatasetSource, own: bool) -> bool:
    """Whether all that has decided an index is as it was.

    Args:
        own: this process has made it; its stamps need not have been settled.
    """
    folders = {str(path): path for path in source.folders}
    if set(made["folders"]) != set(folders):
        return False
    now = {name: _folder_stamp(path) for name, path in folders.items()}
    looked = time.time_ns()
    listed = {name: _listing(name, looked) for name in made["listed"]}
    for was, stamps in ((made["folders"], now), (made["listed"], listed)):
        for name, stamp in stamps.items():
            before = Stamp(was[name][0], settled=own or was[name][1])
            if not before.proves(stamp):
                return False
    if changed_modules({"modules": made["modules"], "environment": {}}, digest_cache(source.cache)):
        return False
    if changed_inputs(made["opened"], file_hashes(source.cache)):
        return False
    return made["beside"] == _beside(source)


def _parsed(stored: Mapping[str, Any], source: DatasetSource) -> DatasetIndex:
    description = stored["content"]
    tasks = description["tasks"]
    return DatasetIndex(
        source=source,
        clips={split: tuple(map(clip_info, rows)) for split, rows in description["clips"].items()},
        declared={name: (row[0], row[1]) for name, row in description["declared"].items()},
        class_names=tuple(description["class_names"]),
        joint_names=tuple(description["joint_names"]),
        tasks=source.spec.tasks if tasks is None else tuple(map(task_spec, tasks)),
        subsets={name: frozenset(ids) for name, ids in description["subsets"]},
        warnings=tuple(description["warnings"]),
        published=description["published"],
        reading=description["reading"],
        poses=description["poses"],
        digest=stored["digest"],
    )
