"""Which plugin interface versions run."""

import pytest

from vpbench.api import API, UsageError, check_api
from vpbench.api import version as module


def test_the_version_is_one_and_runs():
    assert API == 1
    check_api("mine", API)


def test_newer_plugins_are_refused_with_the_way_out():
    with pytest.raises(UsageError, match=r"mine needs plugin api 2; .* 1. .*pip install -U"):
        check_api("mine", API + 1)


def test_plugins_that_are_too_old_are_refused(monkeypatch):
    with pytest.raises(UsageError, match="oldest that runs here is 1"):
        check_api("mine", 0)
    monkeypatch.setattr(module, "API", 3)
    monkeypatch.setattr(module, "OLDEST", 2)
    check_api("mine", 2)
    with pytest.raises(UsageError, match="oldest that runs here is 2"):
        check_api("mine", 1)


@pytest.mark.parametrize("wrong", ["1", 1.0, True, None, (1,)])
def test_versions_are_integers(wrong):
    with pytest.raises(UsageError, match="must be an integer"):
        check_api("mine", wrong)
