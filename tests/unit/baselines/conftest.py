"""Networks that several tests of the baselines look at."""

import pytest
import torch

from vpbench_baselines.villegas.networks import (
    AnalogyGenerator,
)

# -- sizes: baselines of 4.36, 5.23 and 4.42 million parameters ------------------------------------


@pytest.fixture(scope="module")
def generator():
    with torch.device("meta"):
        return AnalogyGenerator(48, 64, 3)


@pytest.fixture
def same_numbers():
    """What a test draws without saying how is the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
