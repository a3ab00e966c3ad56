"""Bundles: the same bytes anywhere, whole on another machine, and hostile ones refused."""

import hashlib
import io
import json
import shutil
import stat
import zipfile

import numpy as np
import pytest
from board_toys import make_run, run_of

from vpbench.api.errors import Corrupt, HashMismatch, MissingData, UsageError
from vpbench.board.bundle import BUNDLE, INDEX, bundle_runs, write_bundle
from vpbench.board.unpack import import_bundle
from vpbench.core.files import stored_bytes
from vpbench.core.hashing import stored_digest
from vpbench.core.rundir import RunDir, write_sealed
from vpbench.harness.prediction.shards import pack


@pytest.fixture
def bundle(run, tmp_path):
    """A bundle of one run."""
    return write_bundle([run], tmp_path / "a.vpb").path


def content(path):
    """Name -> bytes, in the order of the file."""
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def sealed(members):
    """bundle.json for some members, as somebody who wants to cheat would make it."""
    body = json.loads(members[INDEX])
    body.pop("sha256")
    body["members"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in sorted(members.items())
        if name != INDEX
    }
    return {**members, INDEX: stored_bytes({**body, "sha256": stored_digest(body)})}


def write(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, data)


def test_a_bundle_holds_the_run_and_nothing_of_its_maker(run, bundle, tmp_path):
    shutil.copytree(run.path.parents[2], tmp_path / "elsewhere" / "runs")
    there = RunDir(tmp_path / "elsewhere" / "runs" / run.path.relative_to(tmp_path / "runs"))
    (there.path / "events").mkdir()
    (there.path / "events" / "job.log").write_text("/home/secret")
    (there.predictions / "00000.lock").write_text("{}")
    again = write_bundle([there], tmp_path / "b.vpb")
    assert again.path.read_bytes() == bundle.read_bytes()
    assert again.sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert b"secret" not in bundle.read_bytes()
    with bundle_runs(bundle) as (found,):
        one, other = run_of(found), run_of(run)
        assert (one.inputs, one.manifest, one.scores) == (
            other.inputs,
            other.manifest,
            other.scores,
        )
        place = found.path
    assert not place.exists()


def test_several_runs_fit_in_one_and_are_imported_once(run, tmp_path):
    other = make_run(tmp_path / "runs", seed=3)
    packed = write_bundle([other, run], tmp_path / "two.vpb")
    assert packed.runs == 2
    home = tmp_path / "away"
    assert [new for _, new in import_bundle(packed.path, home)] == [True, True]
    assert [new for _, new in import_bundle(packed.path, home)] == [False, False]
    assert sorted(p.name for p in home.iterdir()) == ["toys"]
    (folder, _), *_ = import_bundle(packed.path, home)
    (folder / "predictions" / "MANIFEST.json").unlink()
    with pytest.raises(UsageError, match="another run lies in"):
        import_bundle(packed.path, home)
    with pytest.raises(UsageError, match="given twice"):
        write_bundle([run, run], tmp_path / "c.vpb")


def test_every_part_of_a_changed_file_is_found(bundle):
    data = bundle.read_bytes()
    for k in [*range(0, len(data), max(1, len(data) // 25)), len(data) - 1]:
        bundle.write_bytes(data[:k] + bytes([data[k] ^ 0x21]) + data[k + 1 :])
        try:
            with bundle_runs(bundle) as folders:
                same = [run_of(f).manifest["sha256"] for f in folders]
        except Corrupt as error:
            assert str(error).count("\n") == 0
        else:  # a date of the zip's own list, which nobody reads
            assert same, k
    bundle.write_bytes(data[: len(data) // 2])
    with pytest.raises(Corrupt, match="not a bundle"), bundle_runs(bundle):
        pass


def _run_name(members):
    return next(name for name in members if name.endswith("run.json"))[: -len("run.json")]


def _add(name, data=b"{}"):
    def change(members):
        return sealed({**members, name: data})

    return change


def _extra(suffix, data=b"{}"):
    return lambda members: sealed({**members, _run_name(members) + suffix: data})


def _array(data):
    """Another array in the first shard, with every hash made to fit but the manifest's."""

    def change(members):
        return sealed({**members, _run_name(members) + "predictions/00000.npz": data})

    return change


def _pickle():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, frames=np.array([print], object))
    return buffer.getvalue()


def _swollen():
    """A header that says 10^9 frames, and as many zeros, which deflate to a megabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (10**9,)}
        )
        archive.writestr("frames.npy", header.getvalue() + bytes(10**6))
    return buffer.getvalue()


def _stated(key, value):
    def change(members):
        body = json.loads(members[INDEX])
        body.pop("sha256")
        body[key] = value
        return {**members, INDEX: stored_bytes({**body, "sha256": stored_digest(body)})}

    return change


def _unlisted(members):
    name = _run_name(members) + "code/0123456789abcdef.json"
    return {**members, name: b"{}"}


def _lost(members):
    return {k: v for k, v in members.items() if not k.endswith("MANIFEST.json")}


def _last(members):
    """bundle.json at the end."""
    return {**{k: v for k, v in members.items() if k != INDEX}, INDEX: members[INDEX]}


HOSTILE = [
    (_add("/etc/passwd"), "the name is an absolute path"),
    (_add("C:/x.json"), "the name is an absolute path"),
    (_add("runs/../../x.json"), "points outside its folder"),
    (_add("runs/../mine/0f1e2d3c/run.json"), "points outside its folder"),
    (_add("runs\\..\\x.json"), "points outside its folder"),
    (_extra("weights.pkl"), "a pickle"),
    (_extra("checkpoint.pt"), "a pickle"),
    (_extra("predictions/00009.py"), "no file of a run has this name"),
    (_extra("events/x.json"), "no file of a run has this name"),
    (_add("runs/toys/mine/0f1e2d3c/run.json"), "lists other runs than its members"),
    (_array(_pickle()), "a pickle that could run code"),
    (_array(_swollen()), "holds uint8 \\[1000000000\\]"),
    (_array(b"PK"), "is not an npz"),
    (_array(pack(np.zeros((4, 1, 4, 8, 8, 3), np.uint8))), "is not what was written"),
    (_array(pack(np.zeros((4, 1, 4, 9, 8, 3), np.uint8))), "where uint8"),
    (_stated("schema", "vpbench.run-bundle/9"), "schema 'vpbench.run-bundle/9'"),
    (_stated("members", {}), "lists other runs"),
    (_unlisted, "which bundle.json does not list"),
    (_stated("runs", []), "lists other runs"),
    (_stated("more", 1), "more is not a field"),
    (lambda m: {**m, INDEX: m[INDEX] + b" "}, "bundle.json is not what was written"),
    (lambda m: {**m, INDEX: b"[" * 50_000}, "bundle.json is not valid JSON"),
    (_lost, "MANIFEST.json' is missing"),
    (_last, "its first member is not bundle.json"),
    (lambda m: {}, "its first member is not bundle.json"),
]


@pytest.mark.parametrize(("change", "reason"), HOSTILE)
def test_hostile_bundles_are_refused_before_anything_is_written(bundle, tmp_path, change, reason):
    write(bundle, change(content(bundle)))
    out = tmp_path / "out"
    with pytest.raises((Corrupt, HashMismatch), match=reason) as error:
        import_bundle(bundle, out)
    assert str(error.value).count("\n") == 0 and "\x1b" not in str(error.value)
    assert list(out.iterdir()) == []


def _without(*way):
    def change(inputs):
        *path, name = way
        for key in path:
            inputs = inputs[key]
        del inputs[name]

    return change


def _with(name, value):
    return lambda inputs: inputs.update({name: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_without("uses"), "KeyError: 'uses'"),
        (_without("task", "size"), "KeyError: 'size'"),
        (_without("spec", "params"), "KeyError: 'params'"),
        (_with("method", ["x"]), "not those of a run"),
        (_with("samples", "many"), "where uint8|not those of a run"),
        (_with("seed", 0.5), "seed must be a whole number, not 0.5"),
        (_with("uses", "label"), "uses must be a list"),
        (_with("notes", [3]), "not those of a run"),
        (_with("stages", 3), "not those of a run"),
    ],
)
def test_a_sealed_run_that_vpbench_did_not_write_is_refused(tmp_path, change, reason):
    """Nothing of it was changed since it was written, and yet no table can be made of it."""
    folder = make_run(tmp_path / "runs")
    record = json.loads(folder.record.read_bytes())
    change(record["inputs"])
    write_sealed(folder.record, record)
    members = {INDEX: stored_bytes({})}
    place = "/".join(folder.path.parts[-3:])
    for path in sorted(p for p in folder.path.rglob("*") if p.is_file()):
        members[f"runs/{place}/{path.relative_to(folder.path).as_posix()}"] = path.read_bytes()
    row = {"folder": place, "method": "mine", "task": "toys", "seed": 0, "fit_seed": None}
    row["manifest_sha256"] = json.loads(folder.manifest.read_bytes())["sha256"]
    body = {"schema": BUNDLE, "vpbench": "0", "runs": [row], "members": {}}
    members[INDEX] = stored_bytes({**body, "sha256": stored_digest(body)})
    write(tmp_path / "x.vpb", sealed(members))
    with pytest.raises(Corrupt, match=reason) as error, bundle_runs(tmp_path / "x.vpb"):
        pass
    assert str(error.value).count("\n") == 0


def test_links_folders_compression_and_doubles_are_refused(bundle, tmp_path):
    members = content(bundle)
    run = _run_name(members)

    def refused(reason, extra, method=zipfile.ZIP_STORED):
        write(bundle, {**members, **extra}, method)
        with pytest.raises(Corrupt, match=reason), bundle_runs(bundle):
            pass

    link = zipfile.ZipInfo(f"{run}scores/psnr@01234567.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused("a link or not a plain file", {link: b"/etc/passwd"})
    refused("is compressed", {}, zipfile.ZIP_DEFLATED)
    with pytest.warns(UserWarning, match="Duplicate"):
        refused("twice", {zipfile.ZipInfo(f"{run}run.json"): b"{}"})
    data = bundle.read_bytes()
    write(bundle, members)
    flags = bytearray(bundle.read_bytes())
    flags[flags.rindex(b"PK\x01\x02") + 8] |= 1
    bundle.write_bytes(bytes(flags))
    with pytest.raises(Corrupt, match="is encrypted"), bundle_runs(bundle):
        pass
    assert data


def test_what_is_no_file_or_no_zip_says_so(tmp_path):
    with pytest.raises(MissingData, match="there is no bundle"), bundle_runs(tmp_path / "x.vpb"):
        pass
    (tmp_path / "x.vpb").write_text("hello")
    with pytest.raises(Corrupt, match="not a bundle"), bundle_runs(tmp_path / "x.vpb"):
        pass
