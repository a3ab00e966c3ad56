"""The dataset `folder`: native clips, splits and labels of any folder, and its task."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vpbench.api.errors import BadData, UnknownName
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.core.names import format_name
from vpbench.data.folder import SPEC
from vpbench.data.folder.alike import alike
from vpbench.data.folder.build import Contents, build
from vpbench.data.folder.findings import Findings
from vpbench.data.folder.labels import load, match
from vpbench.data.folder.media_notes import clip_notes
from vpbench.data.folder.options import Options, parse
from vpbench.data.folder.scan import OnProgress, SourceCheck, silent
from vpbench.data.folder.split import ROLES
from vpbench.data.folder.walk import LABELS
from vpbench.media import decode


class FolderDataset:
    """Clips of a folder. Options are checked at once, the folder is read when first needed.

    Args:
        options: `path` and the options in the brackets; missing ones take the spec's defaults.
        root: takes the place of `path`.
        cache: folder for the scan's index.
        one_set: take all clips as one set, as `vpbench measure` does; see `Options`.

    Attributes:
        passed_over: suffix -> sidecar files that the last scan has passed over.

    Raises:
        UnknownName, UsageError: an option or value that cannot be.
        MissingData: the folder is not there.
    """

    reports_progress = True
    keeps_index = True

    spec = SPEC

    def __init__(
        self,
        options: Mapping[str, Any],
        root: Path | None,
        cache: Path,
        *,
        one_set: bool = False,
    ) -> None:
        self._given = dict(options)
        self._options: Options = replace(parse(options, root), one_set=one_set)
        self.passed_over: Mapping[str, int] = {}
        self._cache = Path(cache)
        self._contents: Contents | None = None
        self._check = SourceCheck(self._options.path)

    @property
    def path(self) -> Path:
        """The resolved folder."""
        return self._options.path

    def splits(self) -> tuple[str, ...]:
        """The splits that have clips, out of train, val and test."""
        return tuple(part for part in ROLES if part in self._read_folder().clips)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Clips of a split in the order of their ids; () for a split without any.

        Raises:
            UnknownName: not train, val or test.
        """
        if split not in ROLES:
            raise UnknownName("split", split, ROLES)
        return self._read_folder().clips.get(split, ())

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3] at native size.

        Raises:
            BadData: the clip changed or broke since it was scanned, or has no such frame.
        """
        return self.read_each(clip, indices, None)

    def read_each(
        self, clip: ClipInfo, indices: Sequence[int], each: Callable[[Frames], Frames] | None
    ) -> Frames:
        """As `read`, with `each` done to each frame [H,W,3] while others are still encoded."""
        contents = self._read_folder()
        source = contents.sources.get(clip.id)
        if source is None:
            raise BadData(f"{self.path} has no clip {clip.id!r}.")
        self._check.check(source.rel, contents.hashes[clip.id])
        how = source.reading(self._options.reading)
        return decode.read(self.path / source.rel, indices, how, each)

    def pose(self, clip: ClipInfo) -> Pose | None:
        """None: a folder has no joints."""
        return None

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of their numbers; () without labels."""
        return self._read_folder().classes

    def joint_names(self) -> tuple[str, ...]:
        """()."""
        return ()

    def prepare(
        self, root: Path | None = None, report: OnProgress = silent, *, fresh: bool = False
    ) -> None:
        """Decode and hash every clip once; later scans take the index in the cache.

        Args:
            fresh: hash and decode all of them again.
        """
        (self if root is None else self._at(root))._read_folder(report, fresh=fresh)

    def verify(self, root: Path | None = None, report: OnProgress = silent) -> list[Problem]:
        """All that is wrong, at once: everything is decoded and hashed again."""
        if root is not None:
            return self._at(root).verify(report=report)
        findings = Findings(self.path, self._named())
        contents = build(self._options, self._cache, findings, fresh=True, report=report)
        self._contents = None
        self._check_unused_labels(contents, findings)
        self._check_lengths(contents, findings)
        self._check_duplicates(contents, findings)
        self._check_groups(contents, findings)
        self._check_splits(contents, findings)
        for sentence in clip_notes(contents.all()):
            findings.warning(self.path, sentence, "See docs/media.md.")
        similar = alike(self.path, contents, self._options.reading, report)
        return [*findings.problems(), *similar]

    def tasks(self) -> tuple[TaskSpec, ...]:
        """The one task that the options describe; the caller adds a hash to its id."""
        size = self._options.size
        clips = self._read_folder().all()
        return (
            TaskSpec(
                id=f"folder-{_safe(self.path.name)}",
                window=self._options.window,
                size=size,
                hashed=True,
                native=all((clip.height, clip.width) == (size, size) for clip in clips),
            ),
        )

    def digest(self) -> str:
        """sha256 of the sorted list of clips: ids, splits and labels."""
        contents = self._read_folder()
        lines = sorted(
            (clip.id, part, None if clip.label is None else contents.classes[clip.label])
            for part, clips in contents.clips.items()
            for clip in clips
        )
        text = json.dumps(lines, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def _named(self) -> str:
        """The dataset as a command line takes it."""
        options = {key: value for key, value in self._given.items() if key != "path"}
        text = format_name(f"folder:{self.path}", options)
        return text if text == f"folder:{self.path}" and " " not in text else shlex.quote(text)

    def _at(self, root: Path) -> FolderDataset:
        return FolderDataset(self._given, root, self._cache, one_set=self._options.one_set)

    def _read_folder(self, report: OnProgress = silent, *, fresh: bool = False) -> Contents:
        if self._contents is None or fresh:
            findings = Findings(self.path, self._named(), sidecars=self._options.one_set)
            contents = build(self._options, self._cache, findings, fresh=fresh, report=report)
            findings.raise_first()
            self.passed_over = dict(findings.passed_over)
            self._contents = contents
        return self._contents

    def _check_unused_labels(self, contents: Contents, findings: Findings) -> None:
        """A table that no option uses may still list clips that are gone."""
        options, path = self._options, self.path / LABELS
        if options.group or options.label or options.split or not path.is_file():
            return
        try:
            match(load(path), contents.sources.values(), findings)
        except BadData as error:
            findings.error(path, error)

    def _check_lengths(self, contents: Contents, findings: Findings) -> None:
        window = self._options.window
        needed = (window.length - 1) * window.step(0) + 1
        what_happens = {"exclude": "it is left out", "loop": "it starts again from its start"}
        for clip in contents.all():
            if clip.frames >= needed:
                continue
            path = self.path / contents.sources[clip.id].rel
            what = f"{path} has {clip.frames} frames, a window of the task needs {needed}"
            if window.short == "error":
                findings.bad(path, f"{what}.", "Remove it, or give short=exclude or short=loop.")
            else:
                what = f"{what}: {what_happens[window.short]}."
                findings.warning(path, what, "Give a smaller horizon or stride to use it as it is.")

    def _check_duplicates(self, contents: Contents, findings: Findings) -> None:
        same: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for part, clips in contents.clips.items():
            for clip in clips:
                same[clip.sha256].append((part, clip.id))
        for copies in same.values():
            parts = sorted({part for part, _ in copies})
            if len(parts) > 1:
                listed = ", ".join(f"{clip_id} ({part})" for part, clip_id in sorted(copies))
                findings.warning(
                    self.path / contents.sources[copies[0][1]].rel,
                    f"the same bytes are in several splits: {listed}.",
                    "Remove all but one, or keep them in one split with group=COLUMN.",
                )

    def _check_groups(self, contents: Contents, findings: Findings) -> None:
        parts: dict[str, set[str]] = defaultdict(set)
        for part, clips in contents.clips.items():
            for clip in clips:
                parts[clip.group].add(part)
        for group in sorted(name for name, present in parts.items() if name and len(present) > 1):
            findings.warning(
                self.path,
                f"group {group!r} is in several splits: {', '.join(sorted(parts[group]))}.",
                "Keep each group in one split: scores on test are too good otherwise.",
            )

    def _check_splits(self, contents: Contents, findings: Findings) -> None:
        for part in ROLES:
            if contents.clips and part not in contents.clips and part != "test":
                findings.warning(
                    self.path, f"{self.path} has no {part} clips.", "Add clips or groups."
                )
        labels = {part: {clip.label for clip in contents.clips.get(part, ())} for part in ROLES}
        for number, name in enumerate(contents.classes):
            if number in labels["test"] and number not in labels["train"]:
                findings.warning(
                    self.path,
                    f"class {name!r} is in test but not in train.",
                    "Add train clips of it: no method can learn it.",
                )


def _safe(name: str) -> str:
    """A folder's name as part of a task's: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", name)).strip("-") or "root"
