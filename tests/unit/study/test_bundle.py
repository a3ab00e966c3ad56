"""What an exported study holds, and what it gives away: nothing."""

import json
import os
import re
from collections import defaultdict
from dataclasses import replace

import av
import pytest

from tests.unit.study import make
from vpbench.api.errors import Corrupt, HashMismatch, MissingData, UsageError
from vpbench.core.hashing import file_sha256
from vpbench.study.bundle import PAGE, export
from vpbench.study.files import PrivatePaths, from_script, open_bundle, open_key
from vpbench.study.settings import Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "study"
    return make.study(folder, methods=4, clips=3, raters=3)


def test_nothing_public_names_a_method(made):
    bundle, key, _ = made
    for path in bundle.folder.rglob("*"):
        assert not any(name in path.name for name in make.NAMES)
        if path.is_file():
            data = path.read_bytes().lower()
            assert not any(name.encode() in data for name in make.NAMES), path
            assert b"clip 0" not in data and key["salt"].encode() not in data, path


def test_files_say_nothing_of_their_order(made):
    """Sizes are equal within a trial, times are all the same, names are opaque."""
    bundle, key, _ = made
    media = bundle.folder / "media"
    for group in [*key["clips"], *key["gold"]]:
        for ending in ("mp4", "webm"):
            sizes = {(media / f"{name}.{ending}").stat().st_size for name in group["media"]}
            assert len(sizes) == 1
    assert len({os.stat(p).st_mtime for p in bundle.folder.rglob("*") if p.is_file()}) == 1
    names = [name for group in [*key["clips"], *key["gold"]] for name in group["media"]]
    assert len(set(names)) == len(names) == 16
    assert all(re.fullmatch("[0-9a-f]{20}", name) for name in names)


def test_media_have_one_form_and_no_maker(made):
    bundle, _, _ = made
    forms = defaultdict(set)
    for path in sorted((bundle.folder / "media").iterdir()):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = sum(1 for _ in container.decode(stream))
            forms[path.suffix].add(
                (frames, stream.average_rate, stream.width, stream.height, stream.pix_fmt)
            )
            assert len(container.streams) == 1
            texts = {**container.metadata, **stream.metadata}
            assert not {"title", "comment", "creation_time", "encoder"} & set(texts) - {"encoder"}
            assert texts.get("encoder", "Lavf").startswith("Lavf")
    (mp4,), (webm,) = forms[".mp4"], forms[".webm"]
    assert mp4 == webm and mp4[:2] == (6, 12) and mp4[2] == mp4[3] == bundle.page["side"]


def test_two_exports_share_no_name(tmp_path):
    """The salt is secret and new: nobody can compute a media name from public things."""
    one = make.study(tmp_path / "a", methods=2, clips=2, raters=1)[1]
    two = make.study(tmp_path / "b", methods=2, clips=2, raters=1)[1]
    flat = [{n for c in key["clips"] for n in c["media"]} for key in (one, two)]
    assert not flat[0] & flat[1]
    assert [[t["clip"] for t in s] for s in one["sheets"]] == [
        [t["clip"] for t in s] for s in two["sheets"]
    ]  # the orders come from the recorded seed


def test_key_was_fixed_before(made):
    bundle, key, private = made
    assert bundle.manifest["key_sha256"] == file_sha256(private.key)
    assert bundle.study == bundle.manifest["key_sha256"][:12]
    assert open_key(bundle, private) == key
    assert private.folder.stat().st_mode & 0o077 == 0


def test_sheets_show_what_the_key_says(made):
    bundle, key, _ = made
    for sheet, secret in zip(bundle.sheets, key["sheets"], strict=True):
        assert [t["id"] for t in sheet] == [t["id"] for t in secret]
        for trial, known in zip(sheet, secret, strict=True):
            assert set(trial) == {"id", "slots"}  # not whether it is gold or a repetition
            group = key["gold" if known["kind"] == "gold" else "clips"][known["clip"]]["media"]
            assert sorted(trial["slots"]) == sorted(group)


def test_refuses_to_overwrite(tmp_path):
    make.study(tmp_path / "s", methods=2, clips=1, raters=1, gold=0, repeats=0)
    for folder in (tmp_path / "s", tmp_path / "s.private"):
        with pytest.raises(UsageError, match=r"--out"):
            export(make.contents(methods=2, clips=1, raters=1), tmp_path / "s")
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
    assert not list(tmp_path.glob(".tmp*"))


def test_failure_leaves_nothing(tmp_path):
    def fails(clip, method):
        raise HashMismatch("not what was written")

    broken = replace(make.contents(methods=2, clips=2, raters=1), videos=fails)
    with pytest.raises(HashMismatch):
        export(broken, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["study.js", "sheets/000.js", "app.js", "media"])
def test_changed_files_are_noticed(tmp_path, name):
    bundle, _, _ = make.study(tmp_path / "s", methods=2, clips=1, raters=1, gold=0, repeats=0)
    path = bundle.folder / name
    path = next(path.iterdir()) if path.is_dir() else path
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(HashMismatch, match=path.name):
        open_bundle(bundle.folder)


def test_links_and_ways_out_are_refused(tmp_path):
    bundle, _, private = make.study(tmp_path / "s", methods=2, clips=1, raters=1, gold=0, repeats=0)
    path = bundle.folder / "app.js"
    (tmp_path / "app.js").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(tmp_path / "app.js")
    with pytest.raises(HashMismatch):
        open_bundle(bundle.folder)
    path.unlink()
    path.write_bytes((tmp_path / "app.js").read_bytes())
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    manifest["files"]["../s.private/key.json"] = file_sha256(private.key)
    (bundle.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(HashMismatch):
        open_bundle(bundle.folder)


def test_another_key_is_refused(tmp_path, made):
    bundle, _, private = make.study(tmp_path / "s", methods=2, clips=1, raters=1, gold=0, repeats=0)
    private.key.write_bytes(made[2].key.read_bytes())
    with pytest.raises(HashMismatch, match="not the key"):
        open_key(bundle, private)
    private.key.unlink()
    with pytest.raises(MissingData, match="key"):
        open_key(bundle, private)
    with pytest.raises(MissingData, match="study export"):
        open_bundle(tmp_path / "nothing")
    with pytest.raises(Corrupt):
        from_script(bundle.folder / "app.js", "bundle")


def test_page_is_marked_until_it_says_who_asks(tmp_path):
    bundle, _, _ = make.study(
        tmp_path / "s", methods=2, clips=1, raters=1, gold=0, repeats=0, settings=Settings()
    )
    assert bundle.page["trial"] and not bundle.page["texts"]["contact"]
    assert PrivatePaths.of(bundle.folder).folder.name == "s.private"


def test_page_is_plain(made):
    """No address outside, nothing inline, modules short enough to read."""
    folder = made[0].folder
    html = (folder / "index.html").read_text()
    assert 'http-equiv="Content-Security-Policy"' in html and "unsafe" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", html)
    for name in PAGE:
        text = (folder / name).read_text()
        assert not re.search(r"https?://(?!www\.w3\.org)|//cdn|@import|innerHTML|eval\(", text), (
            name
        )
        assert len(text.splitlines()) < 400, name


def test_the_page_and_the_server_have_one_policy(made):
    from vpbench.study.server import CONTENT_POLICY

    assert f'content="{CONTENT_POLICY}"' in (made[0].folder / "index.html").read_text()
