"""Features of clips, computed once: a cache keyed by what a clip holds, and a queue before it.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import BadData, UsageError, VpbenchError
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


def _whole(feature: Feature) -> Feature:
    return feature


@dataclass(eq=False)
class FeatureQueue:
    """Turns clips into features, a full batch at a time.

    Holds the frames of fewer clips than a batch for each shape of clips, and the features of all
    of them. The extractor is made when a clip is in no cache.

    Attributes:
        make: makes the extractor; called at most once.
        cache: where features are looked for and stored.
        keep: what of a feature is kept in memory and handed out; the cache has all of it.
    """

    make: Callable[[], FeatureExtractor]
    cache: FeatureCache
    keep: Callable[[Feature], Feature] = _whole
    _extractor: FeatureExtractor | None = None
    _features: dict[str, Feature] = field(default_factory=dict[str, Feature])
    _waiting: dict[tuple[int, ...], dict[str, tuple[str, Frames]]] = field(
        default_factory=dict[tuple[int, ...], dict[str, tuple[str, Frames]]]
    )

    def add(self, name: str, frames: Frames) -> str:
        """Take a clip uint8 [T,H,W,3], to be found under the hash that is returned.

        Args:
            name: the clip's name in errors.
            frames: copied where they must wait.

        Raises:
            BadData: not such an array, or the extractor made NaN of a clip.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
            raise BadData(
                f"the clip {name!r} is {frames.dtype} {list(frames.shape)}, "
                "it must be uint8 [T,H,W,3]."
            )
        key = clip_hash(frames)
        if key in self._features:
            return key
        stored = self.cache.get(key)
        if stored is not None:
            self._features[key] = self.keep(stored)
            return key
        waiting = self._waiting.setdefault(frames.shape, {})
        if key not in waiting:
            waiting[key] = (name, frames.copy())
            batch = self._ensure_extractor().batch
            if len(waiting) >= batch and self._missing(frames.shape) >= batch:
                self._compute(frames.shape)
        return key

    def take(self, others: Mapping[str, Feature]) -> None:
        """Add features, by clip hash, that another queue of the same extractor has."""
        self._features.update(others)

    def finish(self) -> dict[str, Feature]:
        """Compute what still waits; all features so far, by clip hash."""
        for shape in list(self._waiting):
            if self._missing(shape):
                self._compute(shape)
        return dict(self._features)

    def _ensure_extractor(self) -> FeatureExtractor:
        if self._extractor is None:
            self._extractor = self.make()
        return self._extractor

    def _missing(self, shape: tuple[int, ...]) -> int:
        """Number of waiting clips, without those that another process has cached meanwhile."""
        waiting = self._waiting[shape]
        for key in list(waiting):
            stored = self.cache.get(key)
            if stored is not None:
                self._features[key] = self.keep(stored)
                del waiting[key]
        return len(waiting)

    def _compute(self, shape: tuple[int, ...]) -> None:
        """One forward pass for up to a batch of waiting clips of one shape."""
        extractor, waiting = self._ensure_extractor(), self._waiting.pop(shape)
        names = [name for name, _ in waiting.values()]
        clips = [frames for _, frames in waiting.values()]
        short = extractor.batch - len(clips)
        try:
            values = extractor(np.stack(clips + clips[-1:] * short), names + names[-1:] * short)
        except (ValueError, RuntimeError) as error:
            listed = ", ".join(repr(name) for name in names)
            raise VpbenchError(f"{extractor.name} failed on the clips {listed}: {error}") from error
        ends = (values.shape[0], values.shape[-1]) if values.ndim in (2, 3) else None
        if ends != (extractor.batch, extractor.dim):
            raise VpbenchError(
                f"{extractor.name} made features of shape {list(values.shape)}, "
                f"they must be [{extractor.batch},{extractor.dim}]."
            )
        for key, name, value in zip(waiting, names, values, strict=False):
            feature = np.array(value, dtype=np.float32)
            if not np.isfinite(feature).all():
                raise BadData(f"{extractor.name} made NaN or infinity of the clip {name!r}.")
            self.cache.put(key, feature)
            self._features[key] = self.keep(feature)


def features(
    extractor_factory: Callable[[], FeatureExtractor],
    cache: FeatureCache,
    clips: Iterable[tuple[str, Frames]],
) -> dict[str, Feature]:
    """The feature of each clip; computes only those that no cache has.

    Args:
        extractor_factory: makes the extractor; not called when nothing is missing.
        cache: of the same extractor.
        clips: (id, uint8 [T,H,W,3]), read one after the other.

    Returns:
        Clip id -> float32 [dim], in the order of the clips.

    Raises:
        UsageError: an id comes twice.
        BadData: a clip is no video, or has no finite feature; names it.
    """
    queue = FeatureQueue(extractor_factory, cache)
    keys: dict[str, str] = {}
    for name, frames in clips:
        if name in keys:
            raise UsageError(f"the clip {name!r} came twice.")
        keys[name] = queue.add(name, frames)
    computed = queue.finish()
    return {name: computed[key] for name, key in keys.items()}


def real_floor(
    features: Mapping[str, Feature],
    clusters: Mapping[str, str],
    distance: Distance,
    fake: Mapping[str, Feature] | None = None,
) -> Floor | None:
    """Distance between two disjoint halves of the real clips, with equally many clips in each.

    No cluster lies in both halves. The halves depend on the names of the clusters only: those are
    sorted by a hash, and each goes to the half with fewer clips.

    Args:
        features: clip id -> float32 [d], of the real clips.
        clusters: clip id -> cluster; a clip that is missing stands alone.
        distance: of two arrays [n,d] and the clusters of their rows.
        fake: clip id -> float32 [d], of predicted clips; their halves go by the same hash, so that
            a clip and its prediction are in the same one.

    Returns:
        Means over `HALVINGS` ways to halve, n of the smallest; `here` is the distance of a half of
        the predicted clips from one of the real ones, None without so many predicted clips. None
        where a half would have fewer than two clips or a distance is not defined.
    """
    floor: list[float | None] = []
    here: list[float | None] = []
    counts: list[int] = []

    def between(one: Mapping[str, Feature], a: list[str], b: list[str]) -> float | None:
        names = ([clusters.get(clip, clip) for clip in part] for part in (a, b))
        return distance(_stack(one, a), _stack(features, b), *names)

    for way in range(HALVINGS):
        one, two = _halves(features, clusters, way)
        n = min(len(one), len(two))
        if n < 2:
            return None
        floor.append(between(features, one[:n], two[:n]))
        counts.append(n)
        ahead, behind = _halves(fake or {}, clusters, way)
        some = [*ahead, *behind][:n]
        here.append(between(fake or {}, some, one[:n]) if len(some) == n else None)
    value = _mean(floor)
    return None if value is None else Floor(value, min(counts), _mean(here))


def _halves(
    features: Mapping[str, Feature], clusters: Mapping[str, str], way: int
) -> tuple[list[str], list[str]]:
    members: dict[str, list[str]] = {}
    for clip in sorted(features):
        members.setdefault(clusters.get(clip, clip), []).append(clip)
    one: list[str] = []
    two: list[str] = []
    order = sorted(
        members,
        key=lambda c: hashlib.sha256(f"{way}\n{c}".encode("utf-8", "surrogatepass")).digest(),
    )
    for cluster in order:
        (one if len(one) <= len(two) else two).extend(members[cluster])
    return one, two


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def _stack(features: Mapping[str, Feature], clips: Sequence[str]) -> Feature:
    return np.stack([features[clip] for clip in clips])


def _usable(value: npt.NDArray[Any]) -> bool:
    return value.ndim in (1, 2) and value.dtype == np.float32 and bool(np.isfinite(value).all())
