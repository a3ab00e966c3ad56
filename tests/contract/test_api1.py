"""A plugin written against api 1 keeps working; it changes only together with the contract."""

from pathlib import Path

from tests.e2e.helpers import TINY, folder, vpbench

ROOT = str(Path(__file__).parents[2])


def test_the_frozen_plugin_is_fitted_run_and_compared(clips, tmp_path):
    plugins = f"{TINY},tests.plugins.api1_frozen.spec:SPECS"
    env = {"VPBENCH_PLUGINS": plugins, "PYTHONPATH": ROOT}
    words = ("--dataset", folder(clips), "--metrics", "psnr", "--no-references", "--json")
    done = vpbench("run", "api1-drift", "tiny[motion=api1-line]", *words, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    runs = done.json()["runs"]
    assert [r["status"] for r in runs] == ["ok", "ok"]
    assert all(r["scores"]["psnr"]["value"] for r in runs)
    assert list(tmp_path.glob("runs/*/stages/api1-line.fit-*/stage.json"))
    compared = vpbench("compare", "api1-drift", "--json", cwd=tmp_path, env=env).json()
    assert compared["groups"][0]["rows"][0]["checkpoint"].startswith("fitted here")
    checked = vpbench("check", "api1-drift", "--json", cwd=tmp_path, env=env)
    assert checked.code == 0, checked.out
