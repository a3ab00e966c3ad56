"""Seeds by name: the same words give the same seed, on every machine, in any order."""

from __future__ import annotations

import hashlib


def seed_of(*words: str | int) -> int:
    """A seed in [0, 2**63) from words; no two lists of words share one by accident."""
    text = "\x1f".join(f"{type(w).__name__}:{w}" for w in words)
    return (
        int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        >> 1
    )


def clip_seed(run_seed: int, clip_id: str, sample: int) -> int:
    """The seed of one sample of one clip: nothing else enters, so order and sharding cannot."""
    return seed_of("clip", run_seed, clip_id, sample)


def opaque_id(salt: str, task_id: str, clip_id: str) -> str:
    """The name of a clip that methods see: stable on one machine, and no id leads to it.

    Args:
        salt: a secret, without which the name of a known clip could be computed.
    """
    text = f"opaque\x1f{salt}\x1f{task_id}\x1f{clip_id}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
