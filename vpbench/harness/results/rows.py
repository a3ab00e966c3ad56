"""Rows of a comparison as JSON: figures over all runs of a method, and the notes beside them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vpbench.core import schema
from vpbench.core.acceptance import StageNotes, not_comparable_notes
from vpbench.core.command_names import name_of_run
from vpbench.core.estimators import has_bias
from vpbench.core.intervals import MIN_FITS
from vpbench.core.options import TRAIN, RunOptions, TaskRef
from vpbench.core.paths import Paths, user_paths
from vpbench.core.records import RunInputs, ScoreRecord
from vpbench.core.samples import Difference, Sample, figure
from vpbench.harness.results.finished_runs import FinishedRun, training
from vpbench.harness.results.plausible import REASON
from vpbench.harness.results.ranking import Column, Row, mean_value, sample_of
from vpbench.harness.scoring.score_record import score_json, share_interval


def fill_floors(rows: Sequence[schema.RowJson], columns: Mapping[str, Column]) -> None:
    """The floor of a set metric is the value of other real clips in the same column.

    The bias of such a metric falls with the number of clips, so it stands only beside figures of
    equally many.
    """
    for name, column in columns.items():
        floor = next((r["scores"][name] for r in rows if r["kind"] == "floor"), None)
        if column.kind != "set" or floor is None or floor["value"] is None:
            continue
        for row in rows:
            score = row["scores"][name]
            if score["value"] is not None and score["n"] == floor["n"]:
                score["floor"], score["floor_n"] = floor["value"], floor["n"]


def row_json(
    row: Row,
    frames: int,
    columns: Mapping[str, Column],
    inputs: RunInputs,
    words: Sequence[str] = (),
) -> schema.RowJson:
    """A row of one table; a method without a run has a dash with the reason in every column.

    Args:
        words: options that a command to run it needs besides.
    """
    if not row.runs:
        why = f"not run: `{run_command([row.name], inputs, words)}`"
        if row.failed:
            why = f"failed: {row.failed}"
        elif row.unable:
            why = f"n/a ({row.unable})"
        scores = {
            name: schema.score_json(None, n=0, fingerprint=c.short_fingerprint, reason=why)
            for name, c in columns.items()
        }
        return {
            "method": row.name,
            "row": row.label,
            "kind": "method",
            "conditioning_frames": None,
            "uses": [],
            "n": None,
            "samples": None,
            "seeds": [],
            "fit_seeds": [],
            "checkpoint": None,
            "scores": scores,
            "nulls": [],
            "notes": [] if scores else [why],
            "not_comparable": [],
            "missed": [],
            "doubts": [],
            "tied": [],
        }
    first = row.runs[0].inputs
    return {
        "method": row.name,
        "row": row.label,
        "kind": first["kind"],
        "conditioning_frames": first["conditioning_frames"],
        "uses": first["uses"],
        "n": first["task"]["n"],
        "samples": first["samples"],
        "seeds": sorted({r.inputs["seed"] for r in row.runs}),
        "fit_seeds": sorted({s for r in row.runs if (s := r.inputs["fit_seed"]) is not None}),
        "checkpoint": training(row.runs[0]),
        "scores": {
            name: tested(_score(row, frames, c), first["kind"]) for name, c in columns.items()
        },
        "nulls": [],
        "notes": _notes(row, words),
        "not_comparable": _not_comparable(row),
        "missed": _once(
            text
            for run in row.runs
            for stage in run.stages
            for text in StageNotes.of(stage).missed(stage["stage"])
        ),
        "doubts": _once(row.doubts),
        "tied": [],
    }


def run_command(methods: Sequence[str], inputs: RunInputs, words: Sequence[str] = ()) -> str:
    """The command that makes missing runs of a task.

    Args:
        words: options that it needs besides.
    """
    task = inputs["task"]
    return command_of("run", methods, inputs["dataset"], task["name"], task["limit"], words)


def command_of(
    verb: str,
    methods: Sequence[str],
    dataset: str,
    task: str,
    limit: int | None = None,
    words: Sequence[str] = (),
) -> str:
    """A command for some methods on a task, whose name is that within the dataset."""
    command = ["vpbench", verb, *methods, "--dataset", dataset]
    if not dataset.startswith("folder:") and task != dataset:
        command += ["--task", task]
    if limit:
        command += ["--limit", str(limit)]
    return shlex.join([*command, *words])


def command_words(
    task: TaskRef, options: RunOptions, paths: Paths, runs: Mapping[Any, FinishedRun]
) -> list[str]:
    """Options of a command that one for a missing run repeats.

    Args:
        runs: of the same task; the dataset's folder is theirs where the command names none.
    """
    words: list[str] = []
    one = next((run for run in runs.values() if not run.elsewhere), None)
    root = task.root or (one.folder.read_record()["task_ref"].get("root") if one else None)
    if root:
        words += ["--root", str(root)]
    if options.preset:
        words += ["--preset", options.preset]
    if options.metrics is not None:
        words += ["--metrics", ",".join(options.metrics)]
    if paths.runs != user_paths().runs:
        words += ["--runs", str(paths.runs)]
    return words


def _notes(row: Row, words: Sequence[str]) -> list[str]:
    """What a reader of the row must know, each once."""
    notes: list[str] = []
    if row.doubts:
        check = run_command([name_of_run(row.runs[0].folder)], row.runs[0].inputs, words)
        notes = [f"{text}: `{check}` checks it" for text in row.doubts]
    notes += not_comparable_notes([REASON] if row.implausible else [])
    for run in row.runs:
        notes += run.manifest["notes"]
        notes += not_comparable_notes(_limited(run))
        if run.train_on != TRAIN:
            notes.append(f"trained on {run.train_on}")
        for stage in run.stages:
            notes += StageNotes.of(stage).table_notes(stage["stage"])
        notes += run.inputs["notes"]
    if row.runs[0].inputs["kind"] == "oracle":
        notes.append("oracle: sees the true future")
    return _once(notes)


def _not_comparable(row: Row) -> list[str]:
    """Why the row may not be ranked, each reason once; empty for a row that may."""
    reasons: list[str] = [REASON] if row.implausible else []
    for run in row.runs:
        reasons += _limited(run)
        for stage in run.stages:
            reasons += StageNotes.of(stage).not_comparable
    return _once(reasons)


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _limited(run: FinishedRun) -> list[str]:
    limit = run.inputs["task"]["limit"]
    return [f"--limit {limit}"] if limit else []


def _score(row: Row, frames: int, column: Column) -> schema.ScoreJson:
    """A figure over all runs of a row: the mean over training runs of the means over seeds.

    One or two training runs say nothing about others: the error of their mean is that from clips,
    as for a single run. From three on the variance between them is part of it. There is no figure
    where a run or a training run of the row has none: it would be that of the others alone.
    """
    fits = row.fits(frames, column)
    if not fits:
        return schema.score_json(
            None, n=0, fingerprint=column.short_fingerprint, reason="not scored"
        )
    records = [record for fit in fits for record in fit]
    lacking = _lacking(row, fits)
    if lacking:
        n, short = min(r["n"] for r in records), column.short_fingerprint
        return schema.score_json(None, n=n, fingerprint=short, reason=lacking)
    score = score_json(records[0])
    means = [v for fit in fits if (v := mean_value(fit)) is not None]
    if len(records) == 1 or not means:
        return score
    score["value"] = sum(means) / len(means)
    score["n"] = min(r["n"] for r in records)
    p = [r["p"] for r in records if r["p"] is not None]
    # Twice the mean of p-values is one, whatever their dependence (Vovk & Wang, "Combining p-values
    # via averaging", Biometrika 107, 2020).
    score["p"] = min(1.0, 2 * sum(p) / len(p)) if len(p) == len(records) else None
    has_error = any(r["se"] is not None for r in records)
    sample = sample_of(row, frames, column)
    total = figure(sample) if sample is not None and has_error else Difference(None)
    ends = total.interval()
    score["se"], score["ci95"] = total.se, None
    if total.estimate is not None and ends is not None:
        score["ci95"] = [score["value"] - total.estimate + end for end in ends]
    if sample is not None and has_error and "recognition" in records[0]:
        _put_share(score, sample)
    if column.kind == "set" and has_bias(records[0]["fingerprint"]):
        _put_corrected(score, total)
    return score


def _lacking(row: Row, fits: Sequence[Sequence[ScoreRecord]]) -> str:
    """Why some runs of a row have a figure and others have none; "" where all are alike."""
    trained = len({run.inputs["fit_seed"] for run in row.runs})
    if len(fits) < trained:
        return f"scored for {len(fits)} of {trained} training runs"
    records = [record for fit in fits for record in fit]
    without = [r for r in records if r["value"] is None]
    if not without or len(without) == len(records):
        return ""
    why = f": {without[0]['reason']}" if without[0]["reason"] else ""
    return f"no value in {len(without)} of {len(records)} runs{why}"


def _put_share(score: schema.ScoreJson, sample: Sample) -> None:
    """The error of a share of recognised clips, in place; its interval is within 0 and 1."""
    ends = score["ci95"]
    if sample.fits < MIN_FITS or score["se"] == 0.0:
        found, _ = share_interval(sample.values.mean(axis=0).tolist(), sample.clusters)
        ends = None if found.low is None or found.high is None else [found.low, found.high]
        score["se"] = found.se
    score["ci95"] = None if ends is None else [min(max(end, 0.0), 1.0) for end in ends]


_REAL = ("ceiling", "floor", "reference")
"""Kinds of rows that show real clips."""


def tested(score: schema.ScoreJson, kind: str) -> schema.ScoreJson:
    """The figure of a row of some kind: with a p-value, real clips have no standard error.

    Of sets without a difference that error is itself uncertain by half.
    """
    if kind not in _REAL or score["p"] is None:
        return score
    return {**score, "se": None, "ci95": None, "corrected_se": None, "corrected_ci95": None}


def _put_corrected(score: schema.ScoreJson, of: Difference) -> None:
    """The figure of a set metric without its bias, in place."""
    value, ends = score["value"], of.interval()
    score["bias"] = None if value is None or of.estimate is None else value - of.estimate
    score["corrected"], score["corrected_se"] = of.estimate, of.se
    score["corrected_ci95"] = None if ends is None else list(ends)
