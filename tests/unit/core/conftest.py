"""A private sys.path with fake distributions, and a private plugin folder."""

import importlib
import sys
from pathlib import Path

import pytest

from vpbench.core import discovery, registry


class Site:
    """A folder of distributions on sys.path."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, name, text, version="1.0", metadata=True, folder=None):
        """A distribution with this entry_points.txt (None for no such file)."""
        info = (folder or self.folder) / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        if metadata:
            head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (info / "METADATA").write_text(head, encoding="utf-8")
        if text is not None:
            (info / "entry_points.txt").write_bytes(
                text if isinstance(text, bytes) else text.encode()
            )
        importlib.invalidate_caches()
        discovery._installed.cache_clear()
        return info

    def module(self, name, text):
        """A module that can be imported."""
        (self.folder / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    def method(self, dist, name, version="1.0", **fields):
        """A distribution with one method whose spec is in a module of its own."""
        module = f"{dist.replace('-', '_')}_{name.replace('-', '_')}_specs"
        self.module(module, method_text(name, **fields))
        self.add(dist, f"[vpbench.methods]\n{name} = {module}:SPEC\n", version)
        return module


def method_text(name, cls="MethodSpec", **fields):
    words = "".join(f", {k}={v!r}" for k, v in fields.items())
    return f"from vpbench.api import *\nSPEC = {cls}({name!r}, 'made:Up', 'summary'{words})\n"


def _announces(folder):
    """Whether distributions are described in a folder: an editable install leaves an egg-info."""
    return any(Path(folder).glob("*.egg-info")) or any(Path(folder).glob("*.dist-info"))


@pytest.fixture
def write_method():
    """The text of a module with one spec."""
    return method_text


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Only fake distributions are installed; modules that tests import go away again."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("VPBENCH_PLUGINS", "VPBENCH_NO_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    before = set(sys.modules)
    import entrypoints  # noqa: F401 - found before the path shrinks
    import platformdirs.unix  # noqa: F401

    path = [p for p in sys.path if p and "site-packages" not in p and not _announces(p)]
    monkeypatch.setattr(sys, "path", [str(folder), *path])
    discovery._installed.cache_clear()
    registry.registry.cache_clear()
    yield Site(folder)
    for name in set(sys.modules) - before:
        if name.endswith("_specs") or name.startswith(("vpbench_file_", "made")):
            del sys.modules[name]
    discovery._installed.cache_clear()
    registry.registry.cache_clear()
