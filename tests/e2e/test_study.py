"""A study from the command line: finished runs in, statistics and a column of `compare` out."""

import csv
import io
import json
import subprocess
import sys

import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import folder, vpbench
from tests.unit.study import make
from vpbench.study.files import PrivatePaths, open_bundle, open_key

pytestmark = pytest.mark.e2e

METHODS = ("copy-last", "blur-copy", "noise")
ORDER = (1, 2, 3)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with finished runs of three methods, and the dataset's name."""
    base = tmp_path_factory.mktemp("study")
    clips = write_clips(base / "clips", counts=(("train", 6), ("val", 2), ("test", 6)))
    dataset = folder(clips)
    env = {"VPBENCH_HOME": str(base / "home")}
    done = vpbench(
        "run",
        *METHODS,
        "--dataset",
        dataset,
        "--metrics",
        "psnr",
        "--no-references",
        cwd=base,
        env=env,
    )
    assert done.code == 0, done.err
    return base, dataset, env


def test_from_runs_to_compare(place):
    base, dataset, env = place
    (base / "mine.toml").write_text('[texts]\norganiser = "Lab"\ncontact = "me@example.org"\n')
    made = vpbench(
        "study",
        "export",
        *METHODS,
        "--dataset",
        dataset,
        "--out",
        "rank",
        "--raters",
        6,
        "--settings",
        "mine.toml",
        "--json",
        cwd=base,
        env=env,
    )
    assert made.code == 0, made.err
    said = made.json()
    assert (said["clips"], said["trials"], said["gold"], said["unset"]) == (6, 8, 1, [])
    assert {row["raters"] for row in said["power"]["advice"]} >= {6, 15}
    bundle = open_bundle(base / "rank")
    private = PrivatePaths.of(base / "rank")
    key = open_key(bundle, private)
    assert bundle.sha256 == said["bundle_sha256"]
    public = b"".join(p.read_bytes() for p in bundle.folder.rglob("*.js*"))
    assert not any(name.encode() in public for name in METHODS)

    empty = vpbench("study", "analyse", "rank", cwd=base, env=env)
    assert empty.code == 5 and "study serve" in empty.err
    make.collect_answers(bundle, key, private, lambda r, c: ORDER if (r + c) % 4 else (2, 1, 3))

    result = vpbench(
        "study",
        "analyse",
        "rank",
        "--html",
        "r.html",
        "--csv",
        "a.csv",
        "--nemenyi",
        "--resamples",
        200,
        cwd=base,
        env=env,
    )
    assert result.code == 0, result.err
    assert "copy-last" in result.out and "Friedman over 6 clips" in result.out
    assert "<svg" in (base / "r.html").read_text()
    assert len(list(csv.reader(io.StringIO((base / "a.csv").read_text())))) == 1 + 6 * 8 * 3 * 3

    table = vpbench("compare", *METHODS, "--dataset", dataset, "--json", cwd=base, env=env)
    (group,) = table.json()["groups"]
    assert group["metrics"]["study"]["direction"] == "down"
    scores = {row["method"]: row["scores"]["study"] for row in group["rows"]}
    assert scores["copy-last"]["value"] == pytest.approx(1.25, abs=0.1)
    assert scores["noise"]["value"] == 3 and scores["noise"]["n"] == 6
    references = [row for row in group["rows"] if row["method"] not in METHODS]
    assert all(row["scores"]["study"]["value"] is None for row in references)
    shown = vpbench("compare", *METHODS, "--dataset", dataset, "--notes", cwd=base, env=env)
    assert "study" in shown.out and "mean rank by 6 raters on 6 clips" in shown.out
    without = vpbench("compare", *METHODS, "--metrics", "psnr", "--json", cwd=base, env=env).json()
    assert "study" not in without["groups"][0]["metrics"]

    # Other predictions than those that people saw have no mean rank.
    (path,) = (base / "runs").glob("*/studies/*.json")
    from vpbench.core.rundir import write_sealed

    stored = json.loads(path.read_text())
    stored["methods"]["noise"]["manifest"] = "0" * 64
    write_sealed(path, stored)
    group = vpbench("compare", *METHODS, "--dataset", dataset, "--json", cwd=base, env=env).json()
    scores = {r["method"]: r["scores"]["study"] for r in group["groups"][0]["rows"]}
    assert scores["noise"]["value"] is None and "other predictions" in scores["noise"]["reason"]
    path.write_text(path.read_text().replace('"raters": 6', '"raters": 9'))
    assert vpbench("compare", *METHODS, "--dataset", dataset, cwd=base, env=env).code == 4
    path.unlink()


def test_kim2019(place):
    base, dataset, env = place
    words = ["study", "export", *METHODS, "--dataset", dataset, "--design", "kim2019"]
    refused = vpbench(*words, "--out", "kim", cwd=base, env=env)
    assert refused.code == 2 and "--clips 70" in refused.err
    made = vpbench(*words, "--out", "kim", "--clips", 4, "--json", cwd=base, env=env).json()
    assert (made["raters"], made["clips"], made["gold"], made["questions"]) == (
        15,
        4,
        0,
        ["overall"],
    )
    assert made["unset"] == ["organiser", "contact"]
    key = open_key(open_bundle(base / "kim"), PrivatePaths.of(base / "kim"))
    assert not key["plan"]["balanced"]
    shown = vpbench("study", "serve", "kim", "--host", "0.0.0.0", cwd=base, env=env)
    assert shown.code == 2 and "study.toml" in shown.err
    batch = vpbench("study", "mturk-batch", "kim", "https://example.org/kim", cwd=base, env=env)
    assert batch.code == 0 and len(batch.out.splitlines()) == 1 + 15 * 4


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["export", "real-other", "copy-last", "--out", "x"], 5, "vpbench run real-other"),
        (["export", "copy-last", "copy-last", "--out", "x"], 2, "named twice"),
        (["export", "copy-last", "--out", "x"], 2, "2 to 6 methods"),
        (["export", "copy-last", "noise", "--out", "clips"], 2, "--out"),
        (["export", "copy-last", "noise", "--out", "x", "--horizon", "99"], 2, "--horizon 8"),
        (["export", "copy-last", "noise", "--out", "x", "--subset", "some"], 2, "subset"),
        (["export", "copy-last", "noise", "--out", "x", "--gold", "99"], 5, "--gold"),
        (["export", "copy-last", "noise", "--out", "x", "--settings", "no.toml"], 5, "no.toml"),
        (["serve", "clips"], 5, "study export"),
        (["analyse", "nothing"], 5, "study export"),
        (["import", "clips", "a.json"], 5, "study export"),
    ],
)
def test_bad_input(place, words, code, what):
    base, dataset, env = place
    more = ["--dataset", dataset] if words[0] == "export" else []
    done = vpbench("study", *words, *more, cwd=base, env=env)
    assert (done.code, what in done.err) == (code, True), done.err
    assert not (base / "x").exists() and not (base / "x.private").exists()


def test_help_is_light(tmp_path):
    code = (
        "import sys; from vpbench.cli.main import main\n"
        "try: main(['study', 'export', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'scipy', 'starlette', 'uvicorn', 'av'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "HEAVY []" in out.stdout, out.stdout + out.stderr
