"""One step of every stage of preset `paper` at 128 px: that it runs, and its exact sizes.

Counts are those of `test_kp_counts.py` and of the networks' own tests, by hand from the
publications; here they are those of what is really trained.
"""

import math
import sys
from pathlib import Path

import pytest

from vpbench.core.registry import registry

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

STAGES = {
    ("ours", "ours:keypoints", None): {
        "detector": 2_252_840,
        "translator": 3_395_620,
        "discriminator": 44_721_088,
    },
    ("ours", "ours:motion", None): {"motion": 25_870_480, "discriminator": 12_919_809},
    ("villegas", "villegas-detector:fit", None): {"detector": 3_917_786},
    ("villegas", "villegas-motion:fit", None): {"lstm": 4_356_986},
    ("villegas", "villegas-translator:fit", None): {
        "generator": 5_232_131,
        "discriminator": 4_417_921,
    },
    # 23,594,482 at the published 64 px: four times as many places before the encoder's dense layer
    ("wichers", "wichers:epva", 2): {"networks": 24_193_522},
    ("wichers", "wichers:adversarial", 2): {"networks": 24_200_491, "critic": 3_898_177},
    ("li", "li:flow", None): {"generator": 63_192_018, "posterior": 70_307_168},
    ("li", "li:refiner", None): {"refiner": 15_235_203},
}
"""(method, stage, batch) -> trained weights. The published batch, but for wichers, which would take
more than 16 GiB."""


@pytest.mark.parametrize(("method", "stage", "batch"), STAGES)
def test_a_step_of_the_published_sizes(method, stage, batch, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sys.modules.pop("published_step", None)
    from published_step import in_process, parameters, stages_of

    more = [] if batch is None else ["--batch", str(batch)]
    row = in_process(f"{method}[preset=paper]", "--stage", stage, *more)
    assert row["weights"] == STAGES[method, stage, batch]
    assert row["losses"] and all(math.isfinite(v) for v in row["losses"].values())
    assert row["seconds"] > 0 and 0.3 < row["gib"] < 16
    node = stages_of(f"{method}[preset=paper]", registry(()))[stage]
    assert batch or row["batch"] in {v for k, v in parameters(node).items() if k.endswith("batch")}
