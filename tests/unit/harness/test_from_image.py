"""Intermediates of methods, labels as they are typed, pictures and clips that are picked."""

from types import SimpleNamespace

import numpy as np
import pytest

from vpbench.api import Capabilities, ClipInfo, MethodFailed, TaskInfo
from vpbench.api.errors import UnknownName, UsageError
from vpbench.core.tasks import Item
from vpbench.harness.figures.sources import pick_clips
from vpbench.harness.prediction.from_image import pick_labels
from vpbench.harness.prediction.image_files import keypoints_json, label_folders
from vpbench.harness.prediction.loaded import check_intermediates

SHAPE = (2, 3, 4, 8, 8, 3)


def task(*names):
    return TaskInfo("toy", 8, 4, 1, None, len(names), names, 0, ())


def method(label="required"):
    return SimpleNamespace(name="m", capabilities=Capabilities(label=label))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("all", [0, 1, 2]),
        ("b", [1]),
        ("2", [2]),
        (" c ", [2]),
        ("c,a", [2, 0]),
        ("a,0,a", [0]),
        ("1,b", [1]),
    ],
)
def test_labels(text, wanted):
    assert pick_labels(text, method(), task("a", "b", "c")) == wanted


def test_labels_with_odd_names():
    assert pick_labels("2", method(), task("2", "1", "0")) == [0]  # a name goes before a number
    assert pick_labels("a,b", method(), task("b", "a,b")) == [1]
    for text in ("3", "-1", "", "a,", "x", "²"):
        with pytest.raises(UnknownName):
            pick_labels(text, method(), task("a", "b", "c"))
    with pytest.raises(UsageError, match="--label all, or one of a, b"):
        pick_labels(None, method("optional"), task("a", "b"))
    for m, t in ((method("no"), task("a")), (method("training"), task("a")), (method(), task())):
        assert pick_labels("whatever", m, t) == pick_labels(None, m, t) == [None]


def test_label_folders_never_meet():
    assert label_folders(task("a", "b c")) == ["a", "b_c"]
    for names in (("a b", "a_b"), ("Run", "run"), ("sheet.png", "x"), ("input.png",)):
        folders = label_folders(task(*names))
        assert len({f.casefold() for f in folders}) == len(names)
        assert all(f.startswith("00") for f in folders)
    assert "/" not in "".join(label_folders(task("a/b", "..", "../../x")))


def test_layers_are_sorted_by_what_they_are():
    found = check_intermediates(
        {
            "coarse": np.zeros(SHAPE, np.uint8),
            "final": np.ones(SHAPE, np.uint8),
            "mask": np.zeros(SHAPE, np.uint8),
            "flow": np.zeros((2, 3, 4, 8, 8, 2), np.float32),
            "keypoints": np.arange(2 * 3 * 6 * 5 * 3).reshape(2, 3, 6, 5, 3),
        },
        SHAPE,
        "m",
    )
    assert list(found.images) == ["mask", "coarse", "final"] and list(found.others) == ["flow"]
    points = found.at(1, 2, 4)
    assert points.shape == (5, 5, 3) and np.array_equal(points, found.points[1, 2, 1:])


def test_grey_and_unit_layers_become_pictures():
    grey = np.full(SHAPE[:-1], 7, np.uint8)
    unit = np.full((*SHAPE[:-1], 1), 0.5)
    found = check_intermediates(
        {"a": grey, "mask": unit, "depth": unit, "coarse": unit * 4}, SHAPE, "m"
    )
    assert list(found.images) == ["mask", "a"] and sorted(found.others) == ["coarse", "depth"]
    assert found.images["a"].shape == SHAPE and (found.images["a"] == 7).all()
    assert found.images["mask"].shape == SHAPE and (found.images["mask"] == 128).all()


def test_keypoints_of_predicted_frames_alone_get_an_unknown_first_frame():
    found = check_intermediates({"keypoints": np.ones((2, 3, 4, 5, 3))}, SHAPE, "m")
    points = found.at(0, 0, 4)
    assert points.shape == (5, 5, 3) and points[0].max() == 0 and points[1:].min() == 1
    assert check_intermediates({}, SHAPE, "m").at(0, 0, 4) is None


@pytest.mark.parametrize(
    ("intermediates", "says"),
    [
        (None, "returned a NoneType"),
        ({"keypoints": np.zeros((2, 3, 3, 5, 3))}, "n.T,K,3"),
        ({"keypoints": np.zeros((2, 3, 4, 5, 2))}, "n.T,K,3"),
        ({"mask": np.zeros((2, 2))}, "mask"),
        ({"x": "text"}, "'x'"),
    ],
)
def test_wrong_intermediates_are_named(intermediates, says):
    with pytest.raises(MethodFailed, match=says):
        check_intermediates(intermediates, SHAPE, "m")


def test_keypoints_as_json_have_no_nan():
    points = np.zeros((3, 2, 3), np.float32)
    points[1, 0] = (np.nan, 0.25, np.inf)
    told = keypoints_json(points)
    assert told["frames"] == [0, 1, 2]
    assert told["keypoints"][1][0] == [None, 0.25, None] and told["keypoints"][2][1] == [0, 0, 0]


def task_data(labels):
    items = tuple(
        Item(f"c{k}", ClipInfo(f"c{k}", 9, 8, 8, label), (0,), (1, 2))
        for k, label in enumerate(labels)
    )
    return SimpleNamespace(task=SimpleNamespace(id="toy", test=items))


def test_clips_are_picked_class_by_class():
    place = task_data([0, 0, 0, 1, 1, 2])
    assert [i.id for i in pick_clips(place, [], 4)] == ["c0", "c3", "c5", "c1"]
    assert [i.id for i in pick_clips(place, ["c4", "c1", "c4"], 1)] == ["c4", "c1"]
    assert [i.id for i in pick_clips(task_data([None] * 3), [], 9)] == ["c0", "c1", "c2"]
    with pytest.raises(UnknownName, match=r"test clip .* of toy"):
        pick_clips(place, ["c9"], 1)
