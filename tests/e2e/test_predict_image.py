"""`predict --image`: any picture in, pictures out; one sentence where that cannot be."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, TINY, folder, vpbench
from vpbench.media.geometry import Geometry

ENV = {"VPBENCH_PLUGINS": f"{TINY},{PLUGINS / 'tiny_intermediates.py'}"}
METHOD = "tiny[translator=tiny-masked]"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with clips, and a trained method in its runs."""
    place = tmp_path_factory.mktemp("trained")
    write_clips(place / "clips")
    env = {**ENV, "VPBENCH_HOME": str(place / "home")}
    done = vpbench("fit", METHOD, "--dataset", folder(place / "clips"), cwd=place, env=env)
    assert done.code == 0, done.err
    return place


def predict(place, *words, method=METHOD, **more):
    env = {**ENV, "VPBENCH_HOME": str(place / "home")}
    words = ("predict", method, "--dataset", folder(place / "clips"), *words)
    return vpbench(*words, cwd=place, env=env, **more)


def picture(path, height=40, width=56, mode="RGB", **more):
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **more)
    return pixels


def read(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def test_everything_lies_where_the_record_says(trained, tmp_path):
    pixels = picture(tmp_path / "a.png")
    out = tmp_path / "out"
    words = ("--image", tmp_path / "a.png", "--label", "all", "--samples", 2, "--out", out)
    done = predict(trained, *words, "--json")
    assert done.code == 0, done.err
    record = done.json()
    assert record["schema"] == "vpbench.pictures/1" and record["seed"] == 0
    assert record["image"]["width"] == 56 and record["image"]["height"] == 40
    data = (tmp_path / "a.png").read_bytes()
    assert record["image"]["sha256"] == hashlib.sha256(data).hexdigest()
    stored = json.loads((out / "prediction.json").read_text())
    assert stored == {k: v for k, v in record.items() if k != "out"}
    (row,) = record["methods"]
    assert row["method"] == METHOD and {s["origin"] for s in row["stages"]} == {"fitted"}
    asked = [(p["label"], p["number"], p["sample"]) for p in row["predictions"]]
    assert asked == [("down", 0, 0), ("down", 0, 1), ("right", 1, 0), ("right", 1, 1)]
    assert np.array_equal(read(out / "input.png"), Geometry(16).frames(pixels))
    for one in row["predictions"]:
        for layer in ("frames", "mask", "coarse"):
            names = sorted(p.name for p in (out / one[layer]).iterdir())
            assert names == [f"{t:04d}.png" for t in range(1, 9)]
            assert read(out / one[layer] / names[0]).shape == (16, 16, 3)
        with np.load(out / one["keypoints"], allow_pickle=False) as found:
            points = found["keypoints"]
        assert points.shape == (9, 4, 3) and np.isfinite(points).all()
        told = json.loads((out / one["keypoints_json"]).read_text())
        assert told["frames"] == list(range(9))
        np.testing.assert_allclose(told["keypoints"], points, atol=1e-6)
        with np.load(out / one["flow"], allow_pickle=False) as found:
            assert found["flow"].shape == (8, 16, 16, 2)
        with Image.open(out / one["gif"]) as moving:
            assert moving.n_frames == 9 and moving.size == (128, 128)
    first = [p for p in row["predictions"] if p["sample"] == 0]
    assert first[0]["seed"] == first[1]["seed"]  # labels are compared at one seed
    assert len({p["seed"] for p in row["predictions"]}) == 2
    with Image.open(out / "moving.gif") as moving:
        assert moving.n_frames == 8
    assert sorted(p.name for p in out.iterdir()) == record["entries"]
    assert read(out / "sheet.png").shape[1] > 9 * 128
    assert {p.name for p in (out / "down").iterdir()} == {
        "sample-0",
        "sample-1",
        "sample-0.gif",
        "sample-1.gif",
        "parts.png",
        "samples.png",
    }
    assert not [p for p in tmp_path.iterdir() if p.name not in ("a.png", "out")]


def test_a_prediction_depends_on_picture_seed_and_sample_only(trained, tmp_path):
    picture(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "other-name.png")

    def frames(name, label, *words):
        out = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        words = ("--image", tmp_path / name, "--label", label, "--out", out, *words)
        assert predict(trained, *words).code == 0
        found = sorted((out / "right" / "sample-0" / "frames").iterdir())
        return np.stack([read(p) for p in found])

    usual = frames("a.png", "all", "--samples", 3)
    assert np.array_equal(usual, frames("other-name.png", "right"))
    assert np.array_equal(usual, frames("a.png", "1", "--seed", 0))
    assert not np.array_equal(usual, frames("a.png", "right", "--seed", 1))


@pytest.mark.parametrize(
    ("name", "mode", "size"),
    [
        ("grey.png", "L", (40, 56)),
        ("alpha.png", "RGBA", (40, 56)),
        ("one.png", "RGB", (1, 1)),
        ("wide.png", "RGB", (3, 900)),
        ("tall.jpg", "RGB", (333, 17)),
        ("pal.gif", "P", (20, 21)),
        ("bits.png", "1", (9, 9)),
        ("cmyk.jpg", "CMYK", (30, 31)),
    ],
)
def test_any_picture_goes(trained, tmp_path, name, mode, size):
    path = tmp_path / name
    picture(path, *size, mode=mode)
    out = tmp_path / "out"
    done = predict(trained, "--image", path, "--label", "down", "--out", out, method=METHOD)
    assert done.code == 0, done.err
    assert np.array_equal(read(out / "input.png"), Geometry(16).frames(read(path)))
    assert len(list((out / "down" / "sample-0" / "frames").iterdir())) == 8


def test_exif_orientation_is_applied(trained, tmp_path):
    pixels = np.zeros((24, 48, 3), np.uint8)
    pixels[:, :24, 0] = 255  # red on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: red comes up
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    out = tmp_path / "out"
    words = ("--image", tmp_path / "turned.jpg", "--label", "0", "--out", out, "--json")
    done = predict(trained, *words)
    assert done.code == 0, done.err
    assert (done.json()["image"]["width"], done.json()["image"]["height"]) == (24, 48)
    seen = read(out / "input.png").astype(int)
    assert seen[:6, :, 0].min() > 200 and seen[10:, :, 0].max() < 60


def test_bad_input_is_one_sentence_and_leaves_nothing(trained, tmp_path):
    picture(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    Image.fromarray(np.zeros((1, 60000, 3), np.uint8)).save(tmp_path / "thread.png")
    out = tmp_path / "out"
    good = ("--image", tmp_path / "a.png", "--out", out)
    for words, code, says in (
        (("--image", tmp_path / "nowhere.png", "--label", "0", "--out", out), 5, "nowhere.png"),
        (("--image", tmp_path / "text.png", "--label", "0", "--out", out), 4, "text.png"),
        (("--image", tmp_path / "cut.png", "--label", "0", "--out", out), 4, "cut.png"),
        (("--image", tmp_path / "empty.jpg", "--label", "0", "--out", out), 4, "empty.jpg"),
        (("--image", tmp_path / "thread.png", "--label", "0", "--out", out), 4, "too narrow"),
        (("--image", tmp_path, "--label", "0", "--out", out), 2, "is a folder"),
        ((*good, "--label", "rihgt"), 2, "Did you mean right?"),
        ((*good, "--label", "7"), 2, "unknown class"),
        ((*good, "--label", "right,left"), 2, "'left'"),
        (good, 2, "--label all, or one of down, right"),
        ((*good, "--label", "0", "--seeds", "0-2"), 2, "--seed N --samples S"),
        ((*good, "--label", "0", "--limit", 3), 2, "--limit cannot be used with --image"),
        ((*good, "--label", "0", "--fit-seeds", "0-2"), 2, "one seed"),
        ((*good, "--label", "0", "--fit-seeds", "4"), 5, "vpbench fit"),
        (("--image", tmp_path / "a.png", "--label", "0"), 2, "requires --out"),
        (("--label", "0"), 2, "--label requires --image"),
        (("--seed", "1"), 2, "--seed requires --image"),
        (("--image", tmp_path / "a.png", "--label", "0", "--out", tmp_path / "a.png"), 2, "file"),
    ):
        done = predict(trained, *words)
        assert done.code == code and says in done.err, (words, done.code, done.err)
        assert not out.exists() and not list(tmp_path.glob(".tmp-*"))


def test_methods_that_cannot(trained, tmp_path):
    picture(tmp_path / "a.png")
    out = tmp_path / "out"
    for method, code, says in (
        ("greedy", 2, "needs 2 conditioning frames"),
        ("jointed", 2, "needs pose"),
        ("tiny-oracle", 2, "sees the true future"),
        ("real", 2, "sees the true future"),
        ("real-other", 2, "shows test clips"),
        ("tiny[width=16]", 5, "is not trained on folder-clips"),
        ("chatty", 1, "intermediate 'keypoints' is"),
        ("cpoy-last", 2, "copy-last"),
    ):
        words = ("--image", tmp_path / "a.png", "--label", "0", "--out", out)
        done = predict(trained, *words, method=method)
        assert done.code == code and says in done.err, (method, done.code, done.err)
        assert not out.exists() and not list(tmp_path.glob(".tmp-*"))
    done = predict(trained, *words, method="tiny[width=16]")
    assert "vpbench fit 'tiny[width=16]' --dataset" in done.err


def test_a_method_without_labels_says_so(trained, tmp_path):
    picture(tmp_path / "a.png")
    words = ("--image", tmp_path / "a.png", "--label", "all", "--out", tmp_path / "out")
    done = predict(trained, *words, "--json", method="copy-last")
    assert done.code == 0 and "copy-last does not use labels" in done.err
    (row,) = done.json()["methods"][0]["predictions"]
    assert row["label"] is None and row["frames"] == "prediction/sample-0/frames"
    same = read(tmp_path / "out" / row["frames"] / "0008.png")
    assert np.array_equal(same, read(tmp_path / "out" / "input.png"))


def test_several_methods_and_references(trained, tmp_path):
    picture(tmp_path / "a.png")
    words = (
        "class-random",
        "nearest-train",
        "--image",
        tmp_path / "a.png",
        "--label",
        "down",
        "--samples",
        2,
        "--out",
        tmp_path / "out",
        "--json",
    )
    done = predict(trained, *words)
    assert done.code == 0, done.err
    rows = done.json()["methods"]
    assert [r["method"] for r in rows] == [METHOD, "class-random", "nearest-train"]
    assert [len(r["predictions"]) for r in rows] == [2, 2, 1]
    for row in rows:
        assert (tmp_path / "out" / row["folder"] / row["sheet"]).is_file()


def test_what_lies_there_is_not_overwritten(trained, tmp_path):
    picture(tmp_path / "a.png")
    out = tmp_path / "out"
    out.mkdir()
    words = ("--image", tmp_path / "a.png", "--out", out, "--label")
    assert predict(trained, *words, "all").code == 0  # an empty folder is free
    again = predict(trained, *words, "right")
    assert again.code == 2 and "is not empty" in again.err and "--force" in again.err
    (out / "mine.txt").write_text("keep")
    forced = predict(trained, *words, "right", "--force")
    assert forced.code == 0, forced.err
    assert (out / "mine.txt").read_text() == "keep" and not (out / "down").exists()
    shutil.rmtree(out)
    (out / "right").mkdir(parents=True)
    (out / "right" / "precious").write_text("keep")
    kept = predict(trained, *words, "right", "--force")
    assert kept.code == 2 and "not an earlier output" in kept.err
    assert (out / "right" / "precious").read_text() == "keep"
    assert sorted(p.name for p in out.iterdir()) == ["right"]


def test_without_image_it_predicts_the_test_clips(trained):
    done = predict(trained, "--json", method="copy-last")
    assert done.code == 0, done.err
    (run,) = done.json()["runs"]
    assert run["status"] == "ok" and run["scores"] == {}
