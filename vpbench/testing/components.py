"""Checks of detectors, motion models and translators. Torch is whatever the kit has imported."""

from __future__ import annotations

import functools
import sys
from typing import Any, cast

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.api.specs import ComponentSpec
from vpbench.api.types import Conditioning, TaskInfo
from vpbench.core.methods import ResolvedComponent
from vpbench.harness.inputs.task_data import TaskData
from vpbench.testing.clips import sample_task_data
from vpbench.testing.model import Check, CheckFailed, NotApplicable
from vpbench.testing.report import where_defined
from vpbench.testing.rounding import rounded
from vpbench.testing.specs import check_signature
from vpbench.testing.subject import Subject

COMPONENT = ("component",)
HORIZON = 5
GIVEN = 2
ANY_SPACE = (6, "any")
VERBS = {
    "detector": ("detect", ("frames", "pose")),
    "motion": ("rollout", ("keypoints", "label", "horizon", "seeds")),
    "translator": ("render", ("frame", "source", "target")),
}
TOLERANCE = 1e-3


class ComponentSubject(Subject):
    """A component, made untrained."""

    @property
    def part(self) -> ComponentSpec:
        """The component's spec."""
        return cast(ComponentSpec, self.spec)

    @functools.cached_property
    def task_data(self) -> TaskData:
        """Clips at a size that the component takes."""
        step = self.part.capabilities.size_multiple
        size = -(-max(32, self.part.capabilities.min_size) // step) * step
        return sample_task_data(GIVEN, HORIZON, size, self.request.work / "given" / "cache")

    @property
    def info(self) -> TaskInfo:
        """What the component knows of the task."""
        return self.task_data.task.info

    @property
    def space(self) -> tuple[int, str]:
        """(K, convention) of its keypoints; any will do for one that takes any."""
        params = dict(self.part.params)
        resolved = ResolvedComponent(self.part.slot, self.part, params, "", self.row.name)
        return resolved.space or ANY_SPACE

    def make(self) -> Any:
        """A new component, with its capabilities, as the harness makes it."""
        import vpbench.kit.threads  # noqa: F401 - torch is there from now on

        create = self.registry.factory("component", self.row.name)
        own = None if self.part.space is None else self.space
        made = self.call("the factory", create, self.info, dict(self.part.params), own)
        if not hasattr(made, "capabilities"):
            made.capabilities = self.part.capabilities
        return made

    def inputs(self, count: int = 3) -> dict[str, Any]:
        """Tensors to call the component with."""
        from vpbench.kit.tensors import pose_to_tensor, to_tensor

        items = self.task_data.task.test[:count]
        frames = to_tensor(np.stack([self.task_data.given(i) for i in items]))
        poses = [self.task_data.clip_cache.pose(i.clip, i.given) for i in items]
        rng = np.random.default_rng(0)
        points = rng.uniform(-0.9, 0.9, (8, GIVEN + HORIZON, self.space[0], 3))[:count]
        points[..., 2] = 1
        keypoints = pose_to_tensor(points.astype(np.float32))
        return {
            "frames": frames,
            "pose": pose_to_tensor(np.stack([p for p in poses if p is not None])),
            "points": keypoints,
            "label": _tensor(np.arange(count) % self.info.n_classes),
            "seeds": _tensor(self.task_data.seeds(items, 0, 1)[:, 0]),
        }

    def ask(self, made: Any, count: int = 3, **changed: Any) -> Any:
        """What the component makes of the first clips, without gradients."""
        x = {**self.inputs(count), **changed}
        caps = self.part.capabilities
        pose = x["pose"] if caps.pose in ("required", "optional") else None
        label = x["label"] if caps.label in ("required", "optional") else None
        from vpbench.kit.composed import evaluating

        arguments = {
            "detector": (x["frames"], pose),
            "motion": (x["points"][:, :GIVEN], label, HORIZON, x["seeds"]),
            "translator": (x["frames"][:, -1], x["points"][:, 0], x["points"][:, GIVEN:]),
        }[self.part.slot]
        verb = VERBS[self.part.slot][0]
        with _torch().inference_mode(), evaluating([made]):
            return self.call(verb, getattr(made, verb), *arguments)

    def wanted(self, count: int = 3) -> tuple[int, ...]:
        """The shape that it must return."""
        size = self.info.size
        return {
            "detector": (count, GIVEN, self.space[0], 3),
            "motion": (count, HORIZON, self.space[0], 3),
            "translator": (count, HORIZON, 3, size, size),
        }[self.part.slot]

    def at(self, made: Any) -> str:
        """Where its verb is written."""
        return where_defined(getattr(type(made), VERBS[self.part.slot][0], type(made)))


def _torch() -> Any:
    """The torch that the kit has imported."""
    return sys.modules["torch"]


def _tensor(array: Any) -> Any:
    return _torch().from_numpy(np.ascontiguousarray(array, np.int64))


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy()


def methods(subject: ComponentSubject) -> None:
    """It has the verb of its slot, save and load."""
    made = subject.make()
    name, parameters = VERBS[subject.part.slot]
    check_signature(made, name, parameters)
    check_signature(made, "save", ("folder",))
    check_signature(made, "load", ("folder", "device"))
    if subject.part.trained_by == "self":
        check_signature(made, "fit", ("data", "ctx"))


def space(subject: ComponentSubject) -> None:
    """A detector declares how many keypoints it finds and what they mean."""
    part = subject.part
    learns = part.slot == "motion" or (part.slot == "translator" and part.trained_by == "self")
    if part.space is None and not learns:
        raise CheckFailed(
            "space=(K, convention)",
            "None",
            subject.row.ref.value,
            "Keypoints of any kind are for motion models, and for translators that are trained "
            'on the detector that they meet (trained_by="self").',
        )
    if subject.space[0] < 1 or not subject.space[1]:
        raise CheckFailed("space=(K, convention)", str(subject.space), subject.row.ref.value)


def shapes(subject: ComponentSubject) -> None:
    """One, three and eight clips give float32 tensors of the right shape."""
    made = subject.make()
    for count in (1, 3, 8):
        result = subject.ask(made, count)
        wanted = subject.wanted(count)
        got = (str(getattr(result, "dtype", type(result).__name__)), tuple(np.shape(result)))
        if got != ("torch.float32", wanted):
            raise CheckFailed(
                f"torch.float32 {list(wanted)}",
                f"{got[0]} {list(got[1])}",
                subject.at(made),
                "K comes from the space, T from the horizon or the target.",
            )


def values(subject: ComponentSubject) -> None:
    """Finite; grey levels in [0,1], detector coordinates in [-1,1]."""
    made = subject.make()
    result = _array(subject.ask(made))
    where = subject.at(made)
    if not np.isfinite(result).all():
        raise CheckFailed("finite values", "NaN or infinite values", where)
    if subject.part.slot == "translator":
        low, high, what, part = -0.01, 1.01, "grey levels in [0,1]", result
    elif subject.part.slot == "detector":
        low, high, what, part = -1.01, 1.01, "x and y in [-1,1]", result[..., :2]
    else:
        return  # motion models may move keypoints outside of the frame
    if part.min() < low or part.max() > high:
        raise CheckFailed(
            what,
            f"{part.min():.3g} .. {part.max():.3g}",
            where,
            "Keypoints are (x, y, confidence); -1 and 1 are the centres of the outer pixels.",
        )


def same(subject: ComponentSubject) -> None:
    """The same inputs and seeds give the same bits."""
    made = subject.make()
    one, two = _array(subject.ask(made)), _array(subject.ask(made))
    if not np.array_equal(one, two):
        raise CheckFailed(
            "the same from the same seeds",
            "another result",
            subject.at(made),
            "Draw all randomness from `seeds`: vpbench.kit.normal.",
        )


def seeds(subject: ComponentSubject) -> None:
    """Other seeds give other motion if and only if it declares that it is stochastic."""
    if subject.part.slot != "motion":
        raise NotApplicable("it gets no seeds")
    made = subject.make()
    one = _array(subject.ask(made))
    others = [_array(subject.ask(made, seeds=_tensor(np.arange(3) + 10 * k))) for k in (1, 2)]
    differs = any(not np.array_equal(one, other) for other in others)
    if differs != subject.part.capabilities.stochastic:
        raise CheckFailed(
            f"stochastic={differs} in the capabilities",
            f"stochastic={not differs}",
            subject.at(made),
            "Declare what it does with seeds.",
        )


def batches(subject: ComponentSubject) -> None:
    """A clip's result does not depend on the clips beside it."""
    made = subject.make()
    whole, part = _array(subject.ask(made, 8)), _array(subject.ask(made, 3))
    worst = float(np.abs(whole[:3] - part).max())
    if worst > TOLERANCE:
        raise CheckFailed(
            f"at most {TOLERANCE:g} between batches of 8 and 3",
            f"{worst:.3g}",
            subject.at(made),
            "No batch norm in training mode, no mean over the batch.",
        )


def save_load(subject: ComponentSubject) -> None:
    """What is saved and loaded again gives the same; weights may be rounded to half precision."""
    from vpbench.kit.composed import modules_of
    from vpbench.kit.threads import seeded

    made = subject.make()
    with seeded(3), _torch().no_grad():
        for module in modules_of(made):
            for weight in module.parameters():
                weight.add_(0.05 * _torch().randn_like(weight))
    before = _array(subject.ask(made))
    again = _reloaded(subject, made)
    after = _array(subject.ask(again))
    if np.array_equal(before, after):
        return
    close = rounded(modules_of(made), modules_of(again))
    if not close or not np.array_equal(after, _array(subject.ask(_reloaded(subject, again)))):
        raise CheckFailed(
            "the same after save and load",
            "another result",
            where_defined(type(made).save),
            "vpbench.kit.save_state and load_state write and read all weights; save_weights and "
            "load_weights round them once.",
        )


def _reloaded(subject: ComponentSubject, made: Any) -> Any:
    """A new component with what another one saves."""
    folder = subject.folder("save")
    subject.call("save", made.save, folder)
    again = subject.make()
    subject.call("load", again.load, folder, "cpu")
    return again


class _Grid:
    """A detector with the same keypoints for every frame."""

    def __init__(self, count: int) -> None:
        self.count = count

    def detect(self, frames: Any, pose: Any) -> Any:
        """[B,T,K,3] of zeros with full confidence."""
        keypoints = frames.new_zeros((*frames.shape[:2], self.count, 3))
        keypoints[..., 2] = 1
        return keypoints


class _Still:
    """A motion model that keeps the last keypoints."""

    def rollout(self, keypoints: Any, label: Any, horizon: int, seeds: Any) -> Any:
        """[B,T,K,3]."""
        return keypoints[:, -1:].expand(-1, horizon, -1, -1)


class _Copy:
    """A translator that shows the given frame."""

    def render(self, frame: Any, source: Any, target: Any) -> Any:
        """[B,T,3,H,W]."""
        return frame[:, None].expand(-1, target.shape[1], -1, -1, -1)


def composed(subject: ComponentSubject) -> None:
    """A composed method with this component in its slot predicts."""
    from vpbench.kit.composed import ComposedMethod

    slots: dict[str, Any] = {
        "detector": _Grid(subject.space[0]),
        "motion": _Still(),
        "translator": _Copy(),
    }
    slots[subject.part.slot] = made = subject.make()
    method = ComposedMethod(subject.info, {}, slots)
    items = subject.task_data.task.test[:3]
    caps = subject.part.capabilities
    pose = label = None
    if caps.pose in ("required", "optional"):
        poses = [subject.task_data.clip_cache.pose(i.clip, i.given) for i in items]
        pose = np.stack([p for p in poses if p is not None])
    if caps.label in ("required", "optional"):
        label = np.array([i.clip.label for i in items], np.int64)
    frames = np.stack([subject.task_data.given(i) for i in items])
    given = Conditioning(frames, label, pose, None, tuple(i.id for i in items))
    wanted = (3, 1, HORIZON, subject.info.size, subject.info.size, 3)
    predicted = subject.call(
        "predict", method.predict, given, HORIZON, subject.task_data.seeds(items, 0, 1)
    )
    if predicted.dtype != np.uint8 or predicted.shape != wanted:
        raise UsageError(f"{type(made).__name__} gives {predicted.dtype} {list(predicted.shape)}.")


CHECKS = (
    Check(
        "methods",
        "basic",
        COMPONENT,
        "Composed methods call these by position.",
        methods,
        ("factory",),
    ),
    Check(
        "space", "basic", COMPONENT, "Keypoints of two kinds must never meet.", space, ("methods",)
    ),
    Check(
        "shapes", "basic", COMPONENT, "Components are swapped one for another.", shapes, ("space",)
    ),
    Check(
        "values", "basic", COMPONENT, "One convention of coordinates for all.", values, ("shapes",)
    ),
    Check(
        "same-seed",
        "basic",
        COMPONENT,
        "A score that cannot be reproduced is not a result.",
        same,
        ("shapes",),
    ),
    Check(
        "seeds", "basic", COMPONENT, "Samples differ by their seeds alone.", seeds, ("same-seed",)
    ),
    Check(
        "batches",
        "basic",
        COMPONENT,
        "A score must not depend on the batch.",
        batches,
        ("same-seed",),
    ),
    Check(
        "save-load",
        "basic",
        COMPONENT,
        "Predictions come from what was saved.",
        save_load,
        ("same-seed",),
    ),
    Check(
        "composed", "basic", COMPONENT, "That is what components are for.", composed, ("values",)
    ),
)
