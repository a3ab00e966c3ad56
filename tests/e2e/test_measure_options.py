"""`vpbench measure`: which frames count, what is passed over, what is said."""

import csv

import numpy as np
import pytest

from tests.e2e.helpers import vpbench

pytestmark = pytest.mark.e2e

MEANS = """
import numpy as np
from vpbench.api import Floor, MetricSpec, Score
SPEC = MetricSpec("meandiff", ":Means", "distance of mean grey levels", kind="set",
                  direction="down", unit="", version=1, default=False)
class Means:
    spec = SPEC
    def __init__(self, task, params, ctx): self.real, self.fake = {}, {}
    def update(self, fake, real, clip):
        if fake is not None: self.fake[clip.id] = float(fake.mean())
        if real is not None: self.real[clip.id] = float(real.mean())
    def merge(self, other): self.real |= other.real; self.fake |= other.fake
    def result(self):
        real, fake = ([x[k] for k in sorted(x)] for x in (self.real, self.fake))
        return Score(abs(sum(real) / len(real) - sum(fake) / len(fake)), len(fake))
    def real_floor(self): return Floor(0.25, 2)
    def fingerprint(self): return {}
"""
"""A set metric that needs no weights, with a floor."""


@pytest.fixture
def sides(tmp_path):
    """Ten clips of 12 frames a side in two sub-folders, with captions; frame t of real clip k is
    grey t + 10 k, generated clips are one level higher."""
    for side, add, frames in (("real", 0, 12), ("fake", 1, 12)):
        for k in range(10):
            place = tmp_path / side / ("ab"[k % 2])
            place.mkdir(parents=True, exist_ok=True)
            levels = np.arange(frames, dtype=np.uint8) + np.uint8(add + 10 * k)
            clip = np.broadcast_to(levels[:, None, None, None], (frames, 12, 12, 3))
            np.savez(place / f"{k}.npz", frames=clip)
            (place / f"{k}.txt").write_text("a caption")
    (tmp_path / "real" / "info.json").write_text("{}")
    (tmp_path / "means.py").write_text(MEANS)
    return tmp_path


def measure(sides, *words, real="real", fake="fake", metrics="psnr,meandiff", code=0):
    env = {"VPBENCH_PLUGINS": f"{sides / 'means.py'}:SPEC"}
    words = ("measure", real, fake, "--metrics", metrics, *words)
    done = vpbench(*words, cwd=sides, env=env)
    assert done.code == code, (done.code, done.out, done.err)
    return done


def test_sub_folders_are_one_set_and_sidecars_are_counted(sides):
    done = measure(sides, "--per-clip", "clips.csv")
    assert "fake (10 clips) against real (10 clips), 12 frames" in done.out
    assert "note: real: files that are not clips were passed over: 1 .json, 10 .txt" in done.out
    assert "floor 0.250 at n = 2" in done.out and "meandiff ↓  1.000" in done.out
    with (sides / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["clip"] for r in rows} == {f"{'ab'[k % 2]}/{k}" for k in range(10)}
    assert all(r["metric"] == "psnr" and float(r["value"]) > 48 for r in rows)
    (sides / "real" / "film.rar").write_text("")
    assert "film.rar is of a type" in measure(sides, code=4).err


def test_every_choice_moves_the_frames_and_the_fingerprint(sides):
    def scored(*words, **more):
        answer = measure(sides, *words, "--json", **more).json()
        score = answer["scores"]["meandiff"]
        return round(score["value"], 6), score["fingerprint"], answer["fake"]["n"]

    # Real clips hold the levels t + 10 k: a window's mean says which frames it has.
    plain = scored("--frames", 4)
    strided = scored("--frames", 4, real="folder:real[stride=3]")
    given = scored("--frames", 4, real="folder:real[conditioning=2]")
    counted = scored("--frames", 4, "--given", "include", real="folder:real[conditioning=2]")
    every = scored("--frames", 4, "--start", "all")
    drawn = scored("--frames", 4, "--start", "random", "--clips-per-video", 2)
    assert plain[0] == 1 and plain[2] == 10
    assert strided[0] == 2  # 0 3 6 9 is 3 higher than 0 1 2 3, less 1
    assert given[0] == 1 and counted[0] == 1  # |2 - 1|, |0 - 1|
    assert every[0] == 1 and every[2] == 30
    assert drawn[0] == 1 and drawn[2] == 20  # the same moments of both clips of a pair
    made = [plain, strided, given, counted, every, drawn]
    assert len({fingerprint for _, fingerprint, _ in made}) == len(made)
    assert scored("--frames", 4, "--stride", 1, "--start", "first") == plain


@pytest.mark.parametrize(
    ("words", "real", "says"),
    [
        (("--frames", 4), "folder:real[horizon=5]", "says frames 5, the command 4"),
        ((), "folder:real[split=part]", "measure takes all clips"),
        ((), "folder:real[strid=2]", "unknown option 'strid' of folder"),
        (("--given", "exclude"), "real", "conditioning=1"),
        (("--protocol", "fvd2048"), "real", "Did you mean"),
        (("--stride", 2, "--protocol", "fvd2048_16f"), "real", "fixes stride to 1"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(sides, words, real, says):
    assert says in measure(sides, *words, real=real, code=2).err


def test_a_protocol_says_that_there_are_too_few_videos_and_names_may_differ(sides):
    (sides / "fake" / "a" / "0.npz").rename(sides / "fake" / "a" / "other.npz")
    done = measure(sides, "--frames", 4, code=5)
    assert "psnr ↑  — (not scored: it compares clips of equal names; real has 'a/0'" in done.out
    assert "meandiff ↓  1.000" in done.out
    lone = measure(sides, "--protocol", "fvd2048_16f", metrics="meandiff", code=5)
    assert "all 10 clips are too short" in lone.err
    both = {side: f"folder:{side}[conditioning=2]" for side in ("real", "fake")}
    drawn = measure(sides, "--frames", 4, "--start", "random", metrics="meandiff", **both)
    assert "sampling: start random, seed 0, given frames excluded 2\n" in drawn.out
