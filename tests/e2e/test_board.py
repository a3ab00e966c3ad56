"""From a finished run to a verified entry, as two people on two machines do it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.helpers import folder, vpbench
from vpbench.core.files import stored_bytes
from vpbench.core.hashing import stored_digest
from vpbench.core.plan import REFERENCES

pytestmark = pytest.mark.e2e


@pytest.fixture
def away(tmp_path):
    """Another machine: other folders for runs, cache and settings."""
    place = tmp_path / "away"
    place.mkdir()
    env = {"VPBENCH_HOME": str(place / "home"), "VPBENCH_RUNS": str(place / "runs")}

    def command(*words):
        return vpbench(*words, cwd=place, env=env)

    return place, command


def packed(finished):
    done = vpbench("pack", "noise", "--out", "noise.vpb", "--json", cwd=finished)
    assert done.code == 0, done.err
    return Path(finished / done.json()["path"]), done.json()["sha256"]


def added(command, bundle):
    done = command("board", "add", bundle, "--by", "Zoë <script>", "--json")
    assert done.code == 0, done.err
    (row,) = done.json()["entries"]
    return row["path"]


def test_a_packed_run_gives_the_same_table_elsewhere(finished, away):
    place, command = away
    here = vpbench("compare", "noise", "--no-references", "--json", cwd=finished).json()
    bundle, sha = packed(finished)
    shutil.copytree(finished / "runs", finished / "copy")
    again = vpbench("pack", "noise", "--runs", "copy", "--out", "b.vpb", "--json", cwd=finished)
    assert again.json()["sha256"] == sha
    shutil.move(bundle, place / "a.vpb")
    assert command("compare", "a.vpb", "--no-references", "--json").json() == here
    assert command("import", "a.vpb").code == 0
    assert command("compare", "noise", "--no-references", "--json").json() == here
    entry = added(command, "a.vpb")
    rows = command("compare", entry, "--no-references", "--json", "--runs", "none").json()
    for group in (*rows["groups"], *here["groups"]):
        group["task"].pop("dataset")  # the folder's name is all that an entry says of its place
        group["rows"][0]["notes"] = []
    assert rows == here


def test_an_entry_is_checked_verified_and_found_out(finished, away):
    place, command = away
    bundle, _ = packed(finished)
    entry = place / added(command, bundle)
    checked = command("board", "check", "--json")
    assert checked.code == 0 and checked.json()["ok"], checked.out
    alone = command("board", "verify", entry)
    assert alone.code == 5 and "not verifiable" in alone.err
    same = command("board", "verify", entry, "--bundle", bundle, "--write", "--by", "B. Reader")
    assert same.code == 0, same.out + same.err
    assert "rescored; written into the entry" in same.out and "DIFFERS" not in same.out
    body = json.loads(entry.read_bytes())
    assert body["trust"]["level"] == "rescored"
    assert body["trust"]["verifications"][0]["largest"] == {"psnr": 0, "ssim": 0}
    assert command("board", "check").code == 0
    assert "as it was" in command("board", "add", bundle, "--by", "Zoë <script>").out

    body.pop("sha256")
    for score in body["runs"][0]["scores"]:
        if score["metric"] == "psnr":  # better than it is, and consistent in itself
            score["values"] = [value + 1 for value in score["values"]]
            score["value"] += 1
            score["ci95"] = None
    entry.write_bytes(stored_bytes({**body, "sha256": stored_digest(body)}))
    assert command("board", "check").code == 0  # nothing in it contradicts itself
    lie = command("board", "verify", entry, "--bundle", bundle, "--json")
    assert lie.code == 4 and lie.json()["level"] is None
    wrong = {r["metric"]: round(r["difference"], 9) for r in lie.json()["scores"] if not r["ok"]}
    assert wrong == {"psnr": -1.0}

    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(bytes(data))
    assert command("board", "verify", entry, "--bundle", bundle).code == 4


def test_a_run_of_somebody_else_verifies_as_rerun(finished, finished_clips, away):
    place, command = away
    bundle, _ = packed(finished)
    entry = added(command, bundle)
    words = ("--dataset", folder(finished_clips), "--no-references")
    assert command("run", "noise", *words).code == 0
    (own,) = place.glob("runs/*/noise/*")
    found = command("board", "verify", entry, "--run", own, "--json")
    assert found.code == 0 and found.json()["level"] == "rerun", found.out + found.err
    other = command("run", "noise", *words, "--seeds", "1")
    assert other.code == 0
    (foreign,) = (p for p in place.glob("runs/*/noise/*") if p != own)
    assert command("board", "verify", entry, "--run", foreign).code == 5


def test_a_run_whose_code_is_not_known_is_neither_packed_nor_entered(finished):
    for table in finished.glob("runs/*/noise/*/code/*.json"):
        table.unlink()
    for verb in (("pack",), ("board", "add")):
        refused = vpbench(*verb, "noise", cwd=finished)
        assert refused.code == 4 and "is not recorded" in refused.err
    assert not (finished / "leaderboards").exists() and not list(finished.glob("*.vpb"))


def test_wrong_commands_say_what_is_wrong(finished):
    for words, code, text in [
        (("board", "add"), 2, "or give --all"),
        (("board", "add", "noise", "--all"), 2, "or give --all"),
        (("board", "add", "--all", "--id", "x"), 2, "--id names one entry"),
        (("board", "add", "noize"), 2, "unknown method 'noize'. Did you mean noise?"),
        (("board", "add", "linear"), 5, "no finished run of 'linear'"),
        (("board", "check"), 5, "no entries in"),
        (("board", "verify", "x.json"), 5, "no entry x.json"),
        (("board", "verify", "x.json", "--write"), 2, "--write needs --by"),
        (("compare", "x.vpb"), 5, "no file x.vpb"),
        (("pack", "x.json"), 2, "is not a run"),
        (("pack", "linear[b=off]"), 5, "vpbench run 'linear[b=off]' --dataset D"),
        (("score", "linear[b=off]"), 5, "vpbench run 'linear[b=off]' --dataset D"),
        (("report", "noise", "--dataset", "puppets"), 5, "vpbench run noise --dataset puppets"),
        (("compare", "noise", "--metrics", "pnsr"), 2, "unknown metric 'pnsr'. Did you mean psnr"),
        (("compare", "noise", "--metrics", "psnr,study"), 5, "No row has study."),
        (("compare", "noise", "--metrics", "motion"), 5, "vpbench score noise --metrics motion"),
    ]:
        done = vpbench(*words, cwd=finished)
        assert (done.code, text in done.err) == (code, True), (words, done.err)


def test_the_entries_of_this_repository_are_in_order(tmp_path):
    root = Path(__file__).parents[2] / "leaderboards"
    checked = vpbench("board", "check", "--board", root, "--json", cwd=tmp_path)
    assert checked.code == 0, checked.out
    ids = {row["id"].rpartition("-")[0] for row in checked.json()["entries"]}
    assert ids >= {"ours", "ours+label-off", "villegas", "wichers", "li", *REFERENCES}
    words = ("--runs", tmp_path / "runs", "--task", "puppets", "--json")
    files = sorted(map(str, root.glob("puppets/*.json")))
    table = vpbench("compare", *files, *words, cwd=tmp_path).json()
    (group,) = (g for g in table["groups"] if g["frames"] == 16)
    assert len(group["rows"]) == len(files) and not any("#" in m for m in group["metrics"])
