"""Recognised actions as text: classes that do not fit a narrow terminal go below."""

import pytest

from vpbench.render.recognition import recognition_lines


def _share(k):
    return {"correct": k, "n": 9, "share": k / 9, "ci95": [0.1, 0.9]}


FOUND = {
    "classes": [f"action_number_{k}" for k in range(9)],
    "chance": 1 / 9,
    "rows": [
        {
            "method": name,
            "row": name,
            "overall": _share(4),
            "streams": {},
            "classes": list(map(_share, range(9))),
        }
        for name in ("ours", "a-method-with-a-name")
    ],
    "pairs": [],
}


@pytest.mark.parametrize(("room", "parts"), [(200, 1), (80, 4)])
def test_every_class_is_shown_within_the_width(room, parts):
    lines = recognition_lines("action", FOUND, room)
    assert max(map(len, lines)) <= room
    heads = [line.split() for line in lines if line.startswith("method ")]
    assert len(heads) == parts
    assert [n for head in heads for n in head if n.startswith("action")] == FOUND["classes"]
    own = [figure for line in lines if line.startswith("ours ") for figure in line.split()[1:]]
    assert own[2:] == [f"{100 * k / 9:.1f}" for k in range(9)]
    assert sum(line.startswith("chance") for line in lines) == parts
