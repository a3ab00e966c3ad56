"""Rows of a table with the runs behind them: values by clip, by class and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vpbench.core.options import TRAIN
from vpbench.core.records import ScoreRecord
from vpbench.core.samples import clip_sample, figure
from vpbench.core.schema import GroupJson, RowJson
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.scoring.score_record import share_interval
from vpbench.render.flags import row_title
from vpbench.render.text import column_title

_ORDER = ("psnr", "ssim", "lpips", "action")
"""Metrics of clips in the order in which a page offers them; others follow."""


@dataclass(frozen=True)
class Spread:
    """A mean over clips: with the ends of its 95 % interval, None where it has none."""

    mean: float
    ends: tuple[float, float] | None
    n: int


@dataclass(frozen=True)
class ShownRow:
    """A row with its runs: those of all seeds and trainings that its figures stand on."""

    row: RowJson
    runs: Sequence[FinishedRun]

    @property
    def title(self) -> str:
        """What tables call it."""
        return row_title(self.row)

    @property
    def first(self) -> FinishedRun:
        """The run whose predictions a page shows: that of the lowest seeds."""
        return min(self.runs, key=lambda r: (r.inputs["fit_seed"] or 0, r.inputs["seed"]))

    @property
    def has_frames(self) -> bool:
        """Whether its predictions are here: those of an entry are not."""
        return self.first.folder.manifest.is_file()

    def records(self, group: GroupJson, metric: str) -> list[ScoreRecord]:
        """The scores behind one cell of the row."""
        wanted = group["metrics"][metric]["fingerprint"]
        found = [r.scores.get((metric.partition("#")[0], group["frames"])) for r in self.runs]
        return [r for r in found if r is not None and r["fp8"] == wanted]


def shown_rows(rows: Sequence[RowJson], runs: Sequence[FinishedRun]) -> list[ShownRow]:
    """The rows that have runs, in their order."""
    found = [ShownRow(row, [run for run in runs if _behind(run, row)]) for row in rows]
    return [one for one in found if one.runs]


def _behind(run: FinishedRun, row: RowJson) -> bool:
    inputs = run.inputs
    trained = f"trained on {run.train_on}" in row["notes"]
    return (
        inputs["method"] == row["method"]
        and inputs["samples"] == row["samples"]
        and inputs["seed"] in row["seeds"]
        and (inputs["fit_seed"] is None or inputs["fit_seed"] in row["fit_seeds"])
        and trained == (run.train_on != TRAIN)
    )


def clip_metrics(group: GroupJson, rows: Sequence[ShownRow]) -> list[str]:
    """Columns with a value for each clip, the usual ones first."""
    names = [
        name
        for name in group["metrics"]
        if any(r["kind"] == "clip" for row in rows for r in row.records(group, name))
    ]
    place = {name: k for k, name in enumerate(_ORDER)}
    return sorted(names, key=lambda name: place.get(name.partition("#")[0], len(place)))


def metric_title(group: GroupJson, metric: str) -> str:
    """`PSNR`, without arrow and unit."""
    return column_title(metric, "")


def per_clip(records: Sequence[ScoreRecord]) -> dict[str, float]:
    """Clip -> value, the mean over a row's runs; without clips that lack one."""
    return _means([r["per_clip"] for r in records])


def per_frame(records: Sequence[ScoreRecord]) -> list[Spread]:
    """The mean over clips at each predicted frame; [] for a metric without values by frame."""
    frames = min((len(v) for r in records for v in r["per_frame"].values()), default=0)
    spreads: list[Spread] = []
    for t in range(frames):
        fits = [{name: path[t] for name, path in r["per_frame"].items()} for r in records]
        spread = _spread(_means(fits), records[0]["clusters"])
        if spread is None:
            return []
        spreads.append(spread)
    return spreads


def per_class(
    records: Sequence[ScoreRecord], labels: Mapping[str, str], classes: Sequence[str]
) -> list[Spread | None]:
    """The mean over the clips of each class; of recognised clips, with the interval of a share.

    Args:
        labels: clip -> class.
    """
    if not records:
        return [None] * len(classes)
    values = per_clip(records)
    clusters = records[0]["clusters"]
    spread = _share if "recognition" in records[0] else _spread
    return [
        spread({k: v for k, v in values.items() if labels.get(k) == name}, clusters)
        for name in classes
    ]


def _means(runs: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    means: dict[str, float] = {}
    for name in sorted(set[str]().union(*runs)):
        values = [run.get(name) for run in runs]
        known = [v for v in values if v is not None]
        if len(known) == len(values):
            means[name] = sum(known) / len(known)
    return means


def _spread(values: Mapping[str, float], clusters: Mapping[str, str]) -> Spread | None:
    sample = clip_sample([values], clusters) if values else None
    if sample is None:
        return None
    found = figure(sample)
    if found.estimate is None:
        return None
    return Spread(found.estimate, found.interval(), len(values))


def _share(values: Mapping[str, float], clusters: Mapping[str, str]) -> Spread | None:
    found, _ = share_interval(list(values.values()), [clusters.get(k, "") for k in values])
    if found.mean is None:
        return None
    ends = None if found.low is None or found.high is None else (found.low, found.high)
    return Spread(found.mean, ends, len(values))
