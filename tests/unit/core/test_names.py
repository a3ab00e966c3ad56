"""Names with parameters, folder names, seeds."""

import random
import re

import pytest

from vpbench.api import UsageError
from vpbench.core.names import (
    PLUGIN_NAME,
    format_name,
    format_value,
    parse_name,
    parse_seeds,
    parse_value,
    safe_name,
)


@pytest.mark.parametrize(
    ("text", "base", "params"),
    [
        ("ours", "ours", {}),
        (" ours ", "ours", {}),
        ("ours[]", "ours", {}),
        ("ours[preset=cpu, motion=frozen]", "ours", {"preset": "cpu", "motion": "frozen"}),
        ("folder:/a b/c[group=who]", "folder:/a b/c", {"group": "who"}),
        ("x[url=a=b]", "x", {"url": "a=b"}),
        ("x[detector.width=3,]", "x", {"detector.width": "3"}),
        ('folder:"clips [v2]"[size=64]', "folder:clips [v2]", {"size": "64"}),
        ('folder:"a,[b"', "folder:a,[b", {}),
        (
            'folder:c[split="my, [split].csv",size=8]',
            "folder:c",
            {"split": "my, [split].csv", "size": "8"},
        ),
    ],
)
def test_names_are_split(text, base, params):
    named = parse_name(text)
    assert (named.base, dict(named.params)) == (base, params)
    again = parse_name(str(named))
    assert (again.base, dict(again.params)) == (base, params)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[a=1]",
        "x[a=1",
        "xa=1]",
        "x[a]",
        "x[=1]",
        "x[a=]",
        "x[a=1,a=2]",
        "x[a=1]b",
        "x[[a=1]]",
        'x"[a=1]',
        "clips [v2][size=64]",
    ],
)
def test_names_that_cannot_be_read(text):
    with pytest.raises(UsageError):
        parse_name(text)


def test_values_read_as_they_are_written():
    for default, values in (
        (False, (True, False)),
        (1, (-3, 0, 7)),
        (0.5, (0.1, 1e-9, -2.0)),
        ("", ("a", "on", "1")),
    ):
        for value in values:
            back = parse_value("k", format_value(value), default)
            assert back == value and type(back) is type(default)
    assert format_name("m", {"a": True, "b": 0.5}) == "m[a=on,b=0.5]"


@pytest.mark.parametrize(
    ("text", "default", "said"),
    [
        ("yes", True, "on or off"),
        ("2", False, "on or off"),
        ("1.5", 1, "a whole number"),
        ("x", 1, "a whole number"),
        ("1e3", 1, "a whole number"),
        ("x", 1.0, "a number"),
        ("nan", 1.0, "a number"),
        ("inf", 1.0, "a number"),
        ("-Infinity", 1.0, "a number"),
    ],
)
def test_values_of_the_wrong_type_are_refused(text, default, said):
    with pytest.raises(UsageError, match=rf"k='{text}' must be {said}\."):
        parse_value("k", text, default)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("ours", "ours"),
        ("ours[motion=frozen]", "ours+motion-frozen"),
        ("a[b=c,d=0.5]", "a+b-c+d-0.5"),
        ("../../etc", "_.._etc"),
        ("..", "_"),
        ("a/b\\c:d e", "a_b_c_d_e"),
        ("é\u202e\x00", "_"),
        (".hidden.", "hidden"),
    ],
)
def test_folder_names(name, folder):
    assert safe_name(name) == folder


def test_folder_names_are_safe_whatever_comes():
    rng = random.Random(0)
    for _ in range(500):
        text = "".join(
            chr(rng.choice([rng.randint(0, 127), rng.randint(0, 0xD7FF)]))
            for _ in range(rng.randint(0, 300))
        )
        made = safe_name(text)
        assert re.fullmatch(r"[A-Za-z0-9+_-]([A-Za-z0-9.+_-]{0,118}[A-Za-z0-9+_-])?", made)


def test_long_names_stay_apart():
    long = "x" * 200
    assert safe_name(long + "a") != safe_name(long + "b")
    assert len(safe_name(long)) == 120 and len(safe_name("x" * 120)) == 120


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", (0,)), ("0-2", (0, 1, 2)), ("7,0,3", (0, 3, 7)), ("1, 1-2", (1, 2)), ("5-5", (5,))],
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "-1", "a", "2-1", "0,,1", "1.5", "0-1000", "1-", "9" * 10])
def test_seeds_that_cannot_be_read(text):
    with pytest.raises(UsageError):
        parse_seeds(text)


def test_at_most_a_thousand_seeds():
    assert len(parse_seeds("0-999")) == 1000
    with pytest.raises(UsageError, match="more than 1000"):
        parse_seeds("0-999,1000")


def test_plugin_names():
    assert all(PLUGIN_NAME.fullmatch(n) for n in ("a", "my-method", "x264"))
    assert not any(PLUGIN_NAME.fullmatch(n) for n in ("", "A", "1a", "a_b", "a b", "a\n", "é"))
