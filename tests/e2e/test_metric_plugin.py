"""A stranger's set metrics in run, score and measure, with a pretrained file of their own."""

import json

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import PLUGINS, folder, vpbench
from tests.plugins.texture import COLOURS, FILE, NET, write_net

NAMES = ("texture-plain", "texture", "texture-net")


@pytest.fixture
def env(tmp_path):
    write_net(tmp_path / "weights")
    return {
        "VPBENCH_PLUGINS": str(PLUGINS / "texture.py"),
        "VPBENCH_WEIGHTS": str(tmp_path / "weights"),
    }


def edges(frames):
    """Mean difference of horizontal neighbours, uint8 [...,H,W,3] -> [3], another way."""
    wide = frames.astype(np.int64)
    return np.abs(wide[..., 1:, :] - wide[..., :-1, :]).reshape(-1, 3).mean(0)


def distance(fakes, reals, colours):
    mean = [np.mean([edges(clip) @ colours for clip in clips]) for clips in (fakes, reals)]
    return abs(mean[0] - mean[1])


@pytest.mark.e2e
def test_a_strangers_set_metrics_in_run_and_score(eight_clips, tmp_path, env):
    clips = eight_clips
    words = ("--dataset", folder(clips), "--no-references", "--json")
    made = vpbench("run", "copy-last", *words, "--metrics", ",".join(NAMES), cwd=tmp_path, env=env)
    assert made.code == 0, made.err
    (row,) = made.json()["runs"]
    (shard,) = (tmp_path / "runs").glob("*/copy-last/*/predictions/*.npz")
    fakes = np.load(shard)["frames"][:, 0]
    reals = [np.load(p)["frames"][1:9] for p in sorted((clips / "test").rglob("*.npz"))]
    thirds = np.full(3, 1 / 3)
    for name in NAMES:
        expected = distance(fakes, reals, COLOURS if name == "texture-net" else thirds)
        assert row["scores"][name]["value"] == pytest.approx(expected, rel=1e-6)
        assert row["scores"][name]["n"] == 8 and row["scores"][name]["ci95"] is not None
    for path in (tmp_path / "runs").glob("*/copy-last/*/scores/texture*"):
        path.unlink()
    again = vpbench(
        "score", "copy-last", "--metrics", ",".join(NAMES), "--json", cwd=tmp_path, env=env
    )
    assert again.code == 0, again.err
    assert again.json()["runs"][0]["scores"] == row["scores"]
    table = vpbench("compare", "copy-last", cwd=tmp_path, env=env)
    assert table.code == 0 and "texture-net" in table.out.lower()


def test_a_strangers_set_metrics_in_measure(tmp_path, env):
    for side, seed, count in (("real", 0, 6), ("fake", 1, 5)):  # unlike names, unequal sets
        write_clips(tmp_path / side, counts=((side, count),), frames=8, seed=seed)
    words = ("--metrics", ",".join(NAMES), "--json")
    done = vpbench("measure", "real", "fake", *words, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    scores = done.json()["scores"]
    sides = {
        side: [np.load(p)["frames"] for p in sorted((tmp_path / side).rglob("*.npz"))]
        for side in ("real", "fake")
    }
    expected = distance(sides["fake"], sides["real"], np.full(3, 1 / 3))
    assert scores["texture"]["value"] == pytest.approx(expected, rel=1e-6)
    assert scores["texture"]["value"] == scores["texture-plain"]["value"]
    assert scores["texture"]["floor"] is not None and "two halves" in scores["texture"]["reason"]
    assert scores["texture-plain"]["floor"] is None  # it offers none


def test_a_strangers_weights_are_listed_fetched_verified(tmp_path, env):
    items = json.loads(vpbench("weights", "list", "--json", cwd=tmp_path, env=env).out)["items"]
    (item,) = (i for i in items if i["name"] == "texture-net")
    assert item["owners"][0]["name"] == "texture-net" and item["path"].endswith(FILE)
    assert env["VPBENCH_PLUGINS"] in item["owners"][0]["source"]
    fetched = vpbench("weights", "fetch", "texture-net", "--json", cwd=tmp_path, env=env)
    path = fetched.json()["items"][0]["path"]
    assert fetched.code == 0 and path.startswith(str(tmp_path / "home"))
    assert vpbench("weights", "verify", "texture-net", cwd=tmp_path, env=env).code == 0
    file = tmp_path / "weights" / FILE
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    damaged = vpbench("weights", "verify", "texture-net", cwd=tmp_path, env=env)
    assert damaged.code == 4 and "not the published file" in damaged.err


def test_without_the_file_there_is_a_sentence_and_the_others_are_scored(tmp_path, env):
    for side in ("real", "fake"):
        write_clips(tmp_path / side, counts=((side, 3),), frames=8, seed=len(side))
    env = {"VPBENCH_PLUGINS": env["VPBENCH_PLUGINS"]}
    words = ("--metrics", "texture,texture-net", "--json")
    done = vpbench("measure", "real", "fake", *words, cwd=tmp_path, env=env)
    scores = done.json()["scores"]
    assert scores["texture"]["value"] is not None and scores["texture-net"]["value"] is None
    assert scores["texture-net"]["reason"] == (
        f"not scored: {NET.label} weights are not here (`vpbench weights fetch texture-net`)"
    )


def test_a_metric_asks_only_for_what_it_declares(tmp_path, env):
    (tmp_path / "greedy.py").write_text(
        f"import sys; sys.path.insert(0, {str(PLUGINS.parents[1])!r})\n"
        "from tests.plugins.texture import TextureNet\n"
        "from vpbench.api import MetricSpec\n"
        "SPEC = MetricSpec('greedy', ':Greedy', 'x', 'set', 'down', '', 1, min_clips=2)\n"
        "class Greedy(TextureNet):\n    spec = SPEC\n"
    )
    for side in ("real", "fake"):
        write_clips(tmp_path / side, counts=((side, 3),), frames=8, seed=len(side))
    env = {**env, "VPBENCH_PLUGINS": f"{env['VPBENCH_PLUGINS']},{tmp_path / 'greedy.py'}"}
    done = vpbench(
        "measure", "real", "fake", "--metrics", "greedy", "--json", cwd=tmp_path, env=env
    )
    reason = done.json()["scores"]["greedy"]["reason"]
    assert "asks for the weights 'texture-net', which its spec does not declare" in reason
