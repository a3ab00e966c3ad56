"""What the server accepts, without HTTP: sheets, repetition, refusals, restarts."""

import pytest

from tests.unit.study import make
from vpbench.study.collection import Collection, Refused

PROLIFIC = {"pid": "5f0c", "study": "60aa", "session": "61bb"}


@pytest.fixture
def study(tmp_path):
    return make.study(tmp_path / "s", films=False, methods=3, clips=2, raters=3, gold=1, repeats=0)


@pytest.fixture
def collection(study):
    return Collection(study[0], b"salt", {"code": "CODE", "url": ""}, clock=lambda: 5.0)


def begin(collection, client, **more):
    return collection.open(make.hello(collection.bundle, client, **more), "10.0.0.1", "Firefox")


def refusal(act, *args):
    with pytest.raises(Refused) as caught:
        act(*args)
    return caught.value.status


def test_each_rater_has_a_sheet_of_their_own(collection):
    sheets = [begin(collection, f"c{k}").reply["sheet"] for k in range(6)]
    assert sorted(sheets[:3]) == [0, 1, 2] and sorted(sheets[3:]) == [0, 1, 2]


def test_abandoned_sheets_come_before_finished_ones(collection):
    first, second = begin(collection, "a").reply, begin(collection, "b").reply
    begin(collection, "c")
    for index in range(3):
        collection.answer(make.body(collection.bundle, first["session"], first["sheet"], index))
    collection.finish({"session": first["session"]})
    collection.withdraw({"session": second["session"]})
    assert begin(collection, "d").reply["sheet"] == second["sheet"]
    assert begin(collection, "e").reply["sheet"] != first["sheet"]


def test_coming_back(collection):
    one = begin(collection, "a", prolific=PROLIFIC)
    collection.answer(make.body(collection.bundle, one.reply["session"], one.reply["sheet"], 0))
    again = begin(collection, "other-browser", prolific=PROLIFIC)
    assert again.event is None and again.reply["session"] == one.reply["session"]
    assert again.reply["answered"] == [0]


def test_nothing_that_identifies_is_kept(collection):
    event = begin(collection, "a", prolific=PROLIFIC).event
    text = repr(event)
    assert not any(secret in text for secret in ("5f0c", "60aa", "61bb", "10.0.0.1", "Firefox"))
    other = Collection(collection.bundle, b"other", {})
    assert begin(other, "a", prolific=PROLIFIC).event["rater"] != event["rater"]


def test_repeated_and_changed_answers(collection):
    state = begin(collection, "a").reply
    answer = make.body(collection.bundle, state["session"], state["sheet"], 1)
    assert collection.answer(answer).event["index"] == 1
    assert collection.answer(answer).event is None
    assert refusal(collection.answer, {**answer, "seconds": 3.0}) == 409


def test_finish_needs_every_answer(collection):
    state = begin(collection, "a").reply
    for index in range(3):
        assert refusal(collection.finish, {"session": state["session"]}) == 409
        collection.answer(make.body(collection.bundle, state["session"], state["sheet"], index))
    done = collection.finish({"session": state["session"]})
    assert done.reply == {"code": "CODE", "url": ""} and done.event["kind"] == "finish"
    assert collection.finish({"session": state["session"]}).event is None


def test_no_answers_after_withdrawing(collection):
    state = begin(collection, "a").reply
    collection.withdraw({"session": state["session"]})
    answer = make.body(collection.bundle, state["session"], state["sheet"], 0)
    assert refusal(collection.answer, answer) == 409


def test_a_restart_knows_everything(collection):
    events = []
    state = begin(collection, "a")
    events.append(state.event)
    answer = make.body(collection.bundle, state.reply["session"], state.reply["sheet"], 0)
    events.append(collection.answer(answer).event)
    again = Collection(collection.bundle, b"salt", {}, events)
    assert again.sessions == collection.sessions
    assert again.answer(answer).event is None
    assert begin(again, "a").reply["answered"] == [0]


@pytest.mark.parametrize("kind", ["session", "answer", "finish", "withdraw"])
def test_undo(collection, kind):
    """What could not be stored did not happen."""
    state = begin(collection, "a")
    name, sheet = state.reply["session"], state.reply["sheet"]
    event = state.event
    if kind != "session":
        events = [
            collection.answer(make.body(collection.bundle, name, sheet, k)).event for k in range(3)
        ]
        act = {"finish": collection.finish, "withdraw": collection.withdraw}.get(kind)
        event = act({"session": name}).event if act else events[2]
    collection.undo(event)
    if kind == "session":
        assert not collection.sessions and begin(collection, "a").event is not None
    elif kind == "answer":
        body = make.body(collection.bundle, name, sheet, 2)
        assert collection.answer(body).event is not None
    else:
        assert act({"session": name}).event is not None


@pytest.mark.parametrize(
    "change",
    [
        {"study": "another"},
        {"consent": False},
        {"consent": 1},
        {"client": "<b>"},
        {"client": "x" * 65},
        {"client": None},
        {"prolific": {"pid": "a"}},
        {"prolific": {"pid": "=cmd()", "study": "a", "session": "b"}},
        {"viewport": [1]},
        {"viewport": [1, -1]},
        {"viewport": [1.5, 2]},
        {"more": 1},
    ],
)
def test_malformed_beginnings(collection, change):
    request = {**make.hello(collection.bundle), **change}
    assert refusal(collection.open, request, "a", "b") in (400, 409)
    assert not collection.sessions


@pytest.mark.parametrize(
    "change",
    [
        {"plays": [1, 1]},
        {"plays": [1, 1, -1]},
        {"plays": [1, 1, True]},
        {"seconds": -1.0},
        {"seconds": float("inf")},
        {"seconds": "1"},
        {"visible": None},
        {"ways": {"quality": "x"}},
        {"ranks": [1, 2, 3]},
        {"session": 5},
        {"trial": ["x"]},
        {"slots": "abc"},
    ],
)
def test_malformed_answers(collection, change):
    state = begin(collection, "a").reply
    answer = make.body(collection.bundle, state["session"], state["sheet"], 0)
    assert refusal(collection.answer, {**answer, **change}) in (400, 403)
    assert not collection.sessions[state["session"]].answers


def test_too_many_raters(collection):
    for k in range(60):
        begin(collection, f"c{k}")
    assert refusal(begin, collection, "one-more") == 403
    assert begin(collection, "c3").event is None  # those who are in may come back
