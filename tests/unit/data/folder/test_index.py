"""The index of a folder: other bytes under an old name are never taken for the old ones."""

import json
import os
import shutil
import subprocess
import tarfile

import numpy as np
import pytest

from tests.unit.data.folder.conftest import pixels
from vpbench.api import BadData
from vpbench.core import stamps
from vpbench.core.hashing import digest
from vpbench.data.folder import index as module
from vpbench.data.folder import scan


def hashes(dataset):
    return {clip.id: clip.sha256 for part in dataset.splits() for clip in dataset.clips(part)}


def by_utime(source, target):
    status = target.stat()
    with target.open("r+b") as stream:
        stream.write(source.read_bytes())
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def by_copy(source, target):
    times = target.stat()
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.copy2(source, target)


def by_rename(source, target):
    times = target.stat()
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(source, target)


def by_tar(source, target):
    times = target.stat()
    archive = source.with_suffix(".tar")
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        info = tar.gettarinfo(source, target.name)
        info.mtime = times.st_mtime_ns / 1e9
        with source.open("rb") as stream:
            tar.addfile(info, stream)
    with tarfile.open(archive) as tar:
        tar.extractall(target.parent, filter="data")
    os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def by_rsync(source, target):
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    times = target.stat()
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    subprocess.run(["rsync", "-t", "--ignore-times", source, target], check=True)


def replacement(tmp_path, target, name="other"):
    """A clip of equal size and shape, with other pixels."""
    path = tmp_path / "elsewhere" / target.name
    path.parent.mkdir(exist_ok=True)
    np.savez(path, frames=pixels(name, *np.load(target)["frames"].shape[:3]))
    assert path.stat().st_size == target.stat().st_size
    return path


@pytest.mark.parametrize("settle", [0, stamps.SETTLE_NS], ids=["at rest", "just written"])
@pytest.mark.parametrize("how", [by_utime, by_copy, by_rename, by_tar, by_rsync])
def test_other_clips_with_the_same_size_and_time(put, folder, tmp_path, monkeypatch, settle, how):
    monkeypatch.setattr(stamps, "SETTLE_NS", settle)
    put("a.npz")
    first, clip = hashes(folder()), folder().clips("test")[0]
    target = tmp_path / "data" / "a.npz"
    old = target.stat()
    source = replacement(tmp_path, target)
    wanted = np.load(source)["frames"]
    opened = folder()
    opened.read(opened.clips("test")[0], [0])
    how(source, target)
    now = target.stat()
    assert (now.st_size, now.st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    assert hashes(folder()) != first
    assert np.array_equal(folder().read(folder().clips("test")[0], range(20)), wanted)
    with pytest.raises(BadData, match="changed while it was in use"):
        opened.read(clip, [0])


def test_frames_of_a_folder_of_images(put, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    put("walk", 5)
    put("run", 5)
    first = hashes(folder())
    one, other = (tmp_path / "data" / "walk" / f"0000{k}.png" for k in (1, 2))
    times = one.stat()
    data = other.read_bytes()
    one.write_bytes(data)
    os.utime(one, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = hashes(folder())
    assert second["run"] == first["run"] and second["walk"] != first["walk"]


def counted(monkeypatch):
    calls = []
    original = scan.sha256_of
    monkeypatch.setattr(scan, "sha256_of", lambda path: calls.append(path.name) or original(path))
    return calls


def test_hashing_is_spared_only_at_rest_and_never_when_told_so(put, folder, monkeypatch):
    put("a.npz")
    calls = counted(monkeypatch)
    for _ in range(2):
        hashes(folder())
    assert calls == ["a.npz", "a.npz"]  # written less than two seconds before
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    hashes(folder())
    calls.clear()
    hashes(folder())
    assert calls == []
    folder().prepare(fresh=True)
    assert calls == ["a.npz"]
    folder().verify()
    assert calls == ["a.npz", "a.npz"]


def test_equal_bytes_are_not_decoded_twice(put, folder, tmp_path, monkeypatch):
    put("a.npz")
    first = hashes(folder())
    monkeypatch.setattr(scan.decode, "probe", None)
    (tmp_path / "data" / "a.npz").touch()
    shutil.copy(tmp_path / "data" / "a.npz", tmp_path / "data" / "b.npz")
    assert set(hashes(folder()).values()) == set(first.values())


def test_each_thing_in_the_key_counts(put, folder, tmp_path, monkeypatch):
    """Root, decoders, and for images how they are cut; stamps have tests of their own."""
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    put("a.png", 8)
    calls = []
    original = scan.decode.probe

    def probe(path, how):
        calls.append(how)
        return original(path, how)

    monkeypatch.setattr(scan.decode, "probe", probe)

    def decoded(**options):
        calls.clear()
        hashes(folder(**options))
        return len(calls)

    assert decoded() == 1 and decoded() == 0
    assert decoded(layout="strips") == 1 and decoded(frame="32x16") == 1
    assert decoded(layout="strips") == decoded(frame="32x16") == decoded() == 0
    monkeypatch.setattr(module.decode, "versions", lambda: {"av": "another"})
    assert decoded() == 1 and decoded() == 0
    shutil.copytree(tmp_path / "data", tmp_path / "moved")
    assert decoded(path=str(tmp_path / "moved")) == 1


def test_a_cut_that_is_not_square_is_another_content(put, folder):
    put("a.png", 8)
    square, again = hashes(folder()), hashes(folder(frame="16x16"))
    assert square == again
    assert hashes(folder(frame="32x16")) != square != hashes(folder(frame="64x16"))


def test_no_flipped_byte_of_the_index_is_believed(put, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    put("a.npz", 5)
    put("b", 6)
    wanted = {c.id: c for part in ("train", "val", "test") for c in folder().clips(part)}
    (file,) = (tmp_path / "cache" / "scan").iterdir()
    good = file.read_bytes()
    for k in range(0, len(good), 11):
        file.write_bytes(good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :])
        dataset = folder()
        found = {c.id: c for part in ("train", "val", "test") for c in dataset.clips(part)}
        assert found == wanted
        assert file.read_bytes() == good


def test_an_index_of_the_first_version_is_made_again(put, folder, tmp_path):
    put("a.npz")
    wanted = hashes(folder())
    (file,) = (tmp_path / "cache" / "scan").iterdir()
    path = tmp_path / "data" / "a.npz"
    mark = f"{path.stat().st_size}:{path.stat().st_mtime_ns}"
    entries = {"a.npz\t": [mark, "0" * 64, 9, 1, 1, None, "codec"]}
    file.write_text(json.dumps({"schema": "vpbench.scan/1", "decode": 1, "entries": entries}))
    assert hashes(folder()) == wanted


def test_bytes_that_decayed_are_found_by_verify(put, folder, tmp_path, monkeypatch):
    """What a failing disk does: other bytes, and nothing wrote to the file."""
    monkeypatch.setattr(stamps, "SETTLE_NS", 0)
    put("a.npz")
    hashes(folder())
    (file,) = (tmp_path / "cache" / "scan").iterdir()
    stored = json.loads(file.read_bytes())
    stored["entries"]["a.npz\t"][2] = "0" * 64
    del stored["sha256"]
    file.write_text(json.dumps({**stored, "sha256": digest(stored)}))
    errors = [p for p in folder().verify() if p.level == "error"]
    assert len(errors) == 1 and "holds other bytes than when it was first read" in errors[0].what
    assert "0" * 64 not in hashes(folder()).values()
