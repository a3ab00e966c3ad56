"""`import vpbench`: the functions give what the commands give, in scripts and notebooks."""

import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vpbench
from tests.conftest import write_clips
from tests.e2e.helpers import TINY, folder, predictions
from tests.e2e.helpers import vpbench as command
from tests.unit.metrics.weights_here import i3d_path
from vpbench.api.errors import MethodFailed, MissingData, Refused, UnknownName, UsageError
from vpbench.python import process

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def own_process(tmp_path, monkeypatch):
    """Work in an empty folder, with a process that no other test has used."""
    monkeypatch.chdir(tmp_path)
    yield
    process.close()


def noise(seed, count=16, frames=9, size=24):
    shape = (count, frames, size, size, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(place, clips):
    place.mkdir()
    for k, frames in enumerate(clips):
        np.savez(place / f"{k:06d}.npz", frames=frames)


@pytest.mark.parametrize("module", ["measuring", "results", "loading", "running"])
def test_docstrings_are_true(module):
    tested = doctest.testmod(importlib.import_module(f"vpbench.python.{module}"))
    assert tested.failed == 0 and tested.attempted


def test_the_docstring_of_the_package_is_true():
    assert doctest.testmod(vpbench).failed == 0


@pytest.mark.weights
def test_figures_of_arrays_are_those_of_the_command_to_the_last_bit(tmp_path):
    os.makedirs(tmp_path / "home", exist_ok=True)
    os.symlink(i3d_path().parent, tmp_path / "home" / "weights")
    real, fake = noise(0), noise(1) // 2
    save(tmp_path / "real", real), save(tmp_path / "fake", fake)
    words = ("measure", "real", "fake", "--json", "--metrics", "fvd,kvd,psnr")
    told = command(*words, cwd=tmp_path).json()["scores"]
    made = vpbench.measure(real, list(fake), ["fvd", "kvd", "psnr"], workers=2)
    for name, score in told.items():
        assert made[name].value == score["value"] and made[name].se == score["se"]
        assert made[name].corrected == score["corrected"] and made[name].floor == score["floor"]
    assert vpbench.fvd("real", "fake", workers=1).value == told["fvd"]["value"]
    assert vpbench.psnr(real, fake, workers=1).value == told["psnr"]["value"]
    assert len(made["psnr"].per_clip) == 16 == len(made.to_pandas(per_clip=True))


def test_a_script_without_a_main_guard_works_and_keeps_its_state(tmp_path):
    (tmp_path / "script.py").write_text(
        "import os, random, numpy as np, vpbench\n"
        "np.random.seed(1), random.seed(1)\n"
        "before = dict(os.environ), os.getcwd(), np.random.get_state()[1].sum()\n"
        "clips = np.zeros((20, 2, 12, 12, 3), np.uint8)\n"
        "print(vpbench.psnr(clips, clips + 3, workers=2))\n"
        "assert before == (dict(os.environ), os.getcwd(), np.random.get_state()[1].sum())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "38.59 (n = 20)\n" and not done.stderr, done.stderr


def test_errors_are_those_of_the_api():
    clips = noise(0, 3)
    with pytest.raises(UnknownName, match="psnr"):
        vpbench.measure(clips, clips, ["psnrr"])
    with pytest.raises(MissingData, match="nowhere"):
        vpbench.psnr("nowhere", clips)
    with pytest.raises(UsageError, match="stride"):
        vpbench.measure(clips, clips, ["psnr"], stride=0)
    with pytest.raises(UnknownName):
        vpbench.load_method("nothing")
    with pytest.raises(MissingData, match="no finished run"):
        vpbench.compare("copy-last")


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.setenv("VPBENCH_PLUGINS", TINY)
    return folder(write_clips(tmp_path / "clips"))


def test_methods_run_compare_and_predict_as_the_commands_do(tiny, tmp_path):
    results = vpbench.run(["tiny", "copy-last"], tiny, metrics=["psnr"], samples=2, threads=1)
    assert {r["status"] for r in results if r["kind"] == "method"} == {"ok"}
    stored = predictions(tmp_path / "runs", "tiny")
    table = results.table
    assert table.json()["groups"] == vpbench.compare(["tiny", "copy-last"]).json()["groups"]
    assert (
        results["tiny"]["psnr"].value
        == table.to_pandas()
        .pivot(index="method", columns="metric", values="value")
        .at["tiny", "psnr"]
    )
    shown = command("compare", "tiny", "copy-last", "--json", cwd=tmp_path).json()
    assert shown == table.json()
    paired = vpbench.compare(["tiny", "copy-last"], vs="tiny")
    words = ("compare", "tiny", "copy-last", "--vs", "tiny", "--json")
    assert command(*words, cwd=tmp_path).json() == paired.json()
    rows = paired.differences()
    assert set(rows["vs"]) == {"tiny"} and "copy-last" in set(rows["method"])
    pairs = [pair for g in paired.json()["groups"] for pair in g["versus"]["pairs"]]
    assert rows["reason"].tolist() == [pair["reason"] for pair in pairs]
    assert rows["metric"].tolist() == [pair["metric"] for pair in pairs]
    assert table.differences().empty
    with pytest.raises(UnknownName, match="nobody"):
        vpbench.compare(["tiny"], vs="nobody")

    dataset = vpbench.load_dataset(tiny)
    clips = dataset.clips("test")
    assert [c.class_name for c in clips] == [dataset.class_names[c.label] for c in clips]
    assert len(dataset.clips("train")) == 10 and clips[0].pose is None
    made = {}
    with vpbench.load_method("tiny", dataset=tiny) as method:
        for clip in clips:
            made[clip.id] = method.predict(clip, samples=2)
            own = method.predict(clip, clip.class_name, samples=2)
            np.testing.assert_array_equal(own, made[clip.id])
        other = method.predict(clips[0], (clips[0].label + 1) % 2)
        assert other.shape == (1, 8, 16, 16, 3) and (other[0] != made[clips[0].id][0]).any()
        with pytest.raises(UnknownName, match="right"):
            method.predict(clips[0].frames[0], "rihgt")
        with pytest.raises(UsageError, match="one of down, right"):
            method.predict(clips[0].frames[0])
        picture = noise(5, 1, 1, 40)[0, 0, :, :30]
        save_png(tmp_path / "a.png", picture)
        from_array = method.predict(picture, "right", samples=2, seed=4)
        from_file = method.predict(tmp_path / "a.png", 1, samples=2, seed=4)
        np.testing.assert_array_equal(from_array, from_file)
    import json

    for path in sorted((tmp_path / "runs").glob("*/tiny/*/predictions/0*.json")):
        with np.load(path.with_suffix(".npz")) as shard:
            for name, frames in zip(
                json.loads(path.read_text())["items"], shard["frames"], strict=True
            ):
                np.testing.assert_array_equal(made[name], frames)
    assert stored == predictions(tmp_path / "runs", "tiny")
    words = ("predict", "tiny", "--dataset", tiny, "--image", "a.png", "--label", "right")
    more = ("--samples", 2, "--seed", 4, "--out", "out", "--json")
    done = command(*words, *more, cwd=tmp_path)
    assert done.code == 0, done.err
    files = sorted(Path("out").rglob("*s00*.png")) or sorted(Path("out").rglob("*.png"))
    assert files


def save_png(path, picture):
    from vpbench.media.encode import write_png

    write_png(path, picture)


def test_a_method_that_fails_raises_and_others_are_finished(tmp_path, monkeypatch):
    clips = folder(write_clips(tmp_path / "clips"))
    (tmp_path / "bad.py").write_text(
        "from vpbench.api import MethodSpec\n"
        "SPEC = MethodSpec('bad', ':Bad', 'raises')\n"
        "class Bad:\n"
        "    def __init__(self, *_): pass\n"
        "    def predict(self, *_): raise KeyError('oh')\n"
    )
    words = (["./bad.py:SPEC", "copy-last"], clips)
    with pytest.raises(MethodFailed, match=r"^bad failed while predicting: .*oh"):
        vpbench.run(*words, metrics=["psnr"], references=False)
    results = vpbench.run(*words, metrics=["psnr"], references=False, check=False)
    assert [r["status"] for r in results] == ["failed", "ok"]
    assert results["copy-last"]["psnr"].value is not None
    method = vpbench.load_method("./bad.py:SPEC", dataset=clips)
    with pytest.raises(MethodFailed, match="oh"):
        method.predict(noise(0, 1)[0, 0])
    with pytest.raises(Refused, match="sees the true future"):
        vpbench.load_method("real", dataset=clips).predict(noise(0, 1)[0, 0])


NOTEBOOK = [
    "import numpy as np, vpbench\n"
    "real = np.zeros((4, 3, 12, 12, 3), np.uint8)\n"
    "vpbench.measure(real, real + 2, ['psnr'], workers=1)",
    "vpbench.run('copy-last', {clips!r}, metrics=['psnr'], references=False)",
    "vpbench.compare('copy-last').to_pandas()[['method', 'metric', 'n']]",
    "vpbench.psnr(real > 0, real)",
]


def test_a_notebook_shows_tables_and_errors(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    clips = folder(write_clips(tmp_path / "clips"))
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(c.replace("{clips!r}", repr(clips))) for c in NOTEBOOK]
    client = nbclient.NotebookClient(
        book,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    shown = [cell.outputs for cell in book.cells]
    assert "42.11 (n = 4)" in shown[0][-1].data["text/html"]
    run = shown[1][-1].data["text/html"]
    assert "<table" in run and "copy-last" in run
    assert not [o for outputs in shown[:3] for o in outputs if o.get("name") == "stderr"]
    assert "copy-last" in shown[2][-1].data["text/html"]
    assert shown[3][-1].ename == "BadData" and "* 255" in shown[3][-1].evalue
