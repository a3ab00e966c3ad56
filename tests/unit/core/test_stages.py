"""What has to be trained, under which key: on what keys depend, and on what they do not."""

from dataclasses import replace

import pytest
from core_toys import (
    DETECTOR,
    LINE,
    MOTION,
    OTHER,
    TOY,
    TRANSLATOR,
    clip,
    component,
    task,
)
from stage_graphs import graph, keys, labels

from vpbench.api import MethodSpec, Refused, StageSpec, UnknownName, UsageError, WindowRule

PLAIN = ["toy:keypoints", "toy-detector:labels", "toy:motion"]


def test_the_stages_of_a_method_in_the_order_in_which_they_are_made():
    nodes = graph()
    assert labels(nodes) == PLAIN
    assert [n.mode for n in nodes] == ["method", "labels", "method"]
    assert [n.trains for n in nodes] == [("detector", "translator"), (), ("motion",)]
    assert [n.needs for n in nodes] == [(), (nodes[0].key,), (nodes[1].key,)]
    assert nodes[0].folder == f"toy.keypoints-{nodes[0].key}" and len(nodes[0].key) == 16


def test_needs_stand_before_what_needs_them_whatever_the_order_of_the_spec():
    turned = replace(TOY, stages=TOY.stages[::-1])
    assert labels(graph(replace=[turned])) == PLAIN and keys(replace=[turned]) == keys()


def test_methods_with_nothing_to_train_have_no_stages():
    assert graph("plain") == []


def changed(**more):
    """Labels of the stages of the plain toy whose key is another one now."""
    before, after = keys(), keys(**more)
    assert list(before) == list(after)
    return [label for label in before if before[label] != after[label]]


LATER = PLAIN[1:]
MOTION_ONLY = PLAIN[2:]


@pytest.mark.parametrize(
    "on",
    [
        task(name="elsewhere"),
        task(size=128),
        task(window=WindowRule(2, 7)),
        task(window=WindowRule(1, 6)),
        task(window=WindowRule(2, 6, 2)),
        task(window=WindowRule(2, 6, short="loop")),
        task(window=WindowRule(2, 6, start=1)),
    ],
)
def test_keys_depend_on_the_task_and_its_fields(on):
    assert changed(on=on) == PLAIN


@pytest.mark.parametrize(
    "on",
    [
        task(limit=1),
        task({"test": [clip("another", sha256="s")]}),
        task({"train": [clip("more", label=1)]}),
        replace(task(), dataset="/elsewhere"),
    ],
)
def test_keys_do_not_depend_on_limits_contents_or_places(on):
    assert changed(on=on) == []


def test_keys_depend_on_the_fit_seed():
    assert changed(fit_seed=1) == PLAIN
    assert {n.fit_seed for n in graph(fit_seed=1)} == {1}


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        (replace(TOY, stages=(replace(TOY.stages[0], version=2), *TOY.stages[1:])), PLAIN),
        (
            replace(TOY, stages=(TOY.stages[0], replace(TOY.stages[1], version=2), TOY.stages[2])),
            LATER,
        ),
        (replace(TOY, stages=(*TOY.stages[:2], replace(TOY.stages[2], version=2))), MOTION_ONLY),
        (replace(DETECTOR, version=2), PLAIN),
        (replace(DETECTOR, factory="else:Where"), PLAIN),
        (replace(TRANSLATOR, version=2), PLAIN),
        (replace(MOTION, version=2), MOTION_ONLY),
        (replace(MOTION, params={**MOTION.params, "fresh": 1}), MOTION_ONLY),
        (replace(TOY, summary="words", citation="x", licence="y", trials=3), []),
        (replace(TOY, presets={"cpu": {}, "paper": {"width": 33}}), []),
        (replace(DETECTOR, summary="words", citation="x"), []),
        (LINE, []),
    ],
)
def test_keys_depend_on_versions_and_parts_of_their_own_stage(replaced, expected):
    assert changed(replace=[replaced]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("toy[steps=11]", PLAIN),
        ("toy[lr=0.25]", PLAIN),
        ("toy[width=9]", PLAIN),
        ("toy[z=4]", MOTION_ONLY),
        ("toy[motion.z=4]", MOTION_ONLY),
        ("toy[motion.width=9]", MOTION_ONLY),
        ("toy[detector.width=9]", PLAIN),
        ("toy[preset=cpu]", []),
        ("toy[steps=10,lr=0.5]", []),
    ],
)
def test_keys_depend_on_the_parameters_of_what_is_trained(text, expected):
    before, after = keys(), keys(text)
    assert [label for label in before if before[label] != after[label]] == expected


def test_the_preset_counts_by_its_values_alone():
    assert keys("toy[preset=paper]") == keys("toy[width=32,lr=1.0]")


def test_names_of_other_methods_do_not_matter():
    more = MethodSpec("more", "m:M", "one more")
    assert keys() == keys("toy", more)


@pytest.mark.parametrize("motion", ["frozen", "line", "drift", "toy-motion"])
def test_a_swapped_motion_model_leaves_the_joint_stage_alone(motion):
    before, after = keys(), keys(f"toy[motion={motion}]")
    assert after["toy:keypoints"] == before["toy:keypoints"]
    if motion != "frozen":
        assert after["toy-detector:labels"] == before["toy-detector:labels"]
    assert ("toy:motion" in after) == (motion == "toy-motion")


def test_a_motion_model_with_its_own_training_is_fitted_on_the_labels():
    nodes = {n.label: n for n in graph("toy[motion=line]")}
    assert list(nodes) == ["toy:keypoints", "toy-detector:labels", "line:fit"]
    fit = nodes["line:fit"]
    assert (fit.mode, fit.trains, fit.owner) == ("component", ("motion",), "line")
    assert fit.needs == (nodes["toy-detector:labels"].key,)
    assert graph("toy[motion=drift]")[-1].version == 2
    assert keys("toy[motion=line,motion.steps=8]")["line:fit"] != fit.key
    assert keys("toy[motion=line,z=9]")["line:fit"] == fit.key
    assert keys("toy[motion=line,width=9]")["line:fit"] != fit.key


def test_a_motion_model_that_is_not_trained_needs_nothing():
    assert labels(graph("toy[motion=frozen]")) == ["toy:keypoints", "toy-detector:labels"]


def test_with_a_foreign_detector_the_joint_stage_trains_the_translator_alone():
    nodes = {n.label: n for n in graph("toy[detector=other-detector]")}
    assert list(nodes) == ["other:find", "toy:keypoints", "other-detector:labels", "toy:motion"]
    joint = nodes["toy:keypoints"]
    assert joint.trains == ("translator",) and joint.needs == (nodes["other:find"].key,)
    assert nodes["other-detector:labels"].needs == (nodes["other:find"].key,)
    assert nodes["other:find"].key == keys("other")["other:find"]  # shared with its owner's runs
    assert nodes["other:find"].method.spec.name == "other"
    assert keys("toy[detector=other-detector]", replace=[replace(TRANSLATOR, version=2)]) == {
        **{n.label: n.key for n in nodes.values()},
        "toy:keypoints": keys(
            "toy[detector=other-detector]", replace=[replace(TRANSLATOR, version=2)]
        )["toy:keypoints"],
    }


def test_a_foreign_part_is_trained_as_it_stands_in_the_slot():
    wide = graph("toy[detector=other-detector,detector.width=9]")
    assert wide[0].method.params["width"] == 9
    assert wide[0].key == keys("other[width=9]")["other:find"] != keys("other")["other:find"]
    other = graph("toy[detector=other-b]")
    assert other[0].method.slots["detector"].spec.name == "other-b"
    assert other[0].key != keys("other")["other:find"]


def test_a_foreign_part_is_trained_in_its_owner_s_preset_for_the_size():
    nodes = graph("toy[detector=other-detector]", on=task(size=128), size=128)
    assert nodes[0].method.preset == "big" and nodes[0].method.params["width"] == 6


def test_untrained_detectors_are_told_apart():
    one, two = keys("toy[detector=joints]"), keys("toy[detector=joints-too]")
    assert one["toy:keypoints"] != two["toy:keypoints"]
    assert one["toy:motion"] != two["toy:motion"]
    three = keys("toy[detector=joints,detector.side=3]")
    assert not set(three.values()) & set(one.values())
    assert graph("toy[detector=joints]")[0].trains == ("translator",)
    both = [
        keys(f"toy[detector={d},translator=painter,motion=frozen]")["painter:fit"]
        for d in ("joints", "joints-too")
    ]
    assert both[0] != both[1]


def test_a_translator_with_its_own_training_needs_the_detector():
    nodes = {n.label: n for n in graph("toy[detector=other-detector,translator=painter]")}
    assert list(nodes) == ["other:find", "other-detector:labels", "toy:motion", "painter:fit"]
    assert nodes["painter:fit"].needs == (nodes["other:find"].key,)
    assert nodes["painter:fit"].trains == ("translator",)


def test_a_translator_that_is_not_trained_leaves_the_detector_to_the_joint_stage():
    nodes = graph("toy[translator=warp]")
    assert labels(nodes) == PLAIN and nodes[0].trains == ("detector",)
    assert nodes[0].key != keys()["toy:keypoints"]
    assert keys("toy[translator=warp,translator.soft=2]")["toy:keypoints"] != nodes[0].key


def test_a_detector_keeps_its_usual_partner_beside_a_translator_of_its_own_training():
    """The joint stage is the usual one, shared with the plain method; no cycle."""
    usual = {n.label: n for n in graph("toy")}
    nodes = {n.label: n for n in graph("toy[translator=painter]")}
    joint = nodes["toy:keypoints"]
    assert joint.key == usual["toy:keypoints"].key and joint.method.name == "toy"
    assert nodes["painter:fit"].needs == (joint.key,)
    assert nodes["painter:fit"].method.name == "toy[translator=painter]"
    for label in ("toy:motion",):
        assert nodes[label].key == usual[label].key


def test_stages_that_need_each_other_are_refused():
    round_ = MethodSpec(
        "round",
        "r:R",
        "s",
        stages=(
            StageSpec("a", needs=("b",)),
            StageSpec("b", needs=("c",)),
            StageSpec("c", needs=("a",)),
        ),
    )
    with pytest.raises(Refused, match="round:a -> round:b -> round:c -> round:a need each other"):
        graph("round", round_)
    across = [
        MethodSpec(a, "x:X", "s", stages=(StageSpec("a", needs=(f"{b}:a",)),))
        for a, b in (("left", "right"), ("right", "left"))
    ]
    with pytest.raises(Refused, match="left:a -> right:a -> left:a"):
        graph("left", *across)


def test_a_cycle_of_stages_in_which_nothing_is_left_to_train():
    slots = {"motion": "frozen"}
    idle = MethodSpec(
        "idle",
        "i:I",
        "s",
        slots=slots,
        stages=(
            StageSpec("a", trains=("motion",), needs=("b",)),
            StageSpec("b", trains=("motion",), needs=("a",)),
            StageSpec("c", needs=("a",)),
        ),
    )
    with pytest.raises(Refused, match="need each other"):
        graph("idle", idle)


def test_stages_that_do_not_exist_are_named_with_the_nearest():
    lost = replace(TOY, stages=(*TOY.stages[:2], StageSpec("motion", 1, ("motion",), ("lables",))))
    with pytest.raises(UnknownName, match=r"stage 'lables' of toy\. Did you mean labels"):
        graph(replace=[lost])
    orphan = component("orphan", "motion", "nobody:stage")
    with pytest.raises(UnknownName, match="unknown method 'nobody'"):
        graph("toy[motion=orphan]", orphan)
    with pytest.raises(UnknownName, match="stage 'fnd' of other"):
        graph("toy[detector=typo]", component("typo", "detector", "other:fnd"))
    with pytest.raises(UsageError, match="stray says that other:find trains it; other has no slot"):
        graph("toy[motion=stray]", component("stray", "motion", "other:find"))


def test_labels_need_a_detector():
    bare = MethodSpec("bare", "b:B", "s", stages=(StageSpec("labels", kind="labels"),))
    with pytest.raises(UsageError, match="needs a slot called detector"):
        graph("bare", bare)


def test_where_a_stage_falls_away_its_parts_take_its_place():
    """A later stage that needs one with nothing left to train still needs the foreign parts."""
    tuned = replace(
        TOY,
        stages=(
            StageSpec("keypoints", 1, ("detector", "translator")),
            StageSpec("motion", 1, ("motion",), ("keypoints",)),
        ),
    )
    text = "toy[detector=other-detector,translator=other-translator]"
    nodes = {n.label: n for n in graph(text, replace=[tuned])}
    assert list(nodes) == ["other:find", "toy:motion"]
    assert nodes["toy:motion"].needs == (nodes["other:find"].key,)
    idle = [
        keys(f"toy[detector={d},translator=warp]", replace=[tuned])
        for d in ("joints", "joints-too")
    ]
    assert [list(k) for k in idle] == [["toy:motion"]] * 2
    assert idle[0] != idle[1]


def test_a_stage_may_need_another_method_s_stage():
    user = MethodSpec("user", "u:U", "s", stages=(StageSpec("a", needs=("other:find",)),))
    nodes = graph("user", user)
    assert labels(nodes) == ["other:find", "user:a"]
    again = keys("user", user, replace=[replace(OTHER, params={"width": 7, "points": 4})])
    assert again["user:a"] != nodes[1].key


def test_an_end_to_end_stage_depends_on_all_parameters():
    assert labels(graph("flat")) == ["flat:all"]
    assert keys("flat[gain=3]") != keys("flat")
