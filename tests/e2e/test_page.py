"""`compare --format html` and `report`: what pages hold, and what is said where they cannot."""

import re
import shutil

import numpy as np
import pytest

from tests.e2e import pages
from tests.e2e.pages import CLASSES, COUNT, FRAMES, METHOD, film_bytes, films_of, player_of, run
from vpbench.board.planes import Layout, colours, decode_planes, psnr

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def made(once):
    return once("pages", pages.make_runs)


@pytest.fixture
def place(made, tmp_path):
    """A copy, which a test may change."""
    target = tmp_path / "place"
    shutil.copytree(made, target)
    return target


def layout_of(player):
    planes = 3 * len(player["tracks"]) + sum(t["mask"] is not None for t in player["tracks"])
    layout = Layout(planes, player["layout"]["height"], player["layout"]["width"])
    assert layout.columns == player["layout"]["columns"]
    return layout


def test_a_page_holds_what_was_stored(made, tmp_path):
    out = tmp_path / "new" / "page.html"
    done = run(made, "compare", METHOD, "noise", "--format", "html", "--out", out)
    assert (done.code, done.out) == (0, f"{out}\n"), done.err
    page = out.read_text()
    player = player_of(page)
    titles = ["real", METHOD, "noise", "copy last frame"]
    assert [t["title"] for t in player["tracks"]] == titles
    assert player["frames"] == FRAMES + 1 and player["given"] and len(player["clips"]) == COUNT
    assert {c["class"] for c in player["clips"]} == set(CLASSES)
    films = films_of(page)
    truth = {name: pages.stored(made, name) for name in ("real", "tiny*", "noise", "copy-last")}
    compared = run(made, "compare", METHOD, "--json").json()["groups"][0]
    mean = np.mean([clip["values"][0][1] for clip in player["clips"]])
    assert mean == pytest.approx(compared["rows"][0]["scores"]["psnr"]["value"], abs=1e-4)
    for clip in player["clips"][:4]:
        planes = decode_planes(film_bytes(films[clip["film"]]), layout_of(player))
        for k, own in enumerate(truth.values()):
            assert psnr(colours(planes[1:, 3 * k : 3 * k + 3]), own[clip["id"]]) > 36
    again = run(made, "compare", METHOD, "noise", "--format", "html")  # no --out: standard output
    assert again.out == page


def test_some_clips_and_the_rest_in_a_folder(made, tmp_path):
    out = tmp_path / "page.html"
    words = ("compare", METHOD, "--format", "html", "--out", out, "--clips", 3)
    assert run(made, *words).code == 0
    player = player_of(out.read_text())
    inside = [clip for clip in player["clips"] if clip["inside"]]
    values = sorted(player["clips"], key=lambda clip: clip["values"][0][1])
    assert len(inside) == 3 and values[0] in inside and values[-1] in inside
    said = r"3 of 10 test clips are shown: (the )?best and (the )?worst by PSNR of each row"
    assert re.search(said, out.read_text())
    assert run(made, *words, "--media-folder").code == 0
    player = player_of(out.read_text())
    assert player["folder"] == "page.media" and all(clip["film"] for clip in player["clips"])
    beside = {path.stem for path in (tmp_path / "page.media").iterdir()}
    assert beside == {clip["film"] for clip in player["clips"] if not clip["inside"]}
    assert "The other 7 are in the folder page.media." in out.read_text()


def test_a_report_has_layers_curves_and_provenance(place):
    done = run(place, "report", METHOD, "--out", "r.html", "--json")
    assert done.code == 0, done.err
    record, page = done.json(), (place / "r.html").read_text()
    assert record["bytes"] == (place / "r.html").stat().st_size
    player = player_of(page)
    assert [t["mask"] for t in player["tracks"]] == [None, 6]
    film = films_of(page)[player["clips"][0]["film"]]
    assert len(film["points"]["1"]) == FRAMES + 1
    for words in ("tiny:keypoints", '<svg class="chart"', "Fingerprints", "vpbench run"):
        assert words in page
    folder = next((place / "runs").glob("*/tiny*/????????"))
    by_folder = run(place, "report", folder, "--out", "r2.html")
    assert by_folder.code == 0 and (place / "r2.html").read_text() == page  # layers as kept
    with_compare = run(place, "compare", METHOD, "--format", "html")
    assert player_of(with_compare.out)["tracks"][1]["mask"] is not None
    # Layers of other predictions, or damaged ones, are not shown.
    kept = folder / "layers" / "layers.json"
    kept.write_text(kept.read_text().replace('"manifest": "', '"manifest": "0'))
    assert (
        player_of(run(place, "compare", METHOD, "--format", "html").out)["tracks"][1]["mask"]
        is None
    )
    assert run(place, "report", METHOD, "--no-layers", "--out", "r3.html").code == 0
    assert player_of((place / "r3.html").read_text())["tracks"][1]["mask"] is None


def test_real_clips_that_changed_or_are_gone(tmp_path):
    """The true future comes from its run, else from the dataset as it was predicted from."""
    pages.make_runs(tmp_path, ("copy-last", "real"))
    words = ("compare", "copy-last", "--format", "html")

    def shown():
        done = run(tmp_path, *words)
        assert done.code == 0, done.err
        player = player_of(done.out)
        return [t["title"] for t in player["tracks"]], player["given"], done.out

    assert shown()[:2] == (["real", "copy last frame"], True)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "clips", kept)
    for path in (tmp_path / "clips" / "test").rglob("*.npz"):
        with np.load(path) as stored:
            frames = 255 - stored["frames"]
        np.savez(path, frames=frames)
    titles, given, page = shown()
    assert (titles, given) == (["real", "copy last frame"], False)
    assert "differ from those that were predicted from" in page
    shutil.rmtree(next((tmp_path / "runs").glob("*/real")))
    assert shown()[:2] == (["copy last frame"], False)
    shutil.rmtree(tmp_path / "clips")
    titles, given, page = shown()
    assert (titles, given) == (["copy last frame"], False)
    assert "The dataset is not on this machine" in page
    kept.rename(tmp_path / "clips")
    assert shown()[:2] == (["real", "copy last frame"], True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("compare", "--clips", "3"), 2, "go with --format html"),
        (("compare", "--format", "html", "--media-folder"), 2, "--out FILE"),
        (("compare", "--format", "html", "--out", "clips/x/y.html"), 0, ""),
        (("compare", "--format", "html", "--out", "clips"), 2, "is a directory"),
        (("report", "linear"), 5, "there is no finished run of linear"),
        (("report", "nonsense"), 2, "nonsense"),
        (("report", "runs"), 2, "runs"),
    ],
)
def test_what_cannot_be_is_said(place, words, code, said):
    done = run(place, *words)
    assert done.code == code and said in done.err
    assert code == 0 or done.out == ""


def test_a_damaged_run_makes_no_page(place):
    shard = next((place / "runs").glob("*/noise/????????/predictions/*.npz"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    done = run(place, "compare", "noise", "--format", "html", "--out", "p.html")
    assert done.code == 4 and "is not what was written" in done.err
    assert not (place / "p.html").exists()
    assert done.out == ""
