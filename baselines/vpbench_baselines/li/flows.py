"""Flow of training clips: asked of the teacher once, kept in the cache, returned in batches."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vpbench.api import Clip, Frames, TrainView
from vpbench_baselines.li.teachers import Flows, Teacher

STEP = 128
"""Stored flow is rounded to whole 1/128 px, the same whether it was just computed or read."""
_VERSION = 1
_MOST_BYTES = 2 << 30
"""Flow that is kept in memory once it is decoded; the flow of further clips is read each time."""


@dataclass(frozen=True)
class FlowBatch:
    """Frames with the flow between them.

    Attributes:
        frames: uint8 [B,L,H,W,3].
        flows: float32 [B,L-1,2,H,W], px: frames[l+1](q) ~ frames[l](q + flow(q)).
        index: int64 [B], clip numbers.
    """

    frames: Frames
    flows: Flows
    index: npt.NDArray[np.int64]


class FlowStore:
    """The flow of clips, one file for a clip and a distance between frames.

    A file is named by a hash of the bytes of the clip's frames and the teacher's name, so that
    another size, crop or teacher never meets the wrong flow. What cannot be read is computed again.

    Args:
        folder: a folder of the cache (`FitContext.cache`).
    """

    def __init__(self, data: TrainView, teacher: Teacher, folder: Path) -> None:
        self.data, self.teacher, self.folder = data, teacher, folder
        self._decoded: dict[tuple[str, int, int], npt.NDArray[np.int16]] = {}
        self._bytes = 0

    def between(self, split: str, clip: int, times: npt.NDArray[np.int64]) -> Flows:
        """Flow from each of some frames back to the one before.

        Args:
            times: source frame numbers [L]; a clip that begins again after its end is a cycle.

        Returns:
            float32 [L-1,2,H,W].
        """
        length = self.data.length(split, clip)
        gaps = np.diff(times) % length
        by_gap = {int(g): self.whole(split, clip, int(g)) for g in set(gaps.tolist())}
        rows = [by_gap[int(g)][int(t)] for t, g in zip(times[:-1], gaps, strict=True)]
        flows = np.stack(rows).astype(np.float32)
        flows /= STEP
        return flows

    def whole(self, split: str, clip: int, gap: int) -> npt.NDArray[np.int16]:
        """int16 [L,2,H,W], px times 128: flow from frame i + gap, counted round, back to frame i.

        To unzip it takes longer than a training step, so it is kept.
        """
        decoded = self._decoded.get((split, clip, gap))
        if decoded is None:
            decoded = self._clip(split, clip, gap, self.data.length(split, clip))
            decoded.setflags(write=False)
            if self._bytes + decoded.nbytes <= _MOST_BYTES:
                self._decoded[split, clip, gap] = decoded
                self._bytes += decoded.nbytes
        return decoded

    def _clip(self, split: str, clip: int, gap: int, length: int) -> npt.NDArray[np.int16]:
        """As `whole`, from the disk or the teacher."""
        frames = self.data.read(split, clip, range(length))
        key = self._key(frames)
        path = self.folder / key[:2] / f"{key}-{gap}.npz"
        stored = _read(path)
        if stored is None:
            stored = self._compute(frames, gap)
            _write(path, stored)
        return stored

    def _key(self, frames: Frames) -> str:
        text = f"{_VERSION}\x1f{self.teacher.name}\x1f{frames.shape}\x1f".encode()
        return hashlib.sha256(text + np.ascontiguousarray(frames).tobytes()).hexdigest()[:32]

    def _compute(self, frames: Frames, gap: int) -> npt.NDArray[np.int16]:
        if gap == 0:  # a frame that is shown twice does not move
            return np.zeros((len(frames), 2, *frames.shape[1:3]), np.int16)
        flow = self.teacher.between(np.roll(frames, -gap, axis=0), frames)
        return np.clip(np.rint(flow * STEP), -32767, 32767).astype(np.int16)


def _read(path: Path) -> npt.NDArray[np.int16] | None:
    try:
        # opened here, because numpy leaves the file open when it is not an archive
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return stored["flow"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, flow: npt.NDArray[Any]) -> None:
    """Whole or not at all; a full disk costs the flow's keeping only."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez_compressed(stream, flow=flow)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)


def flow_batches(
    store: FlowStore,
    split: str,
    window: Clip,
    batch: int,
    start_step: int = 0,
    stream: str = "",
    ends: bool = False,
) -> Iterator[FlowBatch]:
    """Batches of clips with their flow; batch k depends on what `TrainView.batches` says.

    Args:
        ends: only the first and the last frame of each window, and the flow between these.
    """
    batches = store.data.batches(split, window, batch, start_step=start_step, stream=stream)
    for made in batches:
        frames, times = made.frames, made.times
        if ends:
            frames, times = frames[:, [0, -1]], times[:, [0, -1]]
        clips = zip(made.index.tolist(), times, strict=True)
        flows = np.stack([store.between(split, i, t) for i, t in clips])
        yield FlowBatch(frames, flows, made.index)
