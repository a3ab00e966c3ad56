"""What follows from a probe."""

import pytest

from vpbench.api import VpbenchError
from vpbench.core.code import code_table, digest_cache, roots_of
from vpbench.core.files import write_json
from vpbench.core.rundir import read_sealed, write_sealed
from vpbench.harness.jobs.verdicts import judge_prediction, judge_scores
from vpbench.harness.results.run_state import inspect_run, read_accepted, score_code
from vpbench.harness.scoring.probe import TOLERANCE


@pytest.fixture
def result(bench):
    made = bench.run()[0]
    made.changed = ["mine.py"]
    return made


def here(bench, result, **environment):
    """The code of this process, perhaps in another environment."""
    roots = roots_of(result.run.method.factories)
    table = code_table(roots, digest_cache(bench.paths.cache))
    return {**table, "environment": {**table["environment"], **environment}}


def answer(code, verdict="equal", mean=0.0):
    return {"event": "probe", "verdict": verdict, "shards": 1, "mean": mean, "code": code}


def on_gpu(result):
    """As if the predictions had been made on a GPU."""
    folder = result.run.folder
    manifest = folder.read_manifest()
    rows = [{**row, "device": "cuda:0"} for row in manifest["shards"]]
    write_sealed(folder.manifest, {**manifest, "shards": rows})


def test_equal_predictions_are_accepted(bench, result):
    verdict = judge_prediction(result, [answer(here(bench, result))])
    assert verdict.accepted and not verdict.retire
    assert verdict.text == "code of mine.py changed; 1 shard predicted again, equal"
    assert read_accepted(result.run.folder)["predictions"]


@pytest.mark.parametrize(("how", "mean"), [("close", 0.01), ("different", 9.0)])
def test_on_one_machine_every_difference_counts(bench, result, how, mean):
    verdict = judge_prediction(result, [answer(here(bench, result), how, mean)])
    assert verdict.retire and not verdict.accepted
    assert read_accepted(result.run.folder)["predictions"] == {}


@pytest.mark.parametrize("machine", ["packages", "python", "gpu"])
def test_where_the_machine_is_another_rounding_is_no_difference(bench, result, machine):
    code = here(bench, result)
    if machine == "gpu":
        on_gpu(result)
    elif machine == "packages":
        code["environment"]["packages"] = {"numpy": "0.1"}
    else:
        code["environment"]["python"] = "3.99"
    close = judge_prediction(result, [answer(code, "close", 0.01)])
    assert close.accepted and not close.retire
    far = judge_prediction(result, [answer(code, "different", 9.0)])
    assert not far.accepted and not far.retire
    assert "the cause may be the code or the machine" in far.text and "--again" in far.text


def test_a_probe_without_an_answer_is_no_verdict(result):
    with pytest.raises(VpbenchError, match="ended without a result"):
        judge_prediction(result, [])


def scored(result, metric):
    (path,) = result.run.folder.scores.glob(f"{metric}@*.json")
    return path


def of_score(bench, result, metric, largest, path=None):
    return {
        "event": "score-probe",
        "metric": metric,
        "frames": 8,
        "path": str(scored(result, metric)) if path is None else path,
        "largest": largest,
        "code": here(bench, result),
    }


def test_scores_within_rounding_are_accepted(bench, result):
    answers = [of_score(bench, result, m, TOLERANCE / 2) for m in ("psnr", "error")]
    verdict = judge_scores(result.run.folder, result.changed, answers)
    assert verdict.accepted and verdict.rescore == ()
    assert verdict.text == "code of mine.py changed; scores computed again in part, equal"
    accepted = read_accepted(result.run.folder)
    folder = result.run.folder
    codes = {score_code(folder.read_score(scored(result, m))) for m in ("psnr", "error")}
    assert set(accepted["scores"]) == codes and accepted["predictions"] == {}


def test_scores_that_differ_are_set_aside_and_the_others_stay(bench, result):
    answers = [of_score(bench, result, "psnr", 0.0), of_score(bench, result, "error", 1e-3)]
    bad = scored(result, "error")
    verdict = judge_scores(result.run.folder, result.changed, answers)
    assert verdict.rescore == ("error",) and not verdict.accepted
    assert verdict.text == "code of mine.py changed; error differ and are scored again"
    assert not bad.exists() and (bad.parent / "retired" / bad.name).is_file()
    assert scored(result, "psnr").is_file()
    manifest = result.run.folder.read_manifest()["sha256"]
    assert [s["metric"] for s in result.run.folder.all_scores(manifest)] == ["psnr"]


def test_a_score_that_would_have_another_name_now_differs(bench, result):
    """Its fingerprint has changed with the code: another recipe, say."""
    answers = [of_score(bench, result, "error", float("inf"), path="")]
    assert judge_scores(result.run.folder, result.changed, answers).rescore == ("error",)
    assert not list(result.run.folder.scores.glob("error@*.json"))


def test_code_of_a_metric_is_probed_end_to_end(bench, result):
    bench.edit(" * 1.0\n", " / 1.0\n")
    _, kinds, notes = bench.run()
    assert kinds == ["probe", "score-probe"]  # method and metric stand in one file
    assert "code of mine_toy.py changed; scores computed again in part, equal" in notes
    assert bench.run()[1] == []
    bench.edit(" / 1.0\n", " / 0.5\n")
    before = read_sealed(scored(result, "error"), "vpbench.score/2")["value"]
    psnr = scored(result, "psnr").stat().st_mtime_ns
    _, kinds, notes = bench.run()
    assert kinds == ["probe", "score-probe", "score"]
    assert "code of mine_toy.py changed; error differ and are scored again" in notes
    after = read_sealed(scored(result, "error"), "vpbench.score/2")["value"]
    assert after == pytest.approx(2 * before)
    assert scored(result, "psnr").stat().st_mtime_ns == psnr
    assert bench.run()[1] == []


def test_a_metric_whose_fingerprint_changes_is_scored_anew_and_stands_alone(bench, result):
    before = scored(result, "error").name
    bench.edit('{"power": 1}', '{"power": 2}')
    _, kinds, _ = bench.run()
    assert kinds == ["probe", "score-probe", "score"]
    assert scored(result, "error").name != before
    assert bench.run()[1] == []


def test_a_new_version_of_a_metric_takes_the_place_of_the_old_one(bench, result):
    before = scored(result, "error")
    bench.edit('"", 1, default', '"", 2, default')
    _, kinds, _ = bench.run()
    assert kinds[-1] == "score"
    assert scored(result, "error").name != before.name
    assert (before.parent / "retired" / before.name).is_file()
    assert bench.run()[1] == []


def test_a_failing_probe_fails_the_run_and_changes_nothing(bench, result):
    folder = result.run.folder
    manifest = folder.manifest.read_bytes()
    bench.edit("+ self.more", "+ self.nothing")
    made, kinds, _ = bench.run()
    assert kinds == ["probe"] and made.status == "failed"
    assert "has no attribute 'nothing'" in str(made.reason)
    assert folder.manifest.read_bytes() == manifest and folder.failure.is_file()
    bench.edit("+ self.nothing", "+ self.more")
    assert bench.run()[0].status == "ok" and not folder.failure.exists()
    assert inspect_run(bench.one(), bench.task_data().task, bench.paths).status == "finished"


def test_what_was_accepted_for_another_run_does_not_count(bench, result):
    bench.edit("+ self.more", "+ self.more * 1")
    bench.run()
    folder = result.run.folder
    record = read_sealed(folder.accepted, "vpbench.accepted/1")
    write_json(folder.accepted, {**record, "run": "0" * 64})
    with pytest.raises(VpbenchError, match=r"accepted\.json"):
        inspect_run(bench.one(), bench.task_data().task, bench.paths)
