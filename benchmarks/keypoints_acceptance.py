"""What 'ours' reaches on the test split of puppets, figure by figure, each beside its bound.

Reads finished runs and asks their trained parts; trains nothing but one small classifier, which is
kept in the cache. First make the runs:

    vpbench run ours ours-oracle 'ours[motion=frozen]' --dataset puppets --runs RUNS

then

    python benchmarks/keypoints_acceptance.py --runs RUNS
    python benchmarks/keypoints_acceptance.py --runs RUNS --only fvd spread --json
    python benchmarks/keypoints_acceptance.py --preset smoke --limit 12 --train-clips 90 --epochs 1

translator  The oracle's frames: redrawn from the last given frame at the true frames' keypoints.
            PSNR of a clip is that of its mean squared error; the gain is the mean over clips of the
            difference to copy-last. L1 is summed over all pixels of all frames that differ from the
            last given frame by more than 0.1 of [-1,1], the mean over channels.
joints      Linear regression from the keypoints of six frames a clip, both relative to their mean
            in the frame, fitted on training clips and measured on test clips.
fvd         (FVD of copy-last - FVD of ours) / (FVD of copy-last - FVD of real-other), from stored
            scores; the difference to the frozen motion model in standard errors of the paired
            jackknife.
label       Every test clip is predicted under a wrong label: the clips of a class take the other
            labels in turn. A classifier trained on real training clips (the last given frame and
            every second future one) predicts the label.
spread      Of a test clip, the keypoint paths under five seeds: the mean over pairs of seeds,
            frames and keypoints of their distance; the mean over clips. It is divided by the same
            distance between the detector's keypoints on two real test clips of one class from t0
            on, each relative to the centroid of its keypoints at t0; the mean over all such pairs.
            `of movement` takes each keypoint's way since t0 instead of its place, on both sides, so
            that differences of build between figures count for nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keypoints_labels import FEWEST, label
from keypoints_setup import open_setup, progress_lines, table
from keypoints_trial import FROZEN, METHOD, ORACLE, Line, Trial
from torch import Tensor

from vpbench.api import ClipInfo, Frames, MissingData
from vpbench.core.samples import set_sample
from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import TaskData
from vpbench.harness.prediction.shards import read_shard
from vpbench.harness.results.finished_runs import FinishedRun
from vpbench.kit import evaluating, set_threads, to_tensor
from vpbench_keypoints.losses import changed_pixels
from vpbench_keypoints.readout import Readout, linear_readout

_READ_CLIPS, _READ_FRAMES = 450, 5
"""Training clips of the linear read-out, and steps between the first and last frame read."""


# translator --------------------------------------------------------------------------------------


def frames_of(run: FinishedRun) -> dict[str, Frames]:
    """Predicted frames of the first sample, item id -> uint8 [T,H,W,3]."""
    return {
        name: np.array(frames[k, 0])
        for row in run.folder.read_manifest()["shards"]
        for frames in (read_shard(run.folder, row),)
        for k, name in enumerate(row["items"])
    }


def changed_error(task_data: TaskData, items: Sequence[Item], fake: dict[str, Frames]) -> float:
    """L1 on pixels that changed since the last given frame, as a part of repeating's."""
    wrong = due = 0.0
    for item in items:
        real, made = to_tensor(task_data.targets(item)), to_tensor(fake[item.id])
        still = to_tensor(task_data.given(item)[-1]).expand_as(real)
        changed = changed_pixels(still * 2.0, real * 2.0)
        wrong += float(((made - real).abs() * changed).sum())
        due += float(((still - real).abs() * changed).sum())
    return wrong / max(due, 1e-12)


def translator(trial: Trial) -> list[Line]:
    """The translator alone, fed with true keypoints."""
    gain = trial.apart(ORACLE, "copy-last", "psnr")
    part = changed_error(trial.task_data, trial.items, frames_of(trial.finished(ORACLE)))
    known = {n: trial.score(n, "psnr") for n in (ORACLE, "copy-last")}
    own = {n: None if r is None else r["value"] for n, r in known.items()}
    return [
        Line("PSNR with true keypoints", own[ORACLE], "dB"),
        Line("PSNR of copy-last", own["copy-last"], "dB"),
        Line(
            "PSNR above copy-last",
            gain.estimate if gain else None,
            "dB",
            at_least=5.0,
            se=gain.se if gain else None,
            note="" if gain else "not scored",
        ),
        Line("L1 on changed pixels, part of copying's", part, at_most=0.4),
    ]


# joints ------------------------------------------------------------------------------------------


def read_points(
    trial: Trial, detector: Any, clips: Sequence[ClipInfo], what: str
) -> tuple[Any, Any, Any]:
    """Keypoints [N,K,3], joints [N,J,3] and class numbers [N] of a few frames of each clip."""
    points: list[Any] = []
    joints: list[Any] = []
    labels: list[int] = []
    for done, clip in enumerate(clips):
        last = clip.frames - 1
        times = sorted({round(k * last / _READ_FRAMES) for k in range(_READ_FRAMES + 1)})
        pose = trial.task_data.clip_cache.pose(clip, times)
        if pose is None:
            raise MissingData(f"the clip {clip.id!r} has no joints.")
        frames = to_tensor(trial.task_data.clip_cache.whole(clip, times))
        points.append(detector.detect(frames[None], torch.from_numpy(pose.copy())[None])[0].numpy())
        joints.append(pose)
        labels += [clip.label or 0] * len(times)
        trial.show(f"keypoints, {what}", done + 1, len(clips))
    return np.concatenate(points), np.concatenate(joints), np.array(labels, np.int64)


def joints(trial: Trial) -> list[Line]:
    """Joints read from keypoints."""
    detector = trial.loaded.slots["detector"]
    most = trial.args.train_clips or _READ_CLIPS
    clips = sorted(trial.task_data.dataset.clips("train"), key=lambda c: c.id)
    clips = clips[:: max(1, len(clips) // most)]
    tested = list({item.clip.id: item.clip for item in trial.items}.values())
    with torch.inference_mode(), evaluating([detector]):
        sides = [
            read_points(trial, detector, c, w) for c, w in ((clips, "train"), (tested, "test"))
        ]
    readout: Readout = linear_readout(sides[0], sides[1], trial.task_data.task.info.size)
    return [
        Line(
            "joint error", readout.error, "px", note=f"mean pose {readout.mean_pose_error:.2f} px"
        ),
        Line("joint error, part of the mean pose's", readout.ratio, at_most=0.6),
        Line("PCK@0.1 of joints read from keypoints", readout.pck, at_least=0.7),
    ]


# FVD ---------------------------------------------------------------------------------------------


def closing(ours: Mapping[str, Any], still: Mapping[str, Any], real: Mapping[str, Any]) -> Line:
    """The part of the way from copy-last to real-other, of figures without their bias; its error by
    linearising the ratio of the jackknife's pseudo-values.
    """
    sides = [set_sample([r["value"]], [r["per_clip"]]) for r in (ours, still, real)]
    known = [side for side in sides if side is not None]
    if len(known) < len(sides) or len({side.names for side in known}) > 1:
        way, whole = still["value"] - ours["value"], still["value"] - real["value"]
        return Line(_CLOSING, way / whole, at_least=0.5, note="with bias")
    a, b, c = (side.values[0] for side in known)
    value = float((b - a).mean() / (b - c).mean())
    rest = ((b - a) - value * (b - c)) / (b - c).mean()
    se = float(rest.std(ddof=1)) / math.sqrt(len(rest))
    return Line(_CLOSING, value, at_least=0.5, se=se)


_CLOSING = "FVD without bias, part of the way from copy-last to real-other"


def fvd(trial: Trial) -> list[Line]:
    """FVD of ours between its references, and beside the frozen motion model."""
    names = (METHOD, "copy-last", "real-other", FROZEN)
    records = {name: trial.score(name, "fvd") for name in names}
    lines = [
        Line(
            f"FVD of {trial.finished(n).inputs['method']}",
            r["value"] if r else None,
            se=r.get("se") if r else None,
        )
        for n, r in records.items()
    ]
    ours, still, real, _ = records.values()
    worse = trial.apart(FROZEN, METHOD, "fvd")
    if ours is None or still is None or real is None or worse is None or not worse.se:
        missing = [
            (_CLOSING, 0.5),
            ("FVD of frozen motion above ours, in SE", 2.0),
        ]
        return lines + [Line(n, None, at_least=b, note="not scored") for n, b in missing]
    assert worse.estimate is not None
    return [
        *lines,
        closing(ours, still, real),
        Line("FVD of frozen motion above ours", worse.estimate, se=worse.se),
        Line("FVD of frozen motion above ours, in SE", worse.estimate / worse.se, at_least=2.0),
    ]


# spread ------------------------------------------------------------------------------------------


def pair_distance(paths: Tensor) -> list[float]:
    """Mean distance of keypoints for each pair of paths [N,T,K,2]."""
    return [
        float((paths[i] - paths[j]).norm(dim=-1).mean())
        for i, j in itertools.combinations(range(len(paths)), 2)
    ]


def spread(trial: Trial) -> list[Line]:
    """How far futures under several seeds lie apart, beside real clips of one class."""
    task_data, slots = trial.task_data, trial.loaded.slots
    detector, motion = slots["detector"], slots["motion"]
    apart: list[float] = []
    real: dict[int, list[Tensor]] = defaultdict(list)
    with torch.inference_mode(), evaluating([detector, motion]):
        for part in trial.batches():
            given = task_data.conditioning(part, trial.loaded.run.method)
            seeds = torch.from_numpy(task_data.seeds(part, 0, trial.args.samples))
            asked = None if given.label is None else torch.from_numpy(given.label.copy())
            points = detector.detect(to_tensor(given.frames), None)
            rolled = [
                motion.rollout(points, asked, task_data.task.horizon, seeds[:, s])[..., :2]
                for s in range(seeds.shape[1])
            ]
            for paths in torch.stack(rolled, 1):
                apart += pair_distance(paths)
            for item in part:
                frames = np.concatenate([task_data.given(item)[-1:], task_data.targets(item)])
                keypoints = detector.detect(to_tensor(frames)[None], None)[0, :, :, :2]
                real[item.clip.label or 0].append(keypoints)
            trial.show("spread", sum(map(len, real.values())), len(trial.items))
    places: list[float] = []
    ways: list[float] = []
    for clips in real.values():
        keypoints = torch.stack(clips)
        places += pair_distance(keypoints[:, 1:] - keypoints[:, :1].mean(2, keepdim=True))
        ways += pair_distance(keypoints[:, 1:] - keypoints[:, :1])
    if not places:
        raise MissingData(
            "no class has two test clips.", fix="Make the runs with a larger --limit."
        )
    own = float(np.mean(apart))
    return [
        Line(f"distance of keypoints under {trial.args.samples} seeds", own, "of [-1,1]"),
        Line("distance of keypoints of real clips of a class", float(np.mean(places)), "of [-1,1]"),
        Line("spread, part of real clips'", own / float(np.mean(places)), at_least=0.25),
        Line("spread of movement, part of real clips'", own / max(float(np.mean(ways)), 1e-12)),
    ]


# -------------------------------------------------------------------------------------------------

GROUPS: dict[str, Callable[[Trial], list[Line]]] = {
    "translator": translator,
    "joints": joints,
    "fvd": fvd,
    "label": label,
    "spread": spread,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, help="runs folder; default VPBENCH_RUNS or ./runs")
    parser.add_argument("--preset", help="of 'ours'; default that of its size")
    parser.add_argument("--only", nargs="+", choices=list(GROUPS), default=list(GROUPS))
    parser.add_argument("--limit", type=int, help="the --limit that the runs were made with")
    parser.add_argument("--fit-seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=5, help="seeds of the spread; default 5")
    parser.add_argument(
        "--train-clips", type=int, metavar="N", help="fewer for the classifier and the read-out"
    )
    parser.add_argument("--epochs", type=int, default=24, help="of the classifier; default 24")
    parser.add_argument("--seed", type=int, default=0, help="of the classifier")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    args = parser.parse_args()
    if args.samples < 2 or args.epochs < 1 or args.threads < 1:
        parser.error("--samples must be at least 2, --epochs and --threads at least 1")
    if args.train_clips is not None and args.train_clips < FEWEST:
        parser.error(f"--train-clips must be at least {FEWEST}")
    groups: dict[str, list[Line]] = {}
    with progress_lines() as progress:
        trial = Trial(open_setup(args.runs, limit=args.limit), args, progress)
        method, n = trial.plans[METHOD].name, len(trial.items)
        for name in args.only:
            set_threads(args.threads)  # loading a method sets one
            groups[name] = GROUPS[name](trial)
    if args.json:
        lines = {name: [line.json() for line in group] for name, group in groups.items()}
        print(json.dumps({"method": method, "n": n, "figures": lines}, allow_nan=False))
        return
    print(f"{method} on {n} test clips of puppets, fit seed {args.fit_seed}")
    rows = [["", "value", "SE", "bound", ""]]
    table(rows + [line.cells() for group in groups.values() for line in group])
    bound = [line for group in groups.values() for line in group if line.met is not None]
    print(f"{sum(line.met is True for line in bound)} of {len(bound)} bounds are met")


if __name__ == "__main__":
    main()
