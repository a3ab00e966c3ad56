"""Score records of metrics' results: intervals, corrections, floors, and the JSON of each."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from vpbench.api.errors import HashMismatch
from vpbench.api.types import Floor, Recognition, Score
from vpbench.core.hashing import digest
from vpbench.core.jackknife import jackknife
from vpbench.core.rundir import RunDir, read_sealed, write_sealed
from vpbench.core.schema import SCORE
from vpbench.harness.scoring.score_record import score_json, score_record, with_floor
from vpbench.metrics.frechet import frechet
from vpbench.metrics.leave_out import leave_one_out


def running(kind="set", name="fvd"):
    spec = SimpleNamespace(kind=kind, direction="down", unit="")
    return SimpleNamespace(
        wanted=SimpleNamespace(spec=spec, name=name),
        frames=16,
        fingerprint={"metric": name, "frames": 16},
        short_fingerprint="01234567",
        only=None,
        subset=None,
    )


def gauss(n, d=6, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(size=(n, d)) * scale


def set_score(n=12, m=None, in_x=None, in_y=None):
    m = n if m is None else m
    x, y = gauss(n, seed=1), gauss(m, seed=2, scale=1.5)
    in_x = [f"c{k}" for k in range(n)] if in_x is None else in_x
    in_y = in_x if in_y is None else in_y
    left = leave_one_out(x, y, in_x, in_y)
    names = sorted({*in_x, *in_y})
    sizes = {name: (in_x.count(name), in_y.count(name)) for name in names}
    return Score(frechet(x, y), n=n, per_clip=left, sizes=sizes)


def test_a_set_metric_has_value_and_correction():
    score = set_score()
    record = score_record(running(), score, {})
    se, low, high = jackknife(score.per_clip.values(), score.value)
    assert (record["value"], record["se"], record["ci95"]) == (score.value, se, [low, high])
    mean = np.mean(list(score.per_clip.values()))
    assert record["bias"] == pytest.approx(11 * (mean - score.value))
    assert record["bias"] + record["corrected"] == pytest.approx(score.value)
    assert record["corrected_se"] == pytest.approx(se)
    assert "shares" not in record and record["floor_n"] is None
    shown = score_json(record)
    for name in ("bias", "corrected", "corrected_se", "corrected_ci95", "floor_n"):
        assert shown[name] == record[name]
    json.dumps(shown, allow_nan=False)


def test_an_earlier_file_shows_the_same_and_stays_as_it_is(tmp_path):
    record = score_record(running(), set_score(), {})
    new = {"bias", "corrected", "corrected_se", "corrected_ci95", "floor_n"}
    path = tmp_path / "fvd.json"
    write_sealed(path, {k: v for k, v in record.items() if k not in new})
    before = path.read_bytes()
    assert score_json(read_sealed(path, SCORE)) == score_json(record)
    assert path.read_bytes() == before


def test_groups_of_unequal_size_keep_their_shares():
    groups = [f"g{k}" for k, size in enumerate([1, 1, 2, 2, 3, 4, 5, 6, 6]) for _ in range(size)]
    record = score_record(running(), set_score(30, in_x=groups), {})
    assert record["shares"]["g8"] == pytest.approx(0.2)
    assert sum(record["shares"].values()) == pytest.approx(1)
    left = record["per_clip"]
    wanted = sum((1 - s) * (left[g] - record["value"]) for g, s in record["shares"].items())
    assert record["bias"] == pytest.approx(wanted)


def test_sets_without_partners_are_two_strata():
    """The bias is that of both sets, each by its own size, and no share is stored."""
    names = [f"x{k}" for k in range(10)], [f"y{k}" for k in range(40)]
    record = score_record(running(), set_score(10, 40, *names), {})
    left, value = record["per_clip"], record["value"]
    parts = [[left[k] for k in side] for side in names]
    wanted = sum((len(p) - 1) * (np.mean(p) - value) for p in parts)
    assert record["bias"] == pytest.approx(wanted)
    assert "shares" not in record


@pytest.mark.parametrize("n", [2, 3, 7])
def test_few_clusters_have_no_interval_and_say_so(n):
    record = score_record(running(), set_score(n), {})
    assert record["value"] is not None and record["se"] is record["ci95"] is None
    assert record["corrected_se"] is record["corrected_ci95"] is None
    if n > 2:
        assert record["reason"] == f"no interval: {n} independent groups of clips"
        assert record["bias"] is not None
    json.dumps(score_json(record), allow_nan=False)


def test_clip_metrics_have_no_correction():
    per_clip = {f"c{k}": float(k) for k in range(9)}
    record = score_record(running("clip", "psnr"), Score(4.0, n=9, per_clip=per_clip), {})
    assert record["se"] is not None
    assert record["bias"] is record["corrected"] is record["corrected_ci95"] is None


@pytest.mark.parametrize("kind", ["clip", "set"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_no_value_no_figures(value, kind):
    per_clip = {"a": math.nan, "b": 1.0}
    record = score_record(running(kind), Score(value, n=1, per_clip=per_clip, reason="why"), {})
    shown = score_json(record)
    assert record["per_clip"] == {"a": None, "b": 1.0}
    assert shown["reason"].startswith(
        "why" if value is None else f"why; the metric returned {value}"
    )
    given = {k: v for k, v in shown.items() if k not in ("reason", "n", "fingerprint")}
    assert set(given.values()) == {None}


def test_a_floor_stands_with_its_own_n_and_the_figure_at_that_n():
    record = score_record(running(), set_score(), {})
    assert with_floor(record, None) == record
    shown = score_json(with_floor(record, Floor(8.5, 6, 12.25)))
    assert (shown["floor"], shown["floor_n"], shown["value"]) == (8.5, 6, record["value"])
    floor = "floor from two halves of the real clips, 6 in each"
    assert shown["reason"].endswith(f"{floor}; with 6 clips a side this figure is 12.25")
    unbiased = score_json(with_floor(record, Floor(8.5, 6)))
    assert "this figure" not in unbiased["reason"]


def recognised(shares, samples=1):
    """A score of clips, of each of which some samples are recognised as their class."""
    softmax = {
        f"c{k:02}": [[0.9, 0.1] if s < share * samples else [0.2, 0.8] for s in range(samples)]
        for k, share in enumerate(shares)
    }
    per_clip = {f"c{k:02}": float(share) for k, share in enumerate(shares)}
    found = Recognition(("yes", "no"), dict.fromkeys(per_clip, 0), softmax)
    return Score(float(np.mean(shares)), n=len(shares), per_clip=per_clip, recognition=found)


def test_a_share_of_independent_clips_has_wilsons_interval_and_its_distributions():
    score = recognised([1.0] * 62 + [0.0] * 28)
    record = score_record(
        running("clip", "action"), score, {k: f"clip:{k}" for k in score.per_clip}
    )
    assert record["ci95"] == pytest.approx([0.5872, 0.7751], abs=6e-5)
    assert record["se"] == pytest.approx(math.sqrt(62 * 28 / 90**3))
    assert record["recognition"]["softmax"] == score.recognition.softmax
    json.dumps(record, allow_nan=False)
    none = score_record(running("clip", "action"), recognised([0.0] * 10), {})
    assert none["ci95"] == pytest.approx([0, 0.2775], abs=6e-5)


@pytest.mark.parametrize(
    ("score", "clusters"),
    [
        (recognised([1.0, 0.0] * 10), {f"c{k:02}": f"group:{k // 2}" for k in range(20)}),
        (recognised([1.0, 0.5] * 10, samples=2), {}),
    ],
)
def test_groups_and_samples_of_one_clip_are_no_independent_trials(score, clusters):
    plain = Score(score.value, n=score.n, per_clip=score.per_clip)
    found = score_record(running("clip", "action"), score, clusters)
    expected = score_record(running("clip", "action"), plain, clusters)
    assert (found["ci95"], found["se"]) == (expected["ci95"], expected["se"])


def test_a_score_that_contradicts_its_distributions_is_refused(tmp_path):
    record = score_record(running("clip", "action"), recognised([1.0, 0.0] * 6), {})
    record["run"] = "r" * 64
    folder = RunDir(tmp_path)
    path = folder.score("action", digest(record["fingerprint"])[:8])
    record["fp8"] = digest(record["fingerprint"])[:8]
    write_sealed(path, record)
    assert folder.read_score(path, "r" * 64)["value"] == 0.5
    record["per_clip"] = {**record["per_clip"], "c00": 0.0, "c01": 1.0}
    write_sealed(path, record)
    with pytest.raises(HashMismatch, match="recognised"):
        folder.read_score(path, "r" * 64)
