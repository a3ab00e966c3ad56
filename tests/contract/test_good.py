"""What comes with vpbench, and a tiny learned method, hold all checks."""

from pathlib import Path

import pytest

from tests.conftest import write_clips
from vpbench.core.registry import build
from vpbench.testing import run_checks

PLUGINS = Path(__file__).parents[1] / "plugins"


def passed(kind, name, extra=(), full=False):
    results = run_checks(kind, name, full, build(extra))
    assert all(r.status in ("passed", "skipped") for r in results), results
    return {r.id for r in results if r.status == "passed"}


def test_a_null_method():
    assert {"same-seed", "future-probe", "writes", "globals"} <= passed("method", "copy-last")


def test_a_stochastic_reference():
    assert {"seeds", "samples", "label-used"} <= passed("method", "class-random")


def test_a_tiny_learned_method():
    found = passed("method", "tiny", [str(PLUGINS / "tiny_method.py")], full=True)
    assert {"fit", "fit-logs", "save-load", "resume", "label-used", "given-frames"} <= found


@pytest.mark.parametrize("name", ["tiny-detector", "tiny-translator", "tiny-still"])
def test_components(name):
    found = passed("component", name, [str(PLUGINS / "tiny_method.py")])
    assert {"shapes", "save-load", "composed"} <= found


@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_metrics(name):
    assert {"order", "merge", "optimum", "monotone", "refuses"} <= passed("metric", name)


def test_a_metric_whose_weights_are_not_here_is_skipped():
    assert "merge" not in passed("metric", "fvd")


def test_puppets():
    assert {"disjoint", "indices", "pose", "pickles"} <= passed("dataset", "puppets[size=16]")


def test_a_folder(tmp_path):
    clips = write_clips(tmp_path / "clips")
    name = f"folder:{clips}[size=16,horizon=8]"
    assert {"disjoint", "indices", "tasks", "verify"} <= passed("dataset", name, full=True)


def test_the_local_executor():
    assert {"runs", "failure", "cancel", "limits", "order", "close"} <= passed("executor", "local")
