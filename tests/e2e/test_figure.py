"""`figure`: pictures of finished runs, and in-process inference with trained methods."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, TINY, folder, vpbench
from vpbench.render.keypoints import dimmed, enlarged

ENV = {"VPBENCH_PLUGINS": f"{TINY},{PLUGINS / 'tiny_intermediates.py'}"}
METHOD = "tiny[translator=tiny-masked]"
FROZEN = "tiny[motion=frozen,translator=tiny-masked]"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Clips, a trained method, finished runs of it and of copy-last."""
    place = tmp_path_factory.mktemp("figures")
    write_clips(place / "clips")
    env = {**ENV, "VPBENCH_HOME": str(place / "home")}
    words = (
        "run",
        METHOD,
        "copy-last",
        "--no-references",
        "--metrics",
        "psnr,ssim",
        "--samples",
        2,
        "--dataset",
        folder(place / "clips"),
    )
    done = vpbench(*words, cwd=place, env=env)
    assert done.code == 0, done.err
    return place


def figure(place, kind, *words, out, **more):
    env = {**ENV, "VPBENCH_HOME": str(place / "home")}
    words = ("figure", kind, *words, "--dataset", folder(place / "clips"), "--out", out)
    return vpbench(*words, cwd=place, env=env, **more)


def record(place, kind, *words, out):
    """The JSON of a figure, which is printed and stored alike."""
    done = figure(place, kind, *words, "--json", out=out)
    assert done.code == 0, done.err
    shown = done.json()
    stored = json.loads((out / f"{kind}.json").read_text())
    assert {**stored, "out": str(out)} == shown
    assert shown["schema"] == "vpbench.figure/1" and shown["figure"] == kind
    assert sorted(p.name for p in out.iterdir()) == sorted([*shown["files"], f"{kind}.json"])
    return shown


def sheet(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def holds(pixels, cell):
    """Whether an enlarged picture stands somewhere on a sheet, to the pixel."""
    ys, xs = np.nonzero((pixels[:-127, :-127] == cell[0, 0]).all(-1))
    return any(
        np.array_equal(pixels[y : y + 128, x : x + 128], cell)
        for y, x in zip(ys.tolist(), xs.tolist(), strict=True)
    )


def run_of(place, method):
    (manifest,) = place.glob(f"runs/*/{method}/*/predictions/MANIFEST.json")
    return manifest.parent.parent, json.loads(manifest.read_text())


def stored_frames(place, method, clip):
    run, manifest = run_of(place, method)
    for row in manifest["shards"]:
        if clip in row["items"]:
            with np.load(run / "predictions" / f"{row['name']}.npz") as found:
                return found["frames"][row["items"].index(clip)]
    raise AssertionError(clip)


SAFE = "tiny+translator-tiny-masked"


@pytest.mark.e2e
def test_predictions_show_the_stored_frames(place, tmp_path):
    clip = "test/down/clip03"
    words = (METHOD, "copy-last", "noise", "--clips", clip, "--sample", 1)
    refused = figure(place, "predictions", *words, out=tmp_path / "x")
    assert refused.code == 2 and "copy-last is not stochastic" in refused.err
    shown = record(place, "predictions", METHOD, "noise", *words[3:], out=tmp_path / "out")
    assert shown["clips"] == [{"id": clip, "label": 0, "class": "down"}]
    assert shown["frames"] == list(range(1, 9)) and shown["files"] == ["predictions.png"]
    mine, noise = shown["methods"]
    run, manifest = run_of(place, SAFE)
    assert mine["source"] == "run" and mine["run"] == str(run) and mine["sample"] == 1
    assert mine["manifest"] == manifest["sha256"] and mine["seed"] == mine["fit_seed"] == 0
    assert noise["source"] == "live" and noise["run"] is None and noise["fit_seed"] is None
    pixels = sheet(tmp_path / "out" / "predictions.png")
    with np.load(place / "clips" / f"{clip}.npz") as found:
        real = found["frames"]
    for frame in (real[0], real[1], real[8], *stored_frames(place, SAFE, clip)[1]):
        assert holds(pixels, enlarged(frame, 8))


def test_a_live_prediction_is_the_one_of_a_run(place, tmp_path):
    """noise has no run here; its live frames are those that a run gives."""
    env = {**ENV, "VPBENCH_HOME": str(place / "home")}
    clip = "test/right/clip00"
    record(place, "predictions", "noise", "--clips", clip, out=tmp_path / "live")
    words = ("predict", "noise", "--dataset", folder(place / "clips"), "--runs", tmp_path / "runs")
    assert vpbench(*words, cwd=place, env=env).code == 0
    frames = stored_frames(tmp_path, "noise", clip)[0]
    assert holds(sheet(tmp_path / "live" / "predictions.png"), enlarged(frames[-1], 8))


def test_keypoints_and_clips_of_all_classes(place, tmp_path):
    shown = record(place, "predictions", METHOD, "--keypoints", "--count", 2, out=tmp_path / "out")
    assert [c["class"] for c in shown["clips"]] == ["down", "right"]
    assert shown["methods"][0]["intermediates_differ_by"] == 0
    plain = record(place, "predictions", METHOD, "--count", 2, out=tmp_path / "plain")
    assert "intermediates_differ_by" not in plain["methods"][0]
    tall, low = (sheet(tmp_path / d / "predictions.png").shape[0] for d in ("out", "plain"))
    assert tall > low + 2 * 128


def test_sweep(place, tmp_path):
    words = ("--clips", "test/down/clip01", "--samples", 3, "--label", "right")
    shown = record(place, "sweep", METHOD, *words, out=tmp_path / "out")
    assert shown["files"] == ["sweep-classes.png", "sweep-seeds.png"]
    (row,) = shown["methods"]
    assert [c["class"] for c in row["classes"]] == ["down", "right"]
    assert len({c["seed"] for c in row["classes"]}) == 1
    assert len({c["seed"] for c in row["seeds"]}) == 3
    assert {c["class"] for c in row["seeds"]} == {"right"}
    assert row["classes"][0]["seed"] == row["seeds"][0]["seed"]
    picture = tmp_path / "a.png"
    Image.fromarray(np.full((20, 30, 3), 77, np.uint8)).save(picture)
    own = record(place, "sweep", METHOD, "noise", "--image", picture, out=tmp_path / "own")
    assert own["clips"] == [] and own["image"]["path"] == str(picture)
    assert own["files"] == [
        f"sweep-{SAFE}-classes.png",
        f"sweep-{SAFE}-seeds.png",
        "sweep-noise-seeds.png",
    ]
    pixels = sheet(tmp_path / "own" / f"sweep-{SAFE}-seeds.png")
    assert holds(pixels, np.full((128, 128, 3), 77, np.uint8))


@pytest.mark.parametrize("method", [METHOD, "tiny-oracle"])
def test_translation(place, tmp_path, method):
    clip = "test/down/clip01"
    words = (method, "--clips", clip, "--background", "dark")
    early = figure(place, "translation", *words, out=tmp_path / "early")
    assert early.code == (0 if method == METHOD else 5)
    if early.code:  # its detector is trained beside another translator
        assert "vpbench fit tiny-oracle --dataset" in early.err
        env = {**ENV, "VPBENCH_HOME": str(place / "home")}
        fit = vpbench("fit", method, "--dataset", folder(place / "clips"), cwd=place, env=env)
        assert fit.code == 0, fit.err
    shown = record(place, "translation", *words, out=tmp_path / "out")
    assert shown["frames"] == [5, 8] and shown["methods"][0]["removed"] is True
    pixels = sheet(tmp_path / "out" / "translation.png")
    with np.load(place / "clips" / f"{clip}.npz") as found:
        real = found["frames"]
    assert holds(pixels, enlarged(real[0], 8)) and holds(pixels, enlarged(real[5], 8))
    gone = np.full((128, 128, 3), 255, np.uint8)
    assert holds(pixels, gone) == (method == METHOD)  # no keypoint in sight: the mask is empty
    assert not holds(pixels, enlarged(dimmed(real[0]), 8))  # points stand on it


def test_ablation(place, tmp_path):
    words = (METHOD, FROZEN, "copy-last", "--count", 1)
    shown = record(place, "ablation", *words, out=tmp_path / "out")
    assert [m["method"] for m in shown["methods"]] == [METHOD, FROZEN, "copy-last"]
    assert [m["source"] for m in shown["methods"]] == ["run", "live", "run"]
    assert shown["frames"] == [3, 5, 6, 8]
    alone = figure(place, "ablation", METHOD, out=tmp_path / "alone")
    assert alone.code == 2 and "two variants" in alone.err and not (tmp_path / "alone").exists()


def test_failures_are_the_worst_clips_with_their_stored_values(place, tmp_path):
    shown = record(place, "failures", METHOD, "--count", 3, "--by", "ssim", out=tmp_path / "out")
    run, _ = run_of(place, SAFE)
    (path,) = run.glob("scores/ssim@*.json")
    score = json.loads(path.read_text())
    (row,) = shown["methods"]
    assert (row["score"], row["run"]) == (score["sha256"], str(run))
    values = [c["value"] for c in row["clips"]]
    assert values == sorted(score["per_clip"].values())[:3]
    assert all(score["per_clip"][c["id"]] == c["value"] for c in row["clips"])
    only = record(
        place,
        "failures",
        METHOD,
        "--clips",
        "test/down/clip01,test/right/clip02",
        out=tmp_path / "only",
    )
    assert {c["id"] for c in only["methods"][0]["clips"]} == {
        "test/down/clip01",
        "test/right/clip02",
    }
    for words, code, says in (
        ((METHOD, "--by", "fvd"), 2, "compares sets"),
        ((METHOD, "--by", "psrn"), 2, "psnr"),
        (("noise",), 5, "no finished run of noise"),
    ):
        done = figure(place, "failures", *words, out=tmp_path / "none")
        assert done.code == code and says in done.err, (words, done.err)
        assert not (tmp_path / "none").exists()


def test_formats(place, tmp_path):
    pytest.importorskip("matplotlib")
    for kind, begins in (("pdf", b"%PDF"), ("svg", b"<?xml")):
        words = ("copy-last", "--count", 1, "--format", kind)
        shown = record(place, "predictions", *words, out=tmp_path / kind)
        (name,) = shown["files"]
        data = (tmp_path / kind / name).read_bytes()
        assert name == f"predictions.{kind}" and data.startswith(begins)
    assert b">test/down/clip01 \xc2\xb7 down<" in data


def test_bad_input(place, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "text.png").write_text("no picture")
    nowhere = tmp_path / "nowhere"
    for kind, words, code, says in (
        ("predictions", ("copy-last", "--clips", "test/down/clip1"), 2, "test/down/clip01"),
        ("predictions", ("copy-lats",), 2, "copy-last"),
        ("predictions", ("tiny",), 5, "vpbench run tiny --dataset"),
        ("predictions", ("jointed",), 2, "needs pose"),
        ("translation", ("copy-last",), 2, "no detector and translator"),
        ("translation", ("real",), 2, "no intermediates"),
        ("sweep", ("copy-last",), 2, "nothing to sweep"),
        ("sweep", ("tiny-oracle",), 2, "true future"),
        ("sweep", (METHOD, "--image", tmp_path / "text.png"), 4, "text.png"),
        ("sweep", (METHOD, "--image", tmp_path / "no.png"), 5, "no.png"),
        ("sweep", (METHOD, "--image", "a.png", "--clips", "b"), 2, "a sweep shows one"),
        ("sweep", (METHOD, "--label", "dwn"), 2, "down"),
        ("predictions", ("copy-last", "--columns", 0), 2, "columns"),
    ):
        done = figure(place, kind, *words, out=nowhere)
        assert done.code == code and says in done.err, (kind, words, done.code, done.err)
        assert not nowhere.exists()
    taken = figure(place, "predictions", "copy-last", out=tmp_path / "file")
    assert taken.code == 2 and "is a file" in taken.err


def test_a_changed_prediction_is_found(place, tmp_path):
    run, _ = run_of(place, "copy-last")
    shard = run / "predictions" / "00000.npz"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    try:
        done = figure(place, "predictions", "copy-last", out=tmp_path / "out")
    finally:
        shard.write_bytes(whole)
    assert done.code == 4 and "00000.npz is not what was written" in done.err
    assert not (tmp_path / "out").exists()


def test_a_new_figure_replaces_the_old_one_and_nothing_else(place, tmp_path):
    out = tmp_path / "out"
    record(place, "predictions", "copy-last", "--count", 1, out=out)
    low = sheet(out / "predictions.png").shape[0]
    (out / "mine.txt").write_text("keep")
    done = figure(place, "predictions", "copy-last", "--count", 3, out=out)
    assert done.code == 0 and str(out / "predictions.png") in done.out
    assert sheet(out / "predictions.png").shape[0] > low
    assert (out / "mine.txt").read_text() == "keep"
    assert len(json.loads((out / "predictions.json").read_text())["clips"]) == 3
