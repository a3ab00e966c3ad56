"""Where trained states come from: which stages are needed, and which published ones fit."""

from dataclasses import replace

import pytest
from core_toys import TOY, registry, task

from vpbench.api import Checkpoint, StageSpec
from vpbench.core.checkpoints import CheckpointSources, content, loads, plan_stages
from vpbench.core.files import write_json
from vpbench.core.hashing import file_sha256
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.plan import make_plan
from vpbench.core.resolve import resolve
from vpbench.core.stages import stage_graph


def graph(text="toy", *specs):
    found = registry(replace=specs)
    method = resolve(MethodRef.parse(text), found, 64)
    return stage_graph(method, task().fields(), 64, found, 0), method


def origins(nodes, method, places):
    return {s.node.label: s.origin for s in plan_stages(nodes, method, places)}


def finish(path, key="", files="1", parents=None, **more):
    record = {"key": key, "files": {"a": files}, "parents": parents or {}, **more}
    write_json(path / "stage.json", record)
    return path


@pytest.mark.parametrize(
    ("text", "there", "expected"),
    [
        (
            "toy",
            (),
            {"toy:keypoints": "to fit", "toy-detector:labels": "to fit", "toy:motion": "to fit"},
        ),
        (
            "toy",
            ("motion",),
            {
                "toy:keypoints": "to fit",
                "toy-detector:labels": "not needed",
                "toy:motion": "fitted",
            },
        ),
        (
            "toy",
            ("keypoints", "motion"),
            {
                "toy:keypoints": "fitted",
                "toy-detector:labels": "not needed",
                "toy:motion": "fitted",
            },
        ),
        (
            "toy",
            ("keypoints",),
            {"toy:keypoints": "fitted", "toy-detector:labels": "to fit", "toy:motion": "to fit"},
        ),
        (
            "toy",
            ("labels",),
            {"toy:keypoints": "to fit", "toy-detector:labels": "fitted", "toy:motion": "to fit"},
        ),
        (
            "toy[motion=frozen]",
            (),
            {"toy:keypoints": "to fit", "toy-detector:labels": "not needed"},
        ),
        (
            "toy[motion=line]",
            (),
            {"toy:keypoints": "to fit", "toy-detector:labels": "to fit", "line:fit": "to fit"},
        ),
        (
            "toy[motion=line]",
            ("fit",),
            {"toy:keypoints": "to fit", "toy-detector:labels": "not needed", "line:fit": "fitted"},
        ),
    ],
)
def test_only_what_is_loaded_or_comes_before_a_fit_is_made(tmp_path, text, there, expected):
    nodes, method = graph(text)
    for node in nodes:
        if node.stage in there:
            finish(tmp_path / node.folder)
    assert origins(nodes, method, CheckpointSources(tmp_path)) == expected


def test_a_stage_is_trained_again_on_other_labels(tmp_path):
    nodes, method = graph("flat")
    (node,) = nodes

    def found(labels):
        (stage,) = plan_stages(nodes, method, CheckpointSources(tmp_path, labels=labels))
        return stage.origin, stage.stale

    finish(tmp_path / node.folder)  # as of an earlier version
    assert found("aa") == found("bb") == ("fitted", "")
    finish(tmp_path / node.folder, labels="aa")
    why = "the labels of its training clips changed"
    assert (found("aa"), found("bb"), found("")) == (
        ("fitted", ""),
        ("to fit", why),
        ("fitted", ""),
    )


@pytest.mark.parametrize("what", ["classes", "joints"])
def test_a_stage_is_trained_again_under_other_names(tmp_path, what):
    """Where its record says under which; earlier versions did not."""
    nodes, method = graph("flat")
    told = {"classes": ["left", "right"], "joints": []}
    now = {**told, what: ["down", "up"]}
    (node,) = nodes

    def found(names):
        (stage,) = plan_stages(nodes, method, CheckpointSources(tmp_path, names=names))
        return stage.origin, bool(stage.stale)

    finish(tmp_path / node.folder)
    assert found(told) == found(now) == ("fitted", False)
    finish(tmp_path / node.folder, names=told)
    assert (found(told), found(now)) == (("fitted", False), ("to fit", True))


def test_what_only_a_fit_needs_is_left_out_with_all_before_it(tmp_path):
    """A chain: a teacher of another method is needed by the pupil's training alone."""
    pupil = replace(
        TOY,
        stages=(
            StageSpec("keypoints", 1, ("detector", "translator"), ("other:find",)),
            *TOY.stages[1:],
        ),
    )
    nodes, method = graph("toy", pupil)
    assert nodes[0].label == "other:find"
    assert not loads(nodes[0], method)
    assert origins(nodes, method, CheckpointSources(tmp_path))["other:find"] == "to fit"
    finish(tmp_path / nodes[1].folder)
    found = origins(nodes, method, CheckpointSources(tmp_path))
    assert found == {
        "other:find": "to fit",
        "toy:keypoints": "fitted",
        "toy-detector:labels": "to fit",
        "toy:motion": "to fit",
    }
    finish(tmp_path / nodes[3].folder)
    found = origins(nodes, method, CheckpointSources(tmp_path))
    assert found["other:find"] == found["toy-detector:labels"] == "not needed"
    assert set(origins(nodes, method, CheckpointSources(tmp_path, refit=True)).values()) == {
        "to fit"
    }


def test_a_run_lies_in_one_folder_whatever_is_needed(tmp_path):
    def plan():
        methods = [MethodRef.parse("toy")]
        options = RunOptions(references=False)
        return make_plan(methods, options, task(), registry(), tmp_path).runs[0]

    before = plan()
    finish(before.stages[2].folder.path)
    after = plan()
    assert [s.needed for s in after.stages] == [True, False, True]
    assert before.folder == after.folder
    listed = {s["stage"]: s["origin"] for s in after.inputs(task())["stages"]}
    assert listed["toy-detector:labels"] == "not needed"


@pytest.fixture
def published(tmp_path):
    """The toy with both its stages bundled; (spec, folder of each, nodes)."""
    spec = replace(TOY, factory=f"{tmp_path / 'plug' / 'toy.py'}:Toy")
    nodes, _ = graph("toy", spec)
    first = finish(tmp_path / "plug" / "first", nodes[0].key)
    parents = {nodes[0].key: content_of(first)}
    second = finish(tmp_path / "plug" / "second", nodes[2].key, "2", parents)
    checkpoints = (
        Checkpoint("keypoints", nodes[0].key, "first"),
        Checkpoint("motion", nodes[2].key, "second"),
    )
    return replace(spec, checkpoints=checkpoints), (first, second), nodes


def content_of(folder):
    from vpbench.core.rundir import StageDir

    return content(StageDir(folder))


def test_a_bundled_stage_is_taken_only_with_those_that_it_was_trained_on(tmp_path, published):
    spec, (_, second), nodes = published
    made, method = graph("toy", spec)
    places = CheckpointSources(tmp_path / "runs")
    assert list(origins(made, method, places).values()) == ["bundled", "not needed", "bundled"]
    own = finish(tmp_path / "runs" / nodes[0].folder, files="of another training")
    assert list(origins(made, method, places).values()) == ["fitted", "to fit", "to fit"]
    finish(own)  # the same content: it does not matter who trained it
    assert list(origins(made, method, places).values()) == ["fitted", "not needed", "bundled"]
    given = {"toy:keypoints": finish(tmp_path / "given", files="given")}
    found = origins(made, method, CheckpointSources(tmp_path / "runs", given=given))
    assert list(found.values()) == ["given", "to fit", "to fit"]
    finish(second, nodes[2].key, "2", {})  # it does not say what it was trained on
    finish(tmp_path / "runs" / nodes[0].folder)
    assert list(origins(made, method, places).values()) == ["fitted", "to fit", "to fit"]


def test_an_address_counts_where_there_is_a_cache(tmp_path, published):
    spec, _, nodes = published
    web = tuple(
        replace(c, source=f"https://example.org/{c.stage}.zip", sha256=digit * 64)
        for c, digit in zip(spec.checkpoints, "ab", strict=True)
    )
    made, method = graph("toy", replace(spec, checkpoints=web))
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    assert set(origins(made, method, CheckpointSources(runs)).values()) == {"to fit"}
    stages = plan_stages(made, method, CheckpointSources(runs, cache))
    assert [s.origin for s in stages] == ["downloaded", "not needed", "downloaded"]
    assert stages[0].folder.path == cache / "checkpoints" / web[0].sha256
    assert stages[0].checkpoint == web[0] and not stages[0].folder.complete()
    finish(runs / nodes[0].folder, files="of another training")
    mixed = plan_stages(made, method, CheckpointSources(runs, cache))
    assert [s.origin for s in mixed] == ["fitted", "to fit", "to fit"]


def test_a_stage_holds_while_the_files_that_it_read_do(tmp_path):
    """And what was fitted on a stage that does not hold is fitted again with it."""
    nodes, method = graph("toy")
    file = tmp_path / "pretrained.txt"
    file.write_text("0")
    read = [{"path": str(file), "sha256": file_sha256(file), "how": "opened"}]
    for node in nodes:
        finish(tmp_path / node.folder)
    keypoints, _, motion = nodes
    record = {"key": keypoints.key, "files": {"a": "1"}, "parents": {}, "inputs": read}
    write_json(tmp_path / keypoints.folder / "stage.json", record)
    finish(
        tmp_path / motion.folder, parents={keypoints.key: content_of(tmp_path / keypoints.folder)}
    )
    for places in (CheckpointSources(tmp_path), CheckpointSources(tmp_path, tmp_path / "home")):
        file.write_text("0")
        assert {s.stale for s in plan_stages(nodes, method, places)} == {""}
        for change in (lambda: file.write_text("60"), file.unlink):
            change()
            found = {s.node.stage: s for s in plan_stages(nodes, method, places)}
            assert {s.origin for s in found.values()} == {"to fit", "fitted"}
            assert found["keypoints"].stale == "pretrained.txt changed"
            assert found["motion"].stale == "toy:keypoints is trained again"
