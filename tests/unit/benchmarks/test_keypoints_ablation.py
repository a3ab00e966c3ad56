"""The ablation trains what it says: one part less, all else equal."""

from pathlib import Path

import pytest

from vpbench.core.names import MethodRef
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench.core.stages import stage_graph

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def budget():
    from keypoints_ablation import Budget

    return Budget("cpu", 30, 40, 0, ("n_keypoints=9", "batch=4", "motion_hidden=16"))


def stages(name):
    plugins = registry(())
    method = resolve(MethodRef.parse(name), plugins, 64)
    return {n.label: n for n in stage_graph(method, {"id": "x"}, 64, plugins, 0)}


def test_variants_differ_in_one_part_and_share_the_budget(budget):
    from keypoints_ablation import FIRST, SECOND

    trained = {v: stages(budget.first(s))["ours:keypoints"] for v, s in FIRST.items()}
    assert len({node.key for node in trained.values()}) == len(FIRST)
    full = trained["full"].method.params
    assert (full["steps"], full["n_keypoints"], full["batch"]) == (30, 9, 4)
    changed = {
        variant: {k: v for k, v in node.method.params.items() if v != full[k]}
        for variant, node in trained.items()
    }
    assert changed == {
        "full": {},
        "without keypoints of the source": {"reference_keypoints": False},
        "without mask": {"mask": False},
        "without D_im": {"adversarial_weight": 0.0},
    }
    second = {v: stages(budget.second(s)) for v, s in SECOND.items()}
    # both motion models learn on the keypoints of the full first stage
    assert {s["ours:keypoints"].key for s in second.values()} == {trained["full"].key}
    motions = [s["ours:motion"].method.params for s in second.values()]
    assert motions[0]["motion_steps"] == 40 and motions[0]["motion_hidden"] == 16
    assert {k: v for k, v in motions[1].items() if v != motions[0][k]} == {
        "sequence_adversarial_weight": 0.0
    }


def test_commands_train_every_variant_with_the_same_options(budget, tmp_path):
    from keypoints_ablation import FIRST, SECOND

    commands = budget.commands(tmp_path)
    assert len(commands) == len(FIRST) + len(SECOND)
    assert len({tuple(c[3:]) for c in commands}) == 1 and {c[1] for c in commands} == {"fit"}
    assert len({c[2] for c in commands}) == len(commands)


def test_a_table_has_a_dash_where_there_is_no_figure():
    from keypoints_ablation import markdown

    text = markdown({"full": {"gain": 1.23456, "pck": None}, "other": {}}, ("gain", "pck"))
    assert text == "| | gain | pck |\n|---|---|---|\n| full | 1.235 | - |\n| other | - | - |\n"
