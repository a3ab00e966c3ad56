"""The ablations train what they say: one part less, all else equal."""

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

    return Budget("cpu", 30, ("n_keypoints=9", "batch=4", "motion_hidden=16"))


def stages(name, preset=None):
    plugins = registry(())
    method = resolve(MethodRef.parse(name), plugins, 64, preset)
    return {n.label: n for n in stage_graph(method, {"id": "x"}, 64, plugins, 0)}


def changes(nodes):
    """Parameters of each variant that are not those of the first."""
    first = next(iter(nodes.values())).method.params
    return {
        variant: {k: v for k, v in node.method.params.items() if v != first[k]}
        for variant, node in nodes.items()
    }


def test_variants_differ_in_one_part_and_share_the_budget(budget):
    from keypoints_ablation import VARIANTS

    trained = {v: stages(budget.method(s))["ours:keypoints"] for v, s in VARIANTS.items()}
    assert len({node.key for node in trained.values()}) == len(VARIANTS)
    full = trained["full"].method.params
    assert (full["steps"], full["n_keypoints"], full["batch"]) == (30, 9, 4)
    assert changes(trained) == {
        "full": {},
        "without keypoints of the source": {"reference_keypoints": False},
        "without mask": {"mask": False},
        "without D_im": {"adversarial_weight": 0.0},
        "with skips": {"skips": True},
    }


def test_commands_train_every_variant_with_the_same_options(budget, tmp_path):
    from keypoints_ablation import PARTS

    commands = budget.commands(PARTS, (0, 2), tmp_path)
    assert len(commands) == len({tuple(c) for c in commands}) == 2 * len(PARTS)
    assert {c[1] for c in commands} == {"fit"} and [c[-1] for c in commands[3:5]] == ["0", "2"]
    assert len({tuple(c[3:-1]) for c in commands}) == 1


def test_motion_models_share_the_first_stage():
    from motion_ablation import VARIANTS, Budget

    budget = Budget("gpu", 40, 8)
    made = {v: stages(budget.method(v), "gpu") for v in VARIANTS}
    assert len({s["ours:keypoints"].key for s in made.values()}) == 1
    motions = {v: s["ours:motion"] for v, s in made.items()}
    assert len({node.key for node in motions.values()}) == len(VARIANTS)
    assert motions["full"].method.params["motion_steps"] == 40
    assert changes(motions) == {
        "full": {},
        "without D_seq": {"sequence_adversarial_weight": 0.0},
        "residual": {"residual": True},
    }


SEEDS = {
    "full": {0: {"gain": 1.0, "pck": None}, 1: {"gain": 3.0}, 2: {"gain": 2.0}},
    "other": {0: {"gain": 2.0}, 1: {"gain": 4.0}, 2: {"gain": 4.5}},
    "one": {1: {"gain": 2.5, "pck": 0.5}},
}


def test_a_table_of_seeds_has_a_dash_where_there_is_no_figure():
    from seed_tables import seed_table

    assert seed_table(SEEDS, ("gain", "pck")).splitlines() == [
        "| | gain | pck |",
        "|---|---|---|",
        "| full | 2.000 (1.000, 3.000, 2.000) | - |",
        "| other | 3.500 (2.000, 4.000, 4.500) | - |",
        "| one | 2.500 | 0.500 |",
    ]


def test_differences_are_taken_within_seeds():
    from seed_tables import difference_table

    # differences 1, 1, 2.5: mean 1.5, sd sqrt(3)/2, half width 4.3027 * 0.8660 / sqrt(3) = 2.151
    assert difference_table(SEEDS, ("gain", "pck"), "full").splitlines() == [
        "| less full | gain | pck |",
        "|---|---|---|",
        "| other | +1.500 [-0.651, +3.651] (+1.000, +1.000, +2.500) | - |",
        "| one | -0.500 | - |",
    ]
