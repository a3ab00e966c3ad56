"""Frechet distances of frames over a made-up network."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from vpbench.api.types import ClipInfo
from vpbench.core.hashing import plain
from vpbench.metrics.extrapolation import frechet_infinity
from vpbench.metrics.frechet import frechet
from vpbench.metrics.networks import frame_features
from vpbench.metrics.networks.frame_distance import FdEfficientNet, Fid
from vpbench.metrics.networks.specs import BUILTIN

SEEN: list[int] = []


class Pixels:
    """The means of each frame's channels and of its left half: five numbers."""

    name, dim, batch, min_frames = "pixels", 5, 1, 1

    def __call__(self, clips, names=None):
        SEEN.append(len(clips))
        x = clips.astype(np.float32)
        left = x[:, :, :, : x.shape[3] // 2, :2].mean((2, 3))
        return np.concatenate([x.mean((2, 3)), left], axis=2)

    def fingerprint(self):
        return {"extractor": self.name, "weights": "abc"}


@pytest.fixture(params=[Fid, FdEfficientNet])
def make(request, monkeypatch, tmp_path):
    monkeypatch.setattr(frame_features, "shared", lambda kind, path, device: Pixels())
    kept = tmp_path / "cache"

    def cache(kind, key):
        (kept / kind / key).mkdir(parents=True, exist_ok=True)
        return kept / kind / key

    ctx = SimpleNamespace(
        weights=lambda name: tmp_path / name, cache=cache, device="cpu", recompute=False
    )
    return lambda recipe="plain": request.param(None, {"recipe": recipe}, ctx)


def clip(name, group=""):
    return ClipInfo(name, 3, 6, 8, None, group=group)


def sets(count, frames=3, seed=0, samples=1):
    rng = np.random.default_rng(seed)
    shade = rng.integers(0, 200, (count, 1, 1, 1, 3))
    real = (shade + rng.integers(0, 50, (count, frames, 6, 8, 3))).astype(np.uint8)
    fake = 255 - shade[:, None] // 2 - rng.integers(0, 50, (count, samples, frames, 6, 8, 3))
    return {f"c{k:03d}": (fake[k].astype(np.uint8), real[k]) for k in range(count)}


def feed(metric, clips, groups=None):
    for name, (fake, real) in clips.items():
        metric.update(fake, real, clip(name, (groups or {}).get(name, "")))
    return metric


def test_it_is_the_distance_of_all_frames_with_clips_left_out(make):
    clips = sets(9, samples=2)
    groups = {"c000": "p", "c001": "p"}
    score = feed(make(), clips, groups).result()
    net = Pixels()
    real = net(np.stack([r for _, r in clips.values()]))
    fakes = [net(np.stack([f[s] for f, _ in clips.values()])) for s in range(2)]
    wanted = [frechet(f.reshape(-1, 5), real.reshape(-1, 5)) for f in fakes]
    assert score.value == pytest.approx(np.mean(wanted), rel=1e-9)
    assert score.n == 9 and set(score.per_clip) == {"p", *(f"c{k:03d}" for k in range(2, 9))}
    keep = slice(2, None)
    left = [frechet(f[keep].reshape(-1, 5), real[keep].reshape(-1, 5)) for f in fakes]
    assert score.per_clip["p"] == pytest.approx(np.mean(left), rel=1e-9)
    assert "n = 9 < 60" in (score.reason or "")
    json.dumps(plain(score), allow_nan=False)


def test_parts_in_any_order_give_the_same_bits_and_the_cache_serves(make):
    clips = sets(7)
    whole = feed(make(), clips)
    names = sorted(clips)
    text = json.dumps(plain(whole.result()), sort_keys=True)
    for cut in (1, 3):
        one = feed(make(), {n: clips[n] for n in names[cut:][::-1]})
        two = feed(make(), {n: clips[n] for n in names[:cut]})
        one.merge(two)
        assert json.dumps(plain(one.result()), sort_keys=True) == text
    SEEN.clear()
    again = feed(make(), clips)
    assert json.dumps(plain(again.result()), sort_keys=True) == text and SEEN == []
    floor = again.real_floor()
    assert floor is not None and floor.n == 3 and floor.here is not None


def test_the_extrapolation_stays_inside_its_range(make):
    few = feed(make("infinity"), sets(9)).result()
    assert few.value is None
    assert few.reason == "not defined below 10 independent clips a set, but there are 9"
    clips = sets(12)
    grouped = feed(make("infinity"), clips, {n: n[:3] for n in clips}).result()
    assert grouped.value is None  # two people
    enough = feed(make("infinity"), clips).result()
    net, own = Pixels(), np.repeat(sorted(clips), 3).tolist()
    rows = [net(np.stack([v[s] if s else v[s][0] for v in clips.values()])) for s in (0, 1)]
    wanted = frechet_infinity(rows[0].reshape(-1, 5), rows[1].reshape(-1, 5), own, own)
    assert enough.value == wanted is not None and dict(enough.per_clip) == {}
    assert enough.se is None and feed(make(), clips).fingerprint() != make("infinity").fingerprint()


def test_frames_that_span_too_little_are_said(make):
    reason = feed(make(), sets(2, frames=2)).result().reason
    assert "4 frames span fewer than 5 dimensions: mostly bias" in (reason or "")


def test_no_new_metric_is_a_default_column():
    assert not any(spec.default for spec in BUILTIN) and all(spec.citation for spec in BUILTIN)
