"""Stored scores of made-up runs, and the table rows that they give."""

import math
from pathlib import Path

import numpy as np

from vpbench.core.rundir import RunDir
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.harness.results.ranking import Column, Row, judge
from vpbench.harness.results.rows import row_json

FRAMES = 16
PSNR = Column("psnr", "aa", {}, "up", "dB", "clip")
FVD = Column("fvd", "bb", {}, "down", "", "set")
COLUMNS = {"psnr": PSNR, "fvd": FVD}


def rng(seed=0):
    return np.random.default_rng(seed)


def record(column, per_clip, value, **more):
    fields = {
        "metric": column.metric,
        "kind": column.kind,
        "fp8": column.short_fingerprint,
        "fingerprint": {},
        "direction": column.direction,
        "unit": column.unit,
        "frames": FRAMES,
        "value": value,
        "reason": None,
        "se": 1.0,
        "ci95": [value - 2, value + 2] if value is not None else None,
        "n": len(per_clip),
        "p": None,
        "floor": None,
        "per_clip": per_clip,
        "clusters": {},
    }
    return {**fields, **more}


def clip_record(values, column=PSNR, clusters=None, **more):
    per_clip = {f"{k:03}": None if math.isnan(v) else float(v) for k, v in enumerate(values)}
    known = [v for v in per_clip.values() if v is not None]
    value = sum(known) / len(known) if known else None
    return record(column, per_clip, value, clusters=clusters or {}, **more)


def variance(x):
    return float(((x - x.mean()) ** 2).mean())


def set_record(x, column=FVD, **more):
    """A set metric of clips x: their plug-in variance, whose bias is known."""
    left = {f"{k:03}": variance(np.delete(x, k)) for k in range(len(x))}
    return record(column, left, variance(x), **more)


def run(
    *records,
    method="mine",
    kind="method",
    seed=0,
    fit_seed=None,
    uses=(),
    limit=None,
    samples=1,
    train_on="train",
):
    stage = {
        "stage": "s",
        "origin": "fitted",
        "seconds": 1.0,
        "device": "cpu",
        "threads": 1,
        "checks": [],
        "notes": [],
        "not_comparable": [],
    }
    inputs = {
        "method": method,
        "kind": kind,
        "task": {"id": "t", "n": 90, "limit": limit, "train_on": train_on},
        "conditioning_frames": 1,
        "uses": list(uses),
        "samples": samples,
        "seed": seed,
        "fit_seed": fit_seed,
        "notes": [],
        "dataset": "d",
    }
    manifest = {"notes": [], "stages": [] if fit_seed is None else [stage], "closed": 0.0}
    scores = {(r["metric"], r["frames"]): r for r in records}
    return FinishedRun(RunDir(Path("/nowhere")), inputs, manifest, scores)


def row(name, *runs):
    return Row(name, list(runs))


def shown(*rows, columns=COLUMNS):
    inputs = {"task": {"limit": None, "name": "t"}, "dataset": "d"}
    entries = [row_json(r, FRAMES, columns, inputs) for r in rows]
    return entries, judge(rows, entries, FRAMES, columns)


def score(row_, column=PSNR):
    name = column.metric
    return shown(row_, columns={name: column})[0][0]["scores"][name]
