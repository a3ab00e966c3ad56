"""From a name to a method with everything filled in."""

import json
from dataclasses import replace

import pytest
from core_toys import (
    DETECTOR,
    FROZEN,
    LINE,
    MOTION,
    SHARED,
    TOY,
    component,
    entry,
    registry,
)

from vpbench.api import Capabilities, Effort, Refused, UnknownName, UsageError
from vpbench.core.names import MethodRef
from vpbench.core.registry import Registry
from vpbench.core.resolve import default_preset, expand, resolve, trainer_of


def identity(method):
    return json.dumps(method.identity(), sort_keys=True)


def made(text, *specs, size=64, preset=None, replace=()):
    return resolve(MethodRef.parse(text), registry(*specs, replace=replace), size, preset)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("toy", "toy"),
        ("toy[]", "toy"),
        ("toy[preset=cpu]", "toy"),
        ("toy[preset=paper]", "toy[preset=paper]"),
        ("toy[steps=10,lr=0.5,flip=on,mode=plain]", "toy"),
        ("toy[lr=5e-1,steps=010,flip=1]", "toy"),
        ("toy[motion=toy-motion]", "toy"),
        (
            "toy[mode=b,flip=off,motion=frozen,steps=2,preset=paper]",
            "toy[preset=paper,motion=frozen,steps=2,flip=off,mode=b]",
        ),
        ("toy[lr=0.50,width=9]", "toy[width=9]"),
        ("toy[preset=paper,width=32]", "toy[preset=paper]"),
        ("toy[preset=paper,width=8]", "toy[preset=paper,width=8]"),
        ("toy[motion=frozen,motion.hold=2]", "toy[motion=frozen]"),
        ("toy[motion=frozen,motion.hold=3]", "toy[motion=frozen,motion.hold=3]"),
        ("toy[translator.width=9,detector.width=7]", "toy[detector.width=7,translator.width=9]"),
        ("toy[width=9,detector.width=9]", "toy[width=9]"),
        ("toy[width=9,detector.width=8]", "toy[width=9,detector.width=8]"),
        ("toys:toy", "toy"),
        ("plain", "plain"),
    ],
)
def test_canonical_names(text, name):
    one = made(text)
    assert one.name == name
    again = made(name)
    assert again.name == name and again.identity() == one.identity()


def test_bare_names_take_the_preset_of_the_size():
    small, large = made("toy", size=64), made("toy", size=65)
    assert (small.preset, small.params["width"]) == ("cpu", 8)
    assert (large.preset, large.params["width"]) == ("paper", 32)
    assert small.name == large.name == "toy"
    assert made("toy[preset=cpu]", size=65).name == "toy[preset=cpu]"
    assert default_preset(TOY, 64) == "cpu" and default_preset(TOY, 1000) == "paper"
    assert default_preset(replace(TOY, default_preset=((64, "cpu"),)), 65) == ""


def test_a_preset_for_all_methods_is_part_of_the_name():
    assert made("toy", preset="paper").name == "toy[preset=paper]"
    assert made("toy[preset=cpu]", preset="paper").preset == "cpu"
    assert made("plain", preset="paper").name == "plain"


def test_values_have_the_type_of_the_parameter_not_of_the_preset():
    paper = made("toy[preset=paper,lr=0.25]")  # the preset has lr=1, a whole number
    assert paper.params["lr"] == 0.25
    assert identity(made("toy[preset=paper,lr=1.0]")) == identity(made("toy[preset=paper]"))
    assert made("toy[flip=off]").params["flip"] is False
    assert made("toy[steps=3]").params["steps"] == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("toy[flip=maybe]", "flip='maybe' must be on or off"),
        ("toy[steps=1.5]", "steps='1.5' must be a whole number"),
        ("toy[lr=fast]", "lr='fast' must be a number"),
        ("toy[lr=nan]", "lr='nan' must be a number"),
        ("toy[motion=frozen,motion.hold=x]", "must be a whole number"),
        ("toy[motion=warp]", "warp is a translator; it does not fit the slot motion"),
    ],
)
def test_wrong_values_are_refused(text, said):
    with pytest.raises(UsageError, match=said):
        made(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tyo", "unknown method 'tyo'. Did you mean toy"),
        ("toy[stpes=3]", "unknown parameter 'stpes' of toy. Did you mean steps"),
        ("toy[preset=papre]", "unknown preset 'papre' of toy. Did you mean paper"),
        ("toy[motion=forzen]", "unknown component 'forzen'. Did you mean frozen"),
        ("toy[moton=frozen]", "unknown parameter 'moton' of toy. Did you mean motion"),
        ("toy[motion.z0=3]", "unknown parameter 'z0' of toy-motion"),
        ("toy[motion=frozen,motion.hodl=3]", "unknown parameter 'hodl' of frozen. Did you mean ho"),
        ("toy[mtion.hold=3]", "unknown parameter 'mtion.hold' of toy. Did you mean motion"),
        ("plain[preset=cpu]", "unknown preset 'cpu' of plain. None is known"),
        ("plain[a=1]", "unknown parameter 'a' of plain. None is known"),
    ],
)
def test_unknown_words_offer_the_nearest(text, said):
    with pytest.raises(UnknownName) as caught:
        made(text)
    assert said in str(caught.value)


def test_a_preset_for_all_that_a_method_does_not_have_is_unknown():
    with pytest.raises(UnknownName, match="Did you mean paper"):
        made("toy", preset="papr")


def test_own_components_share_the_method_s_parameters():
    one = made("toy[width=20,z=9,motion.z=7]")
    assert {s: c.params["width"] for s, c in one.slots.items()} == dict.fromkeys(one.slots, 20)
    assert one.slots["motion"].params["z"] == 7 and one.params["z"] == 9
    assert one.slots["detector"].space == (4, "unsupervised")
    large = made("toy", size=128)
    assert large.slots["detector"].params["width"] == 32


def test_other_components_keep_their_own():
    one = made("toy[motion=line,steps=99]")
    assert one.slots["motion"].params == {"steps": 7}
    assert made("toy[detector=other-detector,width=20]").slots["detector"].params["width"] == 5


def test_parts_that_another_method_trains_have_that_method_s_parameters():
    assert made("toy[detector=other-detector]").slots["detector"].params["width"] == 5
    paper = made("toy[detector=other-detector]", size=128)
    assert paper.slots["detector"].params["width"] == 6  # its owner's preset at this size


def test_the_trainer_of_a_part_has_it_in_its_slot_with_its_parameters():
    toys = registry()

    def trainer(text):
        part = resolve(MethodRef.parse(text), toys, 64).slots["detector"]
        found = trainer_of(part, toys, 64)
        assert found.slots["detector"].identity() == part.identity()
        return found.name

    assert trainer("toy[detector=other-detector]") == "other"
    assert trainer("toy[detector=other-detector,detector.width=9]") == "other[width=9]"
    assert trainer("toy[detector=other-b]") == "other[detector=other-b]"
    assert (
        trainer("toy[detector=other-b,detector.depth=3]")
        == "other[detector=other-b,detector.depth=3]"
    )


def test_the_trainer_of_a_part_follows_the_preset_of_the_borrower():
    """Else a partner that learns together with the part would have a preset of its own."""
    toys = registry()
    part = resolve(MethodRef.parse("toy[detector=other-detector]"), toys, 64).slots["detector"]
    presets = {p: trainer_of(part, toys, 64, preset=p) for p in ("big", "small", "paper", "")}
    assert {p: m.preset for p, m in presets.items()} == {
        "big": "big",
        "small": "small",
        "paper": "small",
        "": "small",
    }
    assert all(m.slots["detector"].identity() == part.identity() for m in presets.values())


def test_parts_whose_keypoints_mean_something_else_are_refused():
    with pytest.raises(Refused, match=r"detector=grid has 4 keypoints \(grid\)"):
        made("toy[detector=grid]")
    with pytest.raises(Refused, match=r"5 keypoints.*4 \(unsupervised\)"):
        made("toy[motion=line,points=5]")
    assert made("toy[motion=line]").slots["motion"].space == (4, "unsupervised")
    assert made("toy[motion=drift,points=5]").slots["motion"].space is None
    with pytest.raises(Refused):  # the two that disagree do not stand side by side
        made("toy[detector=grid,motion=drift]")
    lost = component("lost", "motion", space=("joints", "x"))
    with pytest.raises(UnknownName, match="parameter 'joints' of lost"):
        made("toy[motion=lost]", lost)


def test_a_star_stands_for_every_component_of_the_slot():
    toys = registry()

    def names_of(text):
        return [str(ref) for ref in expand(MethodRef.parse(text), toys)]

    names = names_of("toy[motion=*,steps=3]")
    assert names == [f"toy[motion={m},steps=3]" for m in ("drift", "frozen", "line", "toy-motion")]
    both = names_of("toy[motion=*,detector=*]")
    assert len(both) == len(set(both)) == 4 * 6
    assert names_of("toy[steps=3]") == ["toy[steps=3]"]
    toys.entries.append(entry(component("bust", "motion"), status="broken"))
    assert len(names_of("toy[motion=*]")) == 4
    with pytest.raises(UnknownName, match=r"slot 'moton' of toy\. Did you mean motion"):
        expand(MethodRef.parse("toy[moton=*]"), toys)


def test_overrides_change_what_a_method_needs():
    assert made("toy").capabilities.pose == "no"
    assert made("toy[mode=posed]").capabilities.pose == "required"
    assert made("toy").capabilities.stochastic
    assert not made("toy[motion=frozen]").capabilities.stochastic
    by_value = replace(TOY, overrides={"lr=1": {"gpus": 1}, "flip=off": {"label": "required"}})
    assert made("toy[lr=1.0,flip=0]", replace=[by_value]).capabilities == replace(
        TOY.capabilities, gpus=1, label="required"
    )
    wrong = replace(TOY, overrides={"mode=posed": {"poze": "required"}})
    with pytest.raises(UsageError, match="'poze' is unknown"):
        made("toy[mode=posed]", replace=[wrong])


@pytest.mark.parametrize(
    ("need", "field", "value"),
    [
        ({"label": "required"}, "label", "required"),
        ({"label": "training"}, "label", "training"),
        ({"pose": "optional"}, "pose", "optional"),
        ({"oracle": True}, "oracle", True),
        ({"stochastic": True}, "stochastic", True),
        ({"max_horizon": 9}, "max_horizon", 9),
        ({"size_multiple": 6}, "size_multiple", 12),
        ({"min_size": 32}, "min_size", 32),
        ({"conditioning_frames": (2, 4)}, "conditioning_frames", (2, 2)),
        ({"conditioning_frames": (1, 4)}, "conditioning_frames", (1, 1)),
    ],
)
def test_what_a_part_needs_its_method_needs(need, field, value):
    part = component("needy", "motion", capabilities=Capabilities(**need))
    bare = replace(TOY, capabilities=Capabilities(size_multiple=4), overrides={})
    assert getattr(made("toy[motion=needy]", part, replace=[bare]).capabilities, field) == value
    assert made("toy", part, replace=[bare]).capabilities == bare.capabilities


def test_uses_for_tables():
    def uses(**words):
        return made("toy", replace=[replace(TOY, capabilities=Capabilities(**words))]).uses

    assert uses() == []
    assert uses(label="required", pose="optional") == ["label", "pose"]
    assert uses(label="training") == ["label (training)"]


def test_own_params_do_not_depend_on_what_fills_the_slots():
    alone = {"steps": 10, "lr": 0.5, "flip": True, "mode": "plain"}
    for text in ("toy", "toy[motion=frozen]", "toy[motion=line]", "toy[detector=joints]"):
        assert made(text).own_params() == alone
    assert made("toy[motion=frozen]").own_params(["motion"]) == {**SHARED, **alone, "z": 3}
    assert (
        made("toy").own_params(["detector"])
        == {**SHARED, **alone}
        == made("toy[detector=joints]").own_params(["detector"])
    )


def test_a_stranger_s_part_does_not_change_what_is_the_method_s_own():
    toys = registry()
    theirs = component("theirs", "motion", "toy:motion", {"steps": 1})
    toys.entries.append(entry(theirs, dist="stranger"))
    assert "steps" in resolve(MethodRef.parse("toy"), toys, 64).own_params()


def test_identity_changes_with_every_input():
    texts = [
        "toy",
        "toy[steps=11]",
        "toy[motion=frozen]",
        "toy[motion=frozen,motion.hold=3]",
        "toy[detector.width=9]",
        "toy[mode=b]",
        "flat",
        "plain",
    ]
    assert len({identity(made(t)) for t in texts}) == len(texts)
    version = replace(MOTION, version=2)
    assert identity(made("toy", replace=[version])) != identity(made("toy"))
    factory = replace(DETECTOR, factory="elsewhere:Part")
    assert identity(made("toy", replace=[factory])) != identity(made("toy"))
    words = replace(TOY, summary="other words", citation="me", trials=3, effort={"": Effort(9)})
    assert identity(made("toy", replace=[words])) == identity(made("toy"))


def test_names_that_two_packages_offer_keep_their_distribution():
    toys = registry()
    toys.entries.append(entry(replace(TOY, params={**TOY.params, "more": 1}), dist="zoo"))
    toys.entries.append(entry(FROZEN, dist="zoo", version="3"))
    with pytest.raises(UsageError, match=r"toys==1\.0 and zoo==1\.0"):
        resolve(MethodRef.parse("toy"), toys, 64)
    with pytest.raises(UsageError, match=r"toys==1\.0 and zoo==3"):
        resolve(MethodRef.parse("toys:toy[motion=frozen]"), toys, 64)
    one = resolve(MethodRef.parse("zoo:toy[more=2,motion=zoo:frozen]"), toys, 64)
    assert one.name == "zoo:toy[motion=zoo:frozen,more=2]"
    assert resolve(MethodRef.parse(one.name), toys, 64) == one
    assert (one.registered, one.slots["motion"].registered) == ("zoo:toy", "zoo:frozen")
    assert (
        resolve(MethodRef.parse("toys:toy[motion=line]"), toys, 64).slots["motion"].registered
        == LINE.name
    )


def test_broken_methods_are_refused_with_their_reason():
    bad = entry(TOY, status="broken", reason="it broke")
    with pytest.raises(UsageError, match="it broke"):
        resolve(MethodRef.parse("toy"), Registry([bad]), 64)
