"""Turns: one command judges a run, others come later; none stops for it."""

from types import SimpleNamespace

import pytest

from vpbench.api.errors import Unwritable
from vpbench.core.lock import LockWatch
from vpbench.core.rundir import RunDir
from vpbench.harness.jobs import turns
from vpbench.harness.jobs.turns import Turns, turn, turn_file


@pytest.fixture
def result(tmp_path):
    return SimpleNamespace(run=SimpleNamespace(folder=RunDir(tmp_path / "mine" / "0123abcd")))


@pytest.fixture
def done():
    return []


def command():
    return Turns(lambda result, step: step(result))


def noting(done, name):
    """A step that notes that it was done."""
    return lambda _: done.append(name)


def test_the_second_goes_on_and_comes_when_the_first_has_ended(result, done):
    first, second = command(), command()
    first.take(result, noting(done, "first"))
    second.take(result, noting(done, "second"))
    assert second.awaited and not first.awaited
    second.retry(idle=False)
    assert done == ["first"]
    result.run.folder.path.mkdir()
    result.run.folder.path.rename(result.run.folder.path.with_name("aside"))  # the lock stays
    assert first.holds(result)
    first.end(result)
    second.retry(idle=False)
    assert done == ["first", "second"] and not second.awaited
    second.close()
    assert not turn_file(result.run.folder).exists()


def test_one_that_gives_up_is_not_called(result, done):
    first, second = command(), command()
    first.take(result, noting(done, "first"))
    second.take(result, noting(done, "second"))
    second.end(result)
    first.close()
    second.retry(idle=True)
    assert done == ["first"] and not second.awaited


def test_a_turn_that_was_taken_over_is_no_longer_held(result, done):
    first = command()
    first.take(result, noting(done, "first"))
    path = turn_file(result.run.folder)
    path.unlink()
    with turn(result.run.folder):
        assert not first.holds(result)
        first.end(result)
        assert path.exists()  # the other's


def test_where_nothing_can_be_written_nobody_waits(result, done, monkeypatch):
    def refuse(*_, **__):
        raise Unwritable("cannot write")

    monkeypatch.setattr(LockWatch, "try_lock", refuse)
    monkeypatch.setattr(turns, "lock_or_wait", refuse)
    first = command()
    first.take(result, noting(done, "first"))
    assert done == ["first"] and first.holds(result)
    first.end(result)
    with turn(result.run.folder):
        pass


def test_errors_of_a_step_that_waited_are_seen_to(result, done):
    """Those of a step that is done at once are its caller's."""

    def fails(_):
        raise Unwritable("cannot write")

    first, second = command(), Turns(lambda *_: done.append("guarded"))
    with pytest.raises(Unwritable):
        first.take(result, fails)
    second.take(result, fails)
    first.end(result)
    second.retry(idle=False)
    assert done == ["guarded"]
