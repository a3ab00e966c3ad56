"""Videos from another program, through the generated plugin of the kind `folder`."""

import numpy as np
import pytest

from tests.e2e.helpers import folder, vpbench


@pytest.mark.e2e
def test_a_program_that_knows_nothing_of_vpbench_is_scored(clips, tmp_path):
    made = vpbench("new-plugin", "outside", "--kind", "folder", "--json", cwd=tmp_path)
    assert made.code == 0, made.err
    package = tmp_path / "vpbench-outside"
    env = {"PYTHONPATH": str(package), "VPBENCH_PLUGINS": "vpbench_outside.spec:SPEC"}
    words = ("--dataset", folder(clips), "--no-references", "--json")
    plain = vpbench("run", "outside", *words, cwd=tmp_path, env=env).json()["runs"][0]
    copy = vpbench("run", "copy-last", *words, cwd=tmp_path).json()["runs"][0]
    assert plain["scores"]["psnr"]["value"] == copy["scores"]["psnr"]["value"]
    vpbench("predict", "outside[inputs=inputs]", "--dataset", folder(clips), cwd=tmp_path, env=env)
    inputs = sorted((tmp_path / "inputs").glob("*.npz"))
    assert len(inputs) == 6
    (tmp_path / "videos").mkdir()
    for path in inputs:  # the other program: everything turns black
        with np.load(path) as given:
            frames = np.zeros((8, *given["frames"].shape[1:]), np.uint8)
            assert given["label"] in (0, 1)
        np.savez(tmp_path / "videos" / path.name, frames=frames)
    done = vpbench("run", "outside[videos=videos]", *words, cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    (shard,) = (tmp_path / "runs").glob("*/outside+videos-videos/*/predictions/*.npz")
    assert np.load(shard)["frames"].max() == 0
    inputs[0].rename(tmp_path / "elsewhere.npz")
    (tmp_path / "short").mkdir()
    missing = vpbench("run", "outside[videos=short]", *words, cwd=tmp_path, env=env)
    assert missing.code == 5 and "no video of 6 of 6 clips: " in missing.json()["runs"][0]["reason"]
