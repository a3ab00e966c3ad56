"""`board check`: an entry is refused with the reason, by its own file and beside others."""

import json
from pathlib import Path

import pytest
from board_toys import CLIPS, RECOGNISER, make_run, plugins, rewrite
from click.testing import CliRunner

from vpbench.api.errors import Corrupt, MissingData
from vpbench.board.bundle import write_bundle
from vpbench.board.check import check_board, refusals
from vpbench.board.collect import predictions_hash
from vpbench.board.entry import read_entry
from vpbench.board.errata import read_errata, struck
from vpbench.cli.board_check import check
from vpbench.core.estimators import UNBIASED_U
from vpbench.core.hashing import digest


def errors(root, only=()):
    found = check_board(root, plugins(), only)
    texts = [p["what"] for row in found["entries"] for p in row["problems"]]
    assert found["ok"] == (not [t for t in texts if "warning" not in t])
    return texts


def test_an_entry_as_it_was_made_is_in_order(root, entry, with_actions):
    rewrite(Path(with_actions), _trained(["train/00"]))
    assert errors(root) == []


def score(body, metric):
    return next(s for s in body["runs"][0]["scores"] if s["metric"] == metric)


def _trained(clips):
    def change(body):
        (own,) = body["recognisers"]
        assert own["sha256"] == RECOGNISER
        own["train"] = clips

    return change


def fingerprint(name, **fields):
    """Another fingerprint that is consistent in itself."""

    def change(body):
        own = score(body, name)
        own["fingerprint"] |= fields
        own["fp8"] = digest(own["fingerprint"])[:8]

    return change


def field(*keys, value):
    *way, name = keys

    def change(body):
        for key in way:
            body = body[key]
        body[name] = value

    return change


def own(name, **fields):
    return lambda body: score(body, name).update(fields)


def without_clip(body):
    """The worst clip left out, and everything else made to fit."""
    gone = body["clips"].index("test/03")
    for part in (body["clips"], body["runs"][0]["clip_sha256"]):
        del part[gone]
    for one in body["runs"][0]["scores"]:
        del one["values"][gone]
        one["n"] -= 1
        if one["kind"] == "clip":
            one["value"] = sum(one["values"]) / len(one["values"])
    hashes = dict(zip(body["clips"], body["runs"][0]["clip_sha256"], strict=True))
    body["runs"][0]["predictions_sha256"] = predictions_hash(hashes)


def one_value_less(body):
    psnr = score(body, "psnr")
    psnr["values"] = psnr["values"][:-1]
    psnr["names"] = body["clips"][:-1]
    psnr["value"] = sum(psnr["values"]) / len(psnr["values"])


REFUSED = [
    (without_clip, "the split has 7 clips and the entry lists 6"),
    (one_value_less, "psnr over 4 frames: 1 clip has no value: test/06"),
    (own("psnr", n=6), "it is over 6 of 7 clips"),
    (own("psnr", value=30.0, ci95=[29.0, 31.0]), "the value is not the mean of the clips' values"),
    (own("fvd", value=1.0), "the corrected figure is not the value less its bias"),
    (own("psnr", se=0.001), "its standard error does not follow from the values of the clips"),
    (own("fvd", bias=0.0), "its bias does not follow from the values without each clip"),
    (own("psnr", ci95=[0.0, 1.0]), "the value lies outside its interval"),
    (own("psnr", fp8="00000000"), "fp8 does not follow from the fingerprint"),
    (fingerprint("psnr", version=9), "its fingerprint has version 9; psnr has version 2"),
    (fingerprint("psnr", n=6), "n in its fingerprint is not that of the task"),
    (fingerprint("psnr", split="x"), "split in its fingerprint is not that of the task"),
    (fingerprint("psnr", frames=3), "its fingerprint is of 3 frames"),
    (fingerprint("psnr", metric="ssim"), "its fingerprint is of the metric 'ssim'"),
    (fingerprint("fvd", features_weights="28a28b6c"), "pinned by '28a28b6c'; a whole sha256"),
    (fingerprint("fvd", features_weights="0" * 64), "not among those that the metric declares"),
    (own("psnr", metric="mine"), "the metric 'mine' is not installed"),
    (own("fvd", direction="up"), "fvd is of kind set and better down"),
    (field("task", "limit", value=3), "made with --limit 3"),
    (field("task", "split_sha256", value="0" * 64), "its split differs from that of the task"),
    (field("trust", "level", value="rerun"), "says rerun, and its verifications say self-reported"),
    (
        field("method", "weights", value={"vgg": "397923af"}),
        "weights vgg are pinned by 8 digits",
    ),
    (field("method", "name", value="Mine!"), "is not a method name"),
    (field("method", "kind", value="ceiling"), "a row of kind ceiling cannot be called mine"),
    (field("method", "name", value="real"), "a row of kind method cannot be called real"),
    (field("runs", 0, "predictions_sha256", value="0" * 64), "does not follow from the hashes"),
    (field("id", value="another"), "must be called another.json"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_what_an_entry_may_not_say_is_refused_with_the_reason(root, entry, change, reason):
    rewrite(entry[1], change)
    assert any(reason in text for text in errors(root)), errors(root)


@pytest.mark.parametrize(
    ("change", "fits"),
    [({}, True), ({"bias": None, "corrected": None}, True), ({"bias": 9.0}, False)],
)
def test_a_metric_without_bias_has_none_or_that_of_an_earlier_version(root, entry, change, fits):
    rewrite(entry[1], fingerprint("fvd", estimator=UNBIASED_U))
    rewrite(entry[1], own("fvd", **change))
    said = [text for text in errors(root) if "its bias does not follow" in text]
    assert (not said) == fits


@pytest.mark.parametrize(
    ("clips", "reason"),
    [
        (["train/00", "test/03"], "its recogniser was trained on 1 test clips: test/03"),
        (CLIPS, "trained on 7 test clips: test/00, test/01, test/02 and 4 more"),
        ([], "it does not say what its recogniser was trained on"),
    ],
)
def test_a_recogniser_may_not_have_seen_the_test_clips(root, with_actions, clips, reason):
    path = Path(with_actions)
    rewrite(path, _trained(clips))
    assert any(reason in text for text in errors(root, [path]))


def test_a_share_of_samples_is_one(root, with_actions):
    def change(body):
        body["recognisers"][0]["train"] = ["train/00"]
        actions = score(body, "action-2s")
        actions["values"][0] = 0.5
        actions["value"] = sum(actions["values"]) / 7

    rewrite(Path(with_actions), change)
    assert any("not a share of its samples" in text for text in errors(root))


def test_entries_stand_once_and_are_of_one_split(root, entry):
    made, path = entry
    body = json.loads(path.read_bytes())
    twin = path.with_name("twin.json")
    twin.write_bytes(path.read_bytes())
    rewrite(twin, field("id", value="twin"))
    texts = errors(root)
    assert f"one of its runs is also in {path.name}" in texts
    (root / "other").mkdir()
    (root / "other" / path.name).write_bytes(path.read_bytes())
    texts = errors(root)
    assert f"another file is called {made.id} too: one entry is one file" in texts
    assert "it belongs in the folder toys, not in other" in texts
    assert body["id"] == made.id


def test_a_fingerprint_of_its_own_is_said_to_differ(root, entry, with_actions):
    rewrite(Path(with_actions), _trained(["train/00"]))
    rewrite(entry[1], fingerprint("psnr", data_range=100))
    found = check_board(root, plugins())
    (text,) = [p["what"] for row in found["entries"] for p in row["problems"]]
    assert found["ok"] and "psnr differs from other entries of the task: data_range" in text


RECALL = """
[[recalled]]
what = "{}"
name = "{}"
{}
date = "2026-11-26"
reason = "it counts the first frame"
"""


@pytest.mark.parametrize(
    ("what", "name", "more", "hit"),
    [
        ("metric", "psnr", "versions = [2]", {"psnr"}),
        ("metric", "psnr", "versions = [1]", set()),
        ("metric", "fvd", "", {"fvd"}),
        ("method", "mine", "", {"fvd", "psnr"}),
        ("method", "mine", 'versions = [1]\nmetrics = ["fvd"]', {"fvd"}),
        (
            "weights",
            "28a28b6c4517d78fd3cf357ab5766707013bece36719f7fe2cc6888e5753d228",
            "",
            {"fvd"},
        ),
        ("entry", "{id}", "", {"fvd", "psnr"}),
        ("entry", "other", "", set()),
    ],
)
def test_what_is_recalled_is_refused_and_struck(root, entry, what, name, more, hit):
    made, _ = entry
    path = root / "errata.toml"
    path.write_text(RECALL.format(what, name.format(id=made.id), more))
    wanted = {f"{m} was recalled on 2026-11-26: it counts the first frame" for m in hit}
    assert set(errors(root)) == wanted
    assert {metric for metric, _, _ in struck(made, read_errata(path))} == hit
    assert set(refusals(made, root, plugins())) == wanted


@pytest.mark.parametrize("text", ["[[recalled]]\nwhat = 'x'", "recalled = 3", "[[", "other = 1"])
def test_an_errata_file_with_a_fault_says_so(root, entry, text):
    (root / "errata.toml").write_text(text)
    with pytest.raises(Corrupt, match=r"errata\.toml"):
        errors(root)


def test_the_command_says_what_is_wrong_and_prints_no_escape(root, entry):
    _, path = entry
    rewrite(path, field("notes", value=["\x1b]0;owned\x07"]))
    done = CliRunner().invoke(check, ["--board", str(root)], standalone_mode=False)
    assert done.return_value == 4 and "1 entry, 1 refused" in done.output
    assert "control character U+001B" in done.output and "\x1b" not in done.output
    told = CliRunner().invoke(check, ["--board", str(root), "--json"], standalone_mode=False)
    (row,) = json.loads(told.output)["entries"]
    assert (row["ok"], row["id"], row["path"]) == (False, None, f"toys/{path.name}")


def test_hashes_are_compared_where_the_bundle_lies_beside(root, entry, run, tmp_path):
    made, path = entry
    beside = path.with_suffix(".vpb")
    write_bundle([run], beside)
    assert errors(root) == []

    def other_frames(body):
        hashes = body["runs"][0]["clip_sha256"]
        hashes[2], hashes[5] = hashes[5], hashes[2]
        own = dict(zip(body["clips"], hashes, strict=True))
        body["runs"][0]["predictions_sha256"] = predictions_hash(own)

    rewrite(path, other_frames)
    assert errors(root) == ["other frames in 2 clips, the first test/02"]
    write_bundle([make_run(tmp_path / "more", seed=5)], beside)
    (text,) = errors(root)
    assert f"no run with the manifest {made.runs[0].manifest_sha256[:8]}" in text
    beside.write_bytes(beside.read_bytes()[:-9])
    assert "not a bundle" in errors(root)[0]
    beside.rename(tmp_path / beside.name)
    assert errors(root) == []
    found = check_board(root, plugins(), bundles=tmp_path)
    assert not found["ok"]


def test_without_an_entry_it_is_missing(root, entry):
    _, path = entry
    path.unlink()
    with pytest.raises(MissingData, match="no entries in"):
        errors(root)
    done = CliRunner().invoke(check, [str(path), "--board", str(root)], standalone_mode=False)
    assert isinstance(done.exception, MissingData)


def test_an_entry_with_a_warning_is_in_order(root, entry):
    _, path = entry
    (root / "tasks.toml").unlink()
    rewrite(path, field("method", "dirty", value=True))
    found = check_board(root, plugins())
    assert found["ok"] and [p["level"] for p in found["entries"][0]["problems"]] == ["warning"] * 2
    assert read_entry(path).method.dirty
