"""Fits stages for a few steps with the harness's own code, and reports what each fit did."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vpbench import __version__
from vpbench.core import schema
from vpbench.core.plan import StagePlan
from vpbench.core.progress import silent
from vpbench.core.registry import Registry
from vpbench.core.rundir import StageDir, write_sealed
from vpbench.harness.inputs.fetch import declared_weights
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.training.context import StageContext, find_weights
from vpbench.harness.training.stage import (
    fit_part,
    label_clips,
    load_parts,
    save_part,
    stage_data,
    stage_seed,
    trained_part,
)

STEPS = 2
"""Steps after which a fit is asked to stop."""

PATIENCE = 20.0
"""Seconds after which it is asked to stop, for fits that count no steps."""

RUNAWAY = 300
"""Steps past the request to stop at which it is ended."""

Call = Callable[..., Any]


class Runaway(BaseException):
    """Ends a fit that does not stop."""


@dataclass
class LimitedContext(StageContext):
    """A `FitContext` that asks the fit to stop after a few steps.

    Attributes:
        pretrained: the cache that pretrained weights are looked up in, the user's; what the fit
            itself keeps goes elsewhere.
    """

    limit: int = STEPS
    pretrained: Path = Path()
    logs: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    begun: float = field(default_factory=time.monotonic)

    def weights(self, name: str) -> Path:
        """File of verified pretrained weights named in the spec."""
        return find_weights(name, self.declared, self.pretrained)

    @property
    def should_stop(self) -> bool:
        """True after `limit` steps, or after one that came late: a busy machine is no fault."""
        late = self._step > 0 and time.monotonic() - self.begun > PATIENCE
        return late or self._step >= self.limit

    def step(self, total: int | None = None) -> int:
        """Count, and end what runs on and on."""
        if self._step > self.limit + RUNAWAY:
            raise Runaway
        return super().step(total)

    def log(self, values: Mapping[str, float]) -> None:
        """Keep the figures."""
        self.logs.append(dict(values))
        super().log(values)

    @property
    def over(self) -> int:
        """Steps made after the request to stop."""
        return max(0, self._step - self.limit)


@dataclass(frozen=True)
class Fitted:
    """A stage after its fit; `over`: steps made after the request to stop."""

    stage: StagePlan
    instance: Any
    slots: Mapping[str, Any]
    logs: Sequence[Mapping[str, float]] = ()
    over: int = 0


@dataclass(frozen=True)
class Trainer:
    """Fits the stages of one run plan.

    Attributes:
        call: calls the plugin's code under observation.
        pretrained: the cache that pretrained weights are looked up in.
        device: where stages are fitted.
    """

    task_data: TaskData
    registry: Registry
    call: Call
    pretrained: Path
    device: str = "cpu"

    def fit(
        self,
        stage: StagePlan,
        before: Sequence[StagePlan],
        limit: int = STEPS,
        folder: StageDir | None = None,
    ) -> Fitted:
        """Fit one stage into its folder, or into another one; earlier stages are loaded first."""
        folder = folder or stage.folder
        node, info = stage.node, self.task_data.task.info
        instance, slots = load_parts(node, before, self.task_data, self.registry, self.device)
        if node.mode == "labels":
            detector = slots["detector"]
            self.call("detect", label_clips, self.task_data, detector, folder, node.label)
            return Fitted(stage, instance, slots)
        target = trained_part(node, instance, slots)
        ctx = LimitedContext(
            info,
            node.trains,
            self.device,
            1,
            stage_seed(node),
            folder,
            node.label,
            self.task_data.clip_cache.folder.parent,
            silent,
            slots,
            declared=declared_weights(node),
            limit=limit,
            pretrained=self.pretrained,
        )
        data = stage_data(node, self.task_data, before)
        try:
            self.call(f"fit of {node.label}", fit_part, node, target, data, ctx)
        except BaseException as error:
            if not isinstance(error.__cause__, Runaway):
                raise
        self.call(f"save of {node.label}", save_part, node, target, folder)
        return Fitted(stage, instance, slots, tuple(ctx.logs), ctx.over)

    def seal(self, stage: StagePlan) -> None:
        """Write the record that makes a stage complete."""
        node = stage.node
        write_sealed(
            stage.folder.record,
            {
                "schema": schema.STAGE,
                "vpbench": __version__,
                "owner": node.owner,
                "stage": node.stage,
                "key": node.key,
                "files": stage.folder.files(),
            },
        )
