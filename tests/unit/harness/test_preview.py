"""A run's preview shows one clip a class."""

from types import SimpleNamespace

import pytest

from vpbench.harness.prediction.preview import MOST, WITHOUT_CLASSES, previewed


def task(labels, has_label=True):
    items = [
        SimpleNamespace(id=f"c{k}", clip=SimpleNamespace(label=label))
        for k, label in enumerate(labels)
    ]
    return SimpleNamespace(test=items, has_label=has_label)


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ([1, 1, 0, 2, 0], ["c2", "c0", "c3"]),
        ([5], ["c0"]),
        (list(range(40)), [f"c{k}" for k in range(MOST)]),
    ],
)
def test_the_first_clip_of_each_class(labels, wanted):
    assert previewed(task(labels)) == wanted


def test_the_first_clips_without_classes():
    assert previewed(task([None] * 9, has_label=False)) == [f"c{k}" for k in range(WITHOUT_CLASSES)]
