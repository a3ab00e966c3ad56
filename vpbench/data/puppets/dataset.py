"""The dataset `puppets`: rendered once into the cache, then read like any other clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.api.errors import UnknownName
from vpbench.api.specs import TaskSpec
from vpbench.api.types import ClipInfo, Frames, Pose, Problem
from vpbench.core.hashing import digest, tree_sha256
from vpbench.data.puppets.actions import CLASS_NAMES, FRAMES
from vpbench.data.puppets.clips import SPLITS, label_of
from vpbench.data.puppets.manifest import MANIFEST_SIZE, expected_sha256
from vpbench.data.puppets.rendered import NOT_RENDERING, RenderedSplit
from vpbench.data.puppets.skeleton import JOINT_NAMES
from vpbench.data.sizes import square_size
from vpbench.data.specs import PUPPETS

FPS = 12.0

OnProgress = Callable[[int, int], None]

TEST_SPLITS = ("test", "large")
"""Splits that scores are measured on: their hashes are always those of what is rendered here."""
ON_REQUEST = ("large",)
"""Splits that are rendered once their clips are asked for, not whenever puppets are prepared."""


def _silent(done: int, total: int) -> None:
    """Report nothing."""


class Puppets:
    """The `Dataset` of `vpbench.api` over rendered clips.

    Args:
        options: `size`, width and height in pixels.
        root: not used; there is nothing to download.
        cache: rendered clips are kept in `cache/puppets`.
    """

    random_access = True
    reports_progress = True
    """Reads are as fast as a cache: the harness keeps no copies."""

    def __init__(self, options: Mapping[str, Any], root: Path | None, cache: Path) -> None:
        self.spec = PUPPETS
        for name in options:
            if name not in PUPPETS.options:
                raise UnknownName("option of puppets", name, PUPPETS.options)
        self.size = square_size(str(options.get("size", MANIFEST_SIZE)), "puppets")
        source = tree_sha256(Path(__file__).parent, "*.py", NOT_RENDERING)
        self.folder = cache / "puppets" / f"{self.size}-{digest(source)[:16]}"
        self._splits: dict[str, RenderedSplit] = {}
        self._repaired: list[str] = []

    def tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks of the spec; at another size, the same ones with the size in their names."""
        if self.size == MANIFEST_SIZE:
            return PUPPETS.tasks
        return tuple(
            replace(
                task,
                id=self._named(task.id),
                size=self.size,
                trained_as=self._named(task.trained_as),
            )
            for task in PUPPETS.tasks
        )

    def _named(self, task: str) -> str:
        return task.replace("puppets", f"puppets-{self.size}", 1)

    def splits(self) -> tuple[str, ...]:
        """train, val, test, `extra` for pictures of failure cases, `large` for tests of 512."""
        return tuple(SPLITS)

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Clips of a split, with the hashes of what this machine rendered.

        The test splits are rendered where they are not there yet; training clips, which no one
        may need, have the published hashes until they are rendered.

        Raises:
            Corrupt: the rendered clips are damaged.
        """
        if split not in SPLITS:
            raise UnknownName("split of puppets", split, SPLITS)
        rendered = self._rendered(split)
        actual = rendered.hashes() if split in TEST_SPLITS or rendered.there() else None
        return [
            ClipInfo(
                f"{split}/{i:04d}",
                FRAMES,
                self.size,
                self.size,
                label_of(split, i),
                FPS,
                sha256=actual[i] if actual else self._expected(split, i),
            )
            for i in range(SPLITS[split])
        ]

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),size,size,3].

        Raises:
            Corrupt: the bytes in the cache are not those that were rendered.
        """
        split, i = _split_and_number(clip)
        return self._rendered(split).clip(i)[0][list(indices)]

    def pose(self, clip: ClipInfo) -> Pose:
        """float32 [24,13,3] in pixels; the third is 1 where the joint can be seen, else 0."""
        split, i = _split_and_number(clip)
        return np.array(self._rendered(split).clip(i)[1])

    def class_names(self) -> tuple[str, ...]:
        """The nine actions."""
        return CLASS_NAMES

    def joint_names(self) -> tuple[str, ...]:
        """Penn Action's 13 joints, in its order."""
        return JOINT_NAMES

    def prepare(self, root: Path | None = None, report: OnProgress = _silent) -> None:
        """Render what is not in the cache yet, or damaged, on all free cores.

        The large test set is rendered when a task first asks for its clips.
        """
        for split in SPLITS:
            rendered = self._rendered(split)
            error = rendered.damage() if rendered.there() else None
            if error is not None:
                rendered.discard()
                self._repaired.append(f"{error.message} It was rendered again.")
        missing = [s for s in SPLITS if s not in ON_REQUEST and not self._rendered(s).there()]
        total = sum(SPLITS[s] for s in missing)
        done = 0
        for split in missing:
            start = done

            def of_all(count: int, start: int = start) -> None:
                report(start + count, total)

            self._rendered(split).render(of_all)
            done += SPLITS[split]

    def warnings(self) -> list[str]:
        """What `prepare` repaired, and whether other bytes are rendered here than published."""
        lines = list(self._repaired)
        for split in TEST_SPLITS:
            drifted = self._drift(split) if self._wanted(split) else []
            if drifted:
                lines.append(
                    f"puppets: {len(drifted)} of {SPLITS[split]} test clips are rendered "
                    f"differently here (first: {drifted[0]}); scores get a fingerprint of their "
                    "own."
                )
        return lines

    def verify(self, root: Path | None = None, report: OnProgress = _silent) -> list[Problem]:
        """Hash all rendered clips, and compare the hashes with the packaged ones.

        What is not rendered yet is rendered, but for the large test set.
        """
        problems: list[Problem] = []
        damaged: set[str] = set()
        for split in SPLITS:
            rendered = self._rendered(split)
            error = rendered.damage() if rendered.there() else None
            if error is not None:
                damaged.add(split)
                fix = error.fix or ""
                problems.append(Problem("error", f"puppets/{split}", error.message, fix))
        if damaged:
            return problems
        self.prepare(report=report)
        for split in filter(self._wanted, SPLITS):
            drifted = self._drift(split)
            if drifted:
                what = f"{len(drifted)} clips are rendered differently here, first {drifted[0]}"
                fix = "Scores get a fingerprint of their own; please report machine and versions."
                problems.append(Problem("warning", f"puppets/{split}", what, fix))
        return problems

    def _wanted(self, split: str) -> bool:
        """Whether a split is to be there; one on request is once it was asked for."""
        return split not in ON_REQUEST or self._rendered(split).there()

    def _drift(self, split: str) -> list[str]:
        if self.size != MANIFEST_SIZE:
            return []
        return [
            f"{split}/{i:04d}"
            for i, sha in enumerate(self._rendered(split).hashes())
            if sha != expected_sha256(split, i)
        ]

    def _expected(self, split: str, i: int) -> str:
        """The published hash; at other sizes one that is made from it."""
        known = expected_sha256(split, i) or f"{split}/{i}"
        return known if self.size == MANIFEST_SIZE else digest([known, self.size])

    def _rendered(self, split: str) -> RenderedSplit:
        if split not in self._splits:
            name = "puppets" if self.size == MANIFEST_SIZE else f"'puppets[size={self.size}]'"
            command = f"vpbench data prepare {name}"
            self._splits[split] = RenderedSplit(
                self.folder, split, SPLITS[split], self.size, command
            )
        return self._splits[split]

    def __getstate__(self) -> dict[str, Any]:
        """Without arrays that are open: another process opens and verifies its own."""
        return {**self.__dict__, "_splits": {}}


def _split_and_number(clip: ClipInfo) -> tuple[str, int]:
    split, _, number = clip.id.partition("/")
    return split, int(number)
