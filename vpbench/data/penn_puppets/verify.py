"""What is wrong with Penn Action's annotation files, and which videos move alike."""

from __future__ import annotations

from pathlib import Path

from vpbench.data import duplicates
from vpbench.data.folder.findings import Findings
from vpbench.data.penn.labels import VIDEOS, read_annotation
from vpbench.data.penn.verify import check_labels
from vpbench.data.penn_puppets.joints import filled
from vpbench.data.splits import Split, load


def check_annotations(folder: Path, split: Split, findings: Findings) -> dict[str, int]:
    """Read all annotation files; what is wrong goes to `findings`.

    Returns:
        Number of frames of each video whose annotation can be read.
    """
    published = split.sha256() == load("penn").sha256()
    names = [f"{k:04d}" for k in range(1, VIDEOS + 1)]
    return check_labels(folder, split, findings, names if published else sorted(split.roles))


def alike(folder: Path, split: Split, videos: set[str]) -> list[duplicates.Alike]:
    """Test videos whose people move as those of a training video do."""
    train, test = (
        {
            v: duplicates.movement(filled(read_annotation(folder / f"{v}.mat"))[0])
            for v in split.of(role)
            if v in videos
        }
        for role in ("train", "test")
    )
    return duplicates.near_duplicates(train, test, duplicates.LEAST_MOVED)
