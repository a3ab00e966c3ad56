"""What `vpbench info` says of a method with its parameters and components."""

import json

import pytest
from click.testing import CliRunner

from vpbench.api import UsageError
from vpbench.cli.info import info


def shown(*words):
    done = CliRunner().invoke(info, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.mark.parametrize(
    ("name", "label", "stochastic", "pose"),
    [
        ("ours", "optional", True, "no"),
        ("ours[label=off]", "no", True, "no"),
        ("ours[motion=frozen]", "no", False, "no"),
        ("method:ours[motion=constant-velocity]", "no", False, "no"),
        ("villegas", "no", False, "training"),
        ("villegas[detector=annotated]", "no", False, "required"),
    ],
)
def test_what_a_method_needs_is_that_of_its_components_too(name, label, stochastic, pose):
    told = json.loads(shown(name, "--json"))
    needs = told["capabilities"]
    assert (needs["label"], needs["stochastic"], needs["pose"]) == (label, stochastic, pose)
    assert told["name"] == name.removeprefix("method:")


def test_it_is_said_in_words():
    assert "1 given frame; label: optional; stochastic; sizes divisible by 8" in shown("ours")
    assert "1 to 10 given frames; pose: in training only; deterministic" in shown("villegas")


def test_notes_are_those_of_what_is_in_the_slots():
    names = ("ours[kl_weight=5]", "ours[kl_weight=5,motion=frozen]")
    notes = [set(json.loads(shown(n, "--json"))["notes"]) for n in names]
    gone = notes[0] - notes[1]
    assert len(gone) == 1 and gone.pop().startswith("KL weight")


def test_only_methods_take_parameters():
    with pytest.raises(UsageError, match="psnr is a metric; only methods take parameters"):
        shown("psnr[a=1]")
    assert "dB" in shown("psnr")
