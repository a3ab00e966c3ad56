"""The hash of every clip at 64 pixels, so that a drift of the renderer is seen and named.

`python -m vpbench.data.puppets.manifest` renders all clips and prints what differs from the
packaged manifest; with `--write` it replaces the manifest and prints its new `PIN`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from importlib import resources
from pathlib import Path

from vpbench.core.hashing import digest
from vpbench.core.shipped import shipped_json
from vpbench.data.puppets.clips import SPLITS, VERSION, render_clip

MANIFEST = "manifest.json"
MANIFEST_SIZE = 64
PIN = "90d6540222ffaaf3febc41f094bee080f02233bac09c9fbf61d6caafc65c6cc6"
"""Digest of the manifest."""


@cache
def load_manifest() -> dict[str, tuple[str, ...]]:
    """Hashes by split in the order of clip numbers; empty if there is no such file.

    Raises:
        HashMismatch: the manifest is not the one that was shipped.
    """
    file = resources.files("vpbench.data.puppets") / MANIFEST
    if not file.is_file():
        return {}
    stored = shipped_json(file, PIN)["sha256"]
    return {split: tuple(stored[split]) for split in SPLITS}


def expected_sha256(split: str, index: int) -> str | None:
    """The hash that `render_clip(split, index).sha256()` should have, or None if unknown."""
    hashes = load_manifest().get(split, ())
    return hashes[index] if 0 <= index < len(hashes) else None


def hash_of(hashes: dict[str, tuple[str, ...]]) -> str:
    """sha256 over split names and hashes in their fixed order."""
    lines = [
        f"{split}/{i} {value}\n"
        for split in sorted(hashes)
        for i, value in enumerate(hashes[split])
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def render_hashes() -> dict[str, tuple[str, ...]]:
    """Hashes of all clips as this machine renders them."""
    return {
        split: tuple(render_clip(split, i, MANIFEST_SIZE).sha256() for i in range(count))
        for split, count in SPLITS.items()
    }


def write_manifest(path: Path, hashes: dict[str, tuple[str, ...]]) -> None:
    """Writes the manifest; one clip a line, so that a change reads well as a difference."""
    body = {
        "version": VERSION,
        "size": MANIFEST_SIZE,
        "sha256": {split: list(values) for split, values in hashes.items()},
    }
    path.write_text(json.dumps(body, indent=0) + "\n", encoding="utf-8")
    sys.stdout.write(f"PIN = {digest(body)!r}\n")


def main(arguments: list[str]) -> int:
    """Compares or, with `--write`, replaces the packaged manifest."""
    hashes = render_hashes()
    known = load_manifest()
    drifted = [
        f"{split}/{i}"
        for split, values in hashes.items()
        for i, value in enumerate(values)
        if i >= len(known.get(split, ())) or known[split][i] != value
    ]
    sys.stdout.write(
        f"{sum(map(len, hashes.values()))} clips, {len(drifted)} differ from the "
        f"manifest\n{hash_of(hashes)}\n"
    )
    if "--write" in arguments:
        write_manifest(Path(__file__).with_name(MANIFEST), hashes)
        return 0
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
