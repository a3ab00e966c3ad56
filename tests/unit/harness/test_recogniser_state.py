"""What the stored state of a recogniser's training belongs to."""

import dataclasses

import pytest

from vpbench.harness.training.recogniser import _code, state_key
from vpbench.metrics.action.two_stream.files import Origin
from vpbench.metrics.action.two_stream.settings import preset

ORIGIN = Origin(dataset="toy", preset="cpu", seed=1, device="cpu")
PARTS = {
    "train": "a" * 64,
    "validation": "b" * 64,
    "settings": preset("cpu"),
    "origin": ORIGIN,
    "code": {"train": "c" * 64},
}


@pytest.mark.parametrize(
    "changed",
    [
        {"train": "d" * 64},
        {"validation": "d" * 64},
        {"train": PARTS["validation"], "validation": PARTS["train"]},
        {"settings": preset("cpu", 3)},
        {"settings": preset("paper")},
        {"settings": dataclasses.replace(preset("cpu"), temporal_rate=0.03)},
        {"origin": dataclasses.replace(ORIGIN, seed=2)},
        {"origin": dataclasses.replace(ORIGIN, pretrained="e" * 64)},
        {"code": {"train": "d" * 64}},
        {"code": {"views": "c" * 64}},
    ],
)
def test_what_decides_about_the_weights_is_in_the_key(changed):
    assert state_key(**{**PARTS, **changed}) != state_key(**PARTS)


@pytest.mark.parametrize("changed", [{"device": "cuda:1"}, {"dataset": "other words for it"}])
def test_where_and_under_which_words_it_began_is_not_in_the_key(changed):
    origin = dataclasses.replace(ORIGIN, **changed)
    assert state_key(**{**PARTS, "origin": origin}) == state_key(**PARTS)


def test_all_modules_that_train_are_in_the_key(tmp_path):
    code = _code(tmp_path)
    assert len(code) == 6 and all(len(value) == 64 for value in code.values())
