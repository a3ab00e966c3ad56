"""Every method trained twice on a processor: the same bytes, whatever runs beside it."""

import json

import pytest

from tests.e2e.helpers import few_puppets, vpbench

pytestmark = pytest.mark.e2e

METHODS = (
    "ours[preset=smoke]",
    "ours[preset=smoke,motion=flow-matching]",
    "villegas[preset=smoke]",
    "wichers[preset=smoke]",
    "li[preset=smoke]",
    "latent-flow[preset=smoke]",
)
STAGES = {
    "ours.keypoints",
    "ours-detector.labels",
    "ours.motion",
    "flow-matching.fit",
    "villegas-detector.fit",
    "villegas-detector.labels",
    "villegas-motion.fit",
    "villegas-translator.fit",
    "wichers.epva",
    "wichers.adversarial",
    "li.flow",
    "li.refiner",
    "latent-flow.codec",
    "latent-flow.flow",
}


def trained(runs):
    """Stage -> what is kept of its training: hashes of its files, and its losses."""
    kept = {}
    for path in runs.glob("few/stages/*/stage.json"):
        log = path.with_name("train.jsonl")
        losses = log.read_text() if log.is_file() else ""
        kept[path.parent.name] = json.loads(path.read_text())["files"], losses
    return kept


def test_every_method_trained_twice_gives_the_same_bytes(tmp_path):
    """On one worker, then on two at a time in another home: other neighbours, another order."""
    few = few_puppets(tmp_path)
    words = ("--dataset", "few", "--threads", 1, "--fit")
    for folder, methods, workers in (("a", METHODS, 1), ("b", METHODS[::-1], 2)):
        home = {**few, "VPBENCH_HOME": str(tmp_path / f"home-{folder}")}
        more = (*words, "--workers", workers, "--runs", tmp_path / folder)
        done = vpbench("fit", *methods, *more, cwd=tmp_path, env=home)
        assert done.code == 0, done.err
    once, twice = (trained(tmp_path / folder) for folder in ("a", "b"))
    assert {name.rpartition("-")[0] for name in once} == STAGES
    assert all(files for files, _ in once.values())
    assert once == twice
