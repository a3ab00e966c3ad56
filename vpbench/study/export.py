"""From finished runs to a study: which clips, how many raters, what they are asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vpbench.api.errors import UsageError
from vpbench.api.types import Frames
from vpbench.core.names import MethodRef
from vpbench.core.paths import Paths
from vpbench.core.progress import Report, silent
from vpbench.core.registry import Registry
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import TaskData
from vpbench.study.bundle import Contents, bytes_of, export
from vpbench.study.design import Plan, check
from vpbench.study.files import PrivatePaths
from vpbench.study.power import CLIP_SD, RATER_SD, advise
from vpbench.study.settings import KIM2019, Settings, read_settings
from vpbench.study.sources import Predictions, common_items, real_clips, stored_predictions

DESIGNS = ("ranking", "kim2019")
"""kim2019: one ranking by both criteria, 15 raters, the 70 clips, slots at random (Table 3)."""

_RATERS = 15
_KIM_SUBSET = "villegas70"
_TRIALS_PER_GOLD = 15
_FPS = 8.0
"""Where the task does not know its own rate."""


@dataclass(frozen=True)
class Request:
    """What to export; None leaves the choice to the design.

    Attributes:
        horizon: frames shown; None is as many as every method has.
        clips: how many of the common clips; None is all.
    """

    methods: Sequence[MethodRef]
    out: Path
    design: str = "ranking"
    raters: int | None = None
    clips: int | None = None
    subset: str | None = None
    horizon: int | None = None
    gold: int | None = None
    repeats: int | None = None
    fps: float | None = None
    order_seed: int = 0
    preset: str | None = None
    seed: int = 0
    fit_seed: int = 0
    settings: Path | None = None


def export_study(
    request: Request, task_data: TaskData, registry: Registry, paths: Paths, report: Report = silent
) -> dict[str, Any]:
    """Write the study and say what it holds, as JSON.

    Raises:
        UsageError, MissingData: as `stored_predictions`, `common_items` and `export`.
    """
    settings = _settings(request)
    predictions = stored_predictions(
        request.methods,
        task_data,
        registry,
        paths,
        request.preset,
        request.seed,
        request.fit_seed,
    )
    items = common_items(predictions, task_data, _subset(request, task_data), request.clips)
    frames = _horizon(request, predictions)
    plan = _plan(request, len(predictions), len(items))
    check(plan)
    advice = [asdict(a) for a in advise(plan.methods, plan.clips, plan.raters)]
    contents = _contents(request, task_data, predictions, items, plan, settings, frames, advice)
    manifest = export(contents, request.out, report)
    return {
        "schema": "vpbench.study-export/1",
        "study": manifest["study"],
        "out": str(request.out),
        "private": str(PrivatePaths.of(request.out).folder),
        "bundle_sha256": manifest["sha256"],
        "key_sha256": manifest["key_sha256"],
        "preregistration_sha256": manifest["preregistration_sha256"],
        "design": request.design,
        "methods": [p.name for p in predictions],
        "questions": [q.id for q in settings.questions],
        "clips": plan.clips,
        "left_out": len(task_data.task.test) - plan.clips,
        "raters": plan.raters,
        "frames": frames,
        "fps": contents.fps,
        "trials": plan.clips + plan.gold + plan.repeats,
        "gold": plan.gold,
        "repeats": plan.repeats,
        "megabytes": round(bytes_of(request.out) / 1e6, 1),
        "unset": settings.unset,
        "power": {"rater_sd": RATER_SD, "clip_sd": CLIP_SD, "advice": advice},
    }


def _settings(request: Request) -> Settings:
    base = Settings()
    if request.design == "kim2019":
        base = replace(base, questions=(KIM2019,))
    return base if request.settings is None else read_settings(request.settings, base)


def _subset(request: Request, task_data: TaskData) -> str | None:
    if request.design != "kim2019" or request.subset or request.clips:
        return request.subset
    if _KIM_SUBSET not in task_data.task.subsets:
        raise UsageError(
            f"{task_data.task.id} does not have the 70 clips that kim2019 ranks; penn does.",
            fix="Say how many to take instead: --clips 70",
        )
    return _KIM_SUBSET


def _horizon(request: Request, predictions: Sequence[Predictions]) -> int:
    most = min(p.horizon for p in predictions)
    if request.horizon is not None and request.horizon > most:
        short = next(p.name for p in predictions if p.horizon == most)
        raise UsageError(
            f"{short} predicted {most} frames, not {request.horizon}.", fix=f"--horizon {most}"
        )
    return request.horizon or most


def _plan(request: Request, methods: int, clips: int) -> Plan:
    kim = request.design == "kim2019"
    checks = 0 if kim else math.ceil(clips / _TRIALS_PER_GOLD)
    return Plan(
        clips,
        methods,
        request.raters or _RATERS,
        checks if request.gold is None else request.gold,
        min(checks, clips) if request.repeats is None else request.repeats,
        balanced=not kim,
        seed=request.order_seed,
    )


def _contents(
    request: Request,
    task_data: TaskData,
    predictions: Sequence[Predictions],
    items: Sequence[Item],
    plan: Plan,
    settings: Settings,
    frames: int,
    advice: list[dict[str, Any]],
) -> Contents:
    task = task_data.task

    def video(clip: int, method: int) -> Frames:
        return predictions[method].frames(items[clip].id)

    return Contents(
        [{"name": p.name, "run": p.folder.path.name, "manifest": p.manifest} for p in predictions],
        [{"id": i.id, "label": i.clip.label, "cluster": i.cluster} for i in items],
        video,
        list(real_clips(task_data, plan.gold, items)),
        {**task.fields(), "dataset": task.dataset},
        plan,
        request.design,
        settings,
        frames,
        task.spec.size,
        request.fps or task.info.fps or _FPS,
        advice,
    )
