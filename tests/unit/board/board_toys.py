"""A finished run on the disk without running anything: what the harness would have written."""

import json

import numpy as np

from vpbench.core import schema
from vpbench.core.files import stored_bytes, write_bytes
from vpbench.core.hashing import digest, file_sha256, stored_digest
from vpbench.core.paths import Paths
from vpbench.core.recognition import proportion
from vpbench.core.records import correction
from vpbench.core.registry import registry
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.harness.prediction.shards import pack
from vpbench.harness.results.finished_runs import stored_run
from vpbench.harness.scoring.score_record import clip_interval

CLASSES = ["jump", "wave"]
CLIPS = [f"test/{k:02d}" for k in range(7)]  # odd: the last shard has three
HORIZON, SIZE = 4, 8
GEOMETRY = {"name": "short-side-centre-crop", "version": 1, "size": SIZE}
SPLIT = digest("the split")
I3D = "28a28b6c4517d78fd3cf357ab5766707013bece36719f7fe2cc6888e5753d228"
RECOGNISER = digest("a recogniser")


def task(**changes):
    fields = {
        "id": "toys",
        "name": "toys",
        "split": "test",
        "n_max": 2,
        "t0": 1,
        "horizon": HORIZON,
        "stride": 1,
        "start": 0,
        "windows": 1,
        "short": "exclude",
        "size": SIZE,
        "geometry": GEOMETRY,
        "n": len(CLIPS),
        "split_hash": SPLIT,
        "limit": None,
        "rendered": True,
    }
    return fields | changes


def fingerprint(metric, version, **more):
    return {
        "metric": metric,
        "version": version,
        "recipe": "",
        "frames": HORIZON,
        "geometry": GEOMETRY,
        "size": SIZE,
        "n": len(CLIPS),
        "split": SPLIT,
        "data": digest("clips"),
        **more,
    }


def score(metric, values, kind="clip", version=1, direction="up", **more):
    """A score file; the value is the mean of its clips."""
    prints = fingerprint(metric, version, **more.pop("prints", {}))
    mean = sum(values) / len(values)
    return {
        "schema": schema.SCORE,
        "vpbench": "0.1.0",
        "metric": metric,
        "kind": kind,
        "direction": direction,
        "unit": "",
        "aggregate": "mean" if kind == "clip" else "own",
        "frames": HORIZON,
        "fingerprint": prints,
        "fp8": digest(prints)[:8],
        "value": mean,
        "reason": None,
        "se": 0.1,
        "n": len(CLIPS),
        "ci95": [mean - 0.3, mean + 0.3],
        "bias": None,
        "corrected": None,
        "corrected_se": None,
        "corrected_ci95": None,
        "p": None,
        "floor": None,
        "floor_n": None,
        "per_clip": dict(zip(CLIPS, values, strict=True)),
        "per_frame": {c: [v, v, v, v] for c, v in zip(CLIPS, values, strict=True)},
        "samples": {},
        "clusters": {c: f"clip:{c}" for c in CLIPS} if kind == "clip" else {},
        **more,
    }


def with_error(record):
    """With the error and the correction that the harness computes."""
    if record["kind"] == "set":
        value = record["value"] + 2.0  # the mean of the values without each clip has no bias
        moved = {"value": value, "ci95": [value - 9.0, value + 9.0]}
        return record | moved | correction(value, record["per_clip"])
    names = sorted(record["per_clip"])
    values = [record["per_clip"][n] for n in names]
    clusters = [record["clusters"][n] for n in names]
    found = clip_interval(values, clusters)[0]
    if "recognition" in record:
        found = proportion(values, clusters)
    ends = None if found.low is None else [found.low, found.high]
    return record | {"se": found.se, "ci95": ends}


def recognised(rights):
    """An `action-2s` score whose clips are recognised, or not."""
    labels = {c: k % 2 for k, c in enumerate(CLIPS)}
    softmax = {
        c: [[0.8, 0.2] if (labels[c] == 0) == right else [0.3, 0.7]]
        for c, right in zip(CLIPS, rights, strict=True)
    }
    found = {"classes": CLASSES, "label": labels, "softmax": softmax, "streams": {}}
    prints = {"recogniser": RECOGNISER}
    values = [float(right) for right in rights]
    return with_error(score("action-2s", values, prints=prints, recognition=found))


def scores(seed=0):
    rng = np.random.default_rng(seed)
    values = [float(v) for v in rng.normal(20, 2, len(CLIPS))]
    left = [float(v) for v in rng.normal(500, 5, len(CLIPS))]
    fvd = {"kind": "set", "direction": "down", "prints": {"features_weights": I3D}}
    return [
        with_error(score("psnr", values, version=2)),
        with_error(score("fvd", left, **fvd)),
    ]


def make_run(runs, method="mine", seed=0, kind="method", own=None, notes=(), **changes):
    """Write a finished run below a runs folder; returns its folder."""
    inputs = {
        "method": method,
        "kind": kind,
        "spec": {"name": method, "factory": "mine.method:Mine", "api": 1, "params": {"k": 3}},
        "preset": "",
        "task": task(),
        "data": digest("all clips"),
        "dataset": "toys",
        "gives": {"label": True, "pose": False},
        "seed": seed,
        "fit_seed": None,
        "samples": 1,
        "uses": ["label"],
        "notes": list(notes),
        "conditioning_frames": 1,
        "stages": [],
        **changes,
    }
    key = digest(inputs)
    folder = RunDir(runs / inputs["task"]["id"] / method / key[:8])
    record = {
        "schema": schema.RUN_RECORD,
        "vpbench": "0.1.0",
        "created": 1.0,
        "key": key,
        "inputs": inputs,
        "task_ref": {"dataset": "toys", "task": None, "root": None, "limit": None},
        "plugins": ["/home/somebody/mine.py:SPEC"],
        "device": "cpu",
        "stage_hashes": {},
    }
    write_sealed(folder.record, record)
    write_bytes(folder.path / "env" / "machine.json", b'{"host": "secret", "cores": 2}')
    code = folder.write_code({"modules": {"mine.method": digest("code")}, "environment": {}})
    rows = [_shard(folder, key, code, seed, k) for k in range(2)]
    manifest = {
        "schema": schema.MANIFEST,
        "vpbench": "0.1.0",
        "run": key,
        "method": method,
        "task": "toys",
        "seed": seed,
        "n": len(CLIPS),
        "samples": 1,
        "shards": rows,
        "stages": [],
        "inputs": [],
        "notes": [],
        "closed": 1.7e9 + seed,
    }
    write_sealed(folder.manifest, manifest)
    for one in scores(seed) if own is None else own:
        bound = {"run": key, "manifest": folder.read_manifest()["sha256"], "code": code}
        write_sealed(folder.score(one["metric"], one["fp8"]), {**one, **bound})
    return folder


def _shard(folder, key, code, seed, index):
    items = CLIPS[index * 4 : index * 4 + 4]
    rng = np.random.default_rng([seed, index])
    frames = rng.integers(0, 256, (len(items), 1, HORIZON, SIZE, SIZE, 3), np.uint8)
    path = folder.shard(index)
    write_bytes(path, pack(frames))
    shard = {
        "schema": schema.SHARD,
        "run": key,
        "items": items,
        "shape": list(frames.shape),
        "array": file_sha256(path),
        "given": "",
        "code": code,
        "inputs": [],
        "changed_settings": [],
        "device": "cpu",
        "seconds": 0.5,
    }
    write_sealed(path.with_suffix(".json"), shard)
    return {
        "name": path.stem,
        "items": items,
        "sha256.npz": file_sha256(path),
        "sha256.json": file_sha256(path.with_suffix(".json")),
        "given": "",
        "code": code,
        "device": "cpu",
        "seconds": 0.5,
    }


def paths(tmp_path):
    return Paths(tmp_path / "runs", tmp_path / "home", True)


def plugins():
    return registry()


def run_of(folder):
    return stored_run(folder.path)


def rewrite(path, change):
    """Change the JSON of an entry and seal it again, as somebody would who wants to cheat."""
    body = json.loads(path.read_bytes())
    body.pop("sha256")
    change(body)
    path.write_bytes(stored_bytes({**body, "sha256": stored_digest(body)}))
