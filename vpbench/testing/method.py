"""A method under check: set up at any task, asked for predictions under observation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from vpbench.api.capabilities import Capabilities
from vpbench.api.protocols import HasIntermediates
from vpbench.api.specs import MethodSpec
from vpbench.api.types import Conditioning, Frames, Seeds
from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.plan import RunPlan, StagePlan, make_plan
from vpbench.core.resolve import resolve
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.loaded import load_method
from vpbench.testing.clips import SIZE, sample_task_data
from vpbench.testing.model import CheckFailed, Request
from vpbench.testing.report import where_defined
from vpbench.testing.subject import Subject
from vpbench.testing.training import Fitted, Trainer

HORIZON = 7
GIVEN = 5
SMALLEST = 32


@dataclass
class Setting:
    """A method on one task, trained for a few steps where it is trained at all."""

    subject: MethodSubject
    task_data: TaskData
    run: RunPlan
    fitted: dict[str, Fitted] = field(default_factory=dict[str, Fitted])

    @property
    def method(self) -> ResolvedMethod:
        """The method with its parameters."""
        return self.run.method

    @property
    def items(self) -> Sequence[Item]:
        """The test clips."""
        return self.task_data.task.test

    @property
    def trainer(self) -> Trainer:
        """Fits its stages."""
        return Trainer(
            self.task_data, self.subject.registry, self.subject.call, self.subject.request.cache
        )

    def train(self) -> None:
        """Fit every stage that is not complete, in graph order."""
        for k, stage in enumerate(self.run.stages):
            if not stage.folder.complete():
                self.fitted[stage.node.key] = self.trainer.fit(stage, self.run.stages[:k])
                self.trainer.seal(stage)

    def instance(self) -> Any:
        """The method as the harness loads it."""
        self.train()
        loaded = self.subject.call(
            "the factory", load_method, self.run, self.task_data, self.subject.registry, "cpu"
        )
        return loaded.instance

    def given(self, items: Sequence[Item] | None = None, **changed: Any) -> Conditioning:
        """What the method sees of some clips."""
        conditioning = self.task_data.conditioning(
            self.items if items is None else items, self.method
        )
        return replace(conditioning, **changed)

    def seeds(self, items: Sequence[Item], seed: int = 0, samples: int = 1) -> Seeds:
        """int64 [B,S]."""
        return self.task_data.seeds(items, seed, samples)

    def ask(
        self,
        instance: Any,
        items: Sequence[Item] | None = None,
        *,
        seeds: Seeds | None = None,
        **changed: Any,
    ) -> Frames:
        """Predictions of some clips, as they come."""
        items = self.items if items is None else items
        given = self.given(items, **changed)
        horizon = self.task_data.task.horizon
        asked = self.seeds(items) if seeds is None else seeds
        if self.method.capabilities.oracle:
            future = np.stack([self.task_data.targets(i) for i in items])
            return self.subject.call("predict", instance.predict, given, future, horizon, asked)
        return self.subject.call("predict", instance.predict, given, horizon, asked)

    def keypoints(
        self, instance: Any, *, seeds: Seeds | None = None, **changed: Any
    ) -> npt.NDArray[np.float32] | None:
        """Keypoints [B,S,T,K,3] behind the predictions of a method that is trained here.

        After a few steps a picture may be too faint to show what its keypoints already do. None
        where nothing is trained, or the method shows no keypoints.
        """
        if not self.run.stages or not isinstance(instance, HasIntermediates):
            return None
        explain: Any = instance.intermediates
        asked = self.seeds(self.items) if seeds is None else seeds
        horizon = self.task_data.task.horizon
        future: tuple[Frames, ...] = ()
        if self.method.capabilities.oracle:
            future = (np.stack([self.task_data.targets(i) for i in self.items]),)
        intermediates = self.subject.call(
            "intermediates", explain, self.given(**changed), *future, horizon, asked
        )
        points = intermediates.get("keypoints") if isinstance(intermediates, Mapping) else None
        return None if points is None else np.asarray(points, np.float32)[:, :, -horizon:]


class MethodSubject(Subject):
    """A method."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._settings: dict[tuple[int, int, int], Setting] = {}

    @property
    def method_spec(self) -> MethodSpec:
        """The method's spec."""
        return cast(MethodSpec, self.spec)

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities with parameters and components taken into account."""
        return resolve(MethodRef.parse(self.request.name), self.registry, SIZE).capabilities

    def size(self, at_least: int = SMALLEST) -> int:
        """The smallest size that the method declares to take, not below `at_least`."""
        step = self.capabilities.size_multiple
        wanted = max(at_least, self.capabilities.min_size)
        return -(-wanted // step) * step

    def horizon(self) -> int:
        """A horizon that the method declares to reach."""
        limit = self.capabilities.max_horizon
        return HORIZON if limit is None else min(HORIZON, limit)

    def setting(
        self, *, size: int | None = None, horizon: int | None = None, n_max: int | None = None
    ) -> Setting:
        """The method on the task with these numbers; the usual ones where none are given."""
        fewest = self.capabilities.conditioning_frames[0]
        key = (n_max or max(GIVEN, fewest), horizon or self.horizon(), size or self.size())
        if key not in self._settings:
            task_data = sample_task_data(*key, self.request.work / "given" / "cache")
            self._settings[key] = Setting(self, task_data, self._run(task_data))
        return self._settings[key]

    def _run(self, task_data: TaskData) -> RunPlan:
        plan = make_plan(
            [MethodRef.parse(self.request.name)],
            RunOptions(references=False),
            task_data.task,
            self.registry,
            self.request.work / "given" / "runs",
        )
        if not plan.runs:
            raise CheckFailed(
                "a method that can be run on puppets",
                "; ".join(plan.refused[0].reasons),
                "capabilities of the spec",
                "Declare what the method can really do.",
            )
        return plan.runs[0]

    def own_stages(self, setting: Setting) -> list[StagePlan]:
        """Stages that the method itself trains."""
        return [
            s
            for s in setting.run.stages
            if s.node.mode == "method" and s.node.owner == self.method_spec.name
        ]

    def bound(self) -> int:
        """Grey levels by which predictions may differ between batches."""
        return self.capabilities.batch_bound


def at(instance: Any, name: str = "predict") -> str:
    """Where a method of an instance is written."""
    return where_defined(getattr(type(instance), name, type(instance)))


def difference(a: Frames, b: Frames) -> int:
    """Largest difference in grey levels; 256 where the shapes differ."""
    if a.shape != b.shape:
        return 256
    return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max(initial=0))
