"""One picture under all classes, and under several seeds of one class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vpbench.api.errors import Refused
from vpbench.api.types import Conditioning, Frames
from vpbench.core.names import safe_name
from vpbench.core.plan import RunPlan
from vpbench.core.tasks import Item
from vpbench.harness.figures.sources import Figure, Studio, clips_json
from vpbench.harness.prediction.from_image import (
    Picture,
    Pictured,
    check_pictured,
    pick_labels,
    picture_given,
    predict_clip,
    uses_label,
)
from vpbench.harness.prediction.image_files import frame_row, label_title, points_row, time_headers
from vpbench.harness.prediction.loaded import LoadedMethod
from vpbench.render.grid import Block, Row, Sheet
from vpbench.render.sheets import frame_times


def sweep(
    studio: Studio, runs: Sequence[RunPlan], source: Item | Picture, label: str | None, count: int
) -> Figure:
    """What labels and seeds change: all classes at one seed, then several seeds of one class.

    Args:
        source: a test clip, or a picture of the user's.
        label: the class of the seed sweep; None for the clip's own, or the first.
        count: number of seeds.

    Raises:
        Refused: a method uses neither labels nor randomness, or cannot use a picture.
    """
    sheets: dict[str, Sheet] = {}
    records: list[dict[str, Any]] = []
    for run in runs:
        if isinstance(source, Picture):
            check_pictured(run.method)
        elif run.method.capabilities.oracle:
            raise Refused(
                f"{run.name} sees the true future: neither the label nor the seed changes it."
            )
        has_label = uses_label(run.method, studio.task_data.task.info)
        if not has_label and not run.method.capabilities.stochastic:
            raise Refused(
                f"{run.name} uses neither a label nor randomness: there is nothing to sweep."
            )
        if label is not None and not has_label:
            studio.note(f"{run.name} does not use labels: --label is ignored.")
        loaded = studio.load(run)
        chosen = _chosen(studio, run, source, label) if has_label else None
        stem = "sweep" if len(runs) == 1 else f"sweep-{safe_name(run.name)}"
        record: dict[str, Any] = {
            "method": run.name,
            "source": "live",
            "seed": run.seed,
            "fit_seed": run.fit_seed if run.stages else None,
            "stages": loaded.stages(),
            "classes": None,
            "seeds": None,
        }
        if has_label:
            per_class = _classes(studio, loaded, source)
            sheets[f"{stem}-classes"] = _sheet(
                studio, loaded, source, per_class, "all labels, one seed"
            )
            record["classes"] = [_sample_json(studio, one, 0) for one in per_class]
        if run.method.capabilities.stochastic:
            one = _predict(studio, loaded, source, chosen, count)
            title = label_title(studio.task_data.task.info, chosen) if has_label else ""
            what = f"label {title}, {count} samples" if title else f"{count} samples"
            sheets[f"{stem}-seeds"] = _sheet(studio, loaded, source, [one], what)
            record["seeds"] = [_sample_json(studio, one, s) for s in range(count)]
        records.append(record)
    return Figure("sweep", sheets, {"methods": records, **_source_json(studio, source)})


def _chosen(studio: Studio, run: RunPlan, source: Item | Picture, label: str | None) -> int:
    task = studio.task_data.task.info
    if label is not None:
        first = pick_labels(label, run.method, task)[0]
        assert first is not None  # the method uses labels
        return first
    own = source.clip.label if isinstance(source, Item) else None
    return own if own is not None else 0


def _source_json(studio: Studio, source: Item | Picture) -> dict[str, Any]:
    if isinstance(source, Item):
        return {"clips": clips_json(studio, [source]), "image": None}
    return {"clips": [], "image": {"path": str(source.path), "sha256": source.sha256}}


def _sample_json(studio: Studio, one: Pictured, s: int) -> dict[str, Any]:
    names = studio.task_data.task.info.class_names
    return {
        "label": one.label,
        "class": None if one.label is None else names[one.label],
        "sample": s,
        "seed": int(one.seeds[s]),
    }


def _given(
    studio: Studio, loaded: LoadedMethod, source: Item | Picture
) -> tuple[Conditioning, str]:
    if isinstance(source, Picture):
        return picture_given(loaded, source), source.id
    return studio.task_data.conditioning([source], loaded.run.method), source.id


def _predict(
    studio: Studio, loaded: LoadedMethod, source: Item | Picture, label: int | None, samples: int
) -> Pictured:
    given, name = _given(studio, loaded, source)
    return predict_clip(loaded, given, label, samples, loaded.run.seed, name)


def _classes(studio: Studio, loaded: LoadedMethod, source: Item | Picture) -> list[Pictured]:
    per_class: list[Pictured] = []
    total = studio.task_data.task.info.n_classes
    for label in range(total):
        per_class.append(_predict(studio, loaded, source, label, 1))
        studio.report(
            {
                "event": "progress",
                "what": "sweep",
                "method": loaded.name,
                "done": label + 1,
                "total": total,
            }
        )
    return per_class


def _first(studio: Studio, source: Item | Picture) -> Frames:
    return source.frame if isinstance(source, Picture) else studio.task_data.given(source)[-1]


def _sheet(
    studio: Studio,
    loaded: LoadedMethod,
    source: Item | Picture,
    predictions: Sequence[Pictured],
    what: str,
) -> Sheet:
    """Rows of classes, or of samples where there is one class, with keypoints below each."""
    task = studio.task_data.task.info
    times = frame_times(task.horizon, studio.columns)
    first = _first(studio, source)
    rows: list[Row] = []
    count = 0
    for one in predictions:
        for s in range(len(one.seeds)):
            label = label_title(task, one.label) if len(predictions) > 1 else f"sample {s}"
            rows.append(frame_row(label, first, one.frames[s], times))
            points = None if one.intermediates is None else one.intermediates.at(0, s, task.horizon)
            if points is not None:
                rows.append(points_row("", first, one.frames[s], points, times, "keypoints"))
                count = points.shape[1]
    name = Path(source.path).name if isinstance(source, Picture) else studio.title(source)
    caption = studio.caption(name, what)
    blocks = [Block("", rows, time_headers(times))]
    return Sheet(loaded.name, blocks, caption, points=count, rules=(1,))
