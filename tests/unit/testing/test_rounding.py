"""How far weights may be from those that were saved."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vpbench.kit import round_weights, seeded
from vpbench.testing.rounding import networks_of, rounded


@pytest.fixture
def network():
    with seeded(0):
        return nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


def test_half_precision_is_close_enough_and_less_is_not(network):
    half, coarse = copy.deepcopy(network), copy.deepcopy(network)
    with torch.no_grad():
        round_weights(half)
        for weight in coarse.parameters():
            weight.copy_(weight.bfloat16())
    assert not torch.equal(half[0].weight, network[0].weight)
    assert rounded([network], [network]) and rounded([network], [half])
    assert not rounded([network], [coarse])


def test_a_weight_that_was_forgotten_is_no_rounding(network):
    other = copy.deepcopy(network)
    with torch.no_grad():
        other[2].bias[1] += 0.01
    assert not rounded([network], [other])
    assert not rounded([network], []) and not rounded([network], [network[:2]])


def test_networks_of_a_method_and_of_its_slots(network):
    detector, motion = nn.Linear(2, 2), SimpleNamespace(net=nn.Linear(3, 3))
    method = SimpleNamespace(net=network, slots={"detector": detector, "motion": motion}, k=1)
    assert networks_of(method) == [network, detector, motion.net]
    assert networks_of(SimpleNamespace(level=0.5)) == []
