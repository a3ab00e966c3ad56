"""What tables say of a method's components, and which trained stages a row really uses."""

from dataclasses import replace

from core_toys import DETECTOR, MOTION, TOY, component, registry, task

from vpbench.api import MethodSpec, StageSpec
from vpbench.core.checkpoints import loads
from vpbench.core.names import MethodRef
from vpbench.core.resolve import resolve
from vpbench.core.stages import stage_graph

NOTED = (
    replace(TOY, notes={"mode=plain": "the method's", "mode=posed": "not here"}),
    replace(DETECTOR, notes={"width=8": "the detector's", "width!=8": "a wide detector's"}),
    replace(MOTION, notes={"z=3": "the motion model's"}),
)


def made(text, *specs):
    plugins = registry(replace=specs)
    return resolve(MethodRef.parse(text), plugins, 64), plugins


def test_notes_are_those_of_the_method_and_of_what_is_in_its_slots():
    notes = {t: made(t, *NOTED)[0].notes for t in ("toy", "toy[motion=frozen]")}
    assert notes["toy"] == ["the method's", "the detector's", "the motion model's"]
    assert notes["toy[motion=frozen]"] == ["the method's", "the detector's"]


def test_notes_of_a_component_go_with_it_into_another_method():
    other, _ = made("other[detector=toy-detector]", *NOTED)
    assert other.notes == ["the detector's"]


def test_notes_follow_the_components_own_parameters():
    assert "a wide detector's" in made("toy[detector.width=16]", *NOTED)[0].notes
    assert "a wide detector's" in made("toy[width=16]", *NOTED)[0].notes


def test_a_training_beside_which_a_foreign_component_learned_is_not_the_rows():
    """A motion model learned on keypoints of a detector that trains alone; the row has another."""
    away = MethodSpec(
        "away",
        "away_mod:Away",
        "its motion model can stand in for others",
        stages=(
            StageSpec("labels", kind="labels"),
            StageSpec("motion", 1, ("motion",), ("labels",)),
        ),
        slots={"detector": "away-detector", "motion": "away-motion"},
    )
    alone = component("away-detector", "detector", "self", {"side": 3})
    moves = component("away-motion", "motion", "away:motion")
    method, plugins = made("toy[motion=away-motion]", away, alone, moves)
    nodes = stage_graph(method, task().fields(), 64, plugins, 0)
    used = {node.label: loads(node, method) for node in nodes}
    assert used["away-detector:fit"] is False and used["away:motion"] is True
    assert used["toy:keypoints"] is True
    whole, plugins = made("away", away, alone, moves)
    nodes = stage_graph(whole, task().fields(), 64, plugins, 0)
    assert {node.label: loads(node, whole) for node in nodes}["away-detector:fit"] is True
