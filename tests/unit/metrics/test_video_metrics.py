"""FVD and KVD over a made-up network."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from tests.unit.metrics.video_toys import (
    KINDS,
    Net,
    fill,
    frames,
    info,
    made_up_features,
    rows,
)
from vpbench.api.errors import BadData, UsageError
from vpbench.api.protocols import Metric
from vpbench.core.jackknife import jackknife
from vpbench.metrics.frechet import frechet
from vpbench.metrics.kernel import kvd, permutation_p
from vpbench.metrics.leave_out import leave_one_out
from vpbench.metrics.sample_sets import stratified_se
from vpbench.metrics.video import Fvd, Kvd
from vpbench.metrics.video_specs import BUILTIN


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    return made_up_features(tmp_path, monkeypatch)


@pytest.mark.parametrize("n", [2, 7, 12])
@pytest.mark.parametrize(
    ("recipe", "divisor"), [("styleganv", 0), ("cdfvd-i3d", 0), ("videogpt", 1), ("tf2018", 1)]
)
def test_presets_differ_in_the_covariance_and_say_that_nothing_published_proves_them(
    ctx, recipe, divisor, n
):
    metric = fill(Fvd(None, {"recipe": recipe}, ctx), n)
    (fake,), real = rows(Fvd, ctx, n)
    got = metric.result()
    covariances = [np.cov(x, rowvar=False, ddof=divisor) for x in (fake.astype(float), real)]
    roots = np.linalg.eigvals(covariances[0] @ covariances[1])
    shift = fake.mean(0, dtype=float) - real.mean(0, dtype=float)
    traces = sum(np.trace(c) for c in covariances)
    wanted = shift @ shift + traces - 2 * np.sqrt(roots.astype(complex)).real.sum()
    assert got.value == pytest.approx(wanted, rel=1e-5)
    without = Fvd(None, {"recipe": recipe}, ctx)
    fill(without, n, order=range(1, n))
    if n > 2:
        assert got.per_clip["c0"] == pytest.approx(without.result().value, rel=1e-9)
    assert ("by recipe, unverified" in got.reason) == (recipe != "tf2018")
    assert metric.fingerprint()["ddof"] == divisor
    assert metric.fingerprint()["recipe"] == recipe


def test_a_preset_merges_with_itself_only(ctx):
    ours = fill(Fvd(None, {"recipe": "styleganv"}, ctx), 3)
    with pytest.raises(UsageError, match="equal settings"):
        ours.merge(Fvd(None, {}, ctx))
    with pytest.raises(UsageError, match="recipe"):
        Kvd(None, {"recipe": "styleganv"}, ctx)


def test_specs():
    assert [s.factory for s in BUILTIN] == [
        "vpbench.metrics.video:Fvd",
        "vpbench.metrics.video:Kvd",
    ]
    for spec in BUILTIN:
        assert (spec.kind, spec.direction, spec.min_frames, spec.min_clips) == ("set", "down", 9, 2)
        assert spec.weights[0].name == "i3d" and "tf2018" in spec.recipes and spec.citation
    code = (
        "import sys, vpbench.metrics.video_specs; assert not {'numpy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@KINDS
def test_value_over_sample_sets(kind, ctx):
    def distance(fake, real):
        names = [str(k) for k in range(len(real))]
        return frechet(fake, real) if kind is Fvd else kvd(fake, real, names, names)

    score = fill(kind(None, {}, ctx), 12, samples=3).result()
    fake, real = rows(kind, ctx, 12, samples=3)
    assert score.value == pytest.approx(np.mean([distance(f, real) for f in fake]), rel=1e-12)
    assert score.n == 12 and score.se is None
    assert list(score.per_clip) == sorted(f"c{k}" for k in range(12))
    for k, name in enumerate(score.per_clip):
        wanted = np.mean([distance(np.delete(f, k, 0), np.delete(real, k, 0)) for f in fake])
        assert score.per_clip[name] == pytest.approx(wanted, rel=1e-9)
    assert isinstance(kind(None, {}, ctx), Metric)


def test_p_value(ctx):
    names = sorted(f"c{k}" for k in range(12))
    fake, real = rows(Kvd, ctx, 12, samples=3)
    each = [permutation_p(f, real, names, names) for f in fake]
    assert fill(Kvd(None, {}, ctx), 12).result().p == permutation_p(
        rows(Kvd, ctx, 12)[0][0], real, names, names
    )
    assert fill(Kvd(None, {}, ctx), 12, samples=3).result().p == min(1, 2 * math.fsum(each) / 3)
    assert fill(Fvd(None, {}, ctx), 12).result().p is None


@KINDS
def test_any_order_and_merges_give_the_same_bits(kind, ctx):
    groups = [f"g{k // 3}" for k in range(14)]
    wanted = fill(kind(None, {}, ctx), 14, 2, groups).result()
    for seed in range(3):
        order = list(np.random.default_rng(seed).permutation(14))
        parts = [fill(kind(None, {}, ctx), 0, 2, groups, order[k::3]) for k in range(3)]
        parts[1].merge(parts[2])
        parts[0].merge(parts[1])
        assert parts[0].result() == wanted
    apart = kind(None, {}, ctx)
    for k in range(14):
        apart.update(None, frames(k), info(f"c{k}", groups[k]))
    for k in reversed(range(14)):
        apart.update(frames(k + 1000, samples=2), None, info(f"c{k}", groups[k]))
    assert apart.result() == wanted == apart.result()


@KINDS
def test_groups_are_left_out_together(kind, ctx):
    groups = [f"g{k // 4}" for k in range(12)]
    score = fill(kind(None, {}, ctx), 12, groups=groups).result()
    assert list(score.per_clip) == ["g0", "g1", "g2"]
    assert set(score.sizes.values()) == {(4, 4)}
    one = fill(kind(None, {}, ctx), 12, groups=["all"] * 12).result()
    assert (one.value is None) == (kind is Kvd)
    assert one.per_clip == {} and one.p is None
    assert ("all of one group" if kind is Kvd else "no interval") in one.reason


@KINDS
def test_fingerprint(kind, ctx):
    metric = kind(None, {}, ctx)
    found = json.loads(json.dumps(dict(metric.fingerprint()), allow_nan=False))
    assert found == dict(metric.fingerprint())
    assert found["features_weights"] == "abc" and found["features_eps"] == 1e-3
    assert found["features_version"] == 7 and found["version"] == {Fvd: 1, Kvd: 2}[kind]
    assert found["recipe"] == found["features_recipe"] == "tf2018"
    assert found["metric"] == kind.spec.name and found["features"] == "net"
    assert found == dict(kind(None, {"recipe": "tf2018"}, ctx).fingerprint())
    assert found != dict(kind(None, {"dtype": "bfloat16"}, ctx).fingerprint())
    assert Net.built == 0


def test_fingerprints_of_the_two_differ_in_the_statistic(ctx):
    a, b = dict(Fvd(None, {}, ctx).fingerprint()), dict(Kvd(None, {}, ctx).fingerprint())
    assert (a["statistic"], a["ddof"]) == ("frechet", 1)
    assert (b["statistic"], b["kernel"]) == ("mmd2", "(x.y/d+1)^3")


@KINDS
def test_refusals(kind, ctx):
    for params in ({"recipe": "tf2017"}, {"frames": 3}):
        with pytest.raises(UsageError):
            kind(None, params, ctx)
    metric = kind(None, {}, ctx)
    with pytest.raises(UsageError, match="no frames"):
        metric.update(None, None, info("a"))
    with pytest.raises(UsageError, match="at least 9 frames, the predicted clip 'a' has 8"):
        metric.update(frames(0, 8, 1), None, info("a"))
    for wrong in (frames(0).astype(np.float32), frames(0)[0], frames(0)[..., :1], [1]):
        with pytest.raises(BadData, match="clip 'a'"):
            metric.update(None, wrong, info("a"))
    metric.update(frames(0, samples=1), frames(1), info("b"))
    with pytest.raises(UsageError, match="'c' has 10 frames, the others have 9"):
        metric.update(None, frames(2, 10), info("c"))
    with pytest.raises(UsageError, match="'c' has 2 samples, the others have 1"):
        metric.update(frames(2, samples=2), None, info("c"))
    for fake, real in ((frames(3, samples=1), None), (None, frames(3))):
        with pytest.raises(UsageError, match="'b' twice"):
            metric.update(fake, real, info("b"))


@KINDS
def test_one_clip_has_no_distance_but_a_reason(kind, ctx):
    metric = kind(None, {}, ctx)
    assert metric.result().reason == "0 predicted clips, at least 2 are needed"
    metric.update(frames(0, samples=1), frames(1), info("b"))
    score = metric.result()
    assert (score.value, score.n) == (None, 1)
    assert score.reason == "1 predicted clip, at least 2 are needed"
    metric.update(frames(4, samples=1), None, info("d"))
    assert metric.result().reason == "1 real clip, at least 2 are needed"


def test_refused_merges(ctx):
    fvd = fill(Fvd(None, {}, ctx), 3)
    for other, what in (
        (fill(Fvd(None, {}, ctx), 0, order=[2]), "'c2' twice"),
        (Kvd(None, {}, ctx), "only with fvd"),
        (Fvd(None, {"dtype": "bfloat16"}, ctx), "equal settings"),
        (fill(Fvd(None, {}, ctx), 0, samples=2, order=[7]), "equal samples"),
    ):
        with pytest.raises(UsageError, match=what):
            fvd.merge(other)
    long = Fvd(None, {}, ctx)
    long.update(None, frames(50, 10), info("long"))
    with pytest.raises(UsageError, match="equal frames, got 9 and 10"):
        fvd.merge(long)


def test_reasons(ctx):
    few = fill(Fvd(None, {}, ctx), 5)
    assert few.result().reason == "n = 5 < 60: unreliable: the bias estimate finds half of it"
    few.update(None, frames(77), info("more"))
    assert few.result().reason.endswith("; 5 predicted and 6 real clips")
    assert fill(Fvd(None, {}, ctx), 60).result().reason is None
    assert "coarse" in fill(Kvd(None, {}, ctx), 5).result().reason


def test_identical_sets(ctx):
    fvd, kvd_ = Fvd(None, {}, ctx), Kvd(None, {}, ctx)
    for k in range(8):
        for metric in (fvd, kvd_):
            metric.update(frames(k)[None], frames(k), info(f"c{k}"))
    assert fvd.result().value == pytest.approx(0, abs=1e-9)
    assert kvd_.result().value == pytest.approx(0, abs=1e-12) and kvd_.result().p == 1


def test_floor_from_the_real_clips(ctx):
    metric = fill(Fvd(None, {}, ctx), 11)
    floor = metric.real_floor()
    assert floor.n == 5 and floor.value > 0
    assert fill(Fvd(None, {}, ctx), 0, order=list(reversed(range(11)))).real_floor() == floor
    assert fill(Fvd(None, {}, ctx), 3).real_floor() is None


def test_a_floor_says_what_the_figure_is_at_its_own_n(ctx):
    """Halves of the truth itself are at 0 of each other, pair by pair; of few predictions none."""
    metric = Fvd(None, {}, ctx)
    for k in range(12):
        metric.update(frames(k)[None], frames(k), info(f"c{k}"))
    floor = metric.real_floor()
    assert floor.n == 6 and floor.here == pytest.approx(0, abs=1e-9) and floor.value > 1e-3
    other = fill(Fvd(None, {}, ctx), 12).real_floor()
    assert other.value == floor.value and other.here > 0
    alone = Fvd(None, {}, ctx)
    for k in range(12):
        alone.update(None, frames(k), info(f"c{k}"))
    assert alone.real_floor().here is None
    assert fill(Kvd(None, {}, ctx), 12).real_floor().here is None


@KINDS
@pytest.mark.parametrize("groups", [None, "pairs", "two", "one"])
@pytest.mark.parametrize("same", ["all", "sides", "neither"])
@pytest.mark.parametrize("n", [2, 3, 9])
def test_degenerate_sets_have_a_value_or_a_reason(kind, n, same, groups, ctx):
    metric = kind(None, {}, ctx)
    cluster = {None: str, "pairs": lambda k: k // 2, "two": lambda k: k % 2, "one": lambda k: 0}
    for k in range(n):
        real = frames(0 if same == "all" else k)
        fake = real if same != "neither" else frames(k + 1000)
        group = "" if groups is None else f"g{cluster[groups](k)}"
        metric.update(fake[None], real, info(f"c{k}", group))
    score = metric.result()
    assert (score.value is None) != (score.reason is None) or score.value is not None
    figures = [score.value, score.se, score.p, *score.per_clip.values()]
    assert all(v is None or math.isfinite(v) for v in figures)
    if score.value is None:
        assert score.reason
    elif same != "neither":
        assert score.value == pytest.approx(0, abs=1e-9)
    floor = metric.real_floor()
    assert floor is None or math.isfinite(floor.value)


def test_error_of_sets_of_unequal_size(ctx, monkeypatch):
    """Without partners, each set is a stratum: leaving one of 30 out moves a bias that one of 120
    does not, and that is no error."""
    values, stratified, plain = [], [], []
    names = [f"x{k}" for k in range(30)], [f"y{k}" for k in range(120)]
    for seed in range(20):
        random = np.random.default_rng(seed)
        x, y = random.normal(size=(30, 20)), random.normal(size=(120, 20))
        left = leave_one_out(x, y, *names)
        values.append(frechet(x, y))
        stratified.append(stratified_se(left, set(names[0]), set(names[1])))
        plain.append(jackknife(left.values(), values[-1])[0])
    true = np.std(values, ddof=1)
    assert 0.7 * true < np.mean(stratified) < 1.8 * true < np.mean(plain)
    metric = fill(Fvd(None, {}, ctx), 6)
    assert metric.result().se is None
    for k in range(100, 104):
        metric.update(None, frames(k), info(f"c{k}"))
    assert metric.result().se > 0
