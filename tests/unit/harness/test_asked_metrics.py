"""Metrics that `compare` is asked for: a mistyped one is an error, an unscored one is named."""

from types import SimpleNamespace

import pytest

from vpbench.api import UnknownName
from vpbench.core.registry import registry
from vpbench.harness.results.asked_metrics import check_metrics, without_column

RUN = SimpleNamespace(scores={("psnr", 16): {}, ("theirs@loud", 16): {}})
"""A run that was scored with a metric which is not installed any more."""


@pytest.mark.parametrize(
    "names", [None, [], ["psnr"], ["lpips@vgg"], ["theirs@loud"], ["study", "controllability"]]
)
def test_installed_and_stored_metrics_are_known(names):
    check_metrics(names, [RUN], registry())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pnsr", "unknown metric 'pnsr'. Did you mean psnr"),
        ("fvd@tf2081", "unknown recipe 'tf2081' of fvd. Did you mean tf2018"),
        ("theirs@quiet", "unknown metric 'theirs@quiet'. Did you mean theirs@loud"),
    ],
)
@pytest.mark.parametrize("runs", [[], [RUN]])
def test_a_mistyped_metric_is_an_error_with_runs_and_without(name, says, runs):
    if name.startswith("theirs") and not runs:
        says = "unknown metric 'theirs@quiet'"
    with pytest.raises(UnknownName) as error:
        check_metrics(["psnr", name], runs, registry())
    assert str(error.value).startswith(says)


def test_what_no_table_has_is_named_once():
    groups = [{"metrics": {"psnr": {}, "fvd#0a1b2c3d": {}}}, {"metrics": {"ssim": {}}}]
    assert without_column(["fid", "fvd", "psnr", "ssim", "study", "fid"], groups) == [
        "fid",
        "study",
    ]
    assert without_column(None, groups) == []
