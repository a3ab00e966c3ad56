"""What `board verify` calls the same; scoring itself is stood in for here, and real in e2e."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from board_toys import make_run, paths, plugins, run_of

from vpbench.api.errors import MissingData, UsageError
from vpbench.board import verify as module
from vpbench.board.entry import with_verification
from vpbench.board.verify import Evidence, verification, verify
from vpbench.core.progress import silent


@pytest.fixture
def check(tmp_path, entry, monkeypatch):
    """Verify the entry with some evidence, where scoring gives what `found` says."""

    def checked(folder, found=None, missing=None, foreign=True, of=entry[0]):
        scores = list(run_of(folder).scores.values()) if found is None else found
        monkeypatch.setattr(module, "_scored", lambda *_: (scores, missing or {}))
        evidence = Evidence([folder], foreign)
        work = Path(tempfile.mkdtemp(dir=tmp_path))
        return verify(of, evidence, work, plugins(), paths(tmp_path), silent)

    return checked


def moved(folder, metric, by):
    """The scores of a run, with one figure and its first clip moved by a part of their size."""
    scores = [dict(s) for s in run_of(folder).scores.values()]
    for score in scores:
        if score["metric"] == metric:
            size = max(abs(v) for v in score["per_clip"].values())
            first = next(iter(score["per_clip"]))
            score["value"] += by * size
            score["per_clip"] = {
                **score["per_clip"],
                first: score["per_clip"][first] + by * size,
            }
    return scores


@pytest.mark.parametrize(
    ("metric", "by", "same"),
    [
        ("psnr", 0.0, True),
        ("psnr", 3e-7, True),
        ("psnr", 3e-6, False),
        ("psnr", -3e-6, False),
        ("fvd", 3e-4, True),  # a network in single precision
        ("fvd", 3e-3, False),
    ],
)
def test_how_much_a_figure_may_differ(run, check, metric, by, same):
    found = check(run, moved(run, metric, by))
    assert (found["ok"], found["level"]) == (same, "rescored" if same else None)
    assert {r["metric"] for r in found["scores"] if not r["ok"]} == (set() if same else {metric})


def test_a_mean_that_hides_the_clips_is_found(run, check):
    scores = moved(run, "psnr", 0.0)
    psnr = next(s for s in scores if s["metric"] == "psnr")
    one, two, *_ = psnr["per_clip"]
    psnr["per_clip"] |= {one: psnr["per_clip"][one] + 1, two: psnr["per_clip"][two] - 1}
    found = check(run, scores)
    assert not found["ok"] and found["scores"][1]["difference"] == 0


def test_another_recipe_is_a_difference_that_is_named(run, check):
    scores = moved(run, "psnr", 0.0)
    psnr = next(s for s in scores if s["metric"] == "psnr")
    psnr["fingerprint"] = {**psnr["fingerprint"], "data_range": 1}
    row = next(r for r in check(run, scores)["scores"] if r["metric"] == "psnr")
    assert not row["ok"] and row["differing"] == ["data_range: None against 1"]


def test_what_cannot_be_scored_is_not_verified(run, check):
    psnr = [s for s in run_of(run).scores.values() if s["metric"] == "psnr"]
    found = check(run, psnr, {"fvd": "I3D weights are not here"})
    assert (found["ok"], found["complete"], found["level"]) == (True, False, None)
    assert found["scores"][0]["reason"] == "I3D weights are not here"
    with pytest.raises(UsageError, match="without a difference"):
        verification(found, "me", "2026-11-26T00:00:00Z")


def test_a_rerun_may_differ_by_half_a_standard_error(tmp_path, run, check, entry):
    """Somebody else's predictions of the same declaration: other bytes, figures within noise."""
    own = make_run(tmp_path / "own")
    manifest = json.loads(own.manifest.read_bytes())
    later = {**manifest, "closed": 1.8e9}
    module.write_sealed(own.manifest, later)
    exact = check(own, list(run_of(run).scores.values()))
    assert exact["level"] == "rerun"
    se = next(s for s in entry[0].runs[0].scores if s.metric == "fvd").se
    size = max(abs(v) for v in run_of(run).scores["fvd", 4]["per_clip"].values())
    other = replace(entry[0].runs[0], predictions_sha256="0" * 64)
    of = replace(entry[0], runs=(other,))
    for by, same in ((0.4 * se / size, True), (0.6 * se / size, False)):
        found = check(own, moved(run, "fvd", by), of=of)
        assert found["level"] == ("rerun" if same else None), by


def test_evidence_of_another_run_is_none(tmp_path, check):
    with pytest.raises(MissingData, match="not verifiable: the evidence has no run"):
        check(make_run(tmp_path / "other", seed=9))


@pytest.mark.parametrize(("foreign", "plugins_kept"), [(True, 0), (False, 1)])
def test_plugins_that_a_bundle_names_are_not_loaded(tmp_path, run, foreign, plugins_kept):
    copy = module._copy(run, Evidence([run], foreign, root="/data"), tmp_path / "work")
    record = copy.read_record()
    assert len(record["plugins"]) == plugins_kept and record["task_ref"]["root"] == "/data"
    assert not copy.scores.exists() and copy.check() == run.check()


def test_a_level_is_the_highest_of_what_was_verified(run, check, entry):
    found = check(run)
    one = verification(found, "me", "2026-11-26T00:00:00Z")
    assert one.largest == {"fvd": 0, "psnr": 0}
    rerun = with_verification(entry[0], replace(one, level="rerun"))
    both = with_verification(rerun, one)
    assert both.trust.level == "rerun" and len(both.trust.verifications) == 2
