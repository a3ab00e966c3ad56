"""What is wrong with Penn Action's annotation files, and which videos cannot be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpbench.api.errors import VpbenchError
from vpbench.api.types import Problem
from vpbench.data import duplicates
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.scan import Tell
from vpbench.data.penn import layout
from vpbench.data.penn.labels import VIDEOS, read_annotation
from vpbench.data.penn.verify import check_labels
from vpbench.data.penn_puppets.joints import filled
from vpbench.data.splits import Split, load

if TYPE_CHECKING:
    from vpbench.data.penn_puppets.dataset import PennPuppets


def verify_labels(dataset: PennPuppets, tell: Tell) -> list[Problem]:
    """Problems of the annotation files, videos left out, and movements in train and test."""
    try:
        folder = layout.labels_folder(dataset.root)
        split = dataset.split()
    except VpbenchError as error:
        return [Problem("error", str(dataset.root), error.message, error.fix or "")]
    findings = Findings(folder, "penn-puppets")
    published = split.sha256() == load("penn").sha256()
    names = [f"{k:04d}" for k in range(1, VIDEOS + 1)]
    readable = check_labels(folder, split, findings, names if published else sorted(split.roles))
    if findings.problems():
        return findings.problems()
    dataset.prepare(tell=tell)
    for line in dataset.warnings():
        findings.warning(folder, line, "")
    for video, reason in dataset.left_out().items():
        findings.warning(
            folder / f"{video}.mat", f"{video} ({split.roles[video]}) is left out: {reason}.", ""
        )
    alike = _alike(dataset, split, readable.keys() - dataset.left_out().keys())
    return [*findings.problems(), *duplicates.problems(alike, "moves like")]


def _alike(dataset: PennPuppets, split: Split, videos: set[str]) -> list[duplicates.Alike]:
    folder = layout.labels_folder(dataset.root)
    train, test = (
        {
            v: duplicates.movement(filled(read_annotation(folder / f"{v}.mat"))[0])
            for v in split.of(role)
            if v in videos
        }
        for role in ("train", "test")
    )
    return duplicates.near_duplicates(train, test, duplicates.LEAST_MOVED)
