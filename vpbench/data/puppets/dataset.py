"""The dataset `puppets`: rendered once into the cache, then read like any other clips."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.core.files import write_bytes
from vpbench.core.hashing import digest, tree_sha256
from vpbench.core.lock import lock_or_wait
from vpbench.core.provenance import cores
from vpbench.data.puppets.actions import CLASS_NAMES, FRAMES
from vpbench.data.puppets.clips import SPLITS, Clip, label_of, render_clip
from vpbench.data.puppets.manifest import MANIFEST_SIZE, expected_sha256
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.data.specs import PUPPETS

FPS = 12.0
_CHUNK = 30

Tell = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Show nothing."""


class Puppets:
    """The `Dataset` of `vpbench.api` over rendered clips.

    Args:
        options: `size`, width and height in pixels.
        root: not used; there is nothing to download.
        cache: rendered clips are kept in `cache/puppets`.
    """

    random_access = True
    reports_progress = True
    """Reads are as fast as a cache: the harness keeps no copies."""

    def __init__(self, options: Mapping[str, Any], root: Path | None, cache: Path) -> None:
        self.spec = PUPPETS
        for name in options:
            if name not in PUPPETS.options:
                raise UnknownName("option of puppets", name, PUPPETS.options)
        self.size = _size(str(options.get("size", MANIFEST_SIZE)))
        source = tree_sha256(Path(__file__).parent, "*.py")
        self.folder = cache / "puppets" / f"{self.size}-{digest(source)[:16]}"

    def tasks(self) -> tuple[TaskSpec, ...]:
        """The one task: frames 0-4 given, 5-20 to predict."""
        usual = PUPPETS.tasks[0]
        if self.size == usual.size:
            return PUPPETS.tasks
        return (TaskSpec(f"puppets-{self.size}", usual.window, self.size, native=True),)

    def splits(self) -> tuple[str, ...]:
        """train, val, test, and `extra` for pictures of failure cases."""
        return tuple(SPLITS)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Clips of a split; those of `test` carry the hash of what this machine rendered."""
        if split not in SPLITS:
            raise UnknownName("split of puppets", split, SPLITS)
        actual = self._hashes(split) if split == "test" else None
        return [
            ClipInfo(
                f"{split}/{i:04d}",
                FRAMES,
                self.size,
                self.size,
                label_of(split, i),
                FPS,
                sha256=actual[i] if actual else self._expected(split, i),
            )
            for i in range(SPLITS[split])
        ]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),size,size,3]."""
        split, i = _place(clip)
        return self._open(split)[0][i][list(indices)]

    def pose(self, clip: ClipInfo) -> Pose:
        """float32 [24,13,3] in pixels; the third is 1 where the joint can be seen, else 0."""
        split, i = _place(clip)
        return np.array(self._open(split)[1][i])

    def class_names(self) -> tuple[str, ...]:
        """The nine actions."""
        return CLASS_NAMES

    def joint_names(self) -> tuple[str, ...]:
        """Penn Action's 13 joints, in its order."""
        return JOINT_NAMES

    def prepare(self, root: Path | None = None, tell: Tell = _silent) -> None:
        """Render every split that is not in the cache yet, on all free cores."""
        missing = [s for s in SPLITS if not self._file(s, "frames.npy").is_file()]
        total = sum(SPLITS[s] for s in missing)
        done = 0
        for split in missing:
            start = done

            def told(count: int, start: int = start) -> None:
                tell(start + count, total)

            self._render(split, told)
            done += SPLITS[split]

    def warnings(self) -> list[str]:
        """A sentence if this machine renders other bytes than were published."""
        drifted = self._drift("test")
        if not drifted:
            return []
        return [
            f"puppets: {len(drifted)} of {SPLITS['test']} test clips are rendered differently here "
            f"(first: {drifted[0]}); scores get a fingerprint of their own."
        ]

    def verify(self, root: Path | None = None, tell: Tell = _silent) -> list[Problem]:
        """Compare all rendered clips with the packaged hashes."""
        self.prepare(tell=tell)
        problems: list[Problem] = []
        for split in SPLITS:
            drifted = self._drift(split)
            if drifted:
                what = f"{len(drifted)} clips are rendered differently here, first {drifted[0]}"
                fix = "Scores get a fingerprint of their own; please report machine and versions."
                problems.append(Problem("warning", f"puppets/{split}", what, fix))
        return problems

    def _drift(self, split: str) -> list[str]:
        if self.size != MANIFEST_SIZE:
            return []
        return [
            f"{split}/{i:04d}"
            for i, sha in enumerate(self._hashes(split))
            if sha != expected_sha256(split, i)
        ]

    def _expected(self, split: str, i: int) -> str:
        """The published hash; at other sizes one that is made from it."""
        known = expected_sha256(split, i) or f"{split}/{i}"
        return known if self.size == MANIFEST_SIZE else digest([known, self.size])

    def _file(self, split: str, name: str) -> Path:
        return self.folder / f"{split}-{name}"

    def _hashes(self, split: str) -> list[str]:
        return _read_hashes(self, split)

    def _open(self, split: str) -> tuple[Any, Any]:
        return _open_arrays(self, split)

    def __hash__(self) -> int:
        return hash(self.folder)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Puppets) and self.folder == other.folder

    def _render(self, split: str, tell: Callable[[int], None]) -> None:
        """Render a split into the cache; one process does it, others wait."""
        frames = self._file(split, "frames.npy")
        claim = lock_or_wait(self._file(split, "claim"), frames.is_file)
        if claim is None:
            return
        with claim:
            clips = _render_all(split, self.size, tell)
            joints = np.stack([clip.joints for clip in clips])
            write_bytes(self._file(split, "joints.npy"), _npy(joints), claim.check)
            hashes = "\n".join(clip.sha256() for clip in clips).encode()
            write_bytes(self._file(split, "sha256"), hashes, claim.check)
            pixels = np.stack([clip.frames for clip in clips])
            write_bytes(frames, _npy(pixels), claim.check)  # last: its presence says complete


@functools.lru_cache(maxsize=16)
def _open_arrays(dataset: Puppets, split: str) -> tuple[Any, Any]:
    path = dataset._file(split, "frames.npy")
    if not path.is_file():
        dataset._render(split, lambda _: None)
    frames = np.load(path, mmap_mode="r", allow_pickle=False)
    joints = np.load(dataset._file(split, "joints.npy"), allow_pickle=False)
    if frames.shape[0] != SPLITS[split] or frames.dtype != np.uint8:
        raise BadData(f"{path} is damaged.", fix="Delete it; it is rendered again.")
    return frames, joints


@functools.lru_cache(maxsize=16)
def _read_hashes(dataset: Puppets, split: str) -> list[str]:
    _open_arrays(dataset, split)
    return dataset._file(split, "sha256").read_text().splitlines()


def _size(text: str) -> int:
    if not text.isdigit() or not 16 <= int(text) <= 1024:
        raise UsageError(f"size={text} of puppets must be a whole number from 16 to 1024.")
    return int(text)


def _place(clip: ClipInfo) -> tuple[str, int]:
    split, _, number = clip.id.partition("/")
    return split, int(number)


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _render_part(task: tuple[str, int, int, int]) -> list[Clip]:
    split, start, stop, size = task
    return [render_clip(split, i, size) for i in range(start, stop)]


def _render_all(split: str, size: int, tell: Callable[[int], None]) -> list[Clip]:
    """All clips of a split, in order, on the free cores."""
    count = SPLITS[split]
    parts = [(split, s, min(s + _CHUNK, count), size) for s in range(0, count, _CHUNK)]
    clips: list[Clip] = []
    if cores() == 1 or len(parts) <= 3:  # starting processes would cost more than it saves
        results = map(_render_part, parts)
        for part in results:
            clips += part
            tell(len(clips))
        return clips
    with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
        for part in pool.map(_render_part, parts):
            clips += part
            tell(len(clips))
    return clips
