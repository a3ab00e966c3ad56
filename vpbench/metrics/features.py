"""Features of clips, computed once: a cache keyed by what a clip holds.

key: the extractor's fingerprint (weights, recipe, dtype, batch), and sha256 of the shape and the
bytes of the clip's frames.

A feature is float32 [dim], or [T,dim] where each frame has one. It depends on the clip and the
extractor only, because every forward pass has exactly the extractor's batch shape.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from vpbench.api.specs import Value
from vpbench.api.types import Floor, Frames
from vpbench.core.files import write_bytes
from vpbench.core.hashing import canonical_json, digest
from vpbench.core.shipped import shipped_bytes

Feature = npt.NDArray[np.float32]
"""float32 [dim] or, where each frame has one, [T,dim]; with n in front of several clips."""

Distance = Callable[[Feature, Feature, Sequence[str], Sequence[str]], float | None]
"""Of two sets of features, [n,dim] and [m,dim], and the clusters of their rows."""

HALVINGS = 10
"""Random halvings of the real clips that are averaged into the floor."""


@runtime_checkable
class FeatureExtractor(Protocol):
    """A network that makes one vector of a clip.

    Attributes:
        name: its name in messages.
        dim: length of a feature.
        batch: clips in one forward pass, always the same number.
        min_frames: fewest frames of a clip.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102

    @property
    def batch(self) -> int: ...  # noqa: D102

    @property
    def min_frames(self) -> int: ...  # noqa: D102

    def __call__(self, clips: Frames, names: Sequence[str] | None = None) -> Feature:
        """uint8 [batch,T,H,W,3] -> float32 [batch,dim] or [batch,T,dim]; `names` are for errors."""
        ...

    def fingerprint(self) -> Mapping[str, Value | None]:
        """All that can move a feature; cheap, without building the network."""
        ...


def clip_hash(frames: Frames) -> str:
    """sha256 of the shape and the bytes of uint8 [T,H,W,3], 64 hex digits."""
    sha = hashlib.sha256(f"{frames.dtype.name}{list(frames.shape)}\n".encode())
    sha.update(np.ascontiguousarray(frames).data)
    return sha.hexdigest()


@dataclass(frozen=True)
class Shipped:
    """Features that come in one file, read-only.

    Attributes:
        extractor: hash of the fingerprint of the extractor that made them.
        features: clip hash -> float32 [dim].
    """

    extractor: str
    features: Mapping[str, Feature]

    @classmethod
    def read(cls, path: Path, sha256: str) -> Shipped:
        """Read what `write_shipped` wrote.

        Raises:
            HashMismatch: its bytes are not those of this hash.
        """
        data = shipped_bytes(path, sha256)
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            extractor = digest(json.loads(stored["extractor"].tobytes()))
            hashes, values = stored["hashes"], stored["features"]
        names = (row.tobytes().hex() for row in hashes)
        return cls(extractor, dict(zip(names, values, strict=True)))


def write_shipped(
    path: Path, fingerprint: Mapping[str, Value | None], features: Mapping[str, Feature]
) -> str:
    """Write features of one extractor into one .npz; the same features give the same bytes.

    Args:
        path: file to write.
        fingerprint: of the extractor.
        features: clip hash -> float32 [dim].

    Returns:
        The sha256 of the file.
    """
    keys = sorted(features)
    rows = [np.frombuffer(bytes.fromhex(k), np.uint8) for k in keys]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        extractor=np.frombuffer(canonical_json(fingerprint), np.uint8),
        hashes=np.stack(rows),
        features=np.stack([np.asarray(features[k], np.float32) for k in keys]),
    )
    write_bytes(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


class FeatureCache:
    """Features of one extractor in a folder, one small file a clip.

    A file is an .npy followed by the sha256 of the extractor, the clip and the .npy, so a damaged
    or foreign file is never taken for a feature; it is computed again.
    """

    def __init__(
        self,
        extractor_fingerprint: Mapping[str, Value | None],
        folder: Path,
        shipped: Iterable[Shipped] = (),
    ) -> None:
        """
        Args:
            extractor_fingerprint: of the extractor whose features these are.
            folder: where the files are.
            shipped: features to look for after the folder; those of other extractors are ignored.
        """
        self.extractor = digest(extractor_fingerprint)
        self.folder = folder
        self._shipped = [s.features for s in shipped if s.extractor == self.extractor]

    def path(self, key: str) -> Path:
        """File of a clip hash."""
        return self.folder / key[:2] / f"{key}.npy"

    def get(self, key: str) -> Feature | None:
        """The feature of a clip hash, or None where there is none that is whole."""
        try:
            data = self.path(key).read_bytes()
        except OSError:
            data = b""
        body, seal = data[:-32], data[-32:]
        if data and seal == self._seal(key, body):
            value = np.load(io.BytesIO(body), allow_pickle=False)
            if _usable(value):
                return value
        for features in self._shipped:
            value = features.get(key)
            if value is not None and _usable(value):
                return value
        return None

    def put(self, key: str, feature: Feature) -> None:
        """Store a feature, whole or not at all; one that a power cut damages is computed again.

        Raises:
            Unwritable: the disk is full or the folder may not be written.
        """
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(feature, np.float32), allow_pickle=False)
        body = buffer.getvalue()
        write_bytes(self.path(key), body + self._seal(key, body), flush=False)

    def _seal(self, key: str, body: bytes) -> bytes:
        return hashlib.sha256(f"{self.extractor} {key}\n".encode() + body).digest()


def real_floor(
    features: Mapping[str, Feature],
    clusters: Mapping[str, str],
    distance: Distance,
    fake: Mapping[str, Feature] | None = None,
) -> Floor | None:
    """Distance between two disjoint halves of the real clips, with equally many clips in each.

    No cluster lies in both halves. The halves depend on the names and sizes of the clusters only:
    those are sorted by a hash, and each goes to the half with fewer clips.

    Args:
        features: clip id -> float32 [d], of the real clips.
        clusters: clip id -> cluster; a clip that is missing stands alone.
        distance: of two arrays [n,d] and the clusters of their rows.
        fake: clip id -> float32 [d], of predicted clips, by the names of the clips they predict.

    Returns:
        Means over `HALVINGS` ways to halve, n of the smallest; `here` is the distance of as many
        predicted clips from the real clips that they predict (`_as_many`), None without so many of
        them. None where a half would have fewer than two clips or a distance is not defined.
    """
    floor: list[float | None] = []
    here: list[float | None] = []
    counts: list[int] = []

    def between(one: Mapping[str, Feature], a: Sequence[str], b: Sequence[str]) -> float | None:
        names = ([clusters.get(clip, clip) for clip in part] for part in (a, b))
        return distance(_stack(one, a), _stack(features, b), *names)

    for way in range(HALVINGS):
        sides = _sides(_members(features, clusters), way)
        one, two = _halves(features, clusters, sides, way)
        n = min(len(one), len(two))
        if n < 2:
            return None
        floor.append(between(features, one[:n], two[:n]))
        counts.append(n)
        some = _as_many(fake or {}, features, clusters, sides, way, n)
        here.append(None if some is None else between(fake or {}, *some))
    value = _mean(floor)
    return None if value is None else Floor(value, min(counts), _mean(here))


def _as_many(
    fake: Mapping[str, Feature],
    real: Mapping[str, Feature],
    clusters: Mapping[str, str],
    sides: Mapping[str, int],
    way: int,
    n: int,
) -> tuple[list[str], list[str]] | None:
    """n predicted and n real clips; None without so many predicted ones.

    A clip and its prediction come together, first those of the first half. Clips of one set only
    come next, equally many of either set, and then more pairs: so one clip without a prediction
    breaks no other pair.
    """
    if len(fake) < n:
        return None
    sides = _sides(_members(fake, clusters), way, sides)
    both = fake.keys() & real.keys()
    first, second = _halves(both, clusters, sides, way)
    alone: list[list[str]] = []
    for own in (fake, real):
        ahead, behind = _halves(own.keys() - both, clusters, sides, way)
        alone.append([*ahead, *behind])
    pairs = first[:n]
    unpaired = min(n - len(pairs), *map(len, alone))
    pairs += second[: n - len(pairs) - unpaired]
    return [*pairs, *alone[0][:unpaired]], [*pairs, *alone[1][:unpaired]]


def _members(clips: Iterable[str], clusters: Mapping[str, str]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for clip in sorted(clips):
        members.setdefault(clusters.get(clip, clip), []).append(clip)
    return members


def _sides(
    members: Mapping[str, Sequence[str]], way: int, known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Cluster -> its half, 0 or 1: the known one, else that with fewer clips of these so far."""
    sides = dict(known or {})
    sizes = [0, 0]
    for cluster in members.keys() & sides.keys():
        sizes[sides[cluster]] += len(members[cluster])
    for cluster in _shuffled(members.keys() - sides.keys(), way):
        sides[cluster] = int(sizes[0] > sizes[1])
        sizes[sides[cluster]] += len(members[cluster])
    return sides


def _halves(
    clips: Iterable[str], clusters: Mapping[str, str], sides: Mapping[str, int], way: int
) -> tuple[list[str], list[str]]:
    members = _members(clips, clusters)
    halves: tuple[list[str], list[str]] = [], []
    for cluster in _shuffled(members, way):
        halves[sides[cluster]].extend(members[cluster])
    return halves


def _shuffled(clusters: Iterable[str], way: int) -> list[str]:
    """In the order of a hash of their names."""
    return sorted(
        clusters,
        key=lambda c: hashlib.sha256(f"{way}\n{c}".encode("utf-8", "surrogatepass")).digest(),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def _stack(features: Mapping[str, Feature], clips: Sequence[str]) -> Feature:
    return np.stack([features[clip] for clip in clips])


def _usable(value: npt.NDArray[Any]) -> bool:
    return value.ndim in (1, 2) and value.dtype == np.float32 and bool(np.isfinite(value).all())
