"""A small benchmark for tests of what becomes of results."""

import pytest
from benchmark import Benchmark


@pytest.fixture
def bench(tmp_path, monkeypatch):
    made = Benchmark(tmp_path, monkeypatch)
    yield made
    made.forget()
