"""Digests of source code: words do not move them, every other edit does."""

import pytest

from vpbench.core.code import source_digest

SOURCE = '''
"""What this is."""
import math

RATE = 0.5
"""How fast."""


class Net:
    """A network."""

    width: int = 3

    def step(self, x, y=1, *rest, key=None, **more):
        """One step."""
        # twice as far
        total = x * 2 + y
        for k in range(3):
            total -= k
        return math.sqrt(total) if total > 0 else None


async def wait(x):
    """For ever."""
    return [y async for y in x]
'''

WORDS = {
    "a comment": ("# twice as far", "# thrice, really"),
    "no comment": ("        # twice as far\n", ""),
    "a module's docstring": ('"""What this is."""', '"""What it is,\n\nat length."""'),
    "no module docstring": ('"""What this is."""\n', ""),
    "a docstring below an attribute": ('"""How fast."""', '"""Steps a second."""'),
    "a class's docstring": ('"""A network."""', '"""Another word for it."""'),
    "a function's docstring": ('"""One step."""', '"""A step."""'),
    "no function docstring": ('        """One step."""\n', ""),
    "an async function's docstring": ('"""For ever."""', '"""A while."""'),
    "blank lines": ("\n\n\nclass", "\n\n\n\n\nclass"),
    "quotes": ('"""A network."""', "'A network.'"),
    "brackets": ("x * 2 + y", "(x * 2) + (y)"),
    "a line break": ("x * 2 + y", "(\n            x * 2\n            + y\n        )"),
    "an annotation": ("width: int = 3", "width: float = 3"),
    "no annotation": ("width: int = 3", "width = 3"),
    "annotated arguments": ("x, y=1, *rest", "x: float, y: int = 1, *rest: object"),
    "an annotated result": ("**more):", "**more) -> float | None:"),
}

EDITS = {
    "a number": ("RATE = 0.5", "RATE = 0.25"),
    "the kind of a number": ("x * 2", "x * 2.0"),
    "an operator": ("x * 2 + y", "x * 2 - y"),
    "their order": ("x * 2 + y", "x * (2 + y)"),
    "a name": ("total -= k", "total -= y"),
    "a default": ("y=1", "y=2"),
    "a default of None": ("key=None", "key=0"),
    "an argument's name": ("key=None", "keys=None"),
    "a comparison": ("total > 0", "total >= 0"),
    "the other branch": ("else None", "else total"),
    "a constant": ("range(3)", "range(4)"),
    "an import": ("import math", "import cmath as math"),
    "a decorator": ("    def step", "    @staticmethod\n    def step"),
    "a base class": ("class Net:", "class Net(dict):"),
    "a call": ("math.sqrt(total)", "math.cbrt(total)"),
    "one statement more": ("total -= k", "total -= k\n            y = 0"),
    "one statement less": ("        for k in range(3):\n            total -= k\n", ""),
    "where a statement stands": (
        "            total -= k\n",
        "            pass\n        total -= 1\n",
    ),
    "async or not": ("async for y in x", "for y in x"),
    "a value of an annotated attribute": ("width: int = 3", "width: int = 4"),
    "a string that is used": ("RATE = 0.5", "RATE = '0.5'"),
    "a statement deleted": ("RATE = 0.5\n", ""),
}


def edited(change):
    before, after = change
    assert SOURCE.count(before) == 1
    return SOURCE.replace(before, after).encode()


@pytest.mark.parametrize("change", WORDS.values(), ids=WORDS)
def test_words_do_not_move_a_digest(change):
    assert source_digest(edited(change)) == source_digest(SOURCE.encode())


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_every_other_edit_moves_a_digest(change):
    assert source_digest(edited(change)) != source_digest(SOURCE.encode())


def test_no_two_edits_have_one_digest():
    digests = {source_digest(edited(change)) for change in EDITS.values()}
    assert len(digests) == len(EDITS)


def test_what_is_not_python_has_the_digest_of_its_bytes():
    broken = [b"def (", b"def  (", b"x = '\xff'", b"\x00"]
    assert len({source_digest(text) for text in broken}) == len(broken)


def test_strange_names_have_a_digest():
    assert source_digest(b'x = "\\ud800"') != source_digest(b'x = "\\ud801"')
