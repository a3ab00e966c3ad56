"""Downloading, converting and keeping weights, against a server on this machine."""

import hashlib
import io
import json
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
from test_weights_tf_bundle import write_bundle
from weights_server import (
    Server,
    entry_of,
    get,
    left,
    web,
)

from vpbench.api.errors import (
    Corrupt,
    HashMismatch,
    MissingWeights,
)
from vpbench.core import download as core_download
from vpbench.kit import VGG19
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights import convert
from vpbench.metrics.weights.fetch import fetch, locate
from vpbench.metrics.weights.verify import verify
from vpbench.metrics.weights.weight_cache import check_cached, pin_path, record_of
from vpbench.metrics.weights.weight_file import Https

pytestmark = pytest.mark.usefixtures("online")

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
