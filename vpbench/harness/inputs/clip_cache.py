"""Clips at the task's size, from a cache of uncropped uint8 arrays that are made once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vpbench.api.errors import BadData
from vpbench.api.optional import HasRandomAccess
from vpbench.api.protocols import Dataset
from vpbench.api.types import ClipInfo, Frames, Pose
from vpbench.core.files import atomic_file
from vpbench.core.hashing import digest
from vpbench.media.geometry import Geometry
from vpbench.media.resize import fitted

VERSION = 1
"""Raise it when the cached bytes can change for another reason than geometry."""


class ClipCache:
    """Reads clips of a dataset at one geometry. Picklable."""

    def __init__(self, dataset: Dataset, geometry: Geometry, cache: Path) -> None:
        self.dataset = dataset
        self.geometry = geometry
        key = digest([VERSION, geometry.fingerprint()])[:16]
        self.folder = cache / "clips" / key

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
        """Whether a clip (a window of it) is read without converting anything."""
        if self._direct() or not clip.sha256:
            return self._direct()
        paths = [self._path(clip, None)]
        if indices is not None:
            paths.append(self._path(clip, tuple(indices)))
        return any(path.is_file() for path in paths)

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
        if not path.is_file():
            frames = self._convert(clip, indices)
            with atomic_file(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, frames)
        try:
            frames = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError):
            frames = None
        expected = clip.frames if indices is None else len(indices)
        if frames is None or frames.dtype != np.uint8 or len(frames) != expected:
            path.unlink(missing_ok=True)  # a damaged cache file is made again
            return self._convert(clip, indices)
        return frames

    def _direct(self) -> bool:
        dataset = self.dataset
        fast = isinstance(dataset, HasRandomAccess) and dataset.random_access
        return self.geometry.native and fast

    def _path(self, clip: ClipInfo, indices: tuple[int, ...] | None) -> Path:
        name = digest([clip.sha256, indices])[:32]
        return self.folder / name[:2] / f"{name}.npy"

    def _convert(self, clip: ClipInfo, indices: tuple[int, ...] | None) -> Frames:
        wanted = range(clip.frames) if indices is None else indices
        native = self.dataset.read(clip, list(wanted))
        if native.dtype != np.uint8 or native.ndim != 4 or native.shape[3] != 3:
            raise BadData(
                f"the clip {clip.id!r} was read as {native.dtype} {list(native.shape)}; "
                "frames are uint8 [T,H,W,3]."
            )
        return self.geometry.frames(native, crop=False)
