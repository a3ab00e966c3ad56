"""Checks of metrics."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, cast

import numpy as np

from vpbench.api.errors import VpbenchError
from vpbench.api.optional import CachesFeatures, HasFloor
from vpbench.api.protocols import Metric
from vpbench.api.specs import Value
from vpbench.api.types import Floor, Score
from vpbench.core.hashing import plain
from vpbench.testing.metric_subject import SAMPLES, MetricSubject, Pair, unless_missing
from vpbench.testing.model import Check, CheckFailed, NotApplicable
from vpbench.testing.report import format_error
from vpbench.testing.specs import check_signature

METRIC = ("metric",)
_WANTED = {"update": ("fake", "real", "clip"), "merge": ("other",), "result": (), "fingerprint": ()}


def _text(score: Score) -> str:
    return json.dumps(plain(score), sort_keys=True)


def methods(subject: MetricSubject) -> None:
    """It has update, merge, result and fingerprint."""
    metric = subject.make()
    for name, parameters in _WANTED.items():
        check_signature(metric, name, parameters)


def result(subject: MetricSubject) -> None:
    """A `Score` with a finite value, or None with a reason, over all clips."""
    pairs = subject.pairs()
    score = subject.score(pairs)
    if not isinstance(score, Score):
        raise CheckFailed("a vpbench.api.Score", type(score).__name__, subject.at("result"))
    values = [score.value, *score.per_clip.values()]
    bad = [v for v in values if v is not None and not math.isfinite(v)]
    if bad or (score.value is None and not score.reason):
        raise CheckFailed(
            "finite values, or None with a reason",
            str(bad[0]) if bad else "None without one",
            subject.at("result"),
            "What is missing is None; its reason is a sentence.",
        )
    if score.n != len(pairs):
        raise CheckFailed(f"n = {len(pairs)} clips", f"n = {score.n}", subject.at("result"))


def order(subject: MetricSubject) -> None:
    """Clips in another order give the same bits."""
    pairs = subject.pairs()
    one = subject.score(pairs)
    shuffled = [pairs[k] for k in np.random.default_rng(1).permutation(len(pairs))]
    for other in (pairs[::-1], shuffled):
        _same(subject, one, subject.score(other), "in any order of the clips", "result")


def merge(subject: MetricSubject) -> None:
    """Two parts, merged, give the same bits as the whole."""
    pairs = subject.pairs()
    whole = subject.score(pairs)
    for cut in (1, len(pairs) // 2):
        for parts in ((pairs[:cut], pairs[cut:]), (pairs[cut:], pairs[:cut])):
            first, second = (subject.fed(p) for p in parts)
            subject.call("merge", first.merge, second)
            merged = subject.call("result", unless_missing, first.result)
            _same(subject, whole, merged, "from parts that are merged", "merge")


def _same(subject: MetricSubject, one: Score, other: Score, how: str, where: str) -> None:
    if _text(one) != _text(other):
        raise CheckFailed(
            f"the same score {how}, to the bit",
            f"{one.value!r} and {other.value!r}",
            subject.at(where),
            "Keep one record a clip; sum them in the order of their ids, with math.fsum.",
        )


def optimum(subject: MetricSubject) -> None:
    """No prediction scores better than the real clip itself."""
    pairs = subject.pairs()
    noisy = subject.score(pairs)
    perfect = subject.score(
        [Pair(np.repeat(p.real[None], SAMPLES, 0), p.real, p.clip) for p in pairs]
    )
    if perfect.value is None and perfect.reason:
        return
    if noisy.value is None or perfect.value is None:
        raise CheckFailed("a value", "None", subject.at("result"))
    if _worse(subject, perfect.value, noisy.value) or perfect.value == noisy.value:
        raise CheckFailed(
            f"the perfect prediction to be better ({subject.metric_spec.direction})",
            f"{perfect.value:g} for it, {noisy.value:g} for a noisy one",
            subject.at("update"),
            "Look at `direction` in the spec, and at what happens without any error.",
        )


def _worse(subject: MetricSubject, a: float, b: float) -> bool:
    return a < b if subject.metric_spec.direction == "up" else a > b


def monotone(subject: MetricSubject) -> None:
    """More noise is worse."""
    levels = (4.0, 16.0, 64.0)
    values = [subject.score(subject.pairs(level)).value for level in levels]
    for (a, less), (b, more) in zip(
        zip(values, levels, strict=True), list(zip(values, levels, strict=True))[1:], strict=False
    ):
        if a is None or b is None or not _worse(subject, b, a):
            raise CheckFailed(
                f"a worse value with noise of {more:g} than of {less:g} grey levels",
                f"{b} after {a}",
                subject.at("update"),
                "Look for a limit that is reached early.",
            )


def fingerprint(subject: MetricSubject) -> None:
    """It holds all that can change the value: JSON, deterministic, other for other parameters."""
    metric = subject.make()
    stated = subject.call("fingerprint", metric.fingerprint)
    where = subject.at("fingerprint")
    try:
        text = json.dumps(plain(stated), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckFailed("a fingerprint of plain values", format_error(error), where) from error
    again = subject.call("fingerprint", subject.make().fingerprint)
    if json.dumps(plain(again), sort_keys=True) != text:
        raise CheckFailed("the same fingerprint from two instances", f"{stated} {again}", where)
    for name, value in subject.metric_spec.params.items():
        other = _other(value)
        if other is None:
            continue
        try:
            changed = subject.make(**{name: other})
        except CheckFailed:
            continue  # a value that it refuses
        new = subject.call("fingerprint", changed.fingerprint)
        if json.dumps(plain(new), sort_keys=True) == text:
            raise CheckFailed(
                f"another fingerprint with {name}={other}",
                "the same as with the default",
                where,
                "Include every parameter that can change the value.",
            )


def _other(value: Value) -> Value | None:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value * 2 + 1 if isinstance(value, float) else None


def refuses(subject: MetricSubject) -> None:
    """Floats, NaN and other shapes are refused in one sentence."""
    good = subject.pairs()[0]
    wrong = {
        "floats": good.fake.astype(np.float32),
        "NaN": np.full(good.fake.shape, np.nan, np.float32),
        "a video without the axis of samples": good.fake[0],
    }
    if subject.metric_spec.kind == "clip":
        wrong["fewer frames than the real clip"] = good.fake[:, :-1]
        wrong["no prediction"] = None
    for what, fake in wrong.items():
        metric = subject.make()
        try:
            with subject.watch.on():
                unless_missing(metric.update, fake, good.real, good.clip)
        except VpbenchError:
            continue
        except NotApplicable:
            raise
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            got = format_error(error)
        else:
            got = "it was taken"
        raise CheckFailed(
            f"{what} to be refused with vpbench.api.BadData or UsageError",
            got,
            subject.at("update"),
            "Check dtype and shape before computing.",
        )


def sides(subject: MetricSubject) -> None:
    """A set metric takes one side of a clip alone, and sets of unequal size."""
    _only_sets(subject)
    pairs = subject.pairs()
    whole = subject.score(pairs)
    apart = subject.make()
    for p in pairs:
        subject.call("update with a real clip alone", apart.update, None, p.real, p.clip)
    for p in reversed(pairs):
        subject.call("update with a predicted clip alone", apart.update, p.fake, None, p.clip)
    _same(subject, whole, subject.call("result", apart.result), "from each side alone", "update")
    spare = subject.fed(pairs[:-1] if len(pairs) > subject.metric_spec.min_clips else pairs)
    extra = replace(pairs[-1].clip, id="more")
    subject.call("update with a real clip alone", spare.update, None, pairs[-1].real, extra)
    score = subject.call("result of sets of unequal size", spare.result)
    if score.value is None and not score.reason:
        raise CheckFailed("a value, or a reason", "neither", subject.at("result"))


def left_out(subject: MetricSubject) -> None:
    """`per_clip` of a set metric is the value without each clip, or empty."""
    _only_sets(subject)
    pairs = subject.pairs()
    if len(pairs) <= subject.metric_spec.min_clips:
        raise NotApplicable(f"it needs more than {len(pairs)} clips")
    per_clip = subject.score(pairs).per_clip
    if not per_clip:
        return
    names = {p.clip.group or p.clip.id for p in pairs}
    if set(per_clip) != names:
        raise CheckFailed(
            "per_clip for every group, and every clip without one",
            f"{len(per_clip)} names for {len(names)} groups",
            subject.at("result"),
            "Leave it empty where values without a clip cost too much: there is no interval then.",
        )
    for k in (0, len(pairs) - 1):
        name = pairs[k].clip.group or pairs[k].clip.id
        rest = subject.score([p for p in pairs if (p.clip.group or p.clip.id) != name])
        stored, value = per_clip[name], rest.value
        same = (
            stored is not None and value is not None and math.isclose(stored, value, rel_tol=1e-6)
        )
        if not same and stored != value:
            raise CheckFailed(
                f"per_clip[{name!r}] = {value}, the value without that clip",
                str(stored),
                subject.at("result"),
                "The standard error is the jackknife of these values, not of values of single "
                "clips.",
            )


def offers(subject: MetricSubject) -> None:
    """A floor is a `Floor`; flushed features change no bit of the score."""
    _only_sets(subject)
    metric: Any = subject.fed(subject.pairs())
    if not isinstance(metric, HasFloor | CachesFeatures):
        raise NotApplicable("it offers neither real_floor nor flush")
    if isinstance(metric, HasFloor):
        floor = subject.call("real_floor", metric.real_floor)
        good = isinstance(floor, Floor) and math.isfinite(floor.value) and floor.n > 0
        if floor is not None and not good:
            raise CheckFailed(
                "a finite vpbench.api.Floor, or None", repr(floor), subject.at("real_floor")
            )
    if isinstance(metric, CachesFeatures):
        subject.call("flush", metric.flush)
        flushed = subject.call("result", cast("Metric", metric).result)
        again = subject.score(subject.pairs())
        _same(subject, flushed, again, "from features in the cache", "flush")


def _only_sets(subject: MetricSubject) -> None:
    if subject.metric_spec.kind != "set":
        raise NotApplicable("it compares a predicted clip with its real one")


CHECKS = (
    Check("methods", "basic", METRIC, "The harness calls these four.", methods, ("factory",)),
    Check("result", "basic", METRIC, "NaN in a table is worse than a dash.", result, ("methods",)),
    Check(
        "order",
        "basic",
        METRIC,
        "A score must not depend on the order of the clips.",
        order,
        ("result",),
    ),
    Check("merge", "basic", METRIC, "Scores are computed in parts.", merge, ("order",)),
    Check(
        "optimum",
        "basic",
        METRIC,
        "A metric that prefers errors ranks upside down.",
        optimum,
        ("result",),
    ),
    Check(
        "monotone",
        "basic",
        METRIC,
        "A metric that does not see noise sees nothing.",
        monotone,
        ("optimum",),
    ),
    Check(
        "fingerprint",
        "basic",
        METRIC,
        "It decides which numbers may share a column.",
        fingerprint,
        ("methods",),
    ),
    Check("sides", "basic", METRIC, "Sets are filled side by side.", sides, ("result",)),
    Check(
        "left-out",
        "basic",
        METRIC,
        "Intervals of set metrics come from the values without each clip.",
        left_out,
        ("result",),
    ),
    Check(
        "offers",
        "basic",
        METRIC,
        "`measure` prints the floor, workers fill the cache.",
        offers,
        ("result",),
    ),
    Check(
        "refuses", "basic", METRIC, "A wrong video must not become a number.", refuses, ("methods",)
    ),
)
