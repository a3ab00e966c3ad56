"""The datasets of the published comparison, on synthetic archives, with every learned method that
is installed: one that has a preset `smoke` takes part by itself."""

import pytest

from tests.e2e.helpers import TINY, vpbench
from tests.make_archives import make_all
from vpbench.api import MethodSpec
from vpbench.core.registry import registry

DATASETS = ("penn", "penn-context", "penn-puppets", "nemo", "mgif")


def smoke_methods():
    """Names of installed methods with a preset `smoke`."""
    specs = [e.spec for e in registry().of("method") if e.status == "ok"]
    return sorted(s.name for s in specs if isinstance(s, MethodSpec) and "smoke" in s.presets)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return make_all(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Clips are converted once for all tests of this module."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def env(archives, home):
    return {"VPBENCH_DATA": str(archives), "VPBENCH_HOME": str(home)}


def place(dataset):
    base, dash, _ = dataset.partition("-context")
    return ("--dataset", base, *(("--task", dataset) if dash else ()))


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.e2e
def test_copy_last_with_all_references(dataset, env, tmp_path):
    done = vpbench(
        "run", "copy-last", *place(dataset), "--metrics", "psnr", "--json", cwd=tmp_path, env=env
    )
    assert done.code == 0, done.err
    runs = {r["method"]: r for r in done.json()["runs"]}
    assert runs["copy-last"]["task"] == dataset
    psnr = {name: r["scores"]["psnr"]["value"] for name, r in runs.items() if r["scores"]}
    assert min(psnr["copy-last"], psnr["real-other"]) > psnr["noise"]
    assert psnr["real"] > 100  # the cap: half a grey level's error in one value of each clip
    if dataset != "mgif":  # its synthetic cycles come back to where they began, on one ground
        assert psnr["copy-last"] > psnr["real-other"]
    labelled = dataset.startswith("penn")
    assert (runs["class-random"]["status"] == "ok") == labelled
    if not labelled:
        assert "label" in runs["class-random"]["reason"]


@pytest.mark.e2e
@pytest.mark.parametrize("dataset", DATASETS)
def test_learned_methods_run_or_say_why_not(dataset, env, tmp_path):
    """All in one command: a refused one, for want of poses or labels, stops no other."""
    methods = smoke_methods()
    done = vpbench(
        "run",
        *methods,
        *place(dataset),
        "--preset",
        "smoke",
        "--metrics",
        "psnr",
        "--limit",
        2,
        "--no-references",
        "--json",
        cwd=tmp_path,
        env=env,
        timeout=480,
    )
    runs = {r["method"].partition("[")[0]: r for r in done.json()["runs"]}
    assert set(runs) == set(methods), done.err
    refused = {name for name, run in runs.items() if run["status"] == "refused"}
    assert done.code == (2 if refused else 0), done.err
    assert all(runs[name]["reason"] for name in refused)
    if dataset.startswith("penn"):  # labels, poses, any size: all that a method may ask for
        assert not refused
    for run in (runs[name] for name in methods if name not in refused):
        assert run["status"] == "ok", done.err
        assert run["scores"]["psnr"]["n"] == 2 and run["scores"]["psnr"]["value"] > 5


def test_the_plan_of_the_plain_command(env, tmp_path):
    """What would be done without `--preset`: each method's default for 128 px, to be fitted."""
    methods = smoke_methods()
    done = vpbench("plan", *methods, "--dataset", "penn", "--json", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    runs = {r["method"].partition("[")[0]: r for r in done.json()["runs"]}
    for name in methods:
        assert runs[name]["stages"]
        assert {s["origin"] for s in runs[name]["stages"]} <= {
            "to fit",
            "bundled",
            "fitted",
            "pinned",
            "not needed",
        }
    assert not list(tmp_path.glob("runs/penn/*/*/predictions"))


@pytest.mark.e2e
def test_subsets_are_scored_and_shown(env, tmp_path):
    done = vpbench(
        "run",
        "copy-last",
        "--dataset",
        "penn",
        "--metrics",
        "psnr,ssim",
        "--no-references",
        cwd=tmp_path,
        env=env,
    )
    assert done.code == 0, done.err
    assert "penn · subset long · " in done.out and "subset no-neighbour" not in done.out
    assert "1 test clip shorter than the window: each future frame shown twice" in done.out
    groups = vpbench("compare", "copy-last", "--subset", "all", "--json", cwd=tmp_path).json()
    by_name = {(g["task"].get("subset"), g["frames"]): g for g in groups["groups"]}
    assert set(by_name) == {(s, f) for s in (None, "long", "no-neighbour") for f in (16, 32)}
    import json

    (folder,) = tmp_path.glob("runs/penn/copy-last/*/scores")
    stored = [json.loads(p.read_text()) for p in folder.glob("psnr@*.json")]
    whole = next(s for s in stored if "subset" not in s and s["frames"] == 32)
    for name in ("long", "no-neighbour"):
        group = by_name[name, 32]
        (row,) = group["rows"]
        kept = [whole["per_clip"][v] for v in ("2160", "1680")]
        assert row["n"] == group["task"]["n"] == row["scores"]["psnr"]["n"] == 2
        assert row["scores"]["psnr"]["value"] == pytest.approx(sum(kept) / 2)
        assert group["task"]["split_hash"] != by_name[None, 32]["task"]["split_hash"]
        own = next(s for s in stored if s.get("subset", {}).get("name") == name)
        assert own["subset"]["hash"] == group["task"]["split_hash"]
        assert set(own["per_clip"]) == {"2160", "1680"}
    prints = {g["metrics"]["psnr"]["fingerprint"] for g in by_name.values()}
    assert len(prints) == 6
    wrong = vpbench("compare", "copy-last", "--subset", "longg", cwd=tmp_path)
    assert wrong.code == 2 and "Did you mean long?" in wrong.err
    none = vpbench("compare", "copy-last", "--subset", "none", cwd=tmp_path)
    assert "subset" not in none.out


def test_scores_of_subsets_are_added_to_an_older_run(env, tmp_path):
    vpbench(
        "run",
        "copy-last",
        "--dataset",
        "penn",
        "--metrics",
        "psnr",
        "--no-references",
        cwd=tmp_path,
        env=env,
    )
    (scores,) = tmp_path.glob("runs/penn/copy-last/*/scores")
    before = {p.name: p.read_bytes() for p in scores.glob("*.json")}
    gone = [n for n, b in before.items() if b'"subset"' in b]
    assert len(gone) == 4
    for name in gone:
        (scores / name).unlink()
    done = vpbench("score", "copy-last", "--metrics", "psnr", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    after = {p.name for p in scores.glob("*.json")}
    assert after == set(before)


@pytest.mark.e2e
def test_training_on_train_and_val_is_a_row_of_its_own(env, tmp_path):
    method = "tiny[steps=2]"
    common = ("--dataset", "penn-puppets", "--metrics", "psnr", "--no-references")
    values = ",".join(f"{TINY}:{n}" for n in ("METHOD", "DETECTOR", "MOTION", "TRANSLATOR"))
    env = {**env, "VPBENCH_PLUGINS": values}
    for part in ("train", "train+val"):
        done = vpbench(
            "run", method, "copy-last", *common, "--train-on", part, "--json", cwd=tmp_path, env=env
        )
        assert done.code == 0, done.err
    stages = {p.name.rpartition("-")[0] for p in tmp_path.glob("runs/penn-puppets/stages/*")}
    keys = {p.name for p in tmp_path.glob("runs/penn-puppets/stages/*")}
    assert len(keys) == 2 * len(stages) == 6
    labels = sorted(p.name for p in tmp_path.glob("runs/*/stages/tiny*labels*/checkpoint/*.npz"))
    assert labels.count("train-00008.npz") == 1 and labels.count("val-00000.npz") == 1
    assert len(list(tmp_path.glob("runs/penn-puppets/copy-last/*"))) == 1  # it is not trained
    group = vpbench("compare", method, "copy-last", "--json", cwd=tmp_path, env=env).json()
    rows = [r for r in group["groups"][0]["rows"] if r["kind"] == "method"]
    assert sorted(any("trained on train+val" in m for m in r["notes"]) for r in rows) == [
        False,
        True,
    ]
    assert "train_on" not in group["groups"][0]["task"]


def test_prepare_verify_and_instructions(env, tmp_path):
    ready = vpbench("data", "prepare", "mgif", "--workers", 2, cwd=tmp_path, env=env)
    assert ready.code == 0 and "4 train" in ready.out, ready.err
    checked = vpbench("data", "verify", "penn", "--json", cwd=tmp_path, env=env).json()
    assert checked["ok"] and checked["published"] == {"train": 1172, "test": 90}
    assert checked["counts"] == {"train": 8, "val": 1, "test": 3}
    for name, word in (("nemo", "uva-nemo.org"), ("mgif", "yadi.sk")):
        done = vpbench("data", "prepare", name, "--download", cwd=tmp_path, env=env)
        assert done.code == 5 and word in done.err and "licence" in done.err
        assert f"{env['VPBENCH_DATA']}/{name}/train/" in done.err
    offline = vpbench("data", "prepare", "penn", "--download", "--root", "x", cwd=tmp_path)
    assert offline.code == 5 and "--offline" in offline.err
    nowhere = vpbench("run", "copy-last", "--dataset", "penn", cwd=tmp_path)
    assert nowhere.code == 5 and "--download" in nowhere.err
