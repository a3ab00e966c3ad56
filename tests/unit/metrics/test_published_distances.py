"""Distances and networks against the programs of their publishers, where these are installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from vpbench.metrics.frechet import frechet
from vpbench.metrics.kernel import Polynomial
from vpbench.metrics.whole_kernel import mmd_with_diagonal

pytestmark = pytest.mark.e2e


def module_of(package, file):
    """One file of a package; its __init__ would need the network, or packages of other years."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    spec = importlib.util.spec_from_file_location(f"their_{file}", Path(found.origin).parent / file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_jedi_as_published_is_videojedis():
    pytest.importorskip("sklearn", reason="scikit-learn, which videojedi needs, is not installed")
    theirs = module_of("videojedi", "mmd_polynomial.py")
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((40, 64)), rng.standard_normal((31, 64)) * 1.1 + 0.2
    own = [[str(k) for k in range(len(z))] for z in (x, y)]
    ours, _ = mmd_with_diagonal(x, y, *own, Polynomial(degree=2, offset=0.0))
    assert ours == pytest.approx(theirs.mmd_poly(x, y, degree=2, coef0=0), rel=1e-10)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_the_frechet_distance_is_fvmds_but_for_what_that_adds():
    """It adds 1e-5 to both diagonals under the root, and there alone: X to itself is below 0."""
    import scipy

    pytest.importorskip("loguru", reason="loguru, which fvmd needs, is not installed")
    if tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 18):
        pytest.skip("fvmd does not run with SciPy 1.18")
    theirs = module_of("fvmd", "frechet_distance.py").calculate_fd_given_vectors
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((300, 12)), rng.standard_normal((200, 12)) * 1.5 + 1
    assert theirs(x, y) == pytest.approx(frechet(x, y), rel=1e-4)
    assert theirs(x, x) == pytest.approx(-2 * 12 * 1e-5, rel=1e-3)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_vjepas_networks_have_the_tensors_of_its_own_program():
    import torch

    pytest.importorskip("vjepa.models", reason="vjepa is not installed")
    from vjepa.models import attentive_pooler, vit_huge

    from vpbench.metrics.networks import transformer

    with torch.device("meta"):
        ours = transformer.VJepa(transformer.VITH16)
        encoder = vit_huge(num_frames=16, tubelet_size=2, uniform_power=True)
        probe = attentive_pooler.AttentiveClassifier(
            embed_dim=1280, num_heads=16, depth=1, num_classes=174
        )
    pairs = ((ours.encoder, encoder), (ours.pooler, probe.pooler))
    for mine, theirs in pairs:
        shapes = [{k: tuple(v.shape) for k, v in n.state_dict().items()} for n in (mine, theirs)]
        assert shapes[0] == shapes[1]
    for mine, theirs in ((ours.encoder, encoder), (ours.pooler, probe.pooler)):
        eps = [
            [m.eps for m in net.modules() if isinstance(m, torch.nn.LayerNorm)]
            for net in (mine, theirs)
        ]
        assert eps[0] == eps[1]
