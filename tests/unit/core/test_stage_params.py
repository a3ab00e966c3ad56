"""Stages that depend on parameters: when they are there, and what their keys hold."""

from dataclasses import replace

import pytest
from core_toys import (
    LINE,
    TOY,
    registry,
    task,
)
from stage_graphs import graph, keys

from vpbench.api import MethodSpec, StageSpec
from vpbench.core.names import MethodRef
from vpbench.core.resolve import resolve
from vpbench.core.stages import stage_graph

VARIED = MethodSpec(
    "varied",
    "varied_mod:Varied",
    "one stage for all variants, one for some",
    params={"width": 8, "mode": "full", "extra": 3, "shown": True},
    stages=(
        StageSpec("base", params=("width",)),
        StageSpec("more", needs=("base",), params=("width", "extra"), when=("mode=full",)),
        StageSpec("other", when=("mode=flat", "mode=bent")),
    ),
)


@pytest.mark.parametrize(
    ("mode", "there"),
    [
        ("full", ["base", "more"]),
        ("plain", ["base"]),
        ("flat", ["base", "other"]),
        ("bent", ["base", "other"]),
    ],
)
def test_a_stage_is_there_only_when_one_of_its_rules_holds(mode, there):
    assert [n.stage for n in graph(f"varied[mode={mode}]", VARIED)] == there


def test_a_stage_depends_on_the_parameters_that_it_names_and_on_no_other():
    usual = keys("varied", VARIED)
    assert keys("varied[mode=plain,shown=off]", VARIED)["varied:base"] == usual["varied:base"]
    assert keys("varied[shown=off]", VARIED) == usual
    more = keys("varied[extra=4]", VARIED)
    assert more["varied:base"] == usual["varied:base"]
    assert more["varied:more"] != usual["varied:more"]
    wide = keys("varied[width=9]", VARIED)
    assert not set(wide.values()) & set(usual.values())
    flat = keys("varied[mode=flat]", VARIED)["varied:other"]
    assert flat != keys("varied[mode=flat,shown=off]", VARIED)["varied:other"]


# parameters that came later ----------------------------------------------------------------------


def method_keys(spec, text):
    toys = registry(replace=[spec])
    method = resolve(MethodRef.parse(text), toys, 64)
    nodes = stage_graph(method, task().fields(), 64, toys, 0)
    return method.identity(), {n.label: n.key for n in nodes}


@pytest.mark.parametrize("value", ["off", 3, 0.5, False])
def test_a_later_parameter_counts_only_where_it_changes_something(value):
    other = {"off": "on", 3: 4, 0.5: 0.25, False: True}[value]
    newer = replace(TOY, params={**TOY.params, "new": value}, later={"new": value})
    strict = replace(newer, later={})
    plain = method_keys(TOY, "toy")
    assert method_keys(newer, "toy") == plain
    assert method_keys(strict, "toy") != plain
    changed = method_keys(newer, f"toy[new={other}]")
    assert changed[0] != plain[0] and changed[0]["params"]["new"] == other
    # a new default is a change as well: what counts is the value of before
    moved = replace(newer, params={**newer.params, "new": other})
    assert method_keys(moved, "toy") == changed
    assert method_keys(moved, f"toy[new={value}]") == plain


def test_a_later_parameter_of_a_component_leaves_its_key_alone():
    newer = replace(LINE, params={**LINE.params, "new": 1}, later={"new": 1})
    before = keys("toy[motion=line]")
    assert keys("toy[motion=line]", replace=[newer]) == before
    after = keys("toy[motion=line,motion.new=2]", replace=[newer])
    assert [label for label in before if before[label] != after[label]] == ["line:fit"]


def test_a_component_that_trains_itself_follows_the_method_that_it_belongs_to():
    own = replace(TOY, slots={**TOY.slots, "motion": "line"})
    toys = registry(replace=[own])
    line = resolve(MethodRef.parse("toy[steps=11]"), toys, 64).slots["motion"]
    assert line.params["steps"] == 11
    dotted = resolve(MethodRef.parse("toy[steps=11,motion.steps=5]"), toys, 64)
    assert dotted.slots["motion"].params["steps"] == 5
    borrowed = resolve(MethodRef.parse("toy[motion=drift,steps=11]"), toys, 64)
    assert borrowed.slots["motion"].params["steps"] == 7
