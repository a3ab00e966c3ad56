"""Entries that `board check` accepts, of clips that nobody has."""

from dataclasses import replace

import numpy as np

from vpbench.board.collect import predictions_hash
from vpbench.board.entry import ENTRY, Entry, EntryRun, Trust, Verification, write_entry
from vpbench.board.parts import EntryMethod, EntryTask
from vpbench.board.scores import EntryScore
from vpbench.core.hashing import digest
from vpbench.core.names import MethodRef, safe_name
from vpbench.core.plan import REFERENCES
from vpbench.harness.scoring.score_record import clip_interval

N = 12
CLIPS = tuple(f"clip{k:02d}" for k in range(N))
GEOMETRY = {"name": "short-side-centre-crop", "version": 1, "size": 64}
KINDS = {"copy-last": "null", "real-other": "floor", "noise": "null"}


def task(name="puppets", dataset="puppets", **changes):
    fields = {
        "id": name,
        "name": name,
        "dataset": dataset,
        "dataset_version": "d" * 64,
        "split": "test",
        "split_sha256": "5" * 64,
        "n": N,
        "n_max": 5,
        "t0": 4,
        "horizon": 16,
        "stride": 1,
        "start": 0,
        "windows": 1,
        "short": "exclude",
        "size": 64,
        "geometry": GEOMETRY,
        "rendered": True,
        "label": True,
        "pose": True,
    }
    return EntryTask(**{**fields, **changes})


def score(of, metric, mean, version=None, frames=16, spread=None, seed=0):
    """A clip metric with values about `mean`, and the interval that follows from them."""
    version = version or {"psnr": 2, "ssim": 1}[metric]
    spread = spread or {"psnr": 1.0, "ssim": 0.02}[metric]
    noise = np.random.default_rng(seed).normal(size=N)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    values = tuple((mean + spread * noise).tolist())
    found, _ = clip_interval(values, [f"clip:{clip}" for clip in CLIPS])
    fingerprint = {
        "metric": metric,
        "version": version,
        "frames": frames,
        "n": of.n,
        "split": of.split_sha256,
        "size": of.size,
        "geometry": of.geometry,
    }
    return EntryScore(
        metric=metric,
        kind="clip",
        direction="up",
        unit="dB" if metric == "psnr" else "",
        aggregate="mean",
        frames=frames,
        fingerprint=fingerprint,
        fp8=digest(fingerprint)[:8],
        value=found.mean,
        n=N,
        se=found.se,
        ci95=(found.low, found.high),
        values=values,
    )


def entry(name="mine", psnr=20.0, ssim=0.7, *, of=None, level="self-reported", **changes):
    """An entry of one run; `changes` are fields of its method, notes or id."""
    of = of or task()
    base = MethodRef.parse(name).base
    own = base in REFERENCES
    hashes = {clip: digest([name, clip, of.id]) for clip in CLIPS}
    run = EntryRun(
        seed=0,
        fit_seed=None if own else 0,
        key=digest([name, "key", of.id, changes.get("id")]),
        vpbench="0.1.0",
        manifest_sha256=digest([name, "manifest", of.id, changes.get("id")]),
        predictions_sha256=predictions_hash(hashes),
        clip_sha256=tuple(hashes[clip] for clip in CLIPS),
        closed="2026-11-26T22:29:37Z",
        predict_seconds=4.2,
        device="cpu",
        scores=(score(of, "psnr", psnr), score(of, "ssim", ssim)),
        predictions_url=changes.pop("url", None),
    )
    checked = () if level == "self-reported" else (verification(level),)
    made = Entry(
        schema=ENTRY,
        id=changes.pop("id", f"{safe_name(name)}-{of.id}"),
        created="2026-11-26T22:29:37Z",
        vpbench="0.1.0",
        task=of,
        method=EntryMethod(
            **{
                "name": name,
                "kind": KINDS.get(base, "method"),
                "tier": None if own else "reimplementation",
                "version": 1,
                "api": 1,
                "factory": "mine.method:Method",
                "preset": "cpu",
                "params": {"width": 8},
                "conditioning_frames": 1,
                "uses": (),
                "samples": 1,
                **{k: v for k, v in changes.items() if k not in ("notes",)},
            }
        ),
        trust=Trust(
            sampled_by="A. Author",
            scored_by="A. Author",
            level=level,
            isolation="a process of its own",
            verifications=checked,
        ),
        clips=CLIPS,
        runs=(run,),
        notes=changes.get("notes", ()),
    )
    return made


def verification(level):
    return Verification(
        level=level,
        by="B. Reader",
        when="2026-11-27T08:00:00Z",
        vpbench="0.1.0",
        largest={"psnr": 0.0},
    )


def with_scores(made, scores):
    return replace(made, runs=(replace(made.runs[0], scores=tuple(scores)),))


def board(root, entries=None):
    """A folder of leaderboards with some entries; by default one of each kind."""
    for made in usual() if entries is None else entries:
        write_entry(made, root)
    return root


def usual():
    return [
        entry("mine", 22.0, 0.80, uses=("label",)),
        entry("mine[label=off]", 21.0, 0.75, level="rescored"),
        entry("other", 20.0, 0.85, conditioning_frames=5, tier="original", level="rerun"),
        entry("third", 18.0, 0.70, conditioning_frames=5, uses=("label",), tier="folder"),
        entry("copy-last", 19.5, 0.78),
        entry("noise", 8.0, 0.05),
    ]
