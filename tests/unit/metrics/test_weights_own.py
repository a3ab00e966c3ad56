"""Weights that users bring themselves, before anything is downloaded."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from weights_server import (
    entry_of,
    get,
    web,
)

from vpbench.api import OwnSource, WeightSpec
from vpbench.api.errors import (
    Corrupt,
    HashMismatch,
    MissingDependency,
    MissingWeights,
    UsageError,
)
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights import convert
from vpbench.metrics.weights.fetch import fetch, locate
from vpbench.metrics.weights.verify import verify
from vpbench.metrics.weights.weight_cache import check_cached, record_of
from vpbench.metrics.weights.weight_file import WeightFile, weight_file

pytestmark = pytest.mark.usefixtures("online")


def test_a_users_file_comes_first_and_is_converted_once(server, cache, own, monkeypatch, pth):
    entry = entry_of(web(server))
    (own / "net.pth").write_bytes(pth)
    path = get(entry, cache, offline=True)
    assert path.parent == cache / "weights"
    assert record_of(path)["source"] == str(own / "net.pth")
    assert [f.path for f in verify([entry], cache)] == [own / "net.pth", path]
    with monkeypatch.context() as patch:
        patch.setattr(convert, "convert", None)
        assert locate(entry, cache) == path
    assert server.asked == []
    (own / "net.pth").write_bytes(pth[:-1] + b"x")
    for ask in (locate, get):
        with pytest.raises(HashMismatch, match=r"net\.pth is not the published file"):
            ask(entry, cache)
    assert [bool(f.problem) for f in verify([entry], cache)] == [True, False]


def test_a_users_converted_file_is_proven_by_its_content(server, cache, own, state):
    convert.write(own / "net.safetensors", state)
    entry = entry_of(web(server))
    with pytest.raises(HashMismatch, match="not the published file"):
        locate(entry, cache)
    sure = replace(entry, content=convert.content_sha256(state))
    check_cached(sure, locate(sure, cache))
    convert.write(own / "net.safetensors", {**state, "n": np.array(4)})
    with pytest.raises(Corrupt, match="does not hold the Net weights"):
        locate(sure, cache)


def test_a_users_folder_that_is_not_there_is_said(server, cache, own):
    own.rmdir()
    with pytest.raises(UsageError, match=r"VPBENCH_WEIGHTS is .*own, which is not a folder"):
        locate(entry_of(web(server)), cache)


def test_a_package_that_is_needed_is_named_before_the_download(server, cache, monkeypatch):
    monkeypatch.setattr(convert.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"needs the package h5py.*vpbench\[perceptual\]"):
        get(entry_of(replace(web(server), format="keras-h5")), cache)
    assert server.asked == []


def test_vgg16_in_keras_format_becomes_torch(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py (extra: perceptual) is not installed")
    rng = np.random.default_rng(5)
    kernel = rng.standard_normal((3, 3, 4, 6)).astype(np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["block3/layers/conv2d_1/vars/0"] = kernel
        file["block3/layers/conv2d_1/vars/1"] = np.arange(6, dtype=np.float32)
        file["block1/layers/conv2d/vars/1"] = np.zeros(2, np.float32)
        file["dsn2/vars/0"] = np.ones((1, 1, 6, 1), np.float32)
    hed = WeightFile("hed", "HED", "MIT", (), layout="vgg16-hed")
    arrays = convert.convert(hed, (tmp_path / "x.h5").read_bytes(), "keras-h5", "x.h5")
    assert set(arrays) == {
        "features.12.weight",
        "features.12.bias",
        "features.0.bias",
        "dsn2.weight",
    }
    np.testing.assert_array_equal(arrays["features.12.weight"], kernel.transpose(3, 2, 0, 1))
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["optimizer/vars/0"] = kernel
    plain = convert.convert(entry_of(), (tmp_path / "x.h5").read_bytes(), "keras-h5", "x.h5")
    assert set(plain) >= {"optimizer/vars/0", "block3/layers/conv2d_1/vars/0"}
    np.testing.assert_array_equal(plain["optimizer/vars/0"], kernel)
    with pytest.raises(Corrupt, match="unknown layer"):
        convert.convert(hed, (tmp_path / "x.h5").read_bytes(), "keras-h5", "x.h5")
    with pytest.raises(Corrupt, match="not a complete HDF5"):
        convert.convert(entry_of(), b"rubbish", "keras-h5", "x.h5")


def test_other_files_in_the_users_folder_are_left_alone(server, cache, own):
    for name in ("net.txt", "net", "other.pth", "net.pth.part"):
        (own / name).write_bytes(b"x")
    assert locate(entry_of(web(server)), cache) is None


def test_a_users_pickle_for_i3d_is_not_executed(cache, own, tmp_path):
    marker = tmp_path / "marker"
    (own / "i3d.ckpt").write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    with pytest.raises(Corrupt, match="nothing of it was executed"):
        fetch(I3D, cache, offline=True)
    assert not marker.exists()


BROUGHT = WeightSpec(
    "net",
    (OwnSource("https://example.org/files/net.pth?dl=1"),),
    "",
    "MIT",
    9,
    "torch",
    label="Net",
)


def test_what_has_no_published_hash_is_brought_and_stays_as_it_first_was(cache, own, pth):
    for offline in (False, True):
        with pytest.raises(MissingWeights, match=r"your own net\.pth into the folder") as error:
            fetch(BROUGHT, cache, offline=offline, agreed=True)
        assert error.value.fix == "It is at https://example.org/files/net.pth?dl=1."
    (own / "net.pth").write_bytes(pth)
    path = fetch(BROUGHT, cache)
    check_cached(weight_file(BROUGHT), path)
    assert not weight_file(BROUGHT).pinned and record_of(path)["source"] == str(own / "net.pth")
    out = io.BytesIO()
    torch.save({"other": torch.zeros(2)}, out)
    (own / "net.pth").write_bytes(out.getvalue())
    with pytest.raises(HashMismatch, match="differs from the Net file that was here first"):
        fetch(BROUGHT, cache)
    (own / "net.pth").unlink()
    assert fetch(BROUGHT, cache) == path


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "ab" * 32},
        {"sources": (OwnSource("https://a.org/x.pth"), "https://a.org/x.pth")},
        {"format": "zip"},
    ],
)
def test_what_is_brought_is_declared_as_such(changes):
    with pytest.raises(UsageError, match=r"'net'"):
        weight_file(replace(BROUGHT, **changes))
