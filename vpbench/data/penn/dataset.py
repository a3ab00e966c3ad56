"""The dataset `penn`: Penn Action's videos with their joints, on the published split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from vpbench.api.errors import BadData, UnknownName, UsageError
from vpbench.api.specs import Resize, TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.core.stamps import Stamp, file_stamp, joint_stamp
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.index import Facts, Index
from vpbench.data.folder.scan import (
    OnProgress,
    SourceCheck,
    changed,
    examined,
    sha256_of,
    silent,
)
from vpbench.data.folder.split import ROLES, completed
from vpbench.data.folder.walk import Source, present_stamp
from vpbench.data.penn import layout
from vpbench.data.penn.download import fetch
from vpbench.data.penn.frames import AGAIN, check_frames, sized
from vpbench.data.penn.labels import SPELLED, read_annotation
from vpbench.data.penn.subsets import subsets_of
from vpbench.data.penn.verify import verify_archive
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.data.sources import PENN_SOURCE
from vpbench.data.specs import PENN
from vpbench.data.splits import Split, load
from vpbench.media.kinds import Reading

_RULES: tuple[Resize, ...] = ("antialias", "nearest")


class Penn:
    """The `Dataset` of `vpbench.api` over the extracted archive.

    Args:
        options: `resize`, how frames are brought to size: "nearest" is what the authors of the
            published comparison trained on, "antialias" (default) is for everything else.
        root: the folder that holds `frames` and `labels`. If `train_set.txt` and `test_set.txt`
            lie there too, they are the split instead of the published one.
        cache: keeps the facts of every clip.
    """

    spec = PENN
    reports_progress = True
    keeps_index = True

    def __init__(self, options: Mapping[str, Any], root: Path | None, cache: Path) -> None:
        for name in options:
            if name not in PENN.options:
                raise UnknownName("option of penn", name, PENN.options)
        rule = str(options.get("resize", "antialias"))
        if rule not in _RULES:
            raise UsageError(f"resize={rule} of penn: one of {', '.join(_RULES)}.")
        self.resize = cast(Resize, rule)
        self.root, self.cache = root, cache
        self._contents: dict[str, list[ClipInfo]] | None = None
        self._check: SourceCheck | None = None

    def tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks `penn` and `penn-context`; with resize=nearest they are tasks of their own."""
        if self.resize == "antialias":
            return PENN.tasks
        return tuple(replace(t, id=f"{t.id}-{self.resize}", resize=self.resize) for t in PENN.tasks)

    def splits(self) -> tuple[str, ...]:
        """train, val (10 % of the published training videos) and test."""
        return ROLES

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Videos of a split; their names are Penn Action's numbers.

        Raises:
            MissingData: the archive is not there, or not all of it.
            BadData: frames and annotation of a video do not fit each other.
        """
        if split not in ROLES:
            raise UnknownName("split of penn", split, ROLES)
        if self._contents is None:
            self._contents = self._read(silent, fresh=False)
        return self._contents[split]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3].

        Raises:
            BadData: the video changed since its hash was taken, or a frame is broken.
        """
        root = layout.frames_root(self.root)
        if self._check is None:
            self._check = SourceCheck(root)
        self._check.check(f"frames/{clip.id}", clip.sha256)
        folder = layout.clip_folder(root, clip.id)
        out = np.empty((len(indices), clip.height, clip.width, 3), np.uint8)
        for row, k in zip(out, indices, strict=True):
            path = folder / f"{int(k) + 1:06d}.jpg"
            row[...] = sized(path, clip.height, clip.width)
        return out

    def pose(self, clip: ClipInfo) -> Pose:
        """float32 [L,13,3] in pixels; the third is 1 where the annotators saw the joint, else 0."""
        path = layout.frames_root(self.root) / "labels" / f"{clip.id}.mat"
        annotation = read_annotation(path)
        if annotation.sha256 != clip.pose_sha256:
            raise changed(path)
        joints = np.zeros((annotation.frames, 13, 3), np.float32)
        # A few visible joints are written slightly outside of the picture.
        joints[..., 0] = np.clip(annotation.xy[..., 0], 0, annotation.width - 1)
        joints[..., 1] = np.clip(annotation.xy[..., 1], 0, annotation.height - 1)
        joints[..., 2] = annotation.visible
        joints[~annotation.visible] = 0
        return joints

    def class_names(self) -> tuple[str, ...]:
        """The nine actions of the published comparison."""
        return load("penn").classes

    def joint_names(self) -> tuple[str, ...]:
        """The 13 joints in the order of the annotation files."""
        return JOINT_NAMES

    def subsets(self) -> dict[str, frozenset[str]]:
        """Named parts of the test split, by clip; see `vpbench.data.penn.subsets`."""
        return subsets_of(self.split(), {c.id: c.frames for c in self.clips("test")})

    def published(self) -> dict[str, int]:
        """Videos of the published split; 10 % of its training part become val."""
        split = load("penn")
        return {"train": len(split.of("train")), "test": len(split.of("test"))}

    def prepare(
        self, root: Path | None = None, report: OnProgress = silent, *, fresh: bool = False
    ) -> None:
        """Hash every video of the split once.

        Args:
            fresh: hash all of them again.
        """
        own = self if root is None else replace_root(self, root)
        own._contents = own._read(report, fresh=fresh)

    def warnings(self) -> list[str]:
        """A sentence if the folder has another split than the published one."""
        return layout.split_warnings("penn", self.split())

    def verify(self, root: Path | None = None, report: OnProgress = silent) -> list[Problem]:
        """All problems at once; every video is hashed and every frame decoded."""
        own = self if root is None else replace_root(self, root)
        problems = verify_archive(own.root, report)
        if not any(problem.level == "error" for problem in problems):
            findings = Findings(layout.frames_root(own.root), "penn")
            own._facts(findings, report, fresh=True)
            problems = [*findings.problems(), *problems]
        return problems

    def instructions(self) -> str:
        """How to get it."""
        return PENN_SOURCE.text(self.root)

    def download(self, report: OnProgress = silent) -> Path:
        """Fetch and extract the archive into the root; resumes where an earlier call broke off.

        Raises:
            UsageError: no folder was named.
            Missing: the address does not answer, or there is not enough space.
            BadData: what came is not Penn Action.
        """
        if self.root is None:
            raise UsageError("no dataset folder given.", fix="Give --root DIR.")
        return fetch(self.root, report)

    def split(self) -> Split:
        """The published split, or the one in the folder."""
        return layout.own_split(layout.frames_root(self.root)) or load("penn")

    def _read(self, report: OnProgress, *, fresh: bool) -> dict[str, list[ClipInfo]]:
        findings = Findings(layout.frames_root(self.root), "penn")
        facts = self._facts(findings, report, fresh=fresh)
        findings.raise_first()
        return clips_of(self.split(), facts, findings)

    def _facts(self, findings: Findings, report: OnProgress, *, fresh: bool) -> dict[str, Facts]:
        root = layout.frames_root(self.root)
        index = Index(self.cache, root, Reading(), fresh=fresh)
        return facts_of(root, self.split(), index, findings, report)


def replace_root(dataset: Penn, root: Path) -> Penn:
    """The same dataset in another folder."""
    return Penn({"resize": dataset.resize}, root, dataset.cache)


def clips_of(
    split: Split, facts: Mapping[str, Facts], findings: Findings
) -> dict[str, list[ClipInfo]]:
    """Clips by role; 10 % of the training videos become val, by the sha256 of their names."""
    roles = completed(split.roles, {}, "penn", findings)
    findings.raise_first()
    out: dict[str, list[ClipInfo]] = {role: [] for role in ROLES}
    for video, role in sorted(roles.items()):
        own = facts[video]
        out[role].append(
            ClipInfo(
                video,
                own.frames,
                own.height,
                own.width,
                split.labels[video],
                sha256=own.sha256,
                source=own.source,
                pose_sha256=own.pose_sha256,
            )
        )
    return out


def facts_of(
    root: Path, split: Split, index: Index, findings: Findings, report: OnProgress
) -> dict[str, Facts]:
    """Facts of all videos of a split; what is wrong goes to `findings`."""

    def look(source: Source) -> Stamp:
        return _stamp(root, source.id, split.labels[source.id])

    def facts(source: Source) -> Facts:
        return examine(root, source.id, split.classes[split.labels[source.id]])

    listed = [
        Source(video, f"frames/{video}", _stamp(root, video, split.labels[video]), image=False)
        for video in sorted(split.roles)
    ]
    known = examined(root, listed, facts, index, findings, report, look)
    return {source.id: own for source, own in known.items() if own is not None}


def _stamp(root: Path, video: str, label: int) -> Stamp:
    """Of frames and annotation; the class is in it because both were held against it."""
    frames = present_stamp(root, f"frames/{video}")
    annotation = file_stamp(root / "labels" / f"{video}.mat")
    return joint_stamp([(f"frames of class {label}", frames), ("annotation", annotation)])


def examine(root: Path, video: str, label: str) -> Facts:
    """Check frames, annotation and class of one video against each other.

    Raises:
        MissingData, BadData: names the first thing that is wrong.
    """
    folder = layout.clip_folder(root, video)
    path = root / "labels" / f"{video}.mat"
    annotation = read_annotation(path)
    action = SPELLED.get(annotation.action, annotation.action)
    if action != label:
        raise BadData(f"{path} has the action {annotation.action}, the split {label}.", fix=AGAIN)
    check_frames(folder, annotation)
    sha256 = sha256_of(folder)
    return Facts(
        sha256,
        annotation.frames,
        annotation.height,
        annotation.width,
        None,
        "codec",
        annotation.sha256,
    )
