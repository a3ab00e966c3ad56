"""May an old result be used again? Whatever has changed since."""

import json
import shutil
from dataclasses import replace

import pytest

from vpbench.api import Corrupt, HashMismatch
from vpbench.core.code import code_table, digest_cache, roots_of
from vpbench.core.rundir import write_sealed
from vpbench.harness.results.run_state import (
    UNRECORDED,
    accept_code,
    changed_code,
    inspect_run,
    other_environment,
    read_accepted,
)


def state(bench, method="mine"):
    return inspect_run(bench.one(method), bench.task_data().task, bench.paths)


def tables(folder):
    return [row["code"] for row in folder.read_manifest()["shards"]]


def test_a_run_is_new_then_finished_and_stays_so(bench):
    assert state(bench).status == "new"
    result, kinds, _ = bench.run()
    assert result.status == "ok" and set(kinds) == {"predict", "leak-probe", "score"}
    assert state(bench).status == "finished"
    assert bench.run()[1] == []


def test_words_change_nothing_and_code_is_probed(bench):
    bench.run()
    bench.edit("+ self.more", "+ self.more  # brighter")
    assert state(bench).status == "finished"
    bench.edit("+ self.more", "+ self.more * 1")
    found = state(bench)
    assert (found.status, found.modules) == ("changed", (f"file:{bench.plugin}",))


def test_an_equal_probe_is_remembered_and_asked_for_no_more(bench):
    bench.run()
    bench.edit("+ self.more", "+ self.more * 1")
    result, kinds, notes = bench.run()
    assert result.status == "ok" and "predict" not in kinds and kinds[0] == "probe"
    assert "code of mine_toy.py changed; 1 shard predicted again, equal" in notes
    assert state(bench).status == "finished" and bench.run()[1] == []
    bench.edit("+ self.more * 1", "+ self.more")  # as it was made
    assert state(bench).status == "finished"
    bench.edit("+ self.more", "+ self.more * 2")
    assert state(bench).status == "changed"


def test_modules_that_came_with_the_accepted_code_count_from_then_on(bench):
    bench.run()
    helper = bench.plugin.with_name("mine_toy_helper.py")
    helper.write_text("MORE = 0\n")
    bench.edit("+ self.more", "+ self.more + MORE")
    bench.edit(
        "import numpy as np\n",
        "import sys\nimport numpy as np\nsys.path.insert(0, str(Path(__file__).parent))\n"
        "sys.modules.pop('mine_toy_helper', None)\nfrom mine_toy_helper import MORE\n",
    )
    assert bench.run()[1][0] == "probe" and state(bench).status == "finished"
    helper.write_text("MORE = 40\n")
    assert state(bench).modules == (f"file:{bench.plugin.with_name('mine_toy_helper.py')}",)
    _, kinds, notes = bench.run()
    assert "predict" in kinds and any("differ by" in note for note in notes)


def test_a_probe_that_differs_retires_the_run(bench):
    before = bench.run()[0].run.folder
    old = before.read_manifest()["sha256"]
    bench.edit("+ self.more", "+ self.more + 9")
    result, kinds, notes = bench.run()
    assert result.status == "ok" and kinds[0] == "probe" and "predict" in kinds
    assert before.read_manifest()["sha256"] != old and state(bench).status == "finished"
    (kept,) = before.path.parent.glob("*.retired-*")
    assert any("1 shard predicted again, differ by" in n and str(kept) in n for n in notes)
    assert json.loads((kept / "predictions" / "MANIFEST.json").read_text())["sha256"] == old


@pytest.mark.parametrize("change", ["edited", "lost", "new"])
def test_data_files_beside_a_plugin_that_change_make_a_run_stale(bench, change):
    bench.run()
    path = bench.data if change != "new" else bench.data.with_name("other.bin")
    if change == "lost":
        path.unlink()
    else:
        path.write_text("4")
    found = state(bench)
    assert (found.status, found.reason) == ("stale", f"{path.name} changed")


def test_a_stale_run_is_kept_and_made_anew_without_a_probe(bench):
    bench.run()
    bench.data.write_text("30")
    result, kinds, notes = bench.run()
    assert result.status == "ok" and "probe" not in kinds and "predict" in kinds
    assert any(note.startswith("more.txt changed: predicted and scored again") for note in notes)
    assert state(bench).status == "finished"


def interrupt(bench):
    """A run of which one of two shards is there."""
    run = bench.run()[0].run
    shutil.rmtree(run.folder.scores)
    run.folder.manifest.unlink()
    run.folder.shard(1).unlink()
    run.folder.shard(1).with_suffix(".json").unlink()
    return run


def test_an_interrupted_run_goes_on(bench):
    run = interrupt(bench)
    assert state(bench).status == "partial"
    first = run.folder.shard(0).stat().st_mtime_ns
    assert bench.run()[1].count("predict") == 1
    assert run.folder.shard(0).stat().st_mtime_ns == first
    assert state(bench).status == "finished"


def test_an_interrupted_run_with_no_shard_goes_on(bench):
    run = interrupt(bench)
    run.folder.shard(0).with_suffix(".json").unlink()
    bench.edit("+ self.more", "+ self.more * 1")
    assert state(bench).status == "partial"


def test_an_interrupted_run_does_not_go_on_with_other_code_or_files(bench):
    interrupt(bench)
    bench.edit("+ self.more", "+ self.more * 1")
    found = state(bench)
    assert found.status == "stale" and found.reason == "code changed while it was interrupted"
    bench.edit("+ self.more * 1", "+ self.more")
    bench.data.write_text("4")
    found = state(bench)
    assert found.status == "stale"
    assert found.reason == "more.txt changed while it was interrupted"


def test_a_table_that_is_not_there_is_code_nobody_knows(bench):
    """It is probed, and known from then on."""
    folder = bench.run()[0].run.folder
    shutil.rmtree(folder.code)
    found = state(bench)
    assert (found.status, found.modules) == ("changed", (UNRECORDED,))
    assert bench.run()[1][0] == "probe"
    assert state(bench).status == "finished" and "probe" not in bench.run()[1]


def test_other_clips_make_another_run(bench):
    key = bench.run()[0].run.key
    (path,) = bench.clips.glob("test/right/clip00.npz")
    shutil.copy(bench.clips / "test" / "right" / "clip02.npz", path)
    assert bench.one().key != key and state(bench).status == "new"


@pytest.mark.parametrize("name", ["run.json", "00000.npz", "00000.json", "MANIFEST.json"])
def test_a_damaged_file_is_named(bench, name):
    """Wherever a bit flips: JSON that no longer parses is as damaged as a wrong hash."""
    folder = bench.run()[0].run.folder
    (path,) = folder.path.rglob(name)
    whole = path.read_bytes()
    for at in range(1, len(whole), max(1, len(whole) // 16)):
        data = bytearray(whole)
        data[at] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(Corrupt, match=name.replace(".", r"\.")):
            state(bench)


@pytest.mark.parametrize("name", ["run.json", "00000.json", "MANIFEST.json"])
def test_a_changed_digit_is_a_wrong_hash(bench, name):
    folder = bench.run()[0].run.folder
    (path,) = folder.path.rglob(name)
    text = path.read_text()
    at = next(i for i, c in enumerate(text) if c.isdigit() and text[i - 1] in '" ')
    path.write_text(text[:at] + str((int(text[at]) + 1) % 9 + 1) + text[at + 1 :])
    with pytest.raises(HashMismatch, match=name.replace(".", r"\.")):
        state(bench)


def now(run, bench):
    return code_table(roots_of(run.method.factories), digest_cache(bench.paths.cache))


def test_what_is_accepted_is_sealed_and_bound_to_its_run(bench):
    run = bench.run()[0].run
    folder = run.folder
    assert read_accepted(folder)["predictions"] == {}
    table = {**now(run, bench), "modules": {"vpbench.core.code": "other"}}
    accept_code(folder, tables(folder), "predictions", table)
    accept_code(folder, tables(folder), "predictions", table)
    (name,) = set(tables(folder))
    assert len(read_accepted(folder)["predictions"][name]) == 1
    other = bench.run("mine", again=True)[0].run.folder
    assert read_accepted(other)["predictions"] == {}  # a new run begins anew
    folder.accepted.write_text(folder.accepted.read_text() if folder.accepted.exists() else "{}")
    with pytest.raises(HashMismatch):
        read_accepted(folder)


def test_each_table_of_a_run_counts(bench):
    run = bench.run()[0].run
    folder = run.folder
    own = tables(folder)[0]
    other = folder.write_code({"modules": {"vpbench.core.code": "0"}, "environment": {}})
    assert changed_code(folder, [own], "predictions", bench.paths) == []
    assert changed_code(folder, [own, other], "predictions", bench.paths) == ["vpbench.core.code"]
    accept_code(folder, [other], "scores", now(run, bench))
    assert changed_code(folder, [other], "scores", bench.paths) == []
    assert changed_code(folder, [other], "predictions", bench.paths) == ["vpbench.core.code"]


def test_another_environment(bench):
    run = bench.run()[0].run
    table = run.folder.read_code(tables(run.folder)[0])
    here = table["environment"]

    def elsewhere(**changes):
        environment = {**here, **changes}
        return other_environment(
            run.folder, tables(run.folder), {**table, "environment": environment}
        )

    assert not elsewhere()
    assert elsewhere(python="3.99.0") and elsewhere(processor="another")
    packages = dict(here["packages"])
    assert elsewhere(packages={**packages, "numpy": "0.1"})
    assert not elsewhere(packages={**packages, "more": "1.0"})  # loaded by one of them only
    assert other_environment(run.folder, ["0" * 16], table)


@pytest.mark.parametrize("field", ["class_names", "joint_names"])
def test_other_names_of_classes_and_joints_are_another_run(bench, field):
    """Methods are told them; a record of an earlier version does not say what they were."""
    result, *_ = bench.run()
    run, task = result.run, bench.task_data().task
    renamed = replace(task, info=replace(task.info, **{field: ("some", "others")}))
    assert (run.inputs(task) | {"names": renamed.names}) == run.inputs(renamed)
    assert inspect_run(run, task, bench.paths).status == "finished"
    found = inspect_run(run, renamed, bench.paths)
    assert found.status == "stale" and field.partition("_")[0] in found.reason
    record = run.folder.read_record()
    del record["inputs"]["names"]
    write_sealed(run.folder.record, record)
    assert inspect_run(run, renamed, bench.paths).status == "finished"
