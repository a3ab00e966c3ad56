"""Fetching Penn Action from a server on this machine."""

import http.server
import io
import re
import shutil
import tarfile
import threading

import pytest

from tests.make_archives import VIDEOS, make_penn
from vpbench.api import BadData, Unwritable, UsageError
from vpbench.core import download as core_download
from vpbench.core.download import Unreachable
from vpbench.data.penn import download
from vpbench.data.penn.dataset import Penn

FEW = {v: VIDEOS[v] for v in ("2141", "1150")}
FRAMES = sum(row[2] for row in FEW.values())


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        start = int(re.findall(r"\d+", asked)[0]) if asked else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "application/gzip")
        self.send_header("Content-Length", str(len(server.content) - start))
        if start:
            size = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        end = len(server.content)
        if server.breaks > 0:
            server.breaks -= 1
            end = start + (end - start) // 3
        self.wfile.write(server.content[start:end])


def packed(folder, top="Penn_Action", skip=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name not in skip and not name.endswith("_set.txt"):
                tar.add(path, f"{top}/{name}" if top else name)
    return out.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return make_penn(tmp_path_factory.mktemp("source") / "penn", FEW)


@pytest.fixture
def server(archive, monkeypatch):
    monkeypatch.setattr(core_download, "PAUSE_S", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as it:
        it.content, it.asked, it.breaks = packed(archive), [], 0
        it.link = f"http://127.0.0.1:{it.server_port}/Penn_Action.tar.gz"
        thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield it
        it.shutdown()
        thread.join()


def get(server, root, tell=lambda done, total: None, frames=FRAMES):
    return download.fetch(
        root, tell, link=server.link, allow_http=True, videos=len(FEW), frames=frames
    )


def contents(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("top", ["Penn_Action", ""])
def test_it_lies_where_it_was_wanted_and_nothing_else(server, archive, tmp_path, top):
    server.content = packed(archive, top)
    told = []
    root = get(server, tmp_path / "data" / "penn", lambda done, total: told.append((done, total)))
    wanted = {k: v for k, v in contents(archive).items() if not k.endswith("_set.txt")}
    assert contents(root) == wanted
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["penn"]
    assert told and all(0 <= done <= total for done, total in told)


def test_a_broken_transfer_goes_on_where_it_was(server, archive, tmp_path):
    server.breaks = 2
    root = get(server, tmp_path / "penn")
    first, second, third = server.asked
    third_of = len(server.content) // 3
    assert first is None and second == f"bytes={third_of}-" and third > second
    assert len(contents(root)) == len(contents(archive)) - 2


def test_a_later_call_goes_on_too(server, tmp_path):
    server.breaks = core_download.ATTEMPTS
    with pytest.raises(Unreachable, match="Run it again to resume"):
        get(server, tmp_path / "penn")
    assert not (tmp_path / "penn").exists()
    kept = (tmp_path / "penn.part" / "Penn_Action.tar.gz").stat().st_size
    assert kept > len(server.content) // 2
    asked = len(server.asked)
    get(server, tmp_path / "penn")
    assert server.asked[asked:] == [f"bytes={kept}-"]


def test_extraction_that_was_interrupted_is_made_again_without_network(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(download, "extract", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path / "penn")
    monkeypatch.undo()
    server.asked.clear()
    get(server, tmp_path / "penn")
    assert server.asked == []


def test_too_little_space_is_said_before_the_first_byte(server, tmp_path, monkeypatch):
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12 - 1000, 1000))
    with pytest.raises(Unwritable, match=r"need .* GiB.*--root DIR"):
        get(server, tmp_path / "penn")
    archive = tmp_path / "penn.part" / "Penn_Action.tar.gz"
    assert not archive.exists() or archive.stat().st_size == 0


@pytest.mark.parametrize(
    ("skip", "said"),
    [
        (("frames/1150/000009.jpg",), "video 1150 has 18 frames, its annotation lists 19"),
        (("labels/1150.mat",), "has no 1150.mat"),
        (tuple(f"frames/1150/{k:06d}.jpg" for k in range(1, 20)), "holds 1 videos, Penn Action 2"),
    ],
)
def test_content_decides_and_what_is_wrong_is_deleted(server, archive, tmp_path, skip, said):
    server.content = packed(archive, skip=skip)
    with pytest.raises(BadData, match=said):
        get(server, tmp_path / "penn")
    assert list(tmp_path.iterdir()) == []


def test_all_frames_are_counted(server, tmp_path):
    with pytest.raises(BadData, match=f"holds {FRAMES} frames, Penn Action {FRAMES + 1}"):
        get(server, tmp_path / "penn", frames=FRAMES + 1)


def test_what_is_no_archive_or_cut_off(server, tmp_path):
    whole = server.content
    for content in (b"hello" * 1000, whole[: len(whole) // 2]):
        server.content = content
        with pytest.raises(BadData, match="not a readable tar archive"):
            get(server, tmp_path / "penn")
    assert list(tmp_path.iterdir()) == []


def test_members_may_not_leave_the_folder(server, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("Penn_Action/frames/../../../evil.txt")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"evil"))
    server.content = out.getvalue()
    with pytest.raises(BadData):
        get(server, tmp_path / "deep" / "penn")
    assert not list(tmp_path.rglob("evil.txt"))


def test_a_folder_that_is_there_is_left_alone(server, tmp_path):
    (tmp_path / "penn").mkdir()
    (tmp_path / "penn" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"exists and holds something else.*--root DIR"):
        get(server, tmp_path / "penn")
    assert server.asked == [] and (tmp_path / "penn" / "mine.txt").read_text() == "mine"


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    get(server, tmp_path / "penn")
    asked = len(server.asked)
    (tmp_path / "penn" / "frames" / "2141" / "000001.jpg").write_bytes(b"mine")
    assert get(server, tmp_path / "penn") == tmp_path / "penn"
    assert len(server.asked) == asked


def test_two_processes_fetch_once(server, tmp_path):
    threads = [threading.Thread(target=get, args=(server, tmp_path / "penn")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == [None] and [p.name for p in tmp_path.iterdir()] == ["penn"]


def test_only_https_and_only_with_a_folder(tmp_path):
    with pytest.raises(Unreachable, match="only https"):
        download.fetch(tmp_path / "penn", link="http://127.0.0.1:1/x")
    with pytest.raises(UsageError, match="--root DIR"):
        Penn({}, None, tmp_path).download()
