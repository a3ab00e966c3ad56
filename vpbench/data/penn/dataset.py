"""The dataset `penn`: Penn Action's videos with their joints, on the published split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from vpbench.api.errors import BadData, UnknownName, UsageError, VpbenchError
from vpbench.api.specs import Resize, TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.scan import Facts, Index, Tell, examined, sha256_of, silent
from vpbench.data.folder.split import ROLES, completed
from vpbench.data.folder.walk import Source, signature
from vpbench.data.penn import layout
from vpbench.data.penn.labels import SPELLED, Annotation, read_annotation
from vpbench.data.penn.subsets import subsets_of
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.data.specs import PENN
from vpbench.data.splits import Split, load
from vpbench.media import images
from vpbench.media.kinds import Strips

AGAIN = "Extract Penn_Action.tar.gz again."
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
            self._contents = self._read(silent)
        return self._contents[split]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3]."""
        folder = layout.clip_folder(layout.frames_root(self.root), clip.id)
        out = np.empty((len(indices), clip.height, clip.width, 3), np.uint8)
        for row, k in zip(out, indices, strict=True):
            path = folder / f"{int(k) + 1:06d}.jpg"
            row[...] = sized(path, clip.height, clip.width)
        return out

    def pose(self, clip: ClipInfo) -> Pose:
        """float32 [L,13,3] in pixels; the third is 1 where the annotators saw the joint, else 0."""
        found = read_annotation(layout.frames_root(self.root) / "labels" / f"{clip.id}.mat")
        joints = np.zeros((found.frames, 13, 3), np.float32)
        # A few visible joints are written slightly outside of the picture.
        joints[..., 0] = np.clip(found.xy[..., 0], 0, found.width - 1)
        joints[..., 1] = np.clip(found.xy[..., 1], 0, found.height - 1)
        joints[..., 2] = found.visible
        joints[~found.visible] = 0
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

    def prepare(self, root: Path | None = None, tell: Tell = silent) -> None:
        """Hash every video of the split once."""
        own = self if root is None else replace_root(self, root)
        own._contents = own._read(tell)

    def warnings(self) -> list[str]:
        """A sentence if another split than the published one lies in the folder."""
        return split_warnings("penn", self.split())

    def verify(self, root: Path | None = None, tell: Tell = silent) -> list[Problem]:
        """All that is wrong, at once; every frame is decoded."""
        from vpbench.data.penn.verify import verify_archive

        return verify_archive(self if root is None else replace_root(self, root), tell)

    def instructions(self) -> str:
        """How to get it."""
        from vpbench.data.sources import PENN_SOURCE

        return PENN_SOURCE.text(self.root)

    def download(self, tell: Tell = silent) -> Path:
        """Fetch and extract the archive into the root; goes on where an earlier call broke off.

        Raises:
            UsageError: no folder was named.
            Missing: the address does not answer, or there is not enough space.
            BadData: what came is not Penn Action.
        """
        from vpbench.data.penn.download import fetch

        if self.root is None:
            raise UsageError("say where Penn Action shall lie.", fix="Give --root DIR.")
        return fetch(self.root, tell)

    def split(self) -> Split:
        """The published split, or the one in the folder."""
        return layout.own_split(layout.frames_root(self.root)) or load("penn")

    def _read(self, tell: Tell) -> dict[str, list[ClipInfo]]:
        root = layout.frames_root(self.root)
        split = self.split()
        findings = Findings(root, "penn")
        facts = facts_of(root, split, self.cache, findings, tell)
        findings.raise_first()
        return clips_of(split, facts, findings)


def replace_root(dataset: Penn, root: Path) -> Penn:
    """The same dataset in another folder."""
    return Penn({"resize": dataset.resize}, root, dataset.cache)


def split_warnings(name: str, split: Split) -> list[str]:
    """What to say when a split is not the published one."""
    published = load("penn")
    if split.sha256() == published.sha256():
        return []
    return [
        f"{name}: train_set.txt and test_set.txt name {len(split.of('train'))} training and "
        f"{len(split.of('test'))} test videos, not the published 1172 and 90; scores get a "
        "fingerprint of their own."
    ]


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
            )
        )
    return out


def facts_of(
    root: Path, split: Split, cache: Path, findings: Findings, tell: Tell
) -> dict[str, Facts]:
    """Facts of all videos of a split; what is wrong goes to `findings`."""
    index = Index(cache, root, Strips())
    found = [_source(root, video, split.labels[video]) for video in sorted(split.roles)]
    known = examined(
        root, found, lambda source: _examine(root, source, split), index, findings, tell
    )
    index.save(root)
    return {source.id: facts for source, facts in known.items() if facts is not None}


def _source(root: Path, video: str, label: int) -> Source:
    rel = f"frames/{video}"
    try:
        status = (root / "labels" / f"{video}.mat").stat()
        mark = f"{status.st_size}:{status.st_mtime_ns}"
    except OSError:
        mark = ""
    return Source(video, rel, f"{signature(root, rel)} {mark} {label}", False)


def _examine(root: Path, source: Source, split: Split) -> Facts | VpbenchError:
    try:
        return examine(root, source.id, split.classes[split.labels[source.id]])
    except VpbenchError as error:
        return error
    except OSError as error:
        return BadData(f"{root / source.rel} cannot be read: {error.strerror or error}.")


def examine(root: Path, video: str, label: str) -> Facts:
    """Hold frames, annotation and class of one video against each other.

    Raises:
        MissingData, BadData: names the first thing that is wrong.
    """
    folder = layout.clip_folder(root, video)
    found = read_annotation(root / "labels" / f"{video}.mat")
    action = SPELLED.get(found.action, found.action)
    if action != label:
        raise BadData(
            f"{root / 'labels' / f'{video}.mat'} says {found.action}, the split says {label}.",
            fix=AGAIN,
        )
    check_frames(folder, found)
    return Facts(sha256_of(folder), found.frames, found.height, found.width, None, "codec")


def check_frames(folder: Path, found: Annotation) -> None:
    """All frames of a video are there, none is empty, and the first has the announced size.

    Raises:
        MissingData, BadData: names the folder or file.
    """
    from vpbench.api.errors import MissingData

    if not folder.is_dir():
        raise MissingData(f"{folder} is not there.", fix=AGAIN)
    there = {p.name: p.stat().st_size for p in folder.iterdir() if p.suffix == ".jpg"}
    wanted = [p.name for p in layout.frame_files(folder, found.frames)]
    missing = [name for name in wanted if not there.get(name)]
    if missing:
        raise MissingData(
            f"{folder} has {len(wanted) - len(missing)} of {len(wanted)} frames; the first that "
            f"is missing or empty is {missing[0]}.",
            fix=AGAIN,
        )
    extra = sorted(there.keys() - set(wanted))
    if extra:
        raise BadData(
            f"{folder / extra[0]} is one frame more than the {found.frames} that the annotation "
            "speaks of.",
            fix="Remove it, or extract Penn_Action.tar.gz again.",
        )
    head = images.header(folder / wanted[0])
    if (head.height, head.width) != (found.height, found.width):
        raise BadData(
            f"{folder / wanted[0]} is {head.width}x{head.height} px, its annotation speaks of "
            f"{found.width}x{found.height} px.",
            fix=AGAIN,
        )


def sized(path: Path, height: int, width: int) -> Frames:
    """One frame, uint8 [height,width,3].

    Raises:
        MissingData, BadData: it is not there, broken, or of another size.
    """
    frame = images.read_image(path)
    if frame.shape[:2] != (height, width):
        raise BadData(
            f"{path} is {frame.shape[1]}x{frame.shape[0]} px, the first frame of its video is "
            f"{width}x{height} px.",
            fix=AGAIN,
        )
    return frame
