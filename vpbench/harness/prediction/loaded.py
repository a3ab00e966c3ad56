"""In-process inference with trained methods."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import MethodFailed, MissingData, Refused, VpbenchError
from vpbench.api.protocols import HasIntermediates
from vpbench.api.types import Conditioning, Frames, Pose, Seeds
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.core.plan import RunPlan, make_plan, retrieves
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.harness.inputs.fetch import fetch_for_run
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.training.loading import describe_error, load_stages, make_method, make_slots


@dataclass(frozen=True)
class LoadedMethod:
    """A loaded method with its components."""

    run: RunPlan
    task_data: TaskData
    instance: Any
    slots: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Canonical name of the method."""
        return self.run.name

    @property
    def oracle(self) -> bool:
        """Whether it is given the true future."""
        return self.run.method.capabilities.oracle

    @property
    def has_intermediates(self) -> bool:
        """Whether it can show how its frames come about."""
        return isinstance(self.instance, HasIntermediates)

    def stages(self) -> list[dict[str, str]]:
        """The trained stages that it uses, for records."""
        return [
            {"stage": s.node.label, "key": s.node.key, "origin": s.origin} for s in self.run.stages
        ]

    def intermediates(
        self, given: Conditioning, horizon: int, seeds: Seeds, future: Frames | None = None
    ) -> Intermediates | None:
        """How the frames of some clips come about; None where the method does not provide them.

        Raises:
            MethodFailed: it raised, or its output has the wrong shape.
        """
        if not self.has_intermediates:
            return None
        extra = () if future is None else (future,)
        try:
            raw = self.instance.intermediates(given, *extra, horizon, seeds)
        except VpbenchError:
            raise
        except Exception as error:  # a plugin may raise anything
            raise MethodFailed(
                f"{self.name} failed while computing its intermediates: {describe_error(error)}"
            ) from error
        return check_intermediates(raw, (*seeds.shape, horizon, *given.frames.shape[2:]), self.name)


@dataclass(frozen=True)
class Intermediates:
    """How the frames of a prediction came about.

    Attributes:
        points: float32 [B,S,n+T,K,3], of given and predicted frames, or [B,S,T,K,3]; None if it
            has no keypoints.
        images: name -> uint8 [B,S,T,H,W,3], such as mask, coarse, final.
        others: name -> arrays that are not images, such as flow.
    """

    points: Pose | None
    images: Mapping[str, Frames]
    others: Mapping[str, npt.NDArray[Any]]

    def at(self, b: int, s: int, horizon: int) -> Pose | None:
        """Keypoints of the last given frame and the predicted ones, float32 [1+T,K,3]."""
        if self.points is None:
            return None
        path = self.points[b, s]
        if len(path) > horizon:
            return path[-horizon - 1 :]
        unknown = np.zeros_like(path[:1])  # confidence 0: nothing is drawn
        return np.concatenate([unknown, path])


def check_intermediates(raw: Any, shape: tuple[int, ...], name: str) -> Intermediates:
    """Sort the intermediates of a method; `shape` is that of its prediction, [B,S,T,H,W,3].

    Raises:
        MethodFailed: names the intermediate and what is wrong with it.
    """
    if not isinstance(raw, Mapping):
        raise MethodFailed(
            f"{name}.intermediates returned a {type(raw).__name__}, not a dictionary."
        )
    points, images, others = None, dict[str, Frames](), dict[str, npt.NDArray[Any]]()
    for key, value in cast("Mapping[str, Any]", raw).items():
        array: npt.NDArray[Any] = np.asarray(value)
        if array.dtype == object or array.shape[:2] != shape[:2]:
            raise MethodFailed(
                f"{name}: intermediate {key!r} is {array.dtype} {list(array.shape)}; "
                f"intermediates must begin with the axes [B,S] = {list(shape[:2])}."
            )
        if key == "keypoints":
            if array.ndim != 5 or array.shape[-1] != 3 or array.shape[2] < shape[2]:
                raise MethodFailed(
                    f"{name}: intermediate 'keypoints' is {list(array.shape)}, not [B,S,n+T,K,3]."
                )
            points = array.astype(np.float32)
        else:
            picture = _as_picture(str(key), array, shape)
            if picture is None:
                others[str(key)] = array
            else:
                images[str(key)] = picture
    usual = {"mask": 0, "coarse": 1, "final": 3}
    order = sorted(images, key=lambda name: (usual.get(name, 2), name))
    return Intermediates(points, {name: images[name] for name in order}, others)


def _as_picture(key: str, array: npt.NDArray[Any], shape: tuple[int, ...]) -> Frames | None:
    """An intermediate as uint8 [B,S,T,H,W,3], or None where it is not a picture.

    Grey becomes RGB; mask, coarse and final may be floats in [0,1].
    """
    grey = array[..., None] if array.shape == shape[:-1] else array
    if grey.shape[:-1] != shape[:-1] or grey.shape[-1] not in (1, 3):
        return None
    if grey.dtype != np.uint8:
        usual = key in ("mask", "coarse", "final") and np.issubdtype(grey.dtype, np.floating)
        if not usual or not (np.isfinite(grey).all() and grey.min() >= 0 and grey.max() <= 1):
            return None
        grey = np.floor(grey * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(grey, shape))


def plan_loaded(
    methods: Sequence[MethodRef],
    options: RunOptions,
    task_data: TaskData,
    registry: Registry,
    paths: Paths,
) -> list[RunPlan]:
    """One plan for each named method, in their order; the first seed and fit seed count.

    Raises:
        Refused: a method cannot do the task, with all reasons.
    """
    single = replace(
        options, seeds=options.seeds[:1], fit_seeds=options.fit_seeds[:1], references=False
    )
    plan = make_plan(methods, single, task_data.task, registry, paths.runs, paths.cache)
    for refusal in plan.refused:
        raise Refused(f"{refusal.name}: {'; '.join(refusal.reasons)}.")
    return list(plan.runs)


def check_trained(run: RunPlan, task_data: TaskData) -> None:
    """Refuse a method that would have to be fitted first.

    Raises:
        MissingData: with the command that fits it.
    """
    missing = [s.node.label for s in run.stages if s.origin == "to fit" and not s.folder.complete()]
    if missing:
        words = ["vpbench", "fit", run.name, *task_data.ref.words]
        words += ["--fit-seeds", str(run.fit_seed)] if run.fit_seed else []
        raise MissingData(
            f"{run.name} is not trained on {task_data.task.id} yet ({', '.join(missing)}).",
            fix=f"Run: {shlex.join(words)}, or name a trained stage with --checkpoint PATH.",
        )


def load_trained(
    run: RunPlan,
    task_data: TaskData,
    registry: Registry,
    paths: Paths,
    device: str = "auto",
    report: Report = silent,
) -> LoadedMethod:
    """Make a method and load what it has learned; pinned checkpoints are fetched.

    Raises:
        MissingData: it is not trained yet.
        MissingWeights: its checkpoint cannot be fetched.
        HashMismatch: a checkpoint is not what was written.
    """
    check_trained(run, task_data)
    fetch_for_run(run, paths, report)
    where = "cpu"
    if run.method.capabilities.trainable:
        from vpbench.kit.threads import pick_device, set_threads

        where = pick_device(device)
        set_threads(1)  # what is shown must not depend on the number of cores
    return load_method(run, task_data, registry, where)


def load_method(run: RunPlan, task_data: TaskData, registry: Registry, device: str) -> LoadedMethod:
    """Make a run's method and load its trained stages; references are bound to the clips."""
    slots = make_slots(run.method, task_data.task.info, registry)
    instance = make_method(run.method, task_data.task.info, registry, slots)
    load_stages(instance, slots, run.method, run.stages, device)
    if retrieves(run.method):
        instance.bind(task_data)
    return LoadedMethod(run, task_data, instance, slots)
