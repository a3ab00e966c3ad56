"""Training on several devices: two processes that share each batch end where one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vpbench.kit import load_state

pytestmark = pytest.mark.e2e

SCRIPT = Path(__file__).with_name("fabric_training.py")


def trained(devices, work):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(devices), str(work)],
        env={**os.environ, "MASTER_ADDR": "127.0.0.1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return load_state(work / f"weights-{devices}")


def test_two_gloo_processes_make_the_steps_of_one(tmp_path):
    pytest.importorskip("lightning_fabric", reason="needs the extra multi-gpu")
    one, two = trained(1, tmp_path), trained(2, tmp_path)
    assert set(one) == set(two) and len(one) > 10
    for name, value in one.items():
        apart = torch.linalg.vector_norm(value - two[name]) / torch.linalg.vector_norm(value)
        assert apart.item() <= 1e-5, name
