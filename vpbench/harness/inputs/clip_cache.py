"""Clips at the task's size, from a cache of uncropped uint8 arrays that are made once.

key: `VERSION`; the geometry; the versions of the decoders (`decode.versions`); the code that
decodes and resizes, without its words (`vpbench.core.code.source_digest`); the dataset's name, its
`reading`, and for a dataset that does not come with vpbench the source file of its class; the
clip's `sha256`, number of frames, height and width; and the frames of the window, or that it is the
whole clip. A file is an .npy array followed by the sha256 of its key and its bytes, which is
checked at its first read in a process and again when the file changes: a damaged or foreign file is
made again from its source.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vpbench.api.errors import BadData
from vpbench.api.optional import HasRandomAccess, HasReading
from vpbench.api.protocols import Dataset
from vpbench.api.types import ClipInfo, Frames, Pose
from vpbench.core.code import digest_cache
from vpbench.core.hashing import digest, file_sha256
from vpbench.harness.inputs.sealed_arrays import intact, write_array
from vpbench.media import decode
from vpbench.media.geometry import Geometry
from vpbench.media.resize import fitted

VERSION = 2
"""Raise it when the cached bytes can change for a reason that is not in the key."""

_NOT_CONVERTING = ("augment.py", "encode.py", "roundtrip.py")

Note = Callable[[str], None]


def _no_note(text: str) -> None:
    """Discard it."""


@runtime_checkable
class ReadsEach(Protocol):
    """A dataset of vpbench's own that hands out frames one at a time, to be made smaller."""

    def read_each(
        self, clip: ClipInfo, indices: Sequence[int], each: Callable[[Frames], Frames] | None
    ) -> Frames:
        """Frames of a clip, with `each` done to each [H,W,3] as it is decoded."""
        ...


class ClipCache:
    """Reads clips of a dataset at one geometry. Picklable.

    Attributes:
        note: called with a sentence when a damaged file was made again.
    """

    def __init__(self, dataset: Dataset, geometry: Geometry, cache: Path) -> None:
        self.dataset = dataset
        self.geometry = geometry
        self.note: Note = _no_note
        converter = _converter(cache)
        key = [VERSION, geometry.fingerprint(), decode.versions(), converter, _reader(dataset)]
        self.folder = cache / "clips" / digest(key)[:16]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "note": _no_note}

    def whole(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """Frames of a clip that is read again and again: the whole clip is converted once.

        Returns:
            uint8 [len(indices),size,size,3].
        """
        return self._cropped(self._cached(clip, None)[list(indices)])

    def window(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """Frames of one window: only these are converted.

        Returns:
            uint8 [len(indices),size,size,3].
        """
        return self._cropped(self._cached(clip, tuple(indices)))

    def converted(self, clip: ClipInfo, indices: Sequence[int] | None = None) -> bool:
        """Whether a clip (a window of it) is read without converting anything.

        Files are looked for, not read; see `damaged`.
        """
        if self._direct() or not clip.sha256:
            return self._direct()
        return any(path.is_file() for path in self._paths(clip, indices))

    def damaged(self, clip: ClipInfo, indices: Sequence[int] | None = None) -> list[Path]:
        """Files of a clip (a window of it) that exist and are not what was written."""
        if self._direct() or not clip.sha256:
            return []
        return [p for p in self._paths(clip, indices) if p.is_file() and not intact(p)]

    def size_of(self, clip: ClipInfo) -> int:
        """Bytes that a whole clip takes in the cache."""
        size = self.geometry.size
        height, width = fitted(clip.height, clip.width, size)
        return clip.frames * height * width * 3

    def pose(self, clip: ClipInfo, indices: Sequence[int]) -> Pose | None:
        """Joints in [-1,1], float32 [len(indices),J,3], or None."""
        native = self.dataset.pose(clip)
        if native is None:
            return None
        if len(native) != clip.frames:
            raise BadData(f"the clip {clip.id!r} has {clip.frames} frames and {len(native)} poses.")
        return self.geometry.pose(native[list(indices)], clip.height, clip.width)

    def _cropped(self, frames: Frames) -> Frames:
        return np.ascontiguousarray(self.geometry.cropped(np.asarray(frames)))

    def _cached(self, clip: ClipInfo, indices: tuple[int, ...] | None) -> Frames:
        direct = self._direct()
        if direct and indices is None:
            return self.dataset.read(clip, range(clip.frames))
        if direct or not clip.sha256:
            return self._convert(clip, indices)
        path = self._path(clip, indices)
        if indices is not None and not path.is_file() and self._path(clip, None).is_file():
            return self._cached(clip, None)[list(indices)]
        if path.is_file():
            if intact(path):
                return np.load(path, mmap_mode="r", allow_pickle=False)
            self.note(f"{path} in the cache was damaged; it is made again from clip {clip.id!r}.")
        frames = self._convert(clip, indices)
        write_array(path, frames)
        return frames

    def _direct(self) -> bool:
        dataset = self.dataset
        fast = isinstance(dataset, HasRandomAccess) and dataset.random_access
        return self.geometry.native and fast

    def _paths(self, clip: ClipInfo, indices: Sequence[int] | None) -> list[Path]:
        """Files of a clip; a window may be read from the whole clip too."""
        whole = self._path(clip, None)
        return [whole] if indices is None else [self._path(clip, tuple(indices)), whole]

    def _path(self, clip: ClipInfo, indices: tuple[int, ...] | None) -> Path:
        name = digest([clip.sha256, clip.frames, clip.height, clip.width, indices])[:32]
        return self.folder / name[:2] / f"{name}.npy"

    def _convert(self, clip: ClipInfo, indices: tuple[int, ...] | None) -> Frames:
        wanted = list(range(clip.frames) if indices is None else indices)
        if isinstance(self.dataset, ReadsEach):
            return self.dataset.read_each(clip, wanted, self._uncropped)
        native = self.dataset.read(clip, wanted)
        if native.dtype != np.uint8 or native.ndim != 4 or native.shape[3] != 3:
            raise BadData(
                f"the clip {clip.id!r} was read as {native.dtype} {list(native.shape)}; "
                "frames are uint8 [T,H,W,3]."
            )
        return self._uncropped(native)

    def _uncropped(self, native: Frames) -> Frames:
        return self.geometry.frames(native, crop=False)


def damaged_files(folder: Path) -> list[Path]:
    """Files of a cache folder that are not what was written; every one is hashed."""
    return [path for path in sorted(folder.glob("??/*.npy")) if not intact(path, again=True)]


def _converter(cache: Path) -> dict[str, str]:
    """The modules that clips go through on their way into the cache, with their digests."""
    digests = digest_cache(cache)
    files = sorted(Path(decode.__file__).parent.glob("*.py"))
    modules = {path.name: digests.of(path) for path in files if path.name not in _NOT_CONVERTING}
    digests.save()
    return modules


def _reader(dataset: Dataset) -> list[str]:
    """What reads the clips: the dataset's name, `reading`, and its source if not vpbench's."""
    kind = type(dataset)
    named = [dataset.spec.name, dataset.reading if isinstance(dataset, HasReading) else ""]
    if kind.__module__.partition(".")[0] == "vpbench":
        return named
    try:
        source = file_sha256(Path(inspect.getfile(kind)))
    except (OSError, TypeError):  # made in an interpreter or in memory
        source = ""
    return [*named, source]
