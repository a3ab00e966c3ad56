"""The task as the leak probe shows it: what is given stays, every future is noise."""

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import folder
from vpbench.api import MethodFailed, UsageError
from vpbench.core.paths import user_paths
from vpbench.core.registry import build
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.inputs.train_only import train_only
from vpbench.harness.jobs.leaks import judge_leaks
from vpbench.harness.prediction.leaks import without_futures
from vpbench.harness.training.stage import train_view


@pytest.fixture
def task_data(tmp_path):
    write_clips(tmp_path / "clips")
    return open_task_data(
        TaskRef(dataset=folder(tmp_path / "clips", stride=1)), build(), user_paths()
    )


def test_only_futures_of_test_clips_are_noise(task_data, tmp_path):
    blind = without_futures(task_data, tmp_path / "scratch")
    for item in task_data.task.test:
        assert np.array_equal(blind.given(item), task_data.given(item))
        noise, true = blind.targets(item), task_data.targets(item)
        assert noise.shape == true.shape and noise.dtype == np.uint8
        assert np.abs(noise.astype(int) - true).mean() > 40
        assert np.array_equal(noise, blind.targets(item))
    for item in task_data.task.items["train"]:
        assert np.array_equal(blind.targets(item), task_data.targets(item))
    assert blind.opaque("x") == task_data.opaque("x")
    assert blind.clip_cache.folder.is_relative_to(tmp_path / "scratch")


@pytest.mark.parametrize("stride", [1, 2])
def test_methods_are_told_the_stride(tmp_path, stride):
    write_clips(tmp_path / "clips")
    ref = TaskRef(dataset=folder(tmp_path / "clips", horizon=3, stride=stride))
    assert open_task_data(ref, build(), user_paths()).task.info.stride == stride


class Run:
    """As much of a run as the judge needs."""

    name = "mine"

    def __init__(self, path):
        self.folder = type("Folder", (), {"path": path})


def test_what_an_answer_means(tmp_path):
    def judged(answer, trouble=None):
        (tmp_path / "run").mkdir(exist_ok=True)
        return judge_leaks(Run(tmp_path / "run"), [answer] if answer else [], trouble)

    assert judged({"clips": [], "reproducible": True}) == []
    assert judged({"clips": [], "reproducible": False})[0].startswith("not reproducible")
    assert judged(None) == ["the leak probe could not run: it gave no result"]
    assert judged(None, "no memory") == ["the leak probe could not run: no memory"]
    with pytest.raises(MethodFailed, match=r"predictions of a, b, c and 2 more changed"):
        judged({"clips": list("abcde"), "reproducible": True})
    assert not (tmp_path / "run").exists() and list(tmp_path.glob("run.retired-*"))


def test_a_training_cannot_read_test_clips_through_its_view(task_data):
    view = train_view(task_data, ("seed",))
    dataset = view.clip_cache.dataset
    assert dataset.splits() == ("train", "val") and dataset.spec is task_data.dataset.spec
    own, other = dataset.clips("train")[0], task_data.task.test[0].clip
    assert view.read("train", 0, [0]).shape[0] == 1 and dataset.read(own, [0]).shape[0] == 1
    for attempt in (
        lambda: dataset.clips("test"),
        lambda: dataset.read(other, [0]),
        lambda: dataset.pose(other),
    ):
        with pytest.raises(UsageError, match="a training "):
            attempt()


def test_a_training_view_hands_out_no_other_frames_by_any_way(task_data):
    own = {split: list(task_data.dataset.clips(split)) for split in ("train",)}
    view = train_only(task_data.clip_cache, own)
    (item, *_), seen = task_data.task.test, task_data.task.items["train"][0]
    assert np.array_equal(
        view.window(seen.clip, seen.targets), task_data.clip_cache.window(seen.clip, seen.targets)
    )
    assert hasattr(task_data.dataset, "read_each") and not hasattr(view.dataset, "read_each")
    with pytest.raises(UsageError, match="does not see the clip"):
        view.dataset.read(item.clip, [0])
