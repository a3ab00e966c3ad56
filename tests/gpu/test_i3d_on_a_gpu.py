"""I3D computes the same features on a GPU as on a processor, however it is run there."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vpbench.data.puppets.clips import render_clip
from vpbench.metrics.frechet import frechet
from vpbench.metrics.i3d.extract import I3DFeatures, full_precision
from vpbench.metrics.i3d.folded import fold
from vpbench.metrics.i3d.network import I3D, variables

CLIPS = 8
"""Of each of the two sets: the processor is the slow side."""


def random_network(narrow=1):
    """The architecture with random weights under which signals neither die nor grow."""
    net = I3D(narrow=narrow)
    generator = torch.Generator().manual_seed(0)
    for unit in net.units.values():
        fan_in = math.prod(unit.weight.shape[1:])
        unit.weight.normal_(0.0, math.sqrt(2.0 / fan_in), generator=generator)
        unit.beta.normal_(0.0, 0.1, generator=generator)
    net.weight.normal_(0.0, net.weight.shape[1] ** -0.5, generator=generator)
    return net


@pytest.fixture(scope="module", params=["random", "published"])
def weights(request, tmp_path_factory):
    """A file of weights: random ones, and the published ones where they are at hand."""
    if request.param == "published":
        home = os.environ.get("VPBENCH_WEIGHTS_CACHE")
        found = sorted(Path(home or "none").glob("weights/i3d-*.safetensors"))
        if not found:
            pytest.skip("VPBENCH_WEIGHTS_CACHE holds no I3D weights")
        return found[0]
    path = tmp_path_factory.mktemp("i3d") / "random.safetensors"
    tensors = {}
    for name, (value, shape) in variables(random_network()).items():
        value = value.permute(2, 3, 4, 1, 0) if len(shape) == 5 and value.ndim == 5 else value
        value = value.t() if value.ndim == 2 else value
        tensors[name] = value.reshape(shape).contiguous().clone()
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def clips():
    """uint8 [16,16,64,64,3]: true futures, and repeated frames."""
    true = np.stack([render_clip("test", i).frames[5:21] for i in range(CLIPS)])
    still = np.stack([render_clip("test", i).frames[[4] * 16] for i in range(CLIPS)])
    return np.concatenate([true, still])


@pytest.fixture(scope="module")
def on_cpu(weights, clips):
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return I3DFeatures(weights)(clips)
    finally:
        torch.set_num_threads(before)


def fvd(features):
    return frechet(features[:CLIPS], features[CLIPS:])


@pytest.mark.parametrize("batch", [1, 4])
def test_features_and_distances_are_those_of_the_processor(cuda, weights, clips, on_cpu, batch):
    there = I3DFeatures(weights, device=cuda, batch=batch)(clips)
    apart = np.abs(there - on_cpu).max() / np.abs(on_cpu).max()
    distance = abs(fvd(there) / fvd(on_cpu) - 1.0)
    print(f"batch {batch}: features {apart:.2e}, FVD {fvd(on_cpu):.4g} {distance:.2e}")  # noqa: T201
    assert apart < 1e-4
    assert distance < 1e-3


def test_the_same_features_twice(cuda, weights, clips):
    extractor = I3DFeatures(weights, device=cuda)
    assert np.allclose(extractor(clips[:3]), extractor(clips[:3]), rtol=1e-6, atol=1e-6)


def test_compiled_features_are_the_eager_ones(cuda):
    net = fold(random_network(narrow=8)).to(cuda)
    frames = torch.rand(2, 3, 16, 224, 224, device=cuda) * 2 - 1
    with torch.inference_mode(), full_precision():
        eager = net(frames)
        compiled = torch.compile(net)(frames)
    assert ((compiled - eager).abs().max() / eager.abs().max()).item() < 1e-4
