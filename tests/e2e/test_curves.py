"""Metrics over time, from finished runs: the table, the JSON, the picture."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.e2e.helpers import TINY, folder, vpbench

pytestmark = pytest.mark.e2e


def test_curves_are_the_means_of_the_stored_values(finished, finished_clips):
    compared = vpbench("compare", "tiny", "noise", "--curves", "--json", cwd=finished)
    assert compared.code == 0, compared.err
    (group,) = compared.json()["groups"]
    for metric in ("psnr", "ssim"):
        for curve in group["curves"][metric]:
            files = finished.glob(f"runs/*/{curve['method']}/*/scores/{metric}@*.json")
            stored = [json.loads(path.read_text()) for path in files]
            (own,) = [score["per_frame"] for score in stored if score["frames"] == group["frames"]]
            assert np.allclose(curve["values"], np.mean(list(own.values()), axis=0))
            assert curve["n"] == len(own) and len(curve["values"]) == group["frames"] == 8
    shown = vpbench("compare", "tiny", "--curves", cwd=finished)
    assert "PSNR ↑ dB of each predicted frame, mean over clips" in shown.out
    assert "curves" not in vpbench("compare", "tiny", "--json", cwd=finished).out

    words = ("--dataset", folder(finished_clips), "--metric", "ssim", "--json")
    installed = {"VPBENCH_PLUGINS": TINY}
    drawn = vpbench("figure", "curves", "tiny", "noise", *words, cwd=finished, env=installed)
    assert drawn.code == 0, drawn.err
    record = drawn.json()
    assert record["curves"] == group["curves"]["ssim"]
    pixels = np.array(Image.open(finished / "figures" / "curves.png"))
    assert pixels.std() > 5
    words = ("tiny", *words[:2], "--metric", "motion")
    nothing = vpbench("figure", "curves", *words, cwd=finished, env=installed)
    assert nothing.code == 5 and "no row has values of motion frame by frame" in nothing.err
    wrong = vpbench("compare", "tiny", "--curves", "--format", "tex", cwd=finished)
    assert wrong.code == 2 and "--curves" in wrong.err
