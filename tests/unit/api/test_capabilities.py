"""Declared needs, and what they refuse."""

import pytest

from vpbench.api import Capabilities, UsageError, unmet

TASK = {"n_max": 1, "horizon": 16, "size": 64, "has_label": True, "has_pose": True}


def reasons(task=None, **fields):
    return unmet(Capabilities(**fields), **{**TASK, **(task or {})})


@pytest.mark.parametrize("frames", [(2, 1), (-1, 1), (0, 0), (1, 0)])
def test_frames_that_make_no_sense(frames):
    with pytest.raises(UsageError, match="conditioning_frames"):
        Capabilities(frames)


@pytest.mark.parametrize("what", ["label", "pose"])
def test_needs_are_one_of_four_words(what):
    for word in ("required", "training", "optional", "no"):
        assert getattr(Capabilities(**{what: word}), what) == word
    with pytest.raises(UsageError, match=f"{what}='yes': one of required"):
        Capabilities(**{what: "yes"})


def test_given_is_the_smaller_of_task_and_method():
    assert [Capabilities((1, 3)).given(n) for n in (1, 2, 3, 10)] == [1, 2, 3, 3]


def test_changed_replaces_and_checks():
    before = Capabilities(label="required", cpus=3)
    after = before.changed({"label": "no"})
    assert (after.label, after.cpus, before.label) == ("no", 3, "required")
    with pytest.raises(UsageError, match="'labels' is unknown"):
        before.changed({"labels": "no"})
    with pytest.raises(UsageError, match="one of"):
        before.changed({"label": "never"})


def test_nothing_is_unmet_by_default():
    assert reasons() == []


@pytest.mark.parametrize(
    ("fields", "good", "bad", "said"),
    [
        ({"conditioning_frames": (5, 10)}, {"n_max": 5}, {"n_max": 4}, "needs 5 conditioning"),
        ({"max_horizon": 16}, {"horizon": 16}, {"horizon": 17}, "at most 16 frames"),
        ({"size_multiple": 16}, {"size": 128}, {"size": 72}, "divisible by 16"),
        ({"min_size": 64}, {"size": 64}, {"size": 63}, "at least 64 px"),
        ({"label": "required"}, {}, {"has_label": False}, "action labels"),
        ({"label": "training"}, {}, {"has_label": False}, "action labels"),
        ({"pose": "required"}, {}, {"has_pose": False}, "needs pose"),
        ({"pose": "training"}, {}, {"has_pose": False}, "needs pose"),
    ],
)
def test_each_need_refuses_exactly_at_its_limit(fields, good, bad, said):
    assert reasons(good, **fields) == []
    (reason,) = reasons(bad, **fields)
    assert said in reason


@pytest.mark.parametrize("what", ["label", "pose"])
@pytest.mark.parametrize("word", ["optional", "no"])
def test_what_is_optional_is_never_missed(what, word):
    assert reasons({f"has_{what}": False}, **{what: word}) == []


def test_all_reasons_at_once():
    task = {"n_max": 1, "horizon": 99, "size": 30, "has_label": False, "has_pose": False}
    fields = {
        "conditioning_frames": (2, 2),
        "max_horizon": 9,
        "size_multiple": 4,
        "min_size": 32,
        "label": "required",
        "pose": "required",
    }
    assert len(reasons(task, **fields)) == 6
