"""Fitted probes, kept so that a table fits each of them once.

key: sha256 over the recipe, the fingerprint of the features, the training clips
(`TrainingClips.key`), the number of frames and the names of the classes. A file is an .npz followed
by the sha256 of its key and its bytes; a damaged or foreign one is made again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.core.files import write_bytes
from vpbench.core.shipped import shipped_bytes
from vpbench.metrics.action.ridge import Ridge

SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the probes that come with vpbench."""
PINS = {"puppets.npz": "b281c8450b44714313e7e2f2f80584d66c66de65663593a572af7edbb31f1003"}
"""sha256 of each of its files."""

_ARRAYS = ("mean", "scale", "weights", "bias", "variance")


def probe_bytes(probes: Mapping[str, Ridge]) -> bytes:
    """Some probes by key as one .npz; the same probes give the same bytes."""
    buffer = io.BytesIO()
    keys = sorted(probes)
    arrays: dict[str, Any] = {
        f"{name}{k}": np.asarray(getattr(probes[key], name), np.float64)
        for k, key in enumerate(keys)
        for name in _ARRAYS
    }
    np.savez_compressed(buffer, keys=np.frombuffer(json.dumps(keys).encode(), np.uint8), **arrays)
    return buffer.getvalue()


def read_probes(data: bytes) -> dict[str, Ridge]:
    """What `probe_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        keys = json.loads(stored["keys"].tobytes())
        return {
            key: Ridge(
                *(stored[f"{name}{k}"] for name in _ARRAYS[:-1]),
                variance=float(stored[f"variance{k}"]),
            )
            for k, key in enumerate(keys)
        }


def shipped_probe(key: str) -> Ridge | None:
    """A probe that comes with vpbench.

    Raises:
        HashMismatch: a file is not the one that was shipped.
    """
    for path in sorted(SHIPPED.glob("*.npz")):
        found = read_probes(shipped_bytes(path, PINS.get(path.name, ""))).get(key)
        if found is not None:
            return found
    return None


def stored_probe(folder: Path, key: str) -> Ridge | None:
    """A probe that was fitted here; None where there is none that is whole."""
    try:
        data = _path(folder, key).read_bytes()
    except OSError:
        return None
    body, seal = data[:-32], data[-32:]
    return read_probes(body).get(key) if body and seal == _seal(key, body) else None


def store_probe(folder: Path, key: str, probe: Ridge) -> None:
    """Keep a probe, whole or not at all.

    Raises:
        Unwritable: the disk is full or the folder may not be written.
    """
    body = probe_bytes({key: probe})
    write_bytes(_path(folder, key), body + _seal(key, body))


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key[:32]}.npz"


def _seal(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + body).digest()
