"""Batches that are made ahead: the same ones, in the same order, and no thread left behind."""

import gc
import itertools
import threading
import time

import numpy as np
import pytest

from vpbench.api import MethodFailed, UsageError
from vpbench.kit import Prefetch


def threads():
    return [t for t in threading.enumerate() if t.name == "prefetch"]


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    gc.collect()
    end = time.monotonic() + 10
    while threads() and time.monotonic() < end:
        time.sleep(0.01)
    assert threads() == []


def arrays(n=None):
    for k in itertools.count() if n is None else range(n):
        yield np.random.default_rng(k).integers(0, 256, (4, 5), np.uint8)


@pytest.mark.parametrize("ahead", [1, 2, 7, 100])
@pytest.mark.parametrize("n", [0, 1, 9])
def test_all_items_come_once_and_in_order(ahead, n):
    found = list(Prefetch(arrays(n), ahead))
    wanted = list(arrays(n))
    assert len(found) == n
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_an_endless_source_is_made_ahead_and_no_further():
    made = []

    def source():
        for k in itertools.count():
            made.append((k, threading.current_thread().name))
            yield k

    with Prefetch(source(), 3) as batches:
        assert [next(batches) for _ in range(5)] == [0, 1, 2, 3, 4]
        end = time.monotonic() + 10
        while len(made) < 9 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(made) == 9  # 5 taken, 3 ready, one waits for room
        assert {name for _, name in made} == {"prefetch"}
    assert list(batches) == []
    with pytest.raises(StopIteration):
        next(batches)


def test_an_error_comes_at_its_place_and_is_the_same_one():
    error = MethodFailed("the third is bad")

    def source():
        yield from (0, 1)
        raise error

    batches = Prefetch(source(), 1)
    assert next(batches) == 0 and next(batches) == 1
    with pytest.raises(MethodFailed) as caught:
        next(batches)
    assert caught.value is error
    assert list(batches) == []


def test_closing_closes_the_source_in_its_own_thread():
    closed = []

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.append(threading.current_thread().name)

    batches = Prefetch(source())
    next(batches)
    batches.close()
    batches.close()
    assert closed == ["prefetch"] and threads() == []


def test_a_failing_training_leaves_no_thread():
    with pytest.raises(KeyError), Prefetch(arrays()) as batches:
        next(batches)
        raise KeyError("the training's own trouble")
    assert threads() == []


def test_dropping_it_ends_the_thread():
    batches = Prefetch(arrays())
    next(batches)
    del batches  # the fixture waits for the thread's end


def test_nothing_ahead_is_refused():
    with pytest.raises(UsageError, match="ahead=0"):
        Prefetch([1], 0)
