"""Parts of a leaderboard entry: the task, the method, its training and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Tier = Literal["original", "reimplementation", "wrapped", "folder"]
"""Whose code predicted: the authors' as a plugin; code rewritten from their paper; the authors'
program, unchanged, in a process of its own; videos that somebody made elsewhere."""

RowKind = Literal["method", "reference", "ceiling", "floor", "null", "oracle", "imported"]


@dataclass(frozen=True, kw_only=True)
class EntryTask:
    """The task, as run.json states it.

    Attributes:
        id: name of the folder below leaderboards/.
        name: within the dataset.
        dataset: as it is typed, without the path of a folder.
        dataset_version: sha256 over all that a run reads of the real test clips.
        split_sha256: over ids, labels and roles of all clips.
        n: number of test clips.
        n_max: frames that a method may be given at most; t0: index of the last of them.
        horizon: T, number of frames to predict.
        stride: source frames between two frames, or "spread".
        size: pixels.
        geometry: how frames were brought to size.
        rendered: the clips are drawn figures.
        limit: only so many test clips were run; such a run is refused.
        notes: remarks on test clips, and the number of clips each is about.
        label, pose: whether the test clips have them.
    """

    id: str
    name: str
    dataset: str
    dataset_version: str
    split: str
    split_sha256: str
    n: int
    n_max: int
    t0: int
    horizon: int
    stride: int | str
    start: int
    windows: int
    short: str
    size: int
    geometry: Mapping[str, Any]
    rendered: bool
    label: bool
    pose: bool
    limit: int | None = None
    train_on: str | None = None
    trained_as: str | None = None
    notes: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, kw_only=True)
class EntryMethod:
    """The method, as it was declared and as it was found.

    Attributes:
        name: with its parameters and slots, as it is typed.
        tier: whose code predicted; None for references, which come with vpbench.
        version: as declared.
        dist: "distribution==version" that it came with; None where it was not installed when the
            entry was made.
        source_sha256: over the syntax trees of all modules of its package that were loaded; None
            where the run does not say.
        commit, dirty: of the checkout it came from, where that is vpbench's.
        params: all parameters.
        slots: slot -> component, as declared.
        weights: name -> sha256 of pretrained weights.
        conditioning_frames: how many given frames it uses.
        uses: "label", "pose".
        samples: videos for each clip.
        notes: what tables say beside it, such as deviations from a paper.
    """

    name: str
    kind: RowKind
    tier: Tier | None
    version: int
    api: int | None
    factory: str
    preset: str
    params: Mapping[str, Any]
    conditioning_frames: int
    uses: tuple[str, ...]
    samples: int
    dist: str | None = None
    source_sha256: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    licence: str | None = None
    citation: str | None = None
    slots: Mapping[str, Any] = field(default_factory=dict[str, Any])
    weights: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EntryCheck:
    """One acceptance check of a stage; `value` is None where it was not finite."""

    name: str
    value: float | None
    at_least: float | None
    at_most: float | None
    unit: str
    passed: bool


@dataclass(frozen=True, kw_only=True)
class EntryStage:
    """A trained stage that the predictions came from.

    Attributes:
        origin: "bundled", "fitted here" and so on.
        sha256: over the files of its checkpoint; None where the run does not say.
    """

    stage: str
    origin: str
    seconds: float
    device: str
    threads: int
    sha256: str | None = None
    checks: tuple[EntryCheck, ...] = ()
    notes: tuple[str, ...] = ()
    not_comparable: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EntryMachine:
    """Where it was predicted; None for what the run does not say."""

    system: str | None = None
    machine: str | None = None
    processor: str | None = None
    cores: int | None = None
    memory_gib: float | None = None
    python: str | None = None
