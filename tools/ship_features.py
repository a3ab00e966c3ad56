"""Collect the I3D features of the reference rows on puppets into the file that vpbench ships.

    vpbench run real --dataset puppets --recompute --runs RUNS
    python tools/ship_features.py RUNS

Run it after a change of the extractor, the puppets or a reference row. The features are read from
the cache that the run has filled; one that is missing is an error. After a row was added, leave
--recompute out and add --keep: what ships already stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vpbench.core.hashing import digest
from vpbench.core.paths import user_paths
from vpbench.core.plan import REFERENCES
from vpbench.core.registry import registry
from vpbench.core.run_folders import runs_of
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.scoring.feature_cache import fake_clips, real_clips
from vpbench.harness.training.context import ScoreContext
from vpbench.metrics.features import FeatureCache, clip_hash, write_shipped
from vpbench.metrics.video import SHIPPED, open_extractor, shipped_features
from vpbench.metrics.video_specs import I3D


def main(runs: Path, *, keep: bool) -> int:
    """Write SHIPPED/puppets.npz."""
    here = user_paths(runs)
    task_data = open_task_data(TaskRef(dataset="puppets"), registry(), here)
    ctx = ScoreContext("cpu", 1, here.cache, declared=(I3D,))
    extractor = open_extractor("tf2018", "float32", ctx)
    fingerprint = dict(extractor.fingerprint())
    folder = here.cache / "features" / digest(fingerprint)[:16]
    cache = FeatureCache(fingerprint, folder, shipped_features() if keep else ())
    keys = {clip_hash(frames) for _, _, frames in real_clips(task_data, (0, 1))}
    for run in runs_of(here.runs, "puppets"):
        if run.read_record()["inputs"]["method"] in REFERENCES:
            keys |= {clip_hash(fake[0]) for _, _, fake in fake_clips(run, task_data, (0, 1))}
    found = {key: cache.get(key) for key in sorted(keys)}
    missing = [key for key, value in found.items() if value is None]
    if missing:
        sys.stderr.write(f"{len(missing)} of {len(found)} features are not in {folder}\n")
        return 1
    SHIPPED.mkdir(exist_ok=True)
    path = SHIPPED / "puppets.npz"
    sha256 = write_shipped(path, fingerprint, {k: v for k, v in found.items() if v is not None})
    sys.stdout.write(f"{path}: {len(found)} features, {path.stat().st_size / 1e6:.2f} MB\n")
    sys.stdout.write(f"PINS of vpbench.metrics.video: {path.name!r}: {sha256!r}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), keep="--keep" in sys.argv[2:]))
