"""Which scores of a run are there and hold."""

import shutil
from dataclasses import replace

import pytest

from vpbench.api import HashMismatch
from vpbench.core.hashing import digest
from vpbench.core.rundir import read_sealed, write_sealed
from vpbench.harness.inputs.training_clips import TrainingList
from vpbench.harness.results.score_state import inspect_scores


def look(bench, run, wanted=None, absent=None):
    wanted = bench.wanted() if wanted is None else wanted
    task = bench.task_data().task
    return inspect_scores(run.folder, task, wanted, bench.paths, absent or {})


@pytest.fixture
def run(bench):
    return bench.run()[0].run


def path_of(run, metric):
    (path,) = run.folder.scores.glob(f"{metric}@*.json")
    return path


def test_nothing_is_to_be_done_once_all_is_scored(bench, run):
    state = look(bench, run)
    assert (state.todo, state.changed, state.missing) == ([], {}, {})
    assert look(bench, run, bench.wanted("ssim", "psnr")).todo == ["ssim"]
    path_of(run, "psnr").unlink()
    assert look(bench, run).todo == ["psnr"]
    shutil.rmtree(run.folder.scores)
    assert look(bench, run).todo == ["psnr", "error"]


def test_scores_of_earlier_predictions_do_not_count(bench, run):
    path = path_of(run, "psnr")
    score = read_sealed(path, "vpbench.score/2")
    write_sealed(path, {**score, "manifest": "0" * 64})
    assert look(bench, run).todo == ["psnr"]


def test_a_new_version_of_a_metric_is_scored(bench, run):
    (psnr, error) = bench.wanted()
    newer = replace(error, spec=replace(error.spec, version=2))
    assert look(bench, run, [psnr, newer]).todo == ["error"]


@pytest.mark.parametrize("field", ["split", "data", "size", "window", "geometry", "n"])
def test_scores_of_the_task_as_it_was_do_not_count(bench, run, field):
    path = path_of(run, "psnr")
    score = read_sealed(path, "vpbench.score/2")
    assert field in score["fingerprint"]
    fingerprint = {**score["fingerprint"], field: "other"}
    short = digest(fingerprint)[:8]
    write_sealed(
        run.folder.score("psnr", short), {**score, "fingerprint": fingerprint, "fp8": short}
    )
    path.unlink()
    assert look(bench, run).todo == ["psnr"]


def test_data_of_a_plugin_s_metric_is_looked_at_again(bench, run):
    path, file, new = path_of(run, "error"), bench.data, bench.data.with_name("new.csv")
    score, content = read_sealed(path, "vpbench.score/2"), file.read_bytes()
    assert "inputs" not in read_sealed(path_of(run, "psnr"), "vpbench.score/2")

    def changed():
        state = look(bench, run)
        assert state.todo == []
        return state.changed

    file.write_text("4")
    assert changed() == {"error": [f"data:{file}"]}
    file.unlink()
    assert changed() == {"error": [f"data:{file}"]}
    file.write_bytes(content)
    assert changed() == {}
    new.write_text("4")
    assert changed() == {"error": [f"data:{new}"]}
    write_sealed(path, {k: v for k, v in score.items() if k not in ("inputs", "beside")})
    assert changed() == {}  # as of an earlier version


def test_scores_of_clips_in_other_groups_do_not_count(bench, run):
    """Groups appear, change and go: a score holds for those that it was taken with."""
    task, (psnr, _) = bench.task_data().task, bench.wanted()

    def grouped(*names):
        test = (replace(i, clip=replace(i.clip, group=names[k % len(names)])) for k, i in each)
        return replace(task, items={**task.items, "test": tuple(test)})

    def todo(now):
        return inspect_scores(run.folder, now, [psnr], bench.paths, {}).todo

    each = list(enumerate(task.test))
    path = path_of(run, "psnr")
    score, by_two = read_sealed(path, "vpbench.score/2"), grouped("ann", "bob")
    assert todo(task) == [] and todo(by_two) == ["psnr"]
    fingerprint = {**score["fingerprint"], "clusters": by_two.clusters_hash}
    short = digest(fingerprint)[:8]
    write_sealed(
        run.folder.score("psnr", short), {**score, "fingerprint": fingerprint, "fp8": short}
    )
    path.unlink()
    assert todo(by_two) == [] and todo(grouped("ann")) == todo(task) == ["psnr"]


def test_code_of_a_metric_that_has_changed_is_for_a_probe(bench, run):
    bench.edit(" * 1.0\n", " * 2.0  # louder\n")
    state = look(bench, run)
    assert state.todo == [] and state.changed == {"error": [f"file:{bench.plugin}"]}
    assert path_of(run, "error").is_file()


def test_code_of_the_method_is_no_business_of_a_built_in_metric(bench, run):
    bench.edit("+ self.more", "+ self.more * 1")
    assert set(look(bench, run).changed) == {"error"}  # it stands in the same file


def test_weights_that_are_not_here_are_the_reason(bench, run):
    (fvd,) = bench.wanted("fvd")
    (weights, *_) = fvd.spec.weights
    state = look(bench, run, [fvd], {weights.name: "I3D weights are not here"})
    assert state.missing == {"fvd": "not scored: I3D weights are not here"}
    assert state.todo == [] == list(state.changed)


def test_too_few_clips_are_the_reason(bench, run):
    (psnr, _) = bench.wanted()
    many = replace(psnr, spec=replace(psnr.spec, min_clips=99))
    state = look(bench, run, [many])
    assert state.missing == {"psnr": "not scored: psnr needs at least 99 clips, but there are 9."}
    assert state.todo == []


def test_a_damaged_score_is_named(bench, run):
    path = path_of(run, "psnr")
    path.write_bytes(path.read_bytes().replace(b'"psnr"', b'"ssim"'))
    with pytest.raises(HashMismatch, match="psnr@"):
        look(bench, run)


def test_named_parts_of_the_test_split_are_due_too(bench, run):
    data = bench.task_data()
    ids = sorted(item.clip.id for item in data.task.test)
    task = replace(data.task, subsets={"half": frozenset(ids[:4]), "none": frozenset()})
    state = inspect_scores(run.folder, task, bench.wanted(), bench.paths, {})
    assert state.todo == ["psnr", "error"]
    (psnr, _) = bench.wanted()
    large = replace(psnr, spec=replace(psnr.spec, min_clips=5))
    assert inspect_scores(run.folder, task, [large], bench.paths, {}).todo == []


def test_looking_makes_no_metric(bench, run, monkeypatch):
    wanted, task = bench.wanted(), bench.task_data().task

    def refuse(*_):
        raise AssertionError("made a metric")

    monkeypatch.setattr("vpbench.core.registry.Registry.factory", refuse)
    assert inspect_scores(run.folder, task, wanted, bench.paths, {}).todo == []


def test_a_score_counts_only_for_what_the_metric_has_learned(bench, run):
    """Other training clips, or another recogniser, are another score."""
    (psnr, _) = bench.wanted()

    def learning(name):
        spec = replace(psnr.spec, learned=f"vpbench.metrics.action.learned:{name}")
        return [replace(psnr, spec=spec)]

    assert look(bench, run, learning("probe")).todo == ["psnr"]
    key = TrainingList(bench.task_data().task).key
    path = path_of(run, "psnr")
    score = read_sealed(path, "vpbench.score/2")
    path.unlink()
    for value, todo in (("other", ["psnr"]), (key, [])):
        fingerprint = {**score["fingerprint"], "training": value}
        short = digest(fingerprint)[:8]
        own = {**score, "fingerprint": fingerprint, "fp8": short}
        write_sealed(run.folder.score("psnr", short), own)
        assert look(bench, run, learning("probe")).todo == todo
    state = look(bench, run, learning("two_stream"))
    assert state.todo == [] and "vpbench recogniser train" in state.missing["psnr"]
