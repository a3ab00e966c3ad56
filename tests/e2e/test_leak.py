"""No prediction may depend on the future, and the probe must notice when one does."""

import pytest

from tests.e2e.helpers import PLUGINS, TINY, folder, vpbench
from vpbench.api import Refused
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.paths import user_paths
from vpbench.core.plan import make_plan
from vpbench.core.registry import build
from vpbench.harness.inputs.task_data import TaskRef, open_task_data
from vpbench.harness.prediction.seal import leak_probe

CHEATS = str(PLUGINS / "cheats.py")


def probe(name, clips, tmp_path, monkeypatch):
    monkeypatch.setenv("CHEAT_CLIPS", str(tmp_path / "scratch" / "clips"))
    registry = build([CHEATS, TINY])
    task_data = open_task_data(
        TaskRef(dataset=folder(clips)), registry, user_paths(tmp_path / "runs")
    )
    plan = make_plan(
        [MethodRef.parse(name)],
        RunOptions(references=False),
        task_data.task,
        registry,
        tmp_path / "runs",
    )
    if not plan.runs:
        raise Refused(f"{name}: {'; '.join(plan.refused[0].reasons)}")
    return leak_probe(plan.runs[0], task_data, registry, tmp_path / "scratch")


@pytest.mark.parametrize("name", ["copy-last", "blur-copy", "noise", "honest"])
def test_honest_methods_do_not_change_with_the_future(name, clips, tmp_path, monkeypatch):
    report = probe(name, clips, tmp_path, monkeypatch)
    assert report.clips == () and not report.leaks


def test_a_learned_method_does_not_change_with_the_future(finished, finished_clips, monkeypatch):
    assert not probe("tiny", finished_clips, finished, monkeypatch).leaks


@pytest.mark.parametrize("name", ["cheat-reader", "cheat-walker"])
def test_cheats_are_caught_with_the_clips_named(name, clips, tmp_path, monkeypatch):
    report = probe(name, clips, tmp_path, monkeypatch)
    assert report.leaks and len(report.clips) == 6


@pytest.mark.parametrize("name", ["peek", "real"])
def test_oracles_are_exempt_and_say_so(name, clips, tmp_path, monkeypatch):
    report = probe(name, clips, tmp_path, monkeypatch)
    assert report.exempt and report.clips and not report.leaks


@pytest.mark.e2e
def test_oracles_are_marked_in_tables(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": CHEATS}
    done = vpbench("run", "peek", "--dataset", folder(clips), cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    rows = vpbench("compare", "peek", "honest", "--json", cwd=tmp_path, env=env).json()
    row = rows["groups"][0]["rows"][0]
    assert row["kind"] == "oracle" and row["notes"] == ["oracle: sees the true future"]
    assert all(s["rank"] is None for s in row["scores"].values())


def first_row(tmp_path, name, clips, env):
    """The row of a method after `run`, and the result of that."""
    words = ("--dataset", folder(clips), "--metrics", "psnr")
    done = vpbench("run", name, *words, cwd=tmp_path, env=env)
    rows = vpbench("compare", name, "--json", cwd=tmp_path, env=env).json()
    return done, rows["groups"][0]["rows"][0]


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["cheat-walker", "cheat-cache"])
def test_run_fails_a_method_that_sees_the_future(name, clips, tmp_path):
    env = {"VPBENCH_PLUGINS": CHEATS}
    words = ("--dataset", folder(clips), "--metrics", "psnr", "--no-references")
    done = vpbench("run", name, "honest", *words, cwd=tmp_path, env=env)
    assert done.code == 1 and f"{name} sees the future: its predictions of " in done.err
    rows = vpbench("compare", name, "honest", "--json", cwd=tmp_path, env=env).json()
    cheat, honest = rows["groups"][0]["rows"][:2]
    assert cheat["scores"]["psnr"]["value"] is None
    assert "sees the future" in cheat["scores"]["psnr"]["reason"]
    assert honest["scores"]["psnr"]["value"] and honest["notes"] == []


@pytest.mark.e2e
def test_what_no_probe_sees_is_implausible(clips, tmp_path):
    env = {"VPBENCH_PLUGINS": CHEATS, "CHEAT_CLIPS": str(clips)}
    done, row = first_row(tmp_path, "cheat-reader", clips, env)
    assert done.code == 0, done.err
    assert row["not_comparable"] == ["implausible: check for leaks"]
    assert row["scores"]["psnr"]["rank"] is None
    _, honest = first_row(tmp_path, "honest", clips, env)
    assert honest["not_comparable"] == [] and honest["notes"] == []


@pytest.mark.e2e
def test_a_method_that_gives_something_else_every_time_is_no_cheat(clips, tmp_path):
    done, row = first_row(tmp_path, "moody", clips, {"VPBENCH_PLUGINS": CHEATS})
    assert done.code == 0, done.err
    assert row["notes"] == ["not reproducible: predicting a shard again gave other frames"]


def test_conditioning_is_read_only_and_ids_are_opaque(clips, tmp_path):
    registry = build([CHEATS])
    task_data = open_task_data(
        TaskRef(dataset=folder(clips)), registry, user_paths(tmp_path / "runs")
    )
    from vpbench.core.names import MethodRef
    from vpbench.core.resolve import resolve

    given = task_data.conditioning(
        task_data.task.test[:2], resolve(MethodRef("honest", {}), registry, 16)
    )
    with pytest.raises(ValueError, match="read-only"):
        given.frames[0, 0, 0, 0, 0] = 1
    assert given.label is None  # the method does not ask for it
    names = [item.id for item in task_data.task.test[:2]]
    assert all(n not in c and "/" not in c for n, c in zip(names, given.clip, strict=True))
    assert not hasattr(given, "future")
