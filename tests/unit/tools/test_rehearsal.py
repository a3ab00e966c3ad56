"""What a short training says of a long one: paces, chains, and steps that fill a time."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from vpbench.api.specs import ComponentSpec
from vpbench.core.methods import ResolvedComponent
from vpbench.core.names import MethodRef
from vpbench.core.registry import build
from vpbench.core.resolve import resolve

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
import rehearsal
from stage_jobs import Segment, StageJob, chain_seconds


def job(key, needs=(), seconds=0.0, **segments):
    node = SimpleNamespace(key=key, label=f"m:{key}")
    made = StageJob(SimpleNamespace(node=node), None, None, frozenset(needs))
    made.started, made.ended = 100.0, 100.0 + seconds
    made.segments = {int(k[1:]): Segment(int(k[1:]), *v) for k, v in segments.items()}
    return made


def test_a_chain_lasts_as_long_as_its_longest_way():
    jobs = [job("a"), job("b", "a"), job("c", "a"), job("d", "bc"), job("e")]
    cost = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 3.0, "e": 4.0}
    lengths = chain_seconds(jobs, lambda j: cost[j.key])
    assert lengths == {"a": 9.0, "b": 5.0, "c": 8.0, "d": 3.0, "e": 4.0}


def test_a_pace_splits_what_is_fixed_from_what_a_step_costs():
    segments = {"s60": ((105.0, 1), (111.0, 61)), "s61": ((112.0, 1), (124.0, 61))}
    one = job("a", seconds=30.0, **segments)
    pace = rehearsal.pace_of(one, {60: 1000, 61: 500})
    assert pace.loops == ((1000, pytest.approx(0.1)), (500, pytest.approx(0.2)))
    assert pace.fixed == pytest.approx(30 - 6 - 12)
    assert pace.seconds() == pytest.approx(12 + 100 + 100)
    assert pace.seconds(0.5) == pytest.approx(12 + 100)


def test_progress_that_counts_no_steps_is_fixed():
    labels = job("labels", seconds=20.0, s990=((102.0, 1), (118.0, 990)))
    assert rehearsal.pace_of(labels, {60: 1000}) == rehearsal.Pace(20.0, ())
    assert rehearsal.pace_of(job("none"), {60: 1000}).seconds(7.0) == 0.0


@pytest.mark.parametrize("wanted", [100.0, 333.0, 2000.0])
def test_steps_are_multiplied_until_the_longest_chain_fills_the_time(wanted):
    jobs = [job("a"), job("b", "a"), job("c")]
    paces = {
        "a": rehearsal.Pace(5.0, ((1000, 0.1),)),
        "b": rehearsal.Pace(10.0, ((500, 0.2),)),
        "c": rehearsal.Pace(0.0, ((100, 0.1),)),
    }
    factor = rehearsal.factor_for(jobs, paces, wanted)
    assert factor == pytest.approx((wanted - 15.0) / 200.0, rel=1e-6)
    assert rehearsal.longest(jobs, paces, factor) == pytest.approx(wanted, rel=1e-6)


def test_a_time_that_the_fixed_part_fills_leaves_no_steps():
    paces = {"a": rehearsal.Pace(50.0, ((100, 0.1),))}
    assert rehearsal.factor_for([job("a")], paces, 20.0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "rounded"), [(7431.2, 7400), (7450.1, 7500), (99.4, 99), (12.0, 40), (0.0, 40)]
)
def test_steps_have_two_digits_and_are_never_too_few(value, rounded):
    assert rehearsal.two_digits(value) == rounded


@pytest.mark.parametrize("name", ["ours", "villegas", "wichers", "li"])
def test_every_parameter_that_counts_steps_is_told_apart(name):
    method = resolve(MethodRef.parse(f"{name}[preset=cpu]"), build(), 64)
    steps = rehearsal.step_params(method)
    assert len(steps) >= 2 and all(v >= rehearsal.FEWEST for v in steps.values())
    assert not any(name.endswith("critic_steps") for name in steps)
    short = resolve(rehearsal.rehearsed(method, 60), build(), 64)
    assert sorted(rehearsal.step_params(short).values()) == list(range(60, 60 + len(steps)))
    same = {k: v for k, v in method.params.items() if k not in steps}
    assert same.items() <= short.params.items()
    double = rehearsal.step_params(resolve(rehearsal.scaled(method, 2.0), build(), 64))
    assert double == {k: rehearsal.two_digits(2 * v) for k, v in steps.items()}


def test_a_component_that_trains_itself_has_steps_of_its_own():
    part = ComponentSpec(
        "own", "motion", "m:F", "", trained_by="self", params={"steps": 900, "rate": 1}
    )
    borrowed = replace(
        resolve(MethodRef.parse("ours[preset=cpu]"), build(), 64),
        slots={"motion": ResolvedComponent("motion", part, part.params, "own")},
    )
    assert rehearsal.step_params(borrowed) == {
        "steps": 7000,
        "motion_steps": 4000,
        "motion.steps": 900,
    }
    usual = replace(borrowed, spec=replace(borrowed.spec, slots={"motion": "own"}))
    assert rehearsal.step_params(usual) == {"steps": 7000, "motion_steps": 4000}


def test_the_stages_of_a_method_are_those_it_needs():
    jobs = [job("a"), job("b", "a"), job("c")]
    assert [j.key for j in rehearsal.all_needs(jobs, ["b"])] == ["a", "b"]
