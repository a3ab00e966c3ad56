"""Which file lies where, and that every changed byte is found."""

import json
import shutil
from pathlib import Path

import pytest

from vpbench.api import Corrupt, HashMismatch, MissingData
from vpbench.core import schema
from vpbench.core.files import TEMPORARY, write_json
from vpbench.core.hashing import digest, file_sha256
from vpbench.core.run_folders import runs_of
from vpbench.core.rundir import RunDir, StageDir, read_sealed, write_sealed


def damaged(data):
    """Every change of one byte by a few values, every lost byte, every cut, one byte more."""
    for k in range(len(data)):
        for value in (data[k] ^ 1, data[k] ^ 0x20, 0x09):
            if value != data[k]:
                yield data[:k] + bytes([value]) + data[k + 1 :]
        yield data[:k] + data[k + 1 :]
    yield from (data[:9], b"", data + b"\n")


def test_sealed_files_come_back_and_every_changed_byte_is_found(tmp_path):
    path = tmp_path / "a.json"
    value = {"schema": schema.SCORE, "value": 1e-05, "é": [None, -0.0]}
    write_sealed(path, value)
    good = path.read_bytes()
    assert read_sealed(path, schema.SCORE).items() >= value.items()
    count = 0
    for bad in damaged(good):
        path.write_bytes(bad)
        with pytest.raises(HashMismatch, match=r"a\.json is not what was written"):
            read_sealed(path, schema.SCORE)
        count += 1
    assert count > 500


def test_a_seal_is_not_carried_over(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, {"schema": schema.SCORE, "a": 1})
    value = read_sealed(path, schema.SCORE)
    write_sealed(path, {**value, "a": 2})
    assert read_sealed(path, schema.SCORE)["a"] == 2
    write_json(path, {**value, "a": 3})
    with pytest.raises(HashMismatch):
        read_sealed(path, schema.SCORE)
    for wrong in ([], "x", None, {}, {"sha256": None}):
        write_json(path, wrong)
        with pytest.raises(HashMismatch):
            read_sealed(path, schema.SCORE)


def test_another_kind_of_file_is_corrupt_and_a_missing_one_is_missing(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, {"schema": "vpbench.score/1"})
    with pytest.raises(Corrupt, match=r"vpbench\.score/1.*vpbench\.score/2"):
        read_sealed(path, schema.SCORE)
    with pytest.raises(FileNotFoundError):
        read_sealed(tmp_path / "b.json", schema.SCORE)


KEY = "01234567" + "0" * 56
INPUTS = {"method": "method", "task": {"id": "task"}}


@pytest.fixture
def run(tmp_path):
    """A run with two shards and its manifest."""
    folder = RunDir(tmp_path / "runs" / "task" / "method" / "01234567")
    folder.predictions.mkdir(parents=True)
    record = {"schema": schema.RUN_RECORD, "key": KEY, "inputs": INPUTS}
    write_sealed(folder.record, record)
    rows = []
    for k in range(2):
        path = folder.shard(k)
        path.write_bytes(b"pixels %d" % k)
        path.with_suffix(".json").write_text(f'{{"shard": {k}}}')
        rows.append(
            {
                "name": path.stem,
                "sha256.npz": file_sha256(path),
                "sha256.json": file_sha256(path.with_suffix(".json")),
            }
        )
    write_sealed(folder.manifest, {"schema": schema.MANIFEST, "run": KEY, "shards": rows})
    return folder


def test_a_whole_run_passes(run):
    assert run.shard(1).name == "00001.npz"
    assert run.check() == run.read_manifest()
    assert run.read_record()["inputs"] == INPUTS and run.read_record()["key"] == KEY


def test_every_changed_byte_of_the_record_is_found(run):
    good = run.record.read_bytes()
    for bad in damaged(good):
        run.record.write_bytes(bad)
        with pytest.raises((Corrupt, MissingData), match="run"):
            run.read_record()


@pytest.mark.parametrize(
    ("part", "name"), [(-3, "another-task"), (-2, "another-method"), (-1, "89abcdef")]
)
def test_a_run_that_was_moved_into_another_folder_is_refused(run, part, name):
    parts = list(run.path.parts)
    parts[part] = name
    copy = RunDir(Path(*parts))
    shutil.copytree(run.path, copy.path)
    with pytest.raises(HashMismatch, match="belongs to the run task/method/01234567"):
        copy.read_record()
    with pytest.raises(HashMismatch, match="belongs to the run task/method/01234567"):
        copy.check()
    run.check()


def test_a_run_may_be_moved_with_all_folders_around_it(run, tmp_path):
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    RunDir(tmp_path / "elsewhere" / "task" / "method" / "01234567").check()


def test_a_run_of_an_earlier_vpbench_is_named_so(run):
    write_json(run.record, {"schema": schema.RUN, "inputs": INPUTS})
    with pytest.raises(MissingData, match="made by an earlier vpbench"):
        run.read_record()


def other_run(run):
    """A sealed run whose files are put into this one."""
    other = RunDir(run.path.with_name("89abcdef"))
    shutil.copytree(run.path, other.path)
    key = "89abcdef" + "0" * 56
    write_sealed(other.record, {**run.read_record(), "key": key})
    write_sealed(other.manifest, {**run.read_manifest(), "run": key})
    return other


def test_the_predictions_of_another_run_are_refused(run):
    other = other_run(run)
    other.check()
    shutil.rmtree(run.predictions)
    shutil.copytree(other.predictions, run.predictions)
    with pytest.raises(HashMismatch, match="belongs to the run 89abcdef, not to this one"):
        run.check()


def score(run, name="psnr", values=(20.0, 22.0), **fields):
    """A stored score of the manifest "m"."""
    per_clip = {str(k): value for k, value in enumerate(values)}
    record = {
        "schema": schema.SCORE,
        "run": KEY,
        "manifest": "m",
        "metric": name,
        "kind": "clip",
        "aggregate": "mean",
        "frames": 16,
        "value": sum(values) / len(values),
        "ci95": None,
        "per_clip": per_clip,
        **fields,
    }
    fingerprint = {"metric": name, "frames": record["frames"], "of": record["manifest"]}
    short = digest(fingerprint)[:8]
    record = {**record, "fingerprint": fingerprint, "fp8": short}
    path = run.score(name, short)
    write_sealed(path, record)
    return path


def test_a_score_of_another_run_is_refused(run):
    path = score(run)
    write_sealed(path, {**run.read_score(path), "run": "89abcdef"})
    with pytest.raises(HashMismatch, match="belongs to the run 89abcdef, not to this one"):
        run.read_score(path)
    with pytest.raises(HashMismatch, match="belongs to the run 89abcdef, not to this one"):
        run.read_scores("m")


@pytest.mark.parametrize(
    "fields",
    [
        {"value": 21.001},
        {"value": None},
        {"per_clip": {"0": 20.0, "1": 23.0}},
        {"per_clip": {"0": 20.0, "1": None}},
        {"per_clip": {}},
    ],
)
def test_a_score_that_does_not_follow_from_its_clips_is_refused(run, fields):
    path = score(run, **fields)
    with pytest.raises(HashMismatch, match="does not follow from the values of its clips"):
        run.read_score(path)


@pytest.mark.parametrize(
    "fields", [{}, {"per_clip": {"0": 20.0, "1": None, "2": 22.0}}, {"value": 21.0 + 1e-10}]
)
def test_a_score_is_the_mean_of_the_clips_that_have_one(run, fields):
    assert run.read_score(score(run, **fields))["metric"] == "psnr"


def test_a_score_with_an_aggregate_of_its_own_need_not_be_the_mean(run):
    assert run.read_score(score(run, aggregate="own", value=3.0))["value"] == 3.0


@pytest.mark.parametrize(
    "fields",
    [{"frames": 8}, {"fp8": "0" * 8}, {"fingerprint": {"frames": 16}}, {"metric": "ssim"}],
)
def test_a_score_that_is_another_than_its_name_says_is_refused(run, fields):
    path = score(run)
    write_sealed(path, {**run.read_score(path), **fields})
    with pytest.raises(HashMismatch, match="do not match its name and fingerprint"):
        run.read_score(path)


def test_a_score_of_a_set_lies_in_its_own_interval(run):
    own = {"kind": "set", "aggregate": "own", "value": 3.0}
    assert run.read_score(score(run, **own, ci95=[2.0, 4.0]))["value"] == 3.0
    with pytest.raises(HashMismatch, match="lies outside its own interval"):
        run.read_score(score(run, **own, ci95=[3.5, 4.0]))


def test_tables_of_code_are_named_by_their_content(run):
    table = {"modules": {"a": "0"}, "environment": {}}
    name = run.write_code(table)
    assert run.read_code(name) == table and name == run.write_code(table)
    other = run.write_code({"modules": {"a": "1"}, "environment": {}})
    assert other != name
    (run.code / f"{other}.json").replace(run.code / f"{name}.json")
    with pytest.raises(HashMismatch, match="not what was written"):
        run.read_code(name)
    assert run.read_code("0" * 16) is None


@pytest.mark.parametrize("name", ["00000.npz", "00001.json", "MANIFEST.json"])
def test_every_changed_byte_of_a_prediction_is_found(run, name):
    path = run.predictions / name
    good = path.read_bytes()
    for k in range(len(good)):
        path.write_bytes(good[:k] + bytes([good[k] ^ 0x20]) + good[k + 1 :])
        with pytest.raises(HashMismatch, match=name.replace(".", r"\.")):
            run.check()
    path.write_bytes(good)
    run.check()


@pytest.mark.parametrize("name", ["00000.npz", "00001.json"])
def test_missing_shards_are_named(run, name):
    (run.predictions / name).unlink()
    with pytest.raises(HashMismatch, match=f"{name} is missing".replace(".", r"\.")):
        run.check()


def test_an_unfinished_prediction_and_no_run_at_all(run, tmp_path):
    run.manifest.unlink()
    with pytest.raises(MissingData, match="not complete"):
        run.check()
    with pytest.raises(MissingData, match="holds no run"):
        RunDir(tmp_path / "nowhere").read_record()
    run.record.write_text("[1]")
    with pytest.raises(Corrupt, match="not a JSON object"):
        run.read_record()


def test_scores_of_this_prediction_only_and_no_half_written_ones(run):
    assert run.read_scores("m") == []
    for name, manifest in (("psnr", "m"), ("ssim", "m"), ("fvd@styleganv", "older")):
        score(run, name, manifest=manifest)
    (run.scores / f"{TEMPORARY}abc.json").write_text("{")  # its writer was killed
    assert [s["metric"] for s in run.read_scores("m")] == ["psnr", "ssim"]
    assert run.score("fvd@styleganv", "0" * 8).name == "fvd_styleganv@00000000.json"
    run.score("psnr", "0" * 8).write_text("{}")
    with pytest.raises(HashMismatch, match="psnr@00000000"):
        run.read_scores("m")


@pytest.fixture
def stage(tmp_path):
    """A finished stage of two files."""
    folder = StageDir(tmp_path / "toy.kp-0123")
    (folder.checkpoint / "deep").mkdir(parents=True)
    (folder.checkpoint / "a.bin").write_bytes(b"weights")
    (folder.checkpoint / "deep" / "b.bin").write_bytes(b"more")
    (folder.checkpoint / f"{TEMPORARY}x.npz").write_bytes(b"of a killed process")
    assert not folder.complete()
    assert list(folder.files()) == ["a.bin", "deep/b.bin"]
    write_sealed(folder.record, {"schema": schema.STAGE, "files": folder.files()})
    return folder


@pytest.mark.parametrize("name", ["a.bin", "deep/b.bin"])
def test_every_changed_byte_of_a_checkpoint_is_found(stage, name):
    assert stage.complete() and set(stage.read()["files"]) == {"a.bin", "deep/b.bin"}
    path = stage.checkpoint / name
    good = path.read_bytes()
    for k in range(len(good)):
        path.write_bytes(good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :])
        with pytest.raises(HashMismatch, match="not what was written"):
            stage.read()
    path.unlink()
    with pytest.raises(HashMismatch, match="is missing"):
        stage.read()


@pytest.mark.parametrize("text", ["{}", "[]", '{"files": null}', "{"])
def test_a_stage_record_that_is_none_is_corrupt(stage, text):
    stage.record.write_text(text)
    with pytest.raises(Corrupt):
        stage.read()


def test_runs_are_listed_in_the_order_of_their_names(tmp_path):
    wanted = []
    for name in ("b/m/2", "a/n/1", "a/m/2", "a/m/1"):
        write_json(tmp_path / name / "run.json", {})
        wanted.append(tmp_path / name)
    write_json(tmp_path / "a" / "stages" / "x" / "stage.json", {})
    write_json(tmp_path / "a" / "stages" / "x" / "run.json", {})
    (tmp_path / "file").write_text("")
    assert [r.path for r in runs_of(tmp_path)] == sorted(wanted)
    assert [r.path for r in runs_of(tmp_path, "b")] == [tmp_path / "b" / "m" / "2"]
    assert not list(runs_of(tmp_path, "c")) and not list(runs_of(tmp_path / "nowhere"))
    shutil.rmtree(tmp_path / "a")
    assert json.dumps([r.path.name for r in runs_of(tmp_path)]) == '["2"]'
