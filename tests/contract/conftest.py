"""The checks of a plugin run in warm processes."""

import subprocess

import pytest

from tests import warm


@pytest.fixture(autouse=True)
def warm_children(monkeypatch):
    if warm.AVAILABLE:
        monkeypatch.setattr(subprocess, "Popen", warm.popen_of(warm.server().address))
