"""Pretrained weights for tests that need them: found where somebody has them, else skipped."""

import os
from pathlib import Path

import pytest

from vpbench.api import WeightSpec
from vpbench.metrics.video_specs import I3D
from vpbench.metrics.weights.fetch import locate


def weights_path(spec: WeightSpec) -> Path:
    """Verified weights from the cache folder that VPBENCH_WEIGHTS_CACHE names, or skip.

    With "weights" in VPBENCH_REQUIRE the test fails instead of being skipped.
    """
    folder = os.environ.get("VPBENCH_WEIGHTS_CACHE")
    path = locate(spec, Path(folder)) if folder else None
    if path is not None:
        return path
    reason = (
        f"{spec.name} weights are not in {folder} (VPBENCH_WEIGHTS_CACHE)"
        if folder
        else "VPBENCH_WEIGHTS_CACHE names no cache folder with weights"
    )
    if "weights" in os.environ.get("VPBENCH_REQUIRE", "").replace(",", " ").split():
        pytest.fail(reason)
    pytest.skip(reason)


def i3d_path() -> Path:
    """The I3D weights as safetensors, or skip."""
    return weights_path(I3D)
