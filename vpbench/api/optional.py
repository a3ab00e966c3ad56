"""What a metric or dataset may offer besides what it must. vpbench looks for it with `isinstance`.

Structural as `vpbench.api.protocols`: whoever has the methods offers it, nothing is inherited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from vpbench.api.specs import TaskSpec
    from vpbench.api.types import Floor, Problem

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all, in any unit."""


# metrics -----------------------------------------------------------------------------------------


@runtime_checkable
class HasFloor(Protocol):
    """A set metric that says what two sets of real clips give; `vpbench measure` prints it."""

    def real_floor(self) -> Floor | None:
        """The value for two disjoint halves of the real clips seen; None with too few of them."""
        ...


@runtime_checkable
class HasPermutationTest(Protocol):
    """A set metric that can test whether its two sets may be of one distribution.

    `vpbench check` asks for it where the score has no p-value of its own.
    """

    def permutation_p(self, permutations: int, /) -> float | None:
        """Part of the relabellings, this one included, that reach the value; None without one."""
        ...


@runtime_checkable
class DeclaresBias(Protocol):
    """A set metric that says whether few clips shift its expected value.

    Without it, what the jackknife finds is taken off the value (`corrected`), and rows are compared
    by that. With `biased` False nothing is taken off: value, ranks and marks are the metric's own.
    The declaration is part of the fingerprint of its scores, whose default, True, adds nothing.
    """

    @property
    def biased(self) -> bool: ...  # noqa: D102


@runtime_checkable
class CachesFeatures(Protocol):
    """A set metric that computes one feature a clip and keeps it in `ctx.cache`.

    `run` hands the clips to several instances side by side, one side of a clip at a time, and
    flushes them, before another one scores; that one finds the features in the cache.
    """

    def flush(self) -> None:
        """Compute and cache the features of all clips seen so far."""
        ...


@runtime_checkable
class FitsOnTraining(Protocol):
    """A metric that is fitted on `ctx.training` and keeps what it needs of it in `ctx.cache`.

    `run` lets several instances prepare their parts side by side before any of them scores.
    """

    def prepare_training(self, part: tuple[int, int], report: Progress, /) -> None:
        """Do the costly work of every n-th training clip from the k-th on; `part` is (k, n)."""
        ...


# datasets ----------------------------------------------------------------------------------------


@runtime_checkable
class MakesTasks(Protocol):
    """A dataset whose tasks depend on its options."""

    def tasks(self) -> Sequence[TaskSpec]:
        """The tasks instead of `DatasetSpec.tasks`; the first is the default."""
        ...


@runtime_checkable
class HasSubsets(Protocol):
    """A dataset with named parts of its test split, on which every method is scored once more."""

    def subsets(self) -> Mapping[str, frozenset[str]]:
        """Name -> clip ids; the first one is in every table."""
        ...


@runtime_checkable
class HasRandomAccess(Protocol):
    """A dataset that may read any frame as fast as a cache would."""

    random_access: bool
    """Whether it does. Clips of vpbench's own datasets are then not copied into the cache at their
    native size; those of a plugin always are, because no other process reads the dataset."""


@runtime_checkable
class HasReading(Protocol):
    """A dataset whose `read` depends on more than the source bytes of a clip."""

    @property
    def reading(self) -> str:
        """Changes whenever `read` would make other frames of the same bytes: a cache key."""
        ...


@runtime_checkable
class HasWarnings(Protocol):
    """A dataset that has something to say before a run."""

    def warnings(self) -> Sequence[str]:
        """Sentences, such as that another split than the published one is used."""
        ...


@runtime_checkable
class HasPublishedCounts(Protocol):
    """A dataset that was published with certain numbers of clips."""

    def published(self) -> Mapping[str, int]:
        """Clips of each published split; `vpbench data verify` prints them beside what is there."""
        ...


@runtime_checkable
class HasInstructions(Protocol):
    """A dataset that users fetch themselves."""

    def instructions(self) -> str:
        """How to get it; `vpbench data prepare --download` prints it."""
        ...


@runtime_checkable
class Downloads(Protocol):
    """A dataset that can be downloaded."""

    def download(self, report: Progress, /) -> Path:
        """Fetch it into its root, resuming where an earlier call broke off; returns the folder."""
        ...


@runtime_checkable
class ReportsProgress(Protocol):
    """A dataset that says how far `prepare` and `verify` are."""

    reports_progress: bool
    """True: both take a second argument."""

    def prepare(self, root: Path | None, report: Progress, /) -> None:
        """As `Dataset.prepare`."""
        ...

    def verify(self, root: Path | None, report: Progress, /) -> list[Problem]:
        """As `Dataset.verify`."""
        ...


@runtime_checkable
class KeepsIndex(Protocol):
    """A dataset that remembers hashes of its files, so that a later call need not read them."""

    keeps_index: bool
    """True: `prepare` takes `fresh`."""

    def prepare(self, root: Path | None, report: Progress, *, fresh: bool) -> None:
        """As `Dataset.prepare`; `fresh` hashes and decodes all files again."""
        ...
