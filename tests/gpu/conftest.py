"""What the tests of this folder share: they need a CUDA GPU, and say so where there is none."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def cuda():
    """The device, or a skip."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU, torch finds none")
    return "cuda:0"


def pytest_collection_modifyitems(items):
    """All tests here are marked; other releases of packages there may warn of other things."""
    for item in items:
        if "tests/gpu/" in item.nodeid:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(pytest.mark.filterwarnings("default"))
