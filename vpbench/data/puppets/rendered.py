"""Rendered clips in the cache, each verified when it is read.

key (name of the folder): size in pixels, and sha256 of the sources of the renderer. A split is
three files: frames, joints, and one sha256 a clip over its frames, joints and label
(`Clip.sha256`). A clip is hashed at its first read in a process, and again when the files change.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import Corrupt
from vpbench.api.types import Frames
from vpbench.core.files import write_bytes
from vpbench.core.lock import lock_or_wait
from vpbench.core.pools import in_processes
from vpbench.core.provenance import cores
from vpbench.core.stamps import Stamp, file_stamp, joint_stamp
from vpbench.data.puppets.actions import FRAMES
from vpbench.data.puppets.clips import Clip, label_of, render_clip

NOT_RENDERING = ("__init__.py", "dataset.py", "manifest.py", "rendered.py", "verify.py")
"""Modules beside the renderer that cannot change a pixel."""
_PARTS = ("frames.npy", "joints.npy", "sha256")
_CHUNK = 30
"""Clips that a process renders at a time."""
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    RecursionError,
    tokenize.TokenError,
)
"""What numpy raises at a header that is not one."""


@dataclass
class RenderedSplit:
    """The rendered clips of one split.

    Args:
        folder: of the clips of one size and renderer.
        command: what renders damaged clips again.
    """

    folder: Path
    split: str
    count: int
    size: int
    command: str
    _opened: Stamp | None = None
    _frames: npt.NDArray[np.uint8] | None = None
    _joints: npt.NDArray[np.float32] | None = None
    _hashes: list[str] = field(default_factory=list[str])
    _verified: set[int] = field(default_factory=set[int])

    def path(self, part: str) -> Path:
        """Of "frames.npy", "joints.npy" or "sha256"."""
        return self.folder / f"{self.split}-{part}"

    def there(self) -> bool:
        """Whether the split was rendered; its bytes are not checked."""
        return self.path("frames.npy").is_file()

    def hashes(self) -> list[str]:
        """The sha256 of every clip as it was rendered here.

        Raises:
            Corrupt: a file is damaged or missing.
        """
        self._open()
        return list(self._hashes)

    def clip(self, i: int) -> tuple[Frames, npt.NDArray[np.float32]]:
        """Frames uint8 [24,size,size,3] (not in memory) and joints float32 [24,13,3] of a clip.

        Raises:
            Corrupt: the bytes are not those that were rendered, or a file is damaged or missing.
        """
        frames, joints = self._open()
        if i not in self._verified:
            if self._hash(i) != self._hashes[i]:
                raise self._damaged(
                    self.path("frames.npy"), f"clip {self.split}/{i:04d} is not what was rendered"
                )
            self._verified.add(i)
        return frames[i], joints[i]

    def damage(self) -> Corrupt | None:
        """What is wrong with a rendered split, or None; every clip is hashed again."""
        self._opened = None
        try:
            for i in range(self.count):
                self.clip(i)
        except Corrupt as error:
            return error
        return None

    def discard(self) -> None:
        """Make the split one that was not rendered."""
        self.path("frames.npy").unlink(missing_ok=True)
        self._opened = None

    def render(self, report: Callable[[int], None]) -> None:
        """Render the split unless it is there; one process does it, others wait."""
        lock = lock_or_wait(self.path("lock"), self.there)
        if lock is None:
            return
        with lock:
            clips = _render_all(self.split, self.count, self.size, report)
            joints = np.stack([clip.joints for clip in clips])
            write_bytes(self.path("joints.npy"), _npy(joints), lock.check)
            hashes = "\n".join(clip.sha256() for clip in clips).encode()
            write_bytes(self.path("sha256"), hashes, lock.check)
            pixels = np.stack([clip.frames for clip in clips])
            # last: its presence says that the split is complete
            write_bytes(self.path("frames.npy"), _npy(pixels), lock.check)

    def _open(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        if not self.there():
            self.render(lambda _: None)
        now = joint_stamp((part, file_stamp(self.path(part))) for part in _PARTS)
        if self._opened is None or self._opened.text != now.text:
            square = (self.size, self.size, 3)
            self._frames = self._array("frames.npy", np.uint8, (self.count, FRAMES, *square), "r")
            self._joints = self._array("joints.npy", np.float32, (self.count, FRAMES, 13, 3), None)
            self._hashes = self._read_hashes()
            self._verified = set()
            self._opened = now
        assert self._frames is not None and self._joints is not None
        return self._frames, self._joints

    def _array(self, part: str, dtype: Any, shape: tuple[int, ...], mode: Any) -> Any:
        path = self.path(part)
        try:
            array = np.load(path, mmap_mode=mode, allow_pickle=False)
        except FileNotFoundError:
            raise self._damaged(path, "it is missing") from None
        except _UNREADABLE as error:
            raise self._damaged(path, "it is cut off or overwritten") from error
        if array.dtype != dtype or array.shape != shape or np.isfortran(array):
            raise self._damaged(path, f"it holds {array.dtype} {list(array.shape)}")
        return array

    def _read_hashes(self) -> list[str]:
        path = self.path("sha256")
        try:
            lines = path.read_bytes().decode("ascii").split("\n")
        except FileNotFoundError:
            raise self._damaged(path, "it is missing") from None
        except (OSError, ValueError) as error:
            raise self._damaged(path, "it is cut off or overwritten") from error
        if len(lines) != self.count:
            raise self._damaged(path, f"it has {len(lines)} of {self.count} lines")
        return lines

    def _hash(self, i: int) -> str:
        assert self._frames is not None and self._joints is not None
        return Clip(self._frames[i], label_of(self.split, i), self._joints[i]).sha256()

    def _damaged(self, path: Path, what: str) -> Corrupt:
        return Corrupt(
            f"{path} in the cache is damaged: {what}.", fix=f"Render it again: {self.command}"
        )


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _render_part(task: tuple[str, int, int, int]) -> list[Clip]:
    split, start, stop, size = task
    return [render_clip(split, i, size) for i in range(start, stop)]


def _render_all(split: str, count: int, size: int, report: Callable[[int], None]) -> list[Clip]:
    """All clips of a split, in order, on the free cores."""
    parts = [(split, s, min(s + _CHUNK, count), size) for s in range(0, count, _CHUNK)]
    clips: list[Clip] = []
    if cores() == 1 or len(parts) <= 3:  # starting processes would cost more than it saves
        for part in map(_render_part, parts):
            clips += part
            report(len(clips))
        return clips
    for part in in_processes(_render_part, parts, cores(), "renders clips"):
        clips += part
        report(len(clips))
    return clips
