"""The code still trains each bundled stage as it did: their training probes, run again."""

import json
from pathlib import Path

import pytest

from vpbench.api import UnknownName
from vpbench.core.registry import registry
from vpbench.harness.training.probe import ProbeRecord, training_probe

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
BUNDLED = sorted(p.parent for p in ROOT.glob("*/*/checkpoints/*/stage.json"))
"""plugins/ and baselines/."""


@pytest.fixture(scope="session")
def clips(once):
    """A cache with all puppets, rendered once."""

    def render(folder):
        from vpbench.data.puppets.dataset import Puppets

        Puppets({}, None, folder).prepare()

    return once("puppets-whole", render)


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Earlier stages are shared by the probes."""
    return tmp_path_factory.mktemp("probes")


def test_every_bundled_stage_has_a_probe_of_its_own_stage():
    specs = [entry.spec for entry in registry().of("method")]
    declared = {Path(c.source).name for s in specs for c in getattr(s, "checkpoints", ())}
    assert len(declared) == len(BUNDLED) and declared == {p.name for p in BUNDLED}
    for folder in BUNDLED:
        stage = json.loads((folder / "stage.json").read_text())
        probe = ProbeRecord.read(folder)
        assert probe.stage == f"{stage['owner']}:{stage['stage']}"
        assert len(probe.losses) >= 4 and all(probe.losses)


@pytest.mark.parametrize("folder", BUNDLED, ids=lambda p: p.name)
def test_a_bundled_stage_trains_as_it_did(folder, clips, work):
    stored = ProbeRecord.read(folder)
    again = training_probe(stored.stage, stored.method, registry(), clips, work)
    assert stored.differences(again) == []


def test_a_probe_leaves_nothing_to_the_next(clips, work):
    """A stage probed before, and one probed as the earlier stage of another, begin anew."""
    stored = ProbeRecord.read(next(p for p in BUNDLED if p.name.startswith("ours.motion")))
    training_probe("ours:keypoints", stored.method, registry(), clips, work)
    for _ in range(2):
        again = training_probe(stored.stage, stored.method, registry(), clips, work)
        assert stored.differences(again) == []


@pytest.mark.parametrize(
    ("change", "first"), [("colour_weight=1005", 1), ("refiner_rate=0.002", 2)]
)
def test_another_training_does_not_agree(clips, work, change, first):
    """A loss that is 0.5 % larger is seen at once, a rate that is twice as high a step later."""
    stored = ProbeRecord.read(next(p for p in BUNDLED if p.name.startswith("li.refiner")))
    again = training_probe(stored.stage, f"li[{change}]", registry(), clips, work)
    lines = [line for line in stored.differences(again) if line.startswith("step")]
    assert lines[0].startswith(f"step {first}: colour is")


def test_a_stage_that_the_method_lacks_is_named(clips, work):
    with pytest.raises(UnknownName, match="li:motion"):
        training_probe("li:motion", "li", registry(), clips, work)
