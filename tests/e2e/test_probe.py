"""`vpbench probe`: detectors whose figures are known beforehand, and what is refused."""

import pytest

from tests.e2e.helpers import few_puppets, folder, vpbench

pytestmark = pytest.mark.e2e

BLIND = """
import torch
from vpbench.api import Capabilities, ComponentSpec
SPEC = ComponentSpec('blind', 'detector', f'{__file__}:Blind', 'the same points everywhere')
NAN = ComponentSpec('not-finite', 'detector', f'{__file__}:Nan', 'no points at all')
class Blind:
    def __init__(self, task, params, space): pass
    def detect(self, frames, pose):
        assert pose is None
        points = torch.tensor([[0.0, 0.0, 1.0], [0.3, -0.2, 1.0]])
        return points.expand(*frames.shape[:2], 2, 3)
    def save(self, folder): pass
    def load(self, folder, device): pass
class Nan(Blind):
    def detect(self, frames, pose):
        return super().detect(frames, pose) * float('nan')
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def env(place):
    (place / "blind.py").write_text(BLIND)
    env = few_puppets(place)
    more = f"{place / 'blind.py'}:SPEC,{place / 'blind.py'}:NAN"
    return {**env, "VPBENCH_PLUGINS": f"{env['VPBENCH_PLUGINS']},{more}"}


def test_the_joints_themselves_are_perfect_keypoints(place, env):
    probed = vpbench("probe", "annotated", "--dataset", "few", "--json", cwd=place, env=env)
    assert probed.code == 0, probed.err
    record = probed.json()
    assert record["schema"] == "vpbench.detector-probe/1"
    *_, last, mean_pose = record["regression"]
    assert last["labelled"] == record["train"]["frames"] == 12 * 6
    assert last["pck"] == {"0.05": 1, "0.1": 1, "0.2": 1} and last["error_px"] < 1e-2
    assert mean_pose["mean_pose"] and mean_pose["pck"]["0.1"] < 0.9
    assert set(record["per_joint"].values()) == {1} and len(record["per_joint"]) == 13
    assert {row["error_px"] for row in record["equivariance"]} == {0}
    assert record["equivariance"][0]["still_px"] == pytest.approx(8)
    assert record["jitter"]["ratio"] == 1
    assert record["jitter"]["keypoint_speed_px"] == record["jitter"]["joint_speed_px"] > 0


def test_points_that_never_move_are_worth_the_mean_pose(place, env):
    record = vpbench("probe", "blind", "--dataset", "few", "--json", cwd=place, env=env).json()
    *_, last, mean_pose = record["regression"]
    assert last["error_px"] == pytest.approx(mean_pose["error_px"])
    assert last["pck"] == mean_pose["pck"]
    assert {row["ratio"] for row in record["equivariance"]} == {1}
    assert record["jitter"]["keypoints_px"] == 0


def test_the_table_says_the_same(place, env):
    shown = vpbench("probe", "annotated", "--dataset", "few", "--limit", "3", cwd=place, env=env)
    assert shown.code == 0, shown.err
    assert "13 keypoints, 13 joints, 3 test clips" in shown.out
    assert "72 (all) annotated frames" in shown.out and "100.0" in shown.out
    assert "left_wrist" in shown.out and "+15 degrees" in shown.out


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("copy-last", "--dataset", "few"), 2, "has no keypoint detector"),
        (("ours-motion", "--dataset", "few"), 2, "is a motion; only detectors are probed"),
        (("anotated", "--dataset", "few"), 2, "annotated"),
        (("ours", "--dataset", "few"), 5, "ours is not trained on few"),
        (("not-finite", "--dataset", "few"), 1, "not-finite.detect returned NaN"),
        (("annotated[n_keypoints=9]", "--dataset", "few"), 2, "has 13 joints, not 9"),
        (("annotated[size=9]", "--dataset", "few"), 2, "size"),
    ],
)
def test_what_cannot_be_probed_is_said_in_a_sentence(words, code, said, place, env):
    refused = vpbench("probe", *words, cwd=place, env=env)
    assert refused.code == code, refused.err
    assert said in refused.err and not refused.out


def test_a_dataset_without_joints_is_refused(place, env, finished_clips):
    words = ("probe", "annotated", "--dataset", folder(finished_clips))
    refused = vpbench(*words, cwd=place, env=env)
    assert refused.code == 2 and "has no annotated joints" in refused.err


def test_a_trained_detector_is_found_by_its_method_and_by_its_own_name(tmp_path, puppets):
    words = ("--dataset", "puppets", "--limit", 4, "--train-clips", 20, "--json")
    records = [
        vpbench("probe", name, *words, cwd=tmp_path).json() for name in ("ours", "ours-detector")
    ]
    assert [record.pop("method") for record in records] == ["ours", "ours-detector"]
    assert records[0] == records[1]
    assert records[0]["component"] == "ours-detector"
    (stage,) = records[0]["stages"]
    assert stage.startswith("ours:keypoints ")
    last, mean_pose = records[0]["regression"][-2:]
    assert last["error_px"] < 0.6 * mean_pose["error_px"]
    assert all(row["ratio"] < 0.5 for row in records[0]["equivariance"])
    own = vpbench("probe", "villegas-detector", *words, cwd=tmp_path)
    assert own.code == 0 and own.json()["n_keypoints"] == 13
