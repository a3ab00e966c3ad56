"""Predicting a few shards again: which, and what the comparison says."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from vpbench.core.tasks import Item
from vpbench.harness.inputs.task_data import BATCH
from vpbench.harness.prediction.maker import ProcessRecord, record_method
from vpbench.harness.prediction.probe import (
    MEAN_TOLERANCE,
    PART,
    ProbeResult,
    describe_probe,
    probe_prediction,
    probe_shards,
)
from vpbench.harness.prediction.shards import shards


@pytest.fixture
def task(bench):
    return bench.task_data().task


def labelled(task, labels):
    """The task with one test clip for each label."""
    clip = task.test[0].clip
    items = tuple(
        Item(f"c{k:04d}", replace(clip, id=f"c{k:04d}", label=label), (0,), (1,))
        for k, label in enumerate(labels)
    )
    return replace(task, items={**task.items, "test": items})


def seen(chosen):
    return {item.clip.label for shard in chosen for item in shard.items}


def clips(chosen):
    return sum(len(shard.items) for shard in chosen)


@pytest.mark.parametrize("n", [1, 8, 9, 31, 32, 64, 90, 400])
@pytest.mark.parametrize("classes", [1, 2, 8, 15, 60])
def test_every_label_is_covered_while_under_a_quarter_of_the_clips(task, n, classes):
    rng = np.random.default_rng(n * 100 + classes)
    many = labelled(task, rng.integers(0, classes, n).tolist())
    labels = {item.clip.label for item in many.test}
    chosen = probe_shards(many, "key")
    assert chosen[0] == shards(many)[0] and len(set(s.index for s in chosen)) == len(chosen)
    assert len(chosen) == 1 or clips(chosen) * PART <= n
    if seen(chosen) < labels:  # nothing that would help is small enough
        for shard in shards(many):
            helps = {item.clip.label for item in shard.items} - seen(chosen)
            assert not helps or (clips(chosen) + len(shard.items)) * PART > n
    for k in range(1, len(chosen)):  # and none is predicted again for nothing
        assert not seen(chosen[: k + 1]) <= seen(chosen[:k])


def test_a_label_in_one_shard_alone_is_found(task):
    base = labelled(task, [0] * 400)
    for shard in shards(base)[1:]:
        rare = {shard.items[-1].id}
        items = tuple(replace(i, clip=replace(i.clip, label=int(i.id in rare))) for i in base.test)
        chosen = probe_shards(replace(base, items={**base.items, "test": items}), "key")
        assert [s.index for s in chosen] == [0, shard.index]


def test_the_choice_depends_on_the_run_alone(task):
    many = labelled(task, [k % 60 for k in range(400)])
    turned = replace(many, items={**many.items, "test": many.test[::-1]})
    assert probe_shards(many, "a") == probe_shards(turned, "a")
    choices = {tuple(s.index for s in probe_shards(many, str(k))) for k in range(8)}
    assert len(choices) > 1


def maker_of(bench, run):
    process = ProcessRecord()
    return record_method(run, bench.task_data(), bench.registry(), "cpu", bench.paths, process)


def test_equal_close_and_different_predictions(bench):
    run = bench.run()[0].run
    maker = maker_of(bench, run)
    assert probe_prediction(run, bench.task_data(), maker) == ProbeResult("equal", 1, 0.0)
    first = shards(bench.task_data().task)[0]
    size = BATCH * bench.task_data().task.horizon * 16 * 16 * 3
    usual = maker.instance.predict
    for flipped, verdict in (
        (1, "close"),
        (int(MEAN_TOLERANCE * size), "close"),
        (int(MEAN_TOLERANCE * size) + 1, "different"),
    ):

        def off(given, horizon, seeds, flipped=flipped):
            frames = usual(given, horizon, seeds)
            flat = frames.reshape(-1)
            flat[:flipped] = np.where(flat[:flipped] > 0, flat[:flipped] - 1, 1)
            return frames

        maker.instance.predict = off
        found = probe_prediction(run, bench.task_data(), maker)
        assert found.verdict == verdict and found.shards == 1
        assert found.mean == pytest.approx(flipped / size)
    assert len(first.items) == BATCH


def test_another_shape_is_different_by_any_measure(bench):
    run = bench.run()[0].run
    maker = maker_of(bench, run)
    found = probe_prediction(replace(run, samples=2), bench.task_data(), maker)
    assert found.verdict == "different" and found.mean == float("inf")


def test_what_is_said(bench):
    said = {
        describe_probe(ProbeResult(verdict, count, mean), ["a.py"])
        for (verdict, mean), count in itertools.product(
            [("equal", 0.0), ("different", 12.3456)], [1, 2]
        )
    }
    assert said == {
        "code of a.py changed; 1 shard predicted again, equal",
        "code of a.py changed; 2 shards predicted again, equal",
        "code of a.py changed; 1 shard predicted again, differ by 12.3 grey levels",
        "code of a.py changed; 2 shards predicted again, differ by 12.3 grey levels",
    }
