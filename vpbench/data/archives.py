"""`nemo` and `mgif`: archives with folders train and test, one file a clip."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from vpbench.api.errors import MissingData, UnknownName
from vpbench.api.specs import DatasetSpec, TaskSpec
from vpbench.api.types import ClipInfo, Frames, Problem
from vpbench.data import duplicates
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.index import Facts
from vpbench.data.folder.scan import OnProgress, SourceCheck, scan, silent
from vpbench.data.folder.split import ROLES, by_folder, completed
from vpbench.data.folder.walk import Source
from vpbench.data.sizes import square_size
from vpbench.data.sources import MGIF_SOURCE, NEMO_SOURCE, DataSource
from vpbench.data.specs import MGIF, NEMO
from vpbench.media import decode
from vpbench.media.kinds import Reading

PARTS = ("train", "test")

TEST_PERSONS: frozenset[int] = frozenset(
    (
        4,
        71,
        93,
        105,
        112,
        116,
        133,
        141,
        148,
        155,
        162,
        166,
        172,
        174,
        176,
        201,
        205,
        213,
        215,
        225,
        263,
        265,
        270,
        304,
        336,
        343,
        400,
        414,
        418,
        445,
        447,
        450,
        456,
        483,
        492,
        502,
        505,
        510,
        525,
        536,
        553,
    )
)
"""Numbers of the 41 people whom the archive keeps for the test."""

_SMILE = re.compile(r"(\d{3})_(deliberate|spontaneous)_smile_\d+")


class Archive:
    """The `Dataset` of `vpbench.api` over a folder with train and test; val is 10 % of train.

    Args:
        options: those of the spec.
        root: the folder that holds train and test.
        cache: keeps the facts of every clip.
    """

    spec: DatasetSpec
    reports_progress = True
    keeps_index = True
    source: ClassVar[DataSource]
    how: ClassVar[Reading] = Reading(ground=None)
    """Alpha is dropped, as the published loader does."""
    counts: ClassVar[Mapping[str, int]]

    def __init__(self, options: Mapping[str, Any], root: Path | None, cache: Path) -> None:
        for name in options:
            if name not in self.spec.options:
                raise UnknownName(f"option of {self.spec.name}", name, self.spec.options)
        self.options = dict(options)
        self.root, self.cache = root, cache
        self._contents: tuple[dict[str, list[ClipInfo]], dict[str, Source]] | None = None
        self._check: SourceCheck | None = None

    def splits(self) -> tuple[str, ...]:
        """train, val and test."""
        return ROLES

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Clips of a split, named by their place below the root.

        Raises:
            MissingData: the archive is not there.
            BadData: a file is broken, or the split is not what it should be.
        """
        if split not in ROLES:
            raise UnknownName(f"split of {self.spec.name}", split, ROLES)
        return self._read()[0][split]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3] at native size."""
        root, source = self._folder(), self._read()[1][clip.id]
        if self._check is None:
            self._check = SourceCheck(root)
        self._check.check(source.rel, clip.sha256)
        return decode.read(root / source.rel, indices, self.how)

    def pose(self, clip: ClipInfo) -> None:
        """None: there are no joints."""
        return

    def class_names(self) -> tuple[str, ...]:
        """()."""
        return ()

    def joint_names(self) -> tuple[str, ...]:
        """()."""
        return ()

    def published(self) -> dict[str, int]:
        """Clips of the archive's train and test; 10 % of train become val."""
        return dict(self.counts)

    def prepare(
        self, root: Path | None = None, report: OnProgress = silent, *, fresh: bool = False
    ) -> None:
        """Decode and hash every clip once.

        Args:
            fresh: hash and decode all of them again.
        """
        own = self if root is None else type(self)(self.options, root, self.cache)
        own._read(report, fresh=fresh)

    def warnings(self) -> list[str]:
        """A sentence if there are more or fewer clips than in the published archive."""
        parts = self._read()[0]
        counts = {"train": len(parts["train"]) + len(parts["val"]), "test": len(parts["test"])}
        return [
            f"{self.spec.name}: {self._folder() / part} holds {counts[part]} clips, the published "
            f"archive {count}; scores get a fingerprint of their own."
            for part, count in self.counts.items()
            if counts[part] != count
        ]

    def verify(self, root: Path | None = None, report: OnProgress = silent) -> list[Problem]:
        """All problems at once; everything is decoded again."""
        if root is not None:
            return type(self)(self.options, root, self.cache).verify(report=report)
        try:
            folder = self._folder()
        except MissingData as error:
            return [Problem("error", str(self.root or ""), error.message, error.fix or "")]
        findings = Findings(folder, self.spec.name)
        parts, sources = self._build(findings, report, fresh=True)
        if not findings.problems():
            self._contents = None
            for line in self.warnings():
                where = str(folder / ("train" if "/train holds" in line else "test"))
                findings.warning(where, line, f"Compare with {self.source.link}.")
        train, test = (self._views(parts[part], sources) for part in PARTS)
        alike = duplicates.near_duplicates(train, test)
        return [*findings.problems(), *duplicates.problems(alike)]

    def instructions(self) -> str:
        """How to get it."""
        return self.source.text(self.root)

    def check(
        self, clips: Mapping[str, Facts], paths: Mapping[str, Path], findings: Findings
    ) -> None:
        """Add problems that only clips of this archive can have."""

    def group(self, clip: str) -> str:
        """Clips of one group are not independent; "" = the clip alone."""
        return ""

    def _folder(self) -> Path:
        root, name = self.root, self.spec.name
        if root is None:
            raise MissingData(
                f"{name} needs the folder of its archive.",
                fix=f"Set VPBENCH_DATA to the folder that holds {name}, or give --root DIR. How "
                f"to get it: vpbench data prepare {name} --download",
            )
        if not root.is_dir():
            raise MissingData(
                f"{root} is not there.",
                fix=f"Give --root DIR. How to get it: vpbench data prepare {name} --download",
            )
        missing = [part for part in PARTS if not (root / part).is_dir()]
        if missing:
            raise MissingData(
                f"{root} has no folder {' and no folder '.join(missing)}.",
                fix=self._deeper(root)
                or f"Unpack the whole archive there; see: vpbench data prepare {name} --download",
            )
        return root

    def _deeper(self, root: Path) -> str:
        inner = [
            str(path.parent)
            for depth in ("*", "*/*")
            for path in sorted(root.glob(f"{depth}/train"))
            if (path.parent / "test").is_dir()
        ]
        named = " or ".join(f"--root {shlex.quote(path)}" for path in inner)
        return f"It is in a folder below: give {named}" if inner else ""

    def _read(
        self, report: OnProgress = silent, *, fresh: bool = False
    ) -> tuple[dict[str, list[ClipInfo]], dict[str, Source]]:
        if self._contents is None or fresh:
            findings = Findings(self._folder(), self.spec.name)
            contents = self._build(findings, report, fresh=fresh)
            findings.raise_first()
            self._contents = contents
        return self._contents

    def _build(
        self, findings: Findings, report: OnProgress, *, fresh: bool
    ) -> tuple[dict[str, list[ClipInfo]], dict[str, Source]]:
        root = self._folder()
        scanned = scan(root, self.how, self.cache, findings, fresh=fresh, report=report)
        facts = {source.id: fact for source, fact in scanned.items() if fact is not None}
        self.check(facts, {source.id: root / source.rel for source in scanned}, findings)
        roles = by_folder({name: name.split("/")[:-1] for name in facts}, findings)
        groups = {name: self.group(name) for name in roles}
        roles = completed(roles, groups, str(root), findings)
        out: dict[str, list[ClipInfo]] = {role: [] for role in ROLES}
        for name, role in sorted(roles.items()):
            own = facts[name]
            out[role].append(
                ClipInfo(
                    name,
                    own.frames,
                    own.height,
                    own.width,
                    None,
                    own.fps,
                    groups[name],
                    own.sha256,
                    own.source,
                )
            )
        return out, {source.id: source for source in scanned}

    def _views(
        self, clips: Sequence[ClipInfo], sources: Mapping[str, Source]
    ) -> dict[str, duplicates.Views]:
        folder = self._folder()
        return {
            clip.id: duplicates.views(
                decode.read(folder / sources[clip.id].rel, duplicates.chosen(clip.frames), self.how)
            )
            for clip in clips
        }


class Nemo(Archive):
    """UvA-NEMO as Siarohin et al. aligned it: strips of 32 faces of 64x64 px."""

    spec = NEMO
    source = NEMO_SOURCE
    how = Reading("strips", ground=None)
    counts: ClassVar[Mapping[str, int]] = {"train": 1110, "test": 124}

    def group(self, clip: str) -> str:
        """The person."""
        smile = _SMILE.fullmatch(clip.rpartition("/")[2])
        return smile[1] if smile else ""

    def check(
        self, clips: Mapping[str, Facts], paths: Mapping[str, Path], findings: Findings
    ) -> None:
        """Names, sizes and people: a test person is one of the 41 and never in train."""
        people: dict[str, set[int]] = {part: set() for part in PARTS}
        for name, own in clips.items():
            path = paths[name]
            if (own.height, own.width) != (64, 64):
                findings.bad(
                    path,
                    f"{path} holds frames of {own.width}x{own.height} px, not 64x64.",
                    "Take the archive of 64x64 faces.",
                )
            person, part = self.group(name), name.partition("/")[0]
            if not person:
                findings.bad(
                    path,
                    f"{path} is not named like 001_deliberate_smile_1.",
                    "Restore the names of the archive: they identify people.",
                )
            elif part in people:
                people[part].add(int(person))
        for person in sorted(people["test"] & people["train"]):
            findings.bad(
                self._folder() / "train",
                f"person {person:03d} is in train and in test.",
                "Take the archive's own folders: a person in both makes scores worthless.",
            )
        for person in sorted(people["test"] - TEST_PERSONS - people["train"]):
            findings.bad(
                self._folder() / "test",
                f"person {person:03d} is none of the archive's 41 test people.",
                "Take the archive's own folders.",
            )


class Mgif(Archive):
    """MGIF: gifs of 5 to 100 frames, which are cycles; `size` brings them to another size."""

    spec = MGIF
    source = MGIF_SOURCE
    counts: ClassVar[Mapping[str, int]] = {"train": 900, "test": 100}

    def __init__(self, options: Mapping[str, Any], root: Path | None, cache: Path) -> None:
        super().__init__(options, root, cache)
        own = MGIF.tasks[0].size
        self.size = square_size(str(options.get("size", own)), "mgif")

    def tasks(self) -> tuple[TaskSpec, ...]:
        """The task of the spec; at another size, one with the size in its name."""
        return tuple(
            t if t.size == self.size else replace(t, id=f"{t.id}-{self.size}", size=self.size)
            for t in MGIF.tasks
        )
