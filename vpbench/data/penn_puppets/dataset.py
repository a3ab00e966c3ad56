"""The dataset `penn-puppets`: real motion of nine actions, drawn; no film is needed.

Hashes of rendered test clips are kept in the cache (`penn-puppets/rendered.json`). key: sha256 of
the annotation file, the clip's role, its size, and the sources of the renderer. The file carries
its own sha256; one that does not match counts as empty.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import Corrupt, UnknownName, VpbenchError
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.core.files import read_json, write_json
from vpbench.core.hashing import digest, tree_sha256
from vpbench.core.pools import in_processes
from vpbench.core.provenance import cores
from vpbench.data import duplicates
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.scan import OnProgress, changed, silent
from vpbench.data.folder.split import ROLES, Role, completed
from vpbench.data.penn import layout
from vpbench.data.penn.labels import SPELLED, Annotation, read_annotation
from vpbench.data.penn.subsets import subsets_of
from vpbench.data.penn_puppets.joints import filled, incomplete, to_picture
from vpbench.data.penn_puppets.render import VERSION, Figure, figure_of, render
from vpbench.data.penn_puppets.verify import alike, check_annotations
from vpbench.data.puppets.rendered import NOT_RENDERING
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.data.sources import PENN_SOURCE
from vpbench.data.specs import PENN_PUPPETS
from vpbench.data.splits import Split, load, read

SIZE = 64
RENDERER = "ecd71687986e04ba16fd0c4074cd14089c1b12075146ade2415f33c8cec48f10"
"""Stands for the renderer in the hashes of training clips: another value, by hand, whenever a pixel
changes (together with `render.VERSION`). Those of test clips are of their pixels."""
RENDERED = "penn-puppets/rendered.json"
"""Within the cache."""
INTERPOLATED = "with interpolated joints"
"""`ClipInfo.note` of videos in which a joint was not annotated in every frame."""


class PennPuppets:
    """The `Dataset` of `vpbench.api` over Penn Action's annotation files alone.

    Args:
        options: none.
        root: the folder with `labels/NNNN.mat`, or that folder itself.
        cache: keeps the hashes of the rendered test clips.
    """

    spec = PENN_PUPPETS
    reports_progress = True

    def __init__(self, options: Mapping[str, Any], root: Path | None, cache: Path) -> None:
        for name in options:
            raise UnknownName("option of penn-puppets", name, PENN_PUPPETS.options)
        self.root, self.cache = root, cache
        self._contents: dict[str, list[ClipInfo]] | None = None
        self._by_video: dict[str, Role] = {}
        self._folder: Path | None = None

    @property
    def reading(self) -> str:
        """Changes with the sources of the renderer."""
        return _renderer()

    def tasks(self) -> tuple[TaskSpec, ...]:
        """The one task, with the windows of `penn`."""
        return PENN_PUPPETS.tasks

    def splits(self) -> tuple[str, ...]:
        """train, val and test, as `penn`."""
        return ROLES

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Videos of a split without those that are too incomplete; test has the rendered hashes.

        Raises:
            MissingData: the annotation files are not there, or not all of them.
            BadData: a file is broken, or of another class than in the split.
        """
        if split not in ROLES:
            raise UnknownName("split of penn-puppets", split, ROLES)
        if self._contents is None:
            self._contents = self._read(silent)
        return self._contents[split]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),64,64,3]."""
        return render(self._figure(clip), indices, SIZE)

    def pose(self, clip: ClipInfo) -> Pose:
        """float32 [L,13,3] in pixels; the third is 1 for annotated joints, 0.5 for interpolated."""
        annotation = self._annotation(clip)
        xy, guessed = filled(annotation)
        joints = np.ones((annotation.frames, 13, 3), np.float32)
        joints[..., :2] = to_picture(xy, annotation.height, annotation.width, SIZE)
        joints[..., 2][guessed] = 0.5
        return joints

    def class_names(self) -> tuple[str, ...]:
        """The nine actions of the published comparison."""
        return load("penn").classes

    def joint_names(self) -> tuple[str, ...]:
        """The 13 joints in the order of the annotation files."""
        return JOINT_NAMES

    def subsets(self) -> dict[str, frozenset[str]]:
        """Named parts of the test split, as those of `penn`."""
        lengths = {c.id: c.frames for c in self.clips("test")}
        parts = subsets_of(self.split(), {v: lengths.get(v, 0) for v in self.split().of("test")})
        kept = {name: part & lengths.keys() for name, part in parts.items()}
        return {name: frozenset(part) for name, part in kept.items() if part}

    def published(self) -> dict[str, int]:
        """Videos of the published split; 10 % of its training part become val."""
        split = load("penn")
        return {"train": len(split.of("train")), "test": len(split.of("test"))}

    def left_out(self) -> dict[str, str]:
        """Videos that are too incomplete to be drawn, and why."""
        folder = self._labels()
        reasons = {
            video: incomplete(read_annotation(folder / f"{video}.mat"))
            for video in sorted(self.split().roles)
        }
        return {video: reason for video, reason in reasons.items() if reason}

    def prepare(self, root: Path | None = None, report: OnProgress = silent) -> None:
        """Render the test clips once for their hashes."""
        own = self if root is None else PennPuppets({}, root, self.cache)
        own._contents = own._read(report)

    def warnings(self) -> list[str]:
        """Sentences about another split, other exclusions, and pixels that differ here."""
        lines = layout.split_warnings("penn-puppets", self.split())
        manifest = read("penn-puppets")
        if not lines and sorted(self.left_out()) != sorted(manifest["excluded"]):
            lines.append(
                f"penn-puppets: {', '.join(self.left_out()) or 'no video'} left out, not "
                f"{', '.join(manifest['excluded'])}; scores get a fingerprint of their own."
            )
        drifted = [
            c.id for c in self.clips("test") if manifest["sha256"].get(c.id, c.sha256) != c.sha256
        ]
        if drifted:
            lines.append(
                f"penn-puppets: {len(drifted)} test clips are rendered differently here (first: "
                f"{drifted[0]}); scores get a fingerprint of their own."
            )
        return lines

    def verify(self, root: Path | None = None, report: OnProgress = silent) -> list[Problem]:
        """All that is wrong with the annotation files, and which videos are left out.

        Every test clip is rendered again.
        """
        if root is not None:
            return PennPuppets({}, root, self.cache).verify(report=report)
        try:
            folder, split = self._labels(), self.split()
        except VpbenchError as error:
            return [Problem("error", str(self.root or ""), error.message, error.fix or "")]
        findings = Findings(folder, "penn-puppets")
        readable = check_annotations(folder, split, findings)
        if findings.problems():
            return findings.problems()
        (self.cache / RENDERED).unlink(missing_ok=True)
        self._contents = self._read(report)
        for line in self.warnings():
            findings.warning(folder, line, "")
        left_out = self.left_out()
        for video, reason in left_out.items():
            findings.warning(
                folder / f"{video}.mat",
                f"{video} ({split.roles[video]}) is left out: {reason}.",
                "",
            )
        similar = alike(folder, split, readable.keys() - left_out.keys())
        return [*findings.problems(), *duplicates.problems(similar, "moves like")]

    def instructions(self) -> str:
        """How to get it."""
        return PENN_SOURCE.text(self.root)

    def split(self) -> Split:
        """The published split, or the one in the folder."""
        folder = self._labels()
        return layout.own_split(folder.parent) or layout.own_split(folder) or load("penn")

    def _labels(self) -> Path:
        if self._folder is None:
            self._folder = layout.labels_folder(self.root)
        return self._folder

    def _roles(self) -> dict[str, Role]:
        """As `penn`: who is val does not depend on who is left out."""
        if not self._by_video:
            findings = Findings(self._labels(), "penn-puppets")
            self._by_video = completed(self.split().roles, {}, "penn-puppets", findings)
            findings.raise_first()
        return self._by_video

    def _annotation(self, clip: ClipInfo) -> Annotation:
        """What the clip is drawn from.

        Raises:
            BadData: its file changed since its hash was taken.
        """
        path = self._labels() / f"{clip.id}.mat"
        annotation = read_annotation(path)
        if annotation.sha256 != clip.pose_sha256:
            raise changed(path)
        return annotation

    def _figure(self, clip: ClipInfo) -> Figure:
        return _figure(self._annotation(clip), clip.id, self._roles()[clip.id])

    def _read(self, report: OnProgress) -> dict[str, list[ClipInfo]]:
        folder, split = self._labels(), self.split()
        findings = Findings(folder, "penn-puppets")
        out: dict[str, list[ClipInfo]] = {role: [] for role in ROLES}
        for video, role in sorted(self._roles().items()):
            path = folder / f"{video}.mat"
            try:
                annotation = read_annotation(path)
            except VpbenchError as error:
                findings.error(path, error)
                continue
            action, label = SPELLED.get(annotation.action, annotation.action), split.labels[video]
            if action != split.classes[label]:
                what = (
                    f"{path} has the action {annotation.action}, the split {split.classes[label]}."
                )
                findings.bad(path, what, "Extract it again from the archive.")
            elif not incomplete(annotation):
                note = "" if annotation.known.all() else INTERPOLATED
                own = digest([annotation.sha256, RENDERER, role, SIZE])
                clip = ClipInfo(video, annotation.frames, SIZE, SIZE, label, sha256=own, note=note)
                out[role].append(replace(clip, pose_sha256=annotation.sha256))
        findings.raise_first()
        out["test"] = self._rendered(out["test"], report)
        return out

    def _rendered(self, clips: list[ClipInfo], report: OnProgress) -> list[ClipInfo]:
        """Test clips with the hash of what this machine renders, instead of that of its inputs."""
        path = self.cache / RENDERED
        known = _load(path)
        keys = {clip.id: digest([clip.sha256, self.reading]) for clip in clips}
        todo = [clip for clip in clips if keys[clip.id] not in known]
        if todo:
            work = [(self._labels(), clip.id) for clip in todo]
            for number, sha256 in enumerate(_in_parallel(work), 1):
                known[keys[todo[number - 1].id]] = sha256
                report(number, len(todo))
            write_json(path, {"rendered": known, "sha256": digest(known)})
        return [replace(clip, sha256=known[keys[clip.id]]) for clip in clips]


def _load(path: Path) -> dict[str, str]:
    """Hashes of rendered clips by those of what they are rendered from; {} if the file is bad."""
    try:
        stored = read_json(path)
        known, seal = stored["rendered"], stored["sha256"]
    except (OSError, Corrupt, KeyError, TypeError):
        return {}
    return known if seal == digest(known) else {}


@functools.cache
def _renderer() -> str:
    """Changes with everything that can change a pixel."""
    data = Path(__file__).parents[1]
    parts = ("penn_puppets", "puppets")
    return digest([VERSION, *(tree_sha256(data / p, "*.py", NOT_RENDERING) for p in parts)])


@functools.lru_cache(maxsize=64)
def _figure(annotation: Annotation, video: str, role: str) -> Figure:
    return figure_of(annotation, video, role, SIZE)


def _hash_rendered(work: tuple[Path, str]) -> str:
    folder, video = work
    figure = _figure(read_annotation(folder / f"{video}.mat"), video, "test")
    pixels = render(figure, range(len(figure.track.joints)), SIZE)
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _in_parallel(work: list[tuple[Path, str]]) -> Iterator[str]:
    if cores() == 1 or len(work) < 16:  # starting processes would cost more than it saves
        return map(_hash_rendered, work)
    return in_processes(_hash_rendered, work, cores(), "renders clips", chunk=4)
