"""The ten ways in which plugins are broken most often: each is caught, and told in words."""

from pathlib import Path

import pytest

from vpbench.core.registry import build
from vpbench.testing import run_checks

HERE = Path(__file__).parent
KINDS = {
    "import error": ("broken_import", "spec-import", "no_such_package_at_all"),
    "wrong shape": ("no-samples-axis", "shape", "[1, 7, 32, 32, 3]"),
    "float output": ("float", "dtype", "float32"),
    "wrong horizon": ("one-short", "horizon", "6 frames"),
    "NaN": ("nan", "finite", "NaN"),
    "global generator": ("seeds-numpy", "globals", "the global generator of numpy"),
    "writes outside": ("litters", "writes", ".litter"),
    "ignores the seed": ("ignores-seed", "seeds", "the same bytes"),
    "reads the dataset": ("reads-clips", "future-probe", "follow the true future"),
    "hangs": ("hangs", "answers", "it hangs"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_caught_by_name(kind):
    name, check, words = KINDS[kind]
    plugins = build([str(HERE / f"{f}.py") for f in ("method_mutants", "broken_import")])
    results = run_checks("method", name, registry=plugins, timeout=8 if kind == "hangs" else 120)
    (wrong,) = [r for r in results if not r.ok]
    assert wrong.id == check and words in wrong.got
    assert "method_mutants.py" in wrong.where or kind in ("import error", "hangs")
