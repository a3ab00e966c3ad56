"""What will run, in which folder, from which trained stages, and what is refused."""

import json
import sys
from dataclasses import replace

import pytest
from core_toys import FLAT, FROZEN, MOTION, TOY, clip, component, entry, registry, task

from vpbench.api import (
    Capabilities,
    Checkpoint,
    Corrupt,
    MethodSpec,
    MissingData,
    UnknownName,
    UsageError,
    WeightSpec,
)
from vpbench.core.checkpoints import find_given
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.plan import REFERENCES, make_plan, row_kind
from vpbench.core.registry import build


def refs(*names):
    return [MethodRef.parse(name) for name in names]


def plan(runs, *names, on=None, specs=(), replace=(), **fields):
    options = RunOptions(**{"references": False, **fields})
    toys = registry(*specs, replace=replace)
    return make_plan(refs(*names), options, on or task(), toys, runs)


def one(runs, name="toy", **more):
    (run,) = plan(runs, name, **more).runs
    return run


def needy(**needs):
    return MethodSpec("needy", "n:N", "s", capabilities=Capabilities(**needs))


@pytest.mark.parametrize(
    ("needs", "on", "said"),
    [
        ({"conditioning_frames": (3, 3)}, task(), "needs 3 conditioning frames"),
        ({"max_horizon": 5}, task(), "at most 5 frames"),
        ({"size_multiple": 48}, task(), "divisible by 48"),
        ({"min_size": 65}, task(), "at least 65 px"),
        ({"label": "required"}, task(classes=0), "needs action labels"),
        ({"pose": "training"}, task(), "needs pose"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason_and_the_rest_runs(
    tmp_path, needs, on, said
):
    made = plan(tmp_path, "needy", "plain", on=on, specs=[needy(**needs)], seeds=(0, 1))
    assert [r.name for r in made.runs] == ["plain"]
    (refusal,) = made.refused
    assert (refusal.name, refusal.kind, refusal.requested) == ("needy", "method", True)
    assert len(refusal.reasons) == 1 and said in refusal.reasons[0]


def test_all_reasons_are_told_for_every_seed(tmp_path):
    spec = needy(min_size=999, pose="required", stochastic=True)
    made = plan(tmp_path, "needy", specs=[spec], seeds=(0, 1))
    assert [(r.seed, len(r.reasons)) for r in made.refused] == [(0, 2), (1, 2)]


def test_parts_that_do_not_fit_are_a_refused_row(tmp_path):
    made = plan(tmp_path, "toy[detector=grid]", "toy[translator=painter]", "toy", seeds=(3,))
    assert [r.name for r in made.runs] == ["toy[translator=painter]", "toy"]
    assert {r.name: r.seed for r in made.refused} == {"toy[detector=grid]": 3}
    assert "keypoints" in made.refused[0].reasons[0]


def test_a_star_runs_what_fits(tmp_path):
    made = plan(tmp_path, "toy[translator=*]")
    assert {r.name for r in made.runs} == {
        "toy",
        "toy[translator=warp]",
        "toy[translator=other-translator]",
        "toy[translator=painter]",
    }
    assert made.refused == ()


def test_wrong_names_end_the_command(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean plain"):
        plan(tmp_path, "toy", "plane")


def test_stochastic_methods_get_all_seeds_and_deterministic_ones_one(tmp_path):
    made = plan(
        tmp_path, "toy", "toy[motion=frozen]", "plain", seeds=(2, 5), fit_seeds=(0, 1), samples=3
    )
    rows = [(r.name, r.fit_seed, r.seed, r.samples) for r in made.runs]
    assert rows == [
        ("toy", 0, 2, 3),
        ("toy", 0, 5, 3),
        ("toy", 1, 2, 3),
        ("toy", 1, 5, 3),
        ("toy[motion=frozen]", 0, 0, 1),
        ("toy[motion=frozen]", 1, 0, 1),
        ("plain", 0, 0, 1),
    ]
    assert len({r.folder.path for r in made.runs}) == len(rows)


def test_a_deterministic_run_is_the_same_whatever_seed_is_asked_for(tmp_path):
    first, second = (one(tmp_path, "plain", seeds=(s,), fit_seeds=(s,)) for s in (0, 7))
    assert first.folder == second.folder
    assert first.inputs(task()) == second.inputs(task())


def test_the_same_inputs_give_the_same_folder(tmp_path):
    run = one(tmp_path)
    assert run.folder.path.parent == tmp_path / "toyset" / "toy"
    assert len(run.folder.path.name) == 8
    for same in (
        one(tmp_path),
        one(tmp_path, "toy[preset=cpu,steps=10]"),
        one(tmp_path, preset="cpu"),
        one(tmp_path, replace=[replace(TOY, summary="other words", trials=2)]),
        one(tmp_path, on=replace(task(), dataset="/typed/otherwise")),
    ):
        assert same.folder == run.folder
    twice = plan(tmp_path, "toy", "toy[steps=10]").runs
    assert len(twice) == 1


CLIP_B, TRAIN_B = clip("test-b", label=1), clip("train-b", label=1)
WEIGHTS = WeightSpec("net", (), "a" * 64, "MIT", 1, "safetensors")
CHANGES = {
    "a seed": {"seeds": (1,)},
    "a fit seed": {"fit_seeds": (1,)},
    "samples": {"samples": 2},
    "limit": {"on": task(limit=1)},
    "size": {"on": task(size=32)},
    "a label": {"on": task({"test": [clip("test-a", label=1), clip("test-b", label=1)]})},
    "the bytes of a clip": {"on": task({"test": [clip("test-a", sha256="x"), CLIP_B]})},
    "the joints of a clip": {"on": task({"test": [clip("test-a", pose_sha256="x"), CLIP_B]})},
    "the bytes of a training clip": {"on": task({"train": [clip("train-a", sha256="x"), TRAIN_B]})},
    "the joints of a training clip": {
        "on": task({"train": [clip("train-a", pose_sha256="x"), TRAIN_B]})
    },
    "the length of a clip": {"on": task({"test": [clip("test-a", frames=25), CLIP_B]})},
    "the size of a clip": {"on": task({"test": [replace(clip("test-a"), height=33), CLIP_B]})},
    "factory": {"replace": [replace(TOY, factory="else:Where")]},
    "the method's version": {"replace": [replace(TOY, version=2)]},
    "the interface": {"replace": [replace(TOY, api=2)]},
    "a component's version": {"replace": [replace(MOTION, version=2)]},
    "weights": {"replace": [replace(TOY, weights=(WEIGHTS,))]},
    "other weights": {"replace": [replace(TOY, weights=(replace(WEIGHTS, sha256="b" * 64),))]},
    "a stage's version": {
        "replace": [replace(TOY, stages=(replace(TOY.stages[0], version=2), *TOY.stages[1:]))]
    },
    "a part": {"replace": [replace(FROZEN, name="toy-motion")]},
    "a parameter": {"replace": [replace(TOY, params={**TOY.params, "more": 1})]},
}


def test_every_changed_input_gives_another_folder(tmp_path):
    names = [one(tmp_path).folder.path.name]
    names += [one(tmp_path, **change).folder.path.name for change in CHANGES.values()]
    names += [one(tmp_path, t).folder.path.name for t in ("toy[steps=11]", "toy[motion=line]")]
    assert len(set(names)) == len(names)


def test_what_a_run_does_not_depend_on(tmp_path):
    """Code is recorded and probed."""
    unmet_weights = replace(WEIGHTS, when={"mode": "posed"})
    for same in (
        {"replace": [replace(TOY, weights=(unmet_weights,))]},
        {"replace": [replace(TOY, trials=9, notes={"mode=posed": "words"})]},
    ):
        assert one(tmp_path, **same).folder == one(tmp_path).folder, same
    part = replace(MOTION, weights=(WEIGHTS,))
    assert one(tmp_path, replace=[part]).folder != one(tmp_path).folder
    needed = {"replace": [replace(TOY, weights=(unmet_weights,))]}
    posed = "toy[mode=posed]"
    on = task(joints=4)
    assert one(tmp_path, posed, on=on, **needed).folder != one(tmp_path, posed, on=on).folder


def test_the_kit_s_version_of_prediction_makes_all_runs_anew(tmp_path, monkeypatch):
    before = one(tmp_path).folder
    monkeypatch.setattr("vpbench.core.methods.KIT_PREDICTION", 2)
    assert one(tmp_path).folder != before


def test_declared_data_files_count_by_content(tmp_path):
    folder = tmp_path / "plug"
    folder.mkdir()
    (folder / "toy.py").write_text("")
    spec = replace(TOY, factory=f"{folder / 'toy.py'}:Toy", files=("table.csv",))
    with pytest.raises(MissingData, match=r"the data file .*table\.csv is missing"):
        one(tmp_path, replace=[spec])
    names = {one(tmp_path, replace=[replace(spec, files=())]).key}
    for text in ("a", "b"):
        (folder / "table.csv").write_text(text)
        names.add(one(tmp_path, replace=[spec]).key)
    assert len(names) == 3


def test_a_folder_is_named_by_the_first_digits_of_the_key(tmp_path):

    run = one(tmp_path)
    assert len(run.key) == 64 and run.folder.path.name == run.key[:8]


def test_the_record_says_what_runs(tmp_path):
    record = one(tmp_path, seeds=(4,), fit_seeds=(2,), samples=2).inputs(task())
    wanted = {"method": "toy", "kind": "method", "seed": 4, "fit_seed": 2, "samples": 2}
    assert record.items() >= wanted.items() and record["conditioning_frames"] == 2
    assert [s["origin"] for s in record["stages"]] == ["to fit"] * 3
    assert record["stages"][0]["stage"] == "toy:keypoints"
    assert one(tmp_path, "plain").inputs(task())["fit_seed"] is None
    json.dumps(record, allow_nan=False)


def finish(folder, owner="toy", stage="keypoints", **more):
    folder.mkdir(parents=True)
    record = {"owner": owner, "stage": stage, "files": {}, **more}
    (folder / "stage.json").write_text(json.dumps(record))
    return folder


def origins(run):
    return {s.node.label: s.origin for s in run.stages}


def test_finished_stages_are_used_unless_told_otherwise(tmp_path):
    stage = one(tmp_path).stages[0]
    assert stage.folder.path.parent == tmp_path / "toyset" / "stages"
    stage.folder.path.mkdir(parents=True)
    assert origins(one(tmp_path))["toy:keypoints"] == "to fit"  # begun, not finished
    stage.folder.record.write_text("{}")
    run = one(tmp_path)
    assert origins(run) == {
        "toy:keypoints": "fitted",
        "toy-detector:labels": "to fit",
        "toy:motion": "to fit",
    }
    assert set(origins(one(tmp_path, refit=True)).values()) == {"to fit"}
    assert origins(one(tmp_path, "toy[motion=line]"))["toy:keypoints"] == "fitted"
    assert origins(one(tmp_path, fit_seeds=(1,)))["toy:keypoints"] == "to fit"
    assert run.folder == one(tmp_path, refit=True).folder


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A plugin package with a checkpoint of the toy's first stage."""
    package = tmp_path / "site" / "bundled_toy"
    finish(package / "checkpoints" / "kp")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    spec = replace(TOY, factory="bundled_toy.method:Toy")
    key = one(tmp_path, replace=[spec]).stages[0].node.key

    def make(**changes):
        words = {"stage": "keypoints", "key": key, "source": "checkpoints/kp", **changes}
        return replace(spec, checkpoints=(Checkpoint(**words),))

    yield make
    sys.modules.pop("bundled_toy", None)


def test_bundled_stages_are_found_by_their_key(tmp_path, bundle):
    run = one(tmp_path / "runs", replace=[bundle()])
    assert run.stages[0].origin == "bundled"
    assert run.stages[0].folder.path == tmp_path / "site" / "bundled_toy" / "checkpoints" / "kp"
    assert (
        one(tmp_path / "runs", "toy[motion=line]", replace=[bundle()]).stages[0].origin == "bundled"
    )
    for other in (
        {"text": "toy[steps=11]"},
        {"fit_seeds": (1,)},
        {"refit": True},
        {"on": task(size=32)},
    ):
        name = other.pop("text", "toy")
        run = one(tmp_path / "runs", name, replace=[bundle()], **other)
        assert run.stages[0].origin == "to fit", other
    assert "bundled_toy.method" not in sys.modules


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "motion"},
        {"key": "0" * 16},
        {"source": "checkpoints/no"},
        {"source": "https://example.org/kp.zip"},
    ],
)
def test_other_bundled_stages_are_not_taken(tmp_path, bundle, changes):
    assert one(tmp_path / "runs", replace=[bundle(**changes)]).stages[0].origin == "to fit"


def test_what_was_fitted_here_goes_before_what_is_bundled(tmp_path, bundle):
    stage = one(tmp_path / "runs", replace=[bundle()], refit=True).stages[0]
    finish(stage.folder.path)
    assert one(tmp_path / "runs", replace=[bundle()]).stages[0].origin == "fitted"


@pytest.mark.parametrize("factory", ["{folder}/toy.py:Toy", ":Toy", "no_such_package:Toy"])
def test_checkpoints_beside_a_single_file_and_of_nobody(tmp_path, factory):
    spec = replace(TOY, factory=factory.format(folder=tmp_path / "plug"))
    finish(tmp_path / "plug" / "kp")
    key = one(tmp_path, replace=[spec]).stages[0].node.key
    spec = replace(spec, checkpoints=(Checkpoint("keypoints", key, "kp"),))
    wanted = "bundled" if "/" in spec.factory else "to fit"
    assert one(tmp_path, replace=[spec]).stages[0].origin == wanted


def test_a_given_checkpoint_stands_in_for_its_stage_and_changes_the_folder(tmp_path):
    given = finish(tmp_path / "mine", files={"a": "1"})
    run = one(tmp_path, checkpoint=given)
    assert origins(run)["toy:keypoints"] == "given" and run.stages[0].folder.path == given
    (given / "stage.json").write_text(
        json.dumps({"owner": "toy", "stage": "keypoints", "files": {"a": "2"}})
    )
    again = one(tmp_path, checkpoint=given)
    assert len({run.folder, again.folder, one(tmp_path).folder}) == 3
    assert origins(one(tmp_path, checkpoint=given, refit=True))["toy:keypoints"] == "given"


def test_a_folder_of_given_checkpoints(tmp_path):
    finish(tmp_path / "all" / "a")
    finish(tmp_path / "all" / "b", "toy", "motion")
    run = one(tmp_path, checkpoint=tmp_path / "all")
    assert list(origins(run).values()) == ["given", "not needed", "given"]


def test_given_checkpoints_that_are_of_no_use(tmp_path):
    with pytest.raises(MissingData, match="contains no trained stage"):
        one(tmp_path, checkpoint=tmp_path / "nowhere")
    finish(tmp_path / "other", "somebody", "else")
    with pytest.raises(UsageError, match=r"holds no stage of toy; it has somebody:else"):
        one(tmp_path, checkpoint=tmp_path / "other")
    assert one(tmp_path, "plain", checkpoint=tmp_path / "other").stages == ()
    finish(tmp_path / "two" / "a")
    finish(tmp_path / "two" / "b")
    with pytest.raises(UsageError, match="both hold the stage toy:keypoints"):
        find_given(tmp_path / "two")
    (tmp_path / "other" / "stage.json").write_text("[]")
    with pytest.raises(Corrupt):
        find_given(tmp_path / "other")


def test_references_come_along_and_are_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("VPBENCH_NO_PLUGINS", "1")
    toys = build()
    toys.entries += [entry(FLAT)]
    made = make_plan(refs("flat", "noise"), RunOptions(), task(), toys, tmp_path)
    assert [r.name for r in made.runs] == [
        "flat",
        "noise",
        *[n for n in REFERENCES if n != "noise"],
    ]
    assert [r.requested for r in made.runs] == [True, True] + [False] * 8
    bare = make_plan(refs("flat"), RunOptions(), task({"train": []}, classes=0), toys, tmp_path)
    reasons = {r.name: r.reasons for r in bare.refused}
    assert set(reasons) == {"real-other", "nearest-train", "class-random"}
    assert "needs training clips, but the dataset has none" in reasons["nearest-train"]
    kinds = {
        r.name: (row_kind(r.method), r.inputs(task())["conditioning_frames"]) for r in made.runs
    }
    assert kinds["real"] == ("ceiling", 0) and kinds["copy-last"] == ("null", 1)


def test_training_clips_count_where_they_move_a_prediction(tmp_path, monkeypatch):
    """Nearest neighbours and other real clips are training clips."""
    monkeypatch.setenv("VPBENCH_NO_PLUGINS", "1")
    changed = task({"train": [clip("train-a", sha256="x"), TRAIN_B]})
    before, after = (
        {r.name: r.key for r in make_plan([], RunOptions(), on, build(), tmp_path).runs}
        for on in (task(), changed)
    )
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"real-other", "nearest-train", "class-random"}


def test_oracles_are_marked_whatever_their_spec_says(tmp_path):
    seer = component("seer", "motion", capabilities=Capabilities(oracle=True))
    assert row_kind(one(tmp_path, "toy[motion=seer]", specs=[seer]).method) == "oracle"
    assert row_kind(one(tmp_path).method) == "method"
