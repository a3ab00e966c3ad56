"""Entries: same runs, same bytes; tables say the same; every fault has a sentence."""

import json
import math
from dataclasses import replace

import pytest
from board_toys import CLIPS, make_run, paths, plugins, recognised, rewrite, run_of, score, scores

from vpbench.api.errors import Corrupt, HashMismatch, Incomparable, MissingData
from vpbench.board.collect import About, make_entry
from vpbench.board.entry import entry_bytes, parse_entry, read_entry
from vpbench.board.rows import named_apart, runs_of_entry
from vpbench.board.shown_rows import shown_rows
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import Paths
from vpbench.harness.results.compare import compare


def test_the_same_runs_give_the_same_bytes_and_they_are_read_back(tmp_path, entry, run):
    made, path = entry
    again = make_entry([run_of(run)], plugins(), paths(tmp_path))
    assert entry_bytes(again) == path.read_bytes()
    assert read_entry(path) == made and path.name == f"{made.id}.json"
    assert made.runs[0].hardware.cores == 2 and b"secret" not in path.read_bytes()
    assert made.method.tier == "original" and made.trust.level == "self-reported"


def test_a_table_of_entries_is_the_table_of_their_runs(tmp_path):
    """Paired differences, intervals and recognised classes included."""
    runs = tmp_path / "runs"
    seen = recognised([True, True, False, True, False, True, True])
    folders = [make_run(runs, "mine", seed, own=[*scores(seed), seen]) for seed in (0, 1)]
    folders.append(make_run(runs, "theirs", 2))
    stored = [run_of(folder) for folder in folders]
    entries = [make_entry(group, plugins(), paths(tmp_path)) for group in (stored[:2], stored[2:])]
    read = [parse_entry(entry_bytes(e), tmp_path) for e in entries]
    nowhere = Paths(tmp_path / "nothing", tmp_path / "home", True)

    def table(more):
        return compare([], RunOptions(), plugins(), nowhere, more=more).groups

    there, here = table(stored), table([r for e in read for r in runs_of_entry(e)])
    for group in (*there, *here):
        for row in group["rows"]:
            row["notes"] = [n for n in row["notes"] if "entry" not in n and "code" not in n]
            row["doubts"] = []
    assert [r["method"] for r in here[0]["rows"]] == ["mine", "theirs"]
    assert here[0]["rows"][0]["seeds"] == [0, 1]
    assert here[0]["recognition"]["action-2s"]["rows"][0]["confusion"] == [[4, 4], [0, 6]]
    assert here == there


def test_runs_that_differ_in_more_than_seeds_are_no_entry(tmp_path):
    one = run_of(make_run(tmp_path / "runs"))
    other = run_of(make_run(tmp_path / "runs", uses=[], samples=3, seed=1, own=[]))
    with pytest.raises(Incomparable, match="differ in more than their seeds"):
        make_entry([one, other], plugins(), paths(tmp_path))
    with pytest.raises(Incomparable, match="same seeds"):
        make_entry([one, one], plugins(), paths(tmp_path))
    bare = run_of(make_run(tmp_path / "runs", seed=4, own=[]))
    with pytest.raises(MissingData, match="has no scores"):
        make_entry([bare], plugins(), paths(tmp_path))


def test_the_seal_finds_every_changed_byte(entry):
    _, path = entry
    data = path.read_bytes()
    for k in range(0, len(data), 97):
        path.write_bytes(data[:k] + bytes([data[k] ^ 1]) + data[k + 1 :])
        with pytest.raises(Corrupt):
            read_entry(path)
    path.write_bytes(data.replace(b'"n": 7', b'"n": 8', 1))
    with pytest.raises(HashMismatch, match="sha256 does not match"):
        read_entry(path)


def _set(*keys):
    """A change of one field: the last is the value."""
    *way, name, value = keys

    def change(body):
        for key in way:
            body = body[key]
        body[name] = value

    return change


def _drop(*keys):
    *way, name = keys

    def change(body):
        for key in way:
            body = body[key]
        del body[name]

    return change


PSNR = ("runs", 0, "scores", 1)
FAULTS = [
    (_set("schema", "vpbench.entry/2"), r"schema 'vpbench.entry/2'"),
    (_set("extra", 1), "extra is not a field"),
    (_drop("task", "size"), "task.size is missing"),
    (_set("task", "size", "64"), "task.size must be a whole number, not '64'"),
    (_set("task", "size", True), "task.size must be a whole number, not True"),
    (_set(*PSNR, "value", "20"), r"runs\[0\].scores\[1\].value must be a number, not '20'"),
    (_set(*PSNR, "kind", "sets"), "must be one of clip, set"),
    (_set(*PSNR, "ci95", [1.0]), "must hold 2 values"),
    (_set("runs", 0, "seed", None), "must be a whole number, not null"),
    (_set("runs", {}), "runs must be a list"),
    (_set("runs", []), "it holds no run"),
    (_set("id", "../up"), "is not a file name"),
    (_set("task", "id", ".."), "is not a file name"),
    (_set("method", "name", "a\x1b[2Jb"), r"control character U\+001B"),
    (_set("notes", ["left \u202e right"]), r"U\+202E, which changes the order"),
    (_set("created", "yesterday"), "is not a time"),
    (_set("clips", [*CLIPS[1:], CLIPS[0]]), "clips must be sorted"),
    (_set("clips", CLIPS[1:]), "hashes of 7 of 6 clips"),
    (_set("runs", 0, "manifest_sha256", "abc"), "64 hex digits"),
    (_set(*PSNR, "values", [1.0]), "1 values for 7 clips"),
    (_set("labels", [5] * 7), "outside the 0 classes"),
    (_set("runs", 0, "scores", [{}]), r"scores\[0\]\.aggregate is missing"),
]


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_what_does_not_fit_the_schema_is_refused_with_its_place(entry, change, reason):
    _, path = entry
    rewrite(path, change)
    with pytest.raises(Corrupt, match=reason) as error:
        read_entry(path)
    assert "\x1b" not in str(error.value) and str(error.value).count("\n") == 0


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"1e999", b"-1e999"])
def test_numbers_that_are_not_finite_are_refused(entry, word):
    _, path = entry
    data = path.read_bytes()
    value = json.loads(data)["runs"][0]["predict_seconds"]
    bad = data.replace(f'"predict_seconds": {value}'.encode(), b'"predict_seconds": ' + word)
    assert bad != data
    path.write_bytes(bad)
    with pytest.raises(Corrupt, match=r"not JSON|not a finite number"):
        read_entry(path)


@pytest.mark.parametrize("data", [b"[" * 100_000, b"\xff\xfe", b"", b"null", b'{"a": 1'])
def test_files_that_are_no_json_are_refused_in_one_sentence(entry, data):
    _, path = entry
    path.write_bytes(data)
    with pytest.raises(Corrupt) as error:
        read_entry(path)
    assert path.name in str(error.value)


def test_texts_of_strangers_stay_texts(tmp_path, root, run):
    notes = ("<script>alert(1)</script>", "=cmd()", "a\x1b[31mb", "動き & \"q\" 'x'", "x\u202ey")
    made = make_entry([run_of(run)], plugins(), paths(tmp_path), About(notes=notes, by="Zoë"))
    read = parse_entry(entry_bytes(made), root)
    assert read.notes == (*notes[:2], "a\\x1b[31mb", notes[3], "x\\u202ey")
    assert read.trust.sampled_by == "Zoë"
    with pytest.raises(Corrupt, match="control character"):
        make_entry([run_of(run)], plugins(), paths(tmp_path), About(by="a\x07"))


def test_two_sources_that_say_something_else_have_two_names(tmp_path, entry):
    made, _ = entry
    (one,) = runs_of_entry(made)
    changed = replace(made.runs[0], manifest_sha256="0" * 64)
    (other,) = runs_of_entry(replace(made, runs=(changed,)))
    named = named_apart([one, one, other], ["a.json", "b.json", "c.json"])
    assert [r.inputs["method"] for r in named] == ["mine", "mine (c.json)"]


def test_an_entry_stands_beside_a_run_of_the_same_name(tmp_path, run, entry):
    """One row where both are the same run, two where they are not; references are replaced."""
    made, _ = entry
    (own,) = runs_of_entry(made)
    other = replace(own, manifest={**own.manifest, "sha256": "0" * 64})
    where = paths(tmp_path)

    def rows(names, *more):
        refs = [MethodRef.parse(name) for name in names]
        found = compare(refs, RunOptions(references=False), plugins(), where, more=more)
        return [row["method"] for row in found.groups[0]["rows"]]

    assert rows(["mine"], own) == ["mine"]
    assert rows(["mine"], other) == ["mine", f"mine ({made.id})"]
    assert rows([], other) == ["mine"]
    assert rows(["seen"], other) == ["seen", "mine"]
    assert run.path.is_dir()


def test_runs_of_other_sample_counts_are_rows_of_their_own_with_their_own_runs(tmp_path):
    where = [make_run(tmp_path / "runs", "mine", k, samples=s) for k, s in enumerate((1, 4, 4))]
    found = compare([], RunOptions(), plugins(), paths(tmp_path))
    rows = shown_rows(found.groups[0]["rows"], found.behind(found.groups[0]))
    assert [(row.title, row.row["samples"], row.row["seeds"]) for row in rows] == [
        ("mine (1 sample)", 1, [0]),
        ("mine (4 samples)", 4, [1, 2]),
    ]
    assert [[run.folder.path for run in row.runs] for row in rows] == [
        [where[0].path],
        [where[1].path, where[2].path],
    ]


def test_values_of_subsets_and_without_errors_come_back(tmp_path):
    part = score("psnr", [20.0] * 7, version=2, prints={"subset": "long", "n": 2})
    own = {k: part["per_clip"][k] for k in CLIPS[:2]}
    subset = {"name": "long", "n": 2, "hash": "h", "shown": True}
    part |= {"per_clip": own, "n": 2, "subset": subset, "se": None, "ci95": None}
    run = run_of(make_run(tmp_path / "runs", own=[*scores(), part]))
    (back,) = runs_of_entry(make_entry([run], plugins(), paths(tmp_path)))
    found = back.subsets["long"]["psnr", 4]
    assert found["per_clip"] == own and found["subset"] == subset and found["se"] is None
    assert back.scores["psnr", 4]["clusters"] == run.scores["psnr", 4]["clusters"]
    assert math.isclose(back.scores["fvd", 4]["corrected"], run.scores["fvd", 4]["corrected"])
