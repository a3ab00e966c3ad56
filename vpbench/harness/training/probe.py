"""Does the code still train as it did? The first losses of a small training show it.

A trained stage cannot be trained again to find out whether a change of the code matters to it. A
training probe can: the losses of the first few steps of preset `smoke` on the built-in clips, on
one thread. It is stored as `probe.json` beside each bundled checkpoint. When the code has changed
since, the probe is run again; equal losses attest that it trains as before.
"""

from __future__ import annotations

import importlib.metadata
import math
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from vpbench import __version__
from vpbench.api.errors import BadData, MissingData, UnknownName
from vpbench.core import schema
from vpbench.core.checkpoints import StagePlan
from vpbench.core.files import read_json, write_json
from vpbench.core.names import MethodRef
from vpbench.core.options import TaskRef
from vpbench.core.paths import Paths
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import StageDir, write_sealed
from vpbench.core.stages import stage_graph
from vpbench.harness.inputs.fetch import declared_weights
from vpbench.harness.inputs.task_data import TaskData, open_task_data
from vpbench.harness.training.context import StageContext
from vpbench.harness.training.stage import (
    ancestors,
    call_fit,
    label_clips,
    load_parts,
    save_part,
    stage_data,
    stage_seed,
    trained_part,
)

PROBE = "probe.json"
DATASET = "puppets"
PRESET = "smoke"
STEPS = 6
"""Steps of a probe: preset `smoke` of all bundled methods has each loss in its first six."""
RTOL = 2e-3
"""Largest relative difference of a loss at the first step that may come from another machine, whose
libraries sum in another order. With the AVX2 kernels of torch and oneDNN in place of those for
AVX-512, the bundled stages differed by at most 0.9e-3."""
GROWTH = 2.0
"""The tolerance grows by this factor a step: Adam's first steps have nearly the size of the
learning rate whatever the gradient, so that rounding turns around the smallest ones. Measured as
above: up to 8e-3 at step 4 and 5e-3 at step 6."""
ATOL = 1e-6
"""Some losses are differences of almost equal means of the order of 1e-2; float32 carries these no
further."""

Losses = Mapping[str, float]


@dataclass(frozen=True)
class ProbeRecord:
    """The first losses of a stage's training.

    Attributes:
        stage: "owner:stage".
        method: canonical name of the method that was trained.
        dataset, task: the clips, by name.
        seed: the training seed.
        losses: what the training logged at each step, from the first on.
        vpbench, python, torch: versions; "" where torch is not installed.
    """

    stage: str
    method: str
    dataset: str
    task: str
    seed: int
    losses: tuple[Losses, ...]
    vpbench: str
    python: str
    torch: str

    def differences(
        self, other: ProbeRecord, rtol: float = RTOL, growth: float = GROWTH, atol: float = ATOL
    ) -> list[str]:
        """Where another probe of the same stage differs, one line each; [] attests equality.

        Args:
            rtol: largest relative difference of a loss at the first step.
            growth: by which this is multiplied from step to step.
            atol: an absolute difference that never counts.
        """
        lines = [
            f"{name} is {getattr(other, name)}, was {getattr(self, name)}"
            for name in ("stage", "method", "dataset", "task", "seed")
            if getattr(self, name) != getattr(other, name)
        ]
        if len(self.losses) != len(other.losses):
            lines.append(f"{len(other.losses)} steps, were {len(self.losses)}")
        for step, (was, now) in enumerate(zip(self.losses, other.losses, strict=False), 1):
            lines += [
                f"step {step}: {name} is {now.get(name)}, was {was.get(name)}"
                for name in sorted({*was, *now})
                if name not in was
                or name not in now
                or not math.isclose(
                    was[name], now[name], rel_tol=rtol * growth ** (step - 1), abs_tol=atol
                )
            ]
        return lines

    def write(self, folder: Path) -> None:
        """Store it beside a checkpoint, as `folder/probe.json`."""
        write_json(folder / PROBE, {"schema": schema.PROBE, **asdict(self)})

    @staticmethod
    def read(folder: Path) -> ProbeRecord:
        """The probe that is stored beside a checkpoint.

        Raises:
            MissingData: there is none.
            BadData: the file is not a probe.
        """
        path = folder / PROBE
        if not path.is_file():
            raise MissingData(f"{folder} has no training probe ({PROBE}).")
        fields = cast("dict[str, Any]", read_json(path))
        if fields.pop("schema", None) != schema.PROBE:
            raise BadData(f"{path} is not a training probe.", fix="Restore it from its package.")
        try:
            losses = tuple(fields.pop("losses"))
            return ProbeRecord(losses=losses, **fields)
        except (TypeError, KeyError) as error:
            raise BadData(
                f"{path} is not a training probe ({error}).", fix="Restore it from its package."
            ) from error


def training_probe(
    stage: str,
    method: str,
    registry: Registry,
    cache: Path,
    work: Path,
    *,
    steps: int = STEPS,
    report: Report = silent,
) -> ProbeRecord:
    """Train the first steps of a stage and return their losses.

    Earlier stages that it needs are asked to stop before their first step, so that they hold their
    first weights: what they learned would carry the rounding of one machine into the losses. They
    are kept in `work`, for other probes in the same folder.

    Args:
        stage: "owner:stage", as `stage.json` has owner and stage.
        method: a method that trains the stage, as `stage.json` has it; its preset becomes `smoke`
            where it has one, its other parameters stay as they are.
        cache: the cache that holds the built-in clips (and pretrained weights); clips that are
            missing are rendered.
        work: a scratch folder.
        steps: how many to make; fewer where the whole training has fewer.

    Returns:
        The record; the same on the same machine, and without `differences` on most others.

    Raises:
        UnknownName: the method has no such stage.
        MethodFailed: the training failed.
    """
    from vpbench.kit.threads import limited_threads

    task_data = open_task_data(TaskRef(dataset=DATASET), registry, Paths(work, cache))
    stages = _planned(method, task_data, registry, work)
    wanted = next((s for s in stages if s.node.label == stage), None)
    if wanted is None or wanted.node.mode == "labels":
        known = [s.node.label for s in stages if s.node.mode != "labels"]
        raise UnknownName(f"stage of {method}", stage, known)
    with limited_threads(1):
        before = ancestors(wanted.node, stages)
        prober = _Prober(stages, task_data, registry, cache, report)
        for earlier in before:
            prober.make_untrained(earlier)
        losses = prober.first_losses(wanted, steps)
    return ProbeRecord(
        stage=stage,
        method=wanted.node.method.name,
        dataset=DATASET,
        task=task_data.task.id,
        seed=wanted.node.fit_seed,
        losses=losses,
        vpbench=__version__,
        python=platform.python_version(),
        torch=_version("torch"),
    )


@dataclass
class _ProbeContext(StageContext):
    """A `FitContext` that keeps the losses and asks the fit to stop after a few steps."""

    limit: int = STEPS
    losses: dict[int, Losses] = field(default_factory=dict[int, Losses])

    @property
    def should_stop(self) -> bool:
        """True after `limit` steps."""
        return super().should_stop or self._step >= self.limit

    def log(self, values: Losses) -> None:
        """Keep what is logged first at a step: its losses; validations come after."""
        if 0 < self._step <= self.limit:
            self.losses.setdefault(self._step, {k: float(v) for k, v in values.items()})
        super().log(values)


@dataclass(frozen=True)
class _Prober:
    """Fits stages for a few steps in a scratch folder."""

    stages: Sequence[StagePlan]
    task_data: TaskData
    registry: Registry
    cache: Path
    report: Report

    def make_untrained(self, stage: StagePlan) -> None:
        """Store a stage as it is before its first step, or the keypoints that it gives."""
        node, folder = stage.node, stage.folder
        if folder.complete():
            return
        if node.mode == "labels":
            before = ancestors(node, self.stages)
            _, slots = load_parts(node, before, self.task_data, self.registry, "cpu")
            label_clips(self.task_data, slots["detector"], folder, node.label, self.report)
        else:
            target, _ = self._fit(stage, 0)
            save_part(node, target, folder)
        write_sealed(folder.record, {"schema": schema.STAGE, "files": folder.files()})

    def first_losses(self, stage: StagePlan, steps: int) -> tuple[Losses, ...]:
        """What the first steps log."""
        _, losses = self._fit(stage, steps)
        return tuple(losses[step] for step in sorted(losses))

    def _fit(self, stage: StagePlan, limit: int) -> tuple[Any, dict[int, Losses]]:
        """What was fitted, and its losses by step."""
        node = stage.node
        before = ancestors(node, self.stages)
        instance, slots = load_parts(node, before, self.task_data, self.registry, "cpu")
        # a fit resumes from what its folder holds: an earlier probe of the same stage left its
        # state there, and an "untrained" stage would begin with the steps of that one
        scratch = stage.folder.path.with_name(f"{stage.folder.path.name}.probe")
        shutil.rmtree(scratch, ignore_errors=True)
        ctx = _ProbeContext(
            task=self.task_data.task.training_info,
            trains=node.trains,
            device="cpu",
            threads=1,
            seed=stage_seed(node),
            stage=StageDir(scratch),
            label=node.label,
            cache_root=self.cache,
            report=self.report,
            slots=slots,
            declared=declared_weights(node),
            limit=limit,
        )
        target = trained_part(node, instance, slots)
        call_fit(node, target, stage_data(node, self.task_data, before), ctx)
        return target, ctx.losses


def _planned(
    method: str, task_data: TaskData, registry: Registry, work: Path
) -> tuple[StagePlan, ...]:
    """The stages of a method with preset `smoke`, each to be fitted in `work`."""
    ref, size = MethodRef.parse(method), task_data.task.spec.size
    presets = registry.method(ref.base).presets
    if PRESET in presets:
        ref = ref.with_params({"preset": PRESET})
    nodes = stage_graph(
        resolve(ref, registry, size, None), task_data.task.stage_fields(), size, registry, 0
    )
    return tuple(StagePlan(n, "to fit", StageDir(work / "stages" / n.folder)) for n in nodes)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
