"""`--fit`: which stages are still to be trained, also after an interruption.

Every run that is fitted again has a small file beside the stages while that lasts. It names those
that are left, so that the same command does not train again what it has trained already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import Corrupt
from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import read_json, write_json
from vpbench.core.plan import RunPlan
from vpbench.core.run_folders import retire


@dataclass
class _Left:
    """What is left of fitting one run again: names of stage folders.

    Attributes:
        pending: their earlier training is still in its place.
        begun: it was set aside.
    """

    path: Path
    pending: set[str]
    begun: set[str]

    def store(self) -> None:
        """Write the file, or remove it once nothing is left."""
        if self.pending or self.begun:
            value = {"pending": sorted(self.pending), "begun": sorted(self.begun)}
            write_json(self.path, value)
        else:
            self.path.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> _Left | None:
        """None where the file is missing or damaged."""
        try:
            value = cast("dict[str, Any]", read_json(path))
            return cls(path, set(map(str, value["pending"])), set(map(str, value["begun"])))
        except (FileNotFoundError, Corrupt, KeyError, TypeError):
            return None


class Refits:
    """The stages that `--fit` trains although a checkpoint is there.

    Args:
        wanted: whether `--fit` was given.
    """

    def __init__(self, runs: Sequence[RunPlan], *, wanted: bool) -> None:
        self._wanted = wanted
        self._left: list[_Left] = []
        for run in runs:
            stages = {s.folder.path.name: s for s in run.stages if s.origin in ("to fit", "fitted")}
            if not stages:
                continue
            folder = next(iter(stages.values())).folder.path.parent
            path = folder / f".refit-{run.key[:8]}.json"
            left = _Left.read(path)
            if left is not None:
                left.begun -= {n for n in left.begun if n in stages and stages[n].folder.complete()}
            elif wanted:
                left = _Left(path, set(stages), set())
            if left is not None:
                left.store()
                self._left.append(left)

    def due(self, stage: StagePlan) -> bool:
        """Whether a stage is to be trained even if it is complete."""
        return self._wanted and any(stage.folder.path.name in x.pending for x in self._left)

    def set_aside(self, stage: StagePlan) -> str:
        """Set the earlier training of a stage aside.

        Returns:
            Why, and where it is now, for a note.
        """
        kept = retire(stage.folder.path)
        name = stage.folder.path.name
        for left in self._left:
            if name in left.pending:
                left.pending.remove(name)
                left.begun.add(name)
                left.store()
        why = stage.stale or "requested with --fit"
        return f"{why}: {stage.node.label} is trained again; the earlier training is kept in {kept}"

    def trained(self, stage: StagePlan) -> None:
        """A stage is complete."""
        name = stage.folder.path.name
        for left in self._left:
            if name in left.pending | left.begun:
                left.pending.discard(name)
                left.begun.discard(name)
                left.store()
