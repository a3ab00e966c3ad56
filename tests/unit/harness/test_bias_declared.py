"""Whether few clips bias a set metric: declared by the metric, and never guessed from a score."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
from stored_rows import FRAMES, rng, row, run, score, set_record, shown

from vpbench.api.specs import MetricSpec
from vpbench.api.types import Score
from vpbench.core.estimators import UNBIASED_U, has_bias
from vpbench.core.registry import limited_registry
from vpbench.harness.results.ranking import Column, row_difference
from vpbench.harness.scoring import probe
from vpbench.harness.scoring.score import Wanted, start_metric
from vpbench.harness.scoring.score_record import score_record
from vpbench.metrics.set_metric import SetMetric
from vpbench.render.statistics import statistics_notes

NONE = {"bias": None, "corrected": None, "corrected_se": None, "corrected_ci95": None}
NOISE = {"bias": 0.4, "corrected": 0.1, "corrected_se": 0.2, "corrected_ci95": [0.0, 0.2]}
PRINT = {"metric": "kvd", "estimator": UNBIASED_U}
OWN = {"metric": "mine", "biased": False, "estimator": "unbiased covariance"}
KVD = Column("kvd", "cc", PRINT, "down", "", "set")


def stored(seed, **more):
    """A score of groups of unequal size, as earlier versions stored it: noise for a bias."""
    sizes = rng(1).integers(1, 5, 30)
    shares = {f"{k:03}": float(s) for k, s in enumerate(sizes / sizes.sum())}
    own = set_record(rng(seed).normal(size=30), KVD, fingerprint=PRINT, shares=shares)
    return {**own, **NOISE, **more}


def test_every_metric_that_comes_along_says_the_same_in_its_fingerprint():
    registry, said = limited_registry((), ()), {}
    for entry in registry.of("metric"):
        if entry.spec.kind != "set":
            continue
        cls = registry.factory("metric", entry.spec.name)
        assert issubclass(cls, SetMetric)
        for recipe in entry.spec.recipes or ("",):
            metric = object.__new__(cls)
            metric._recipe = recipe
            said[entry.spec.name, recipe] = metric.biased
            assert has_bias(metric._statistic()) == metric.biased
    free = {name for (name, recipe), biased in said.items() if not biased and recipe != "published"}
    assert free == {"kvd", "jedi", "kvd-videomae", "motion-mmd"} and said["jedi", "published"]
    assert has_bias({"metric": "kvd", "version": 1, "estimator": "unbiased-u"})  # own pairs in it


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_stored_score_is_shown_and_compared_by_its_own_value(seeds):
    one, two = ([stored(5 * s + k) for s in range(seeds)] for k in (1, 2))
    rows = [
        row(n, *(run(r, seed=s) for s, r in enumerate(own))) for n, own in (("a", one), ("b", two))
    ]
    rows.append(row("real-other", run({**stored(9), "p": 0.3}, kind="floor")))
    entries, comparisons = shown(*rows, columns={"kvd": KVD})
    for own, entry in zip((one, two), entries, strict=False):
        mean = sum(r["value"] for r in own) / seeds
        got = entry["scores"]["kvd"]
        assert {name: got[name] for name in NONE} == NONE
        assert got["value"] == pytest.approx(mean) and got["se"] > 0
    apart = row_difference(rows[0], rows[1], FRAMES, replace(KVD, fingerprint={}))
    values = [e["scores"]["kvd"]["value"] for e in entries]
    assert apart.estimate == pytest.approx(values[0] - values[1])
    group = {"metrics": {"kvd": {}}, "comparisons": comparisons}
    assert not any(
        "bias" in line or "real clips give" in line for line in statistics_notes(group, entries)
    )
    biased = {"metric": "fvd"}
    other = row("c", run({**stored(1), "fingerprint": biased}))
    assert score(other, KVD)["bias"] == NOISE["bias"]


@dataclass(frozen=True)
class Context:
    declared: tuple = ()
    opened: None = None


class Plugin:
    """A set metric as a plugin's, with groups of unequal size."""

    def __init__(self, task, params, ctx): ...

    def fingerprint(self):
        return OWN

    def result(self):
        values = {f"g{k}": float(v) for k, v in enumerate(rng(3).normal(5, 1, 9))}
        return Score(5.0, n=45, per_clip=values, sizes={f"g{k}": (k + 1, k + 1) for k in range(9)})


class Biased(Plugin):
    biased = True


class Unbiased(Plugin):
    biased = False


def started(factory):
    spec = MetricSpec("mine", "x:y", "", "set", "down", "", 1)
    task = SimpleNamespace(test=[0], info=None, fingerprint=lambda frames: {"n": 45}, subset="")
    plugins = SimpleNamespace(factory=lambda kind, name: factory)
    return start_metric(Wanted(spec, ""), 9, task, plugins, Context())


def test_a_plugin_may_declare_it_and_nothing_moves_where_it_does_not():
    plain, same, free = (started(factory) for factory in (Plugin, Biased, Unbiased))
    assert plain.fingerprint == same.fingerprint == {**OWN, "version": 1, "recipe": "", "n": 45}
    assert plain.short_fingerprint != free.short_fingerprint
    records = [score_record(m, m.instance.result(), {}) for m in (plain, same, free)]
    assert records[0]["bias"] == records[1]["bias"] != 0
    assert {name: records[2][name] for name in NONE} == NONE
    assert all(records[2][k] == records[0][k] for k in ("value", "se", "ci95", "shares"))


def test_an_earlier_score_is_found_equal_when_it_is_computed_again(monkeypatch):
    monkeypatch.setattr(probe, "feed", lambda *_: None)
    metric = started(Unbiased)
    known = score_record(metric, metric.instance.result(), {})
    assert probe._set(None, None, metric, {**known, **NOISE}) == 0
    assert probe._set(None, None, metric, {**known, **NOISE, "value": 5.5}) > 0.05
