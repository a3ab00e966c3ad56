"""A short round of mutated inputs for every reader; `python -m tests.fuzz` goes on for longer."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fuzz import run
from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS, Target

pytestmark = pytest.mark.e2e

SECONDS = 0.5


def test_no_mutated_input_breaks_a_reader():
    with ThreadPoolExecutor(2) as pool:
        outcomes = dict(zip(TARGETS, pool.map(lambda n: fuzz(n, SECONDS), TARGETS), strict=True))
    assert {n: o.finding for n, o in outcomes.items() if o.finding} == {}
    assert all(outcome.inputs > 5 for outcome in outcomes.values())


def crash(path):
    import ctypes

    if path.read_bytes() != b"seed":
        ctypes.string_at(0)


def hang(path):
    while path.read_bytes() != b"seed":
        pass


def eat(path):
    if path.read_bytes() != b"seed":
        b"x" * ((1 << 30) + (1 << 26))  # written to, unlike zeros


def execute(path):
    import os

    if path.read_bytes() != b"seed":
        os.system("true")


def leak(path):
    if path.read_bytes() != b"seed":
        raise KeyError("seed")


def one_seed(folder):
    return [b"seed"]


BAD = {
    crash: "ended with",
    hang: "longer than",
    eat: "MiB of memory",
    execute: "executed",
    leak: "KeyError",
}


@pytest.mark.parametrize("reader", BAD, ids=lambda reader: reader.__name__)
def test_what_is_looked_for_is_found(reader, monkeypatch):
    monkeypatch.setattr(run, "HANG", 1.0 if reader is hang else 60.0)
    target = Target("a.bin", one_seed, reader)
    outcome = fuzz("bad", 30, target=target)
    assert BAD[reader] in outcome.finding
    assert outcome.culprit != b"seed"
