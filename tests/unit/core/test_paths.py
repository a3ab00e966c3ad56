"""Folders and the switches that move them."""

from pathlib import Path

import pytest

from vpbench.core.paths import cache_folder, data_root, on, plugin_folder, user_paths


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    for name in ("RUNS", "HOME", "DATA", "OFFLINE", "WEIGHTS"):
        monkeypatch.delenv(f"VPBENCH_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = user_paths()
    assert found.runs == tmp_path / "runs" and not found.offline
    assert found.cache.name == "vpbench" and not list(tmp_path.iterdir())


def test_what_is_given_wins_over_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("VPBENCH_RUNS", "from-env")
    monkeypatch.setenv("VPBENCH_HOME", "~/c")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_paths().runs == tmp_path / "from-env"
    assert user_paths("given").runs == tmp_path / "given"
    assert user_paths(Path("~/given")).runs == tmp_path / "given"
    assert user_paths().cache == cache_folder() == tmp_path / "c"


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("1", True),
        ("true", True),
        ("yes", True),
        ("", False),
        ("0", False),
        ("false", False),
        ("OFF", False),
        ("No", False),
    ],
)
def test_switches(monkeypatch, text, yes):
    monkeypatch.setenv("VPBENCH_OFFLINE", text)
    assert on("VPBENCH_OFFLINE") is user_paths().offline is yes
    assert user_paths(offline=True).offline


def test_data_roots(monkeypatch, tmp_path):
    assert data_root("penn") is None
    monkeypatch.setenv("VPBENCH_DATA", "data")
    assert data_root("penn-labels") == tmp_path / "data" / "penn-labels"
    assert data_root("penn", "here") == tmp_path / "here"


def test_plugin_folder_follows_the_user_s_config(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert plugin_folder().name == "plugins" and plugin_folder().parent.name == "vpbench"
    assert not (tmp_path / "config").exists()
