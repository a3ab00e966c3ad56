"""What plugins implement and what they are given. Structural: nothing to inherit from.

B clips, S samples, T frames, n given frames, K keypoints, J joints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vpbench.api.types import (
    NO_AUGMENT,
    Augment,
    Batch,
    Clip,
    ClipInfo,
    Conditioning,
    Frames,
    Pair,
    Pose,
    Problem,
    Score,
    Seeds,
    TaskInfo,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from vpbench.api.specs import DatasetSpec, MetricSpec, Value


@runtime_checkable
class Method(Protocol):
    """What the harness knows of a method. `factory(task, params, slots)` makes one."""

    def predict(self, given: Conditioning, horizon: int, seeds: Seeds) -> Frames:
        """Predict the future of B clips.

        Args:
            given: frames up to t0, label, pose.
            horizon: T, number of frames to predict.
            seeds: int64 [B,S]; the only source of randomness.

        Returns:
            uint8 [B,S,T,H,W,3].
        """
        ...


@runtime_checkable
class Trainable(Method, Protocol):
    """A method with stages. The harness calls `load` for all that a stage needs, `fit`, `save`."""

    def fit(self, stage: str, data: TrainView, ctx: FitContext) -> None:
        """Train one stage. Must stop soon, without an error, once `ctx.should_stop` is true."""
        ...

    def save(self, stage: str, folder: Path) -> None:
        """Write what the stage has learned into `folder`; no pickles."""
        ...

    def load(self, stage: str, folder: Path, device: str) -> None:
        """Read what `save` wrote."""
        ...


@runtime_checkable
class HasIntermediates(Protocol):
    """A method that can show how it made its frames."""

    def intermediates(self, given: Conditioning, horizon: int, seeds: Seeds) -> Mapping[str, Any]:
        """Arrays for pictures only, such as keypoints, mask, coarse, flow, final."""
        ...


@runtime_checkable
class OracleMethod(Protocol):
    """A method that sees the true future; its row is marked and never ranked."""

    def predict(self, given: Conditioning, future: Frames, horizon: int, seeds: Seeds) -> Frames:
        """As `Method.predict`, with the true future uint8 [B,T,H,W,3]."""
        ...


@runtime_checkable
class Component(Protocol):
    """Part of a composed method. `factory(task, params, space)` makes one."""

    def save(self, folder: Path) -> None:
        """Write the weights into `folder`."""
        ...

    def load(self, folder: Path, device: str) -> None:
        """Read the weights and move to `device`."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Frames to keypoints."""

    def detect(self, frames: Tensor, pose: Tensor | None) -> Tensor:
        """float32 [B,T,3,H,W] in [0,1] (and pose [B,T,J,3] if asked for) -> [B,T,K,3]."""
        ...


@runtime_checkable
class MotionModel(Protocol):
    """Given keypoints to future keypoints."""

    def rollout(
        self, keypoints: Tensor, label: Tensor | None, horizon: int, seeds: Tensor
    ) -> Tensor:
        """[B,n,K,3], int64 [B] or None, T, int64 [B] -> [B,T,K,3]."""
        ...


@runtime_checkable
class Translator(Protocol):
    """A frame and keypoints to frames."""

    def render(self, frame: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1], its keypoints [B,K,3], wanted keypoints [B,T,K,3] -> [B,T,3,H,W]."""
        ...


class TrainView(Protocol):
    """Training and validation clips at the task's size; never the test split. Picklable."""

    def len(self, split: str) -> int:
        """Number of clips in "train" or "val"."""
        ...

    def read(self, split: str, i: int, frames: Sequence[int]) -> Frames:
        """uint8 [len(frames),H,W,3] of clip `i`."""
        ...

    def pose(self, split: str, i: int, frames: Sequence[int]) -> Pose | None:
        """float32 [len(frames),J,3] in [-1,1], or None."""
        ...

    def label(self, split: str, i: int) -> int | None:
        """Class number of clip `i`."""
        ...

    def length(self, split: str, i: int) -> int:
        """Number of source frames of clip `i`."""
        ...

    def batches(
        self,
        split: str,
        window: Pair | Clip,
        batch: int,
        augment: Augment = NO_AUGMENT,
        start_step: int = 0,
        stream: str = "",
    ) -> Iterator[Batch]:
        """Endless shuffled batches; batch k depends on (seed, stage, stream, k) only."""
        ...


class KeypointView(Protocol):
    """Training and validation clips as keypoints of a trained detector. Picklable."""

    def len(self, split: str) -> int:
        """Number of clips in "train" or "val"."""
        ...

    def read(self, split: str, i: int, frames: Sequence[int]) -> Pose:
        """float32 [len(frames),K,3] of clip `i`."""
        ...

    def label(self, split: str, i: int) -> int | None:
        """Class number of clip `i`."""
        ...

    def length(self, split: str, i: int) -> int:
        """Number of source frames of clip `i`."""
        ...

    def batches(
        self,
        split: str,
        window: Pair | Clip,
        batch: int,
        augment: Augment = NO_AUGMENT,
        start_step: int = 0,
        stream: str = "",
    ) -> Iterator[Batch]:
        """As `TrainView.batches`, with `Batch.keypoints`; `Batch.frames` has no pixels.

        `Batch.pose` holds the annotated joints where the dataset has them.
        """
        ...


class FitContext(Protocol):
    """All that a stage gets from the harness besides data."""

    task: TaskInfo
    trains: tuple[str, ...]
    device: str
    threads: int
    seed: int
    workdir: Path

    @property
    def should_stop(self) -> bool:
        """True once the user or the machine wants the job to end; checkpoint and return."""
        ...

    def step(self, total: int | None = None) -> int:
        """Count one training step and tell how many are done; drives the progress bar."""
        ...

    def log(self, values: Mapping[str, float]) -> None:
        """Record figures of the current step."""
        ...

    def image(self, name: str, array: Frames) -> None:
        """Store a picture uint8 [H,W,3] beside the stage."""
        ...

    def check(
        self,
        name: str,
        value: float,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        unit: str = "",
    ) -> bool:
        """An acceptance check: a figure on validation clips against a bound fixed beforehand.

        It is stored with the stage; where it is missed, tables print it beside every row that
        uses the stage. Call it at the end of a fit.

        Args:
            name: what is measured; a second check of the same name replaces the first.
            value: the figure.
            at_least, at_most: the bounds; at least one is needed.
            unit: of the figure, such as "dB".

        Returns:
            Whether the figure keeps to its bounds; NaN does not.

        Raises:
            UsageError: there is no bound.
        """
        ...

    def note(self, text: str) -> None:
        """Print a note beside every row that uses this stage, such as "adapted n=1"."""
        ...

    def not_comparable(self, reason: str) -> None:
        """Exclude every row that uses this stage from rankings; tables print the reason."""
        ...

    def checkpoint(self, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]) -> None:
        """Store the state inside a stage, so that a killed job resumes from here."""
        ...

    def resume(self) -> tuple[dict[str, npt.NDArray[np.generic]], dict[str, Any]] | None:
        """The last checkpoint of this stage, or None."""
        ...

    def weights(self, name: str) -> Path:
        """File of verified pretrained weights named in the spec."""
        ...

    def cache(self, kind: str, key: str) -> Path:
        """A folder of the user's cache for things that can be computed again."""
        ...

    def component(self, name: str) -> Any:
        """The component in a slot ("detector"), trained and loaded; or "slot:name"."""
        ...


class TrainingClips(Protocol):
    """The training split of a task, cut to the task's own target windows.

    Attributes:
        key: sha256 over ids, labels, frames by content, windows and geometry of all its clips.
        clips: in the order of their ids; each with its class.
    """

    @property
    def key(self) -> str: ...  # noqa: D102

    @property
    def clips(self) -> Sequence[ClipInfo]: ...  # noqa: D102

    def read(self, i: int) -> Frames:
        """uint8 [T,H,W,3]: the targets of clip `i` at the task's size."""
        ...


class MetricContext(Protocol):
    """What a metric gets from the harness.

    Attributes:
        recompute: the user wants nothing that was computed elsewhere and comes with a package.
        training: the training clips; None where there is no task, as in `vpbench measure`.
    """

    @property
    def device(self) -> str: ...  # noqa: D102

    @property
    def workers(self) -> int: ...  # noqa: D102

    @property
    def recompute(self) -> bool: ...  # noqa: D102

    @property
    def training(self) -> TrainingClips | None: ...  # noqa: D102

    def weights(self, name: str) -> Path:
        """File of verified pretrained weights named in the spec."""
        ...

    def cache(self, kind: str, key: str) -> Path:
        """A folder of the user's cache for things that can be computed again."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Compares predicted with real clips. `factory(task, params, ctx)` makes one.

    Set metrics may also be a `HasFloor`, a `CachesFeatures` and a `DeclaresBias`.
    """

    spec: MetricSpec

    def update(self, fake: Frames | None, real: Frames | None, clip: ClipInfo) -> None:
        """Add a clip: fake uint8 [S,T,H,W,3], real uint8 [T,H,W,3]; set metrics take one alone."""
        ...

    def merge(self, other: Any) -> None:
        """Add what another instance has seen."""
        ...

    def result(self) -> Score:
        """The score of all clips seen; the same for any order of updates and merges."""
        ...

    def fingerprint(self) -> Mapping[str, Value | None]:
        """All settings of the metric that can move its value."""
        ...


@runtime_checkable
class Dataset(Protocol):
    """Native clips. `factory(options, root, cache)` makes one.

    What it may offer besides (tasks of its own, subsets, a download, ...) is in
    `vpbench.api.optional`.
    """

    spec: DatasetSpec

    def splits(self) -> tuple[str, ...]:
        """Names of the splits: "train", "val", "test", and what else there is."""
        ...

    def clips(self, split: str) -> Sequence[ClipInfo]:
        """Clips of a split, in the order of their ids."""
        ...

    def read(self, clip: ClipInfo, indices: Sequence[int]) -> Frames:
        """uint8 [len(indices),H,W,3] at native size."""
        ...

    def pose(self, clip: ClipInfo) -> Pose | None:
        """float32 [L,J,3] in native pixels (0 = centre of the first pixel), or None."""
        ...

    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; () without labels."""
        ...

    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints; () without poses."""
        ...

    def prepare(self, root: Path | None = None) -> None:
        """Convert once to a fast cache; None is the root that the dataset was made with."""
        ...

    def verify(self, root: Path | None = None) -> list[Problem]:
        """All that is wrong, at once."""
        ...
