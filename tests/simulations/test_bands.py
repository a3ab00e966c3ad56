"""The statistics of a table keep their promises, on features of real clips."""

import pytest

from tests.simulations.all import SIMULATIONS
from tests.simulations.measured import table
from tests.simulations.population import puppets
from tests.unit.metrics.weights_here import i3d_path

pytestmark = [pytest.mark.slow, pytest.mark.weights]


@pytest.fixture(scope="module")
def populations(once):
    once("simulations", lambda folder: puppets(i3d_path()))  # by one worker, for all
    return puppets(i3d_path())


@pytest.mark.parametrize("name", SIMULATIONS)
def test_bands(name, populations):
    lines = SIMULATIONS[name](populations)
    print("\n" + table(lines))
    missed = [line for line in lines if not line.held]
    assert not missed, table(missed)
