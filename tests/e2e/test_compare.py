"""Numbers that cannot be compared never share a column."""

import csv
import io

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, folder, start, vpbench

STAND_INS = {"VPBENCH_PLUGINS": str(PLUGINS / "standins.py")}


def test_with_no_runs_it_says_so_and_shows_the_command(tmp_path):
    done = vpbench("compare", "alpha", "beta", "gamma", cwd=tmp_path, env=STAND_INS)
    assert done.code == 5
    assert "No finished run of alpha, beta, gamma" in done.err
    assert "vpbench run alpha beta gamma --dataset puppets" in done.err


def test_with_runs_of_one_of_them_the_others_are_dashes_with_the_exact_command(clips, tmp_path):
    where = folder(clips)
    assert vpbench("run", "beta", "--dataset", where, cwd=tmp_path, env=STAND_INS).code == 0
    done = vpbench("compare", "alpha", "beta", "gamma", "--json", cwd=tmp_path, env=STAND_INS)
    assert done.code == 0
    rows = {r["method"]: r for r in done.json()["groups"][0]["rows"]}
    assert list(rows)[:3] == ["alpha", "beta", "gamma"] and "copy-last" in rows
    score = rows["gamma"]["scores"]["psnr"]
    assert score["value"] is None
    command = score["reason"].partition("`")[2].rstrip("`")
    assert command == f"vpbench run gamma --dataset '{where}'"
    shown = vpbench("compare", "alpha", "beta", "gamma", cwd=tmp_path, env=STAND_INS)
    assert "—" in shown.out and "vpbench run alpha gamma --dataset" in " ".join(shown.out.split())
    import shlex

    assert vpbench(*shlex.split(command)[1:], cwd=tmp_path, env=STAND_INS).code == 0
    full = vpbench("compare", "alpha", "beta", "gamma", "--json", cwd=tmp_path, env=STAND_INS)
    assert full.json()["groups"][0]["rows"][2]["scores"]["psnr"]["value"] is not None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": 20}, "size: 16 against 20"),
        ({"horizon": 9}, "horizon: 8 against 9"),
        ({"stride": 2}, "stride: 1 against 2"),
        ({"conditioning": 2}, "n_max: 1 against 2"),
    ],
)
@pytest.mark.e2e
def test_tasks_that_differ_in_one_field_stand_apart_and_the_field_is_named(
    clips, tmp_path, change, field
):
    for where in (folder(clips), folder(clips, **change)):
        done = vpbench(
            "run", "alpha", "--dataset", where, "--no-references", cwd=tmp_path, env=STAND_INS
        )
        assert done.code == 0, done.err
    compared = vpbench("compare", "alpha", "--json", cwd=tmp_path, env=STAND_INS).json()
    assert len(compared["groups"]) == 2
    flipped = (
        f"{field.split(': ')[0]}: {' against '.join(field.split(': ')[1].split(' against ')[::-1])}"
    )
    assert any(field in d or flipped in d for d in compared["differences"])
    one = vpbench("compare", "alpha", "--one-table", cwd=tmp_path, env=STAND_INS)
    assert one.code == 3
    assert field in one.err or flipped in one.err


def test_other_data_of_the_same_name_is_another_fingerprint(tmp_path):
    """The same ids and labels over other pixels: one task, two columns, the field named."""
    clips = write_clips(tmp_path / "clips")
    words = ("--dataset", folder(clips), "--no-references")
    vpbench("run", "alpha", *words, cwd=tmp_path, env=STAND_INS)
    write_clips(tmp_path / "clips", seed=9)
    vpbench("run", "beta", *words, cwd=tmp_path, env=STAND_INS)
    compared = vpbench("compare", "alpha", "beta", "--json", cwd=tmp_path, env=STAND_INS).json()
    (group,) = compared["groups"]
    names = sorted(group["metrics"])
    assert len(names) == 4 and all("#" in n for n in names)
    for row in group["rows"]:
        assert sum(s["value"] is not None for s in row["scores"].values()) == 2
    assert any("data: " in d for d in compared["differences"])
    one = vpbench("compare", "alpha", "beta", "--one-table", cwd=tmp_path, env=STAND_INS)
    assert one.code == 3 and "data: " in one.err


def test_every_metric_fingerprint_field_keeps_columns_apart(clips, tmp_path):
    """A metric of another version never lands in the same column."""
    words = ("--dataset", folder(clips), "--no-references", "--metrics", "brightness")
    for version, method in ((1, "alpha"), (2, "beta")):
        env = {**STAND_INS, "BRIGHTNESS": str(version)}
        done = vpbench("run", method, *words, cwd=tmp_path, env=env)
        assert done.code == 0, done.err
    compared = vpbench("compare", "alpha", "beta", "--json", cwd=tmp_path, env=STAND_INS).json()
    assert len(compared["groups"][0]["metrics"]) == 2
    assert any("version: 1 against 2" in d for d in compared["differences"])


def test_formats(clips, tmp_path):
    vpbench("run", "alpha", "--dataset", folder(clips), cwd=tmp_path, env=STAND_INS)
    words = ("compare", "alpha", "--format")
    markdown = vpbench(*words, "md", cwd=tmp_path, env=STAND_INS).out
    assert "| method" in markdown
    assert "\\toprule" in vpbench(*words, "tex", cwd=tmp_path, env=STAND_INS).out
    rows = list(
        csv.DictReader(io.StringIO(vpbench(*words, "csv", cwd=tmp_path, env=STAND_INS).out))
    )
    assert {r["method"] for r in rows} >= {"alpha", "real", "noise"}
    assert "noise" not in markdown
    assert (
        "| *noise*" in vpbench(*words, "md", "--references", "all", cwd=tmp_path, env=STAND_INS).out
    )
    obj = vpbench(*words, "json", cwd=tmp_path, env=STAND_INS).json()
    value = next(r for r in obj["groups"][0]["rows"] if r["method"] == "alpha")["scores"]["ssim"]
    line = next(r for r in rows if r["method"] == "alpha" and r["metric"] == "ssim")
    assert float(line["value"]) == value["value"]
    signs = {**STAND_INS, "PYTHONIOENCODING": "latin-1", "COLUMNS": "120"}
    plain, _ = start("compare", "alpha", cwd=tmp_path, env=signs, encoding="latin-1").communicate(
        timeout=240
    )
    assert "PSNR ^ dB" in plain and "?" not in plain
    for words in (("--per-class", "--format", "csv"), ("--metrics", " , ")):
        refused = vpbench("compare", "alpha", *words, cwd=tmp_path, env=STAND_INS)
        assert refused.code == 2 and refused.out == ""


def test_rows_that_are_left_out_count_in_the_marks(clips, tmp_path):
    """Without the rows of references a method that is worse than one still says so."""
    words = ("--dataset", folder(clips), "--metrics", "psnr")
    vpbench("run", "alpha", *words, cwd=tmp_path, env=STAND_INS)
    whole, few = (
        vpbench("compare", "alpha", *more, "--json", cwd=tmp_path, env=STAND_INS).json()
        for more in ((), ("--references", "none"))
    )
    rows = {row["method"]: row for row in whole["groups"][0]["rows"]}
    assert few["groups"][0]["rows"] == [rows["alpha"]] and rows["alpha"]["nulls"]
    assert few["groups"][0]["comparisons"] == whole["groups"][0]["comparisons"]
    elsewhere = ("--runs", tmp_path / "alone")
    alone = vpbench(
        *("run", "alpha", *words, "--no-references", *elsewhere), cwd=tmp_path, env=STAND_INS
    )
    assert "No comparison with trivial baselines: none was run." in alone.out


@pytest.fixture
def ten_clips(tmp_path):
    """As `clips`, with enough of them for intervals."""
    return write_clips(tmp_path / "ten", (("train", 4), ("val", 2), ("test", 10)))


def test_a_method_no_better_than_a_null_is_marked(ten_clips, tmp_path):
    clips = ten_clips
    vpbench("run", "alpha", "--dataset", folder(clips), cwd=tmp_path, env=STAND_INS)
    rows = vpbench("compare", "alpha", "--json", cwd=tmp_path, env=STAND_INS).json()
    (alpha,) = (r for r in rows["groups"][0]["rows"] if r["method"] == "alpha")
    assert "not better than copy-last (psnr)" in alpha["notes"]
    assert not any("noise" in m for m in alpha["notes"])
    against = {(n["null"], n["metric"]): n["claim"] for n in alpha["nulls"]}
    assert against["copy-last", "psnr"] == "not better" and against["noise", "psnr"] == "better"
    brief = " ".join(vpbench("compare", "alpha", cwd=tmp_path, env=STAND_INS).out.split())
    assert "≈ not shown to beat a trivial baseline" in brief or "▼" in brief
    assert "nearest trivial baseline" not in brief
    shown = vpbench("compare", "alpha", "--notes", cwd=tmp_path, env=STAND_INS).out
    shown = " ".join(shown.split())
    assert "PSNR less that of the nearest trivial baseline, over the same clips: alpha" in shown


@pytest.mark.e2e
def test_ranks_only_within_equal_conditioning_and_known_luck(ten_clips, tmp_path):
    clips = ten_clips
    vpbench("run", "alpha", "black", "--dataset", folder(clips), cwd=tmp_path, env=STAND_INS)
    rows = vpbench("compare", "alpha", "black", "--json", cwd=tmp_path, env=STAND_INS).json()
    ranks = {r["method"]: r["scores"]["psnr"]["rank"] for r in rows["groups"][0]["rows"]}
    assert ranks["alpha"] == "1" and ranks["black"] == "2"
    assert ranks["copy-last"] is None and ranks["real"] is None


def test_few_clips_are_compared_with_nothing_and_say_so(clips, tmp_path):
    done = vpbench("run", "alpha", "black", "--dataset", folder(clips), cwd=tmp_path, env=STAND_INS)
    shown = " ".join(done.out.split())
    assert (
        "No comparison with trivial baselines: 6 independent groups of clips, 8 are needed" in shown
    )
    rows = vpbench("compare", "alpha", "black", "--json", cwd=tmp_path, env=STAND_INS).json()
    scores = [s for r in rows["groups"][0]["rows"] for s in r["scores"].values()]
    assert all(s["se"] is s["ci95"] is s["rank"] is None for s in scores)


def test_an_unknown_method_is_a_mistake_with_the_nearest_name(clips, tmp_path):
    done = vpbench("compare", "alpa", cwd=tmp_path, env=STAND_INS)
    assert done.code == 2 and "Did you mean alpha" in done.err


def test_a_dataset_narrows_the_tables(clips, tmp_path):
    for where in (folder(clips), folder(clips, size=20)):
        vpbench("run", "alpha", "--dataset", where, "--no-references", cwd=tmp_path, env=STAND_INS)
    done = vpbench(
        "compare",
        "alpha",
        "--dataset",
        folder(clips, size=20),
        "--json",
        cwd=tmp_path,
        env=STAND_INS,
    )
    assert [g["task"]["size"] for g in done.json()["groups"]] == [20]


@pytest.mark.e2e
def test_seeds_and_fits_keep_their_error(ten_clips, tmp_path):
    """`--seeds 0-2` and `--fit-seeds 0-2` print ±; ranks come with the third fit."""
    env = {"VPBENCH_PLUGINS": str(PLUGINS / "tiny_method.py")}
    words = ("--dataset", folder(ten_clips), "--no-references", "--metrics", "psnr")

    def rows(*more):
        done = vpbench("run", "noise", "tiny", *words, *more, cwd=tmp_path, env=env)
        assert done.code == 0, done.err
        compared = vpbench("compare", "noise", "tiny", "--json", cwd=tmp_path, env=env)
        return {r["method"]: r for r in compared.json()["groups"][0]["rows"]}

    one = rows("--seeds", "0-2")
    assert one["noise"]["seeds"] == [0, 1, 2]
    for row in one.values():
        score = row["scores"]["psnr"]
        assert score["se"] > 0 and score["ci95"][0] < score["value"] < score["ci95"][1]
    three = rows("--fit-seeds", "0-2")["tiny"]
    assert three["fit_seeds"] == [0, 1, 2] and three["scores"]["psnr"]["se"] > 0
    assert "one training run" not in vpbench("compare", "tiny", cwd=tmp_path, env=env).out
