"""Interpreter-wide settings: what a method changes behind the harness's back is noticed."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from vpbench.harness.prediction import settings as module
from vpbench.harness.prediction.settings import changes, settings


def mkldnn(on):
    torch.backends.mkldnn.enabled = on


def tf32(on):
    torch.backends.cuda.matmul.allow_tf32 = on


def benchmark(on):
    torch.backends.cudnn.benchmark = on


CHANGES = {
    "the default dtype of torch (torch.float32 -> torch.float64)": (
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "the grad mode of torch (True -> False)": (
        lambda: torch.set_grad_enabled(False),
        lambda: torch.set_grad_enabled(True),
    ),
    "the deterministic mode of torch (False -> True)": (
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
    "torch.backends.mkldnn.enabled (True -> False)": (lambda: mkldnn(False), lambda: mkldnn(True)),
    "torch.backends.cudnn.benchmark (False -> True)": (
        lambda: benchmark(True),
        lambda: benchmark(False),
    ),
    "torch.backends.cuda.matmul.allow_tf32 (False -> True)": (
        lambda: tf32(True),
        lambda: tf32(False),
    ),
    "flushing of denormals (False -> True)": (
        lambda: torch.set_flush_denormal(True),
        lambda: torch.set_flush_denormal(False),
    ),
    "the environment (VPBENCH_ODD)": (
        lambda: os.environ.update(VPBENCH_ODD="1"),
        lambda: os.environ.pop("VPBENCH_ODD"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_is_named_with_its_values(name):
    change, undo = CHANGES[name]
    change(), undo()  # the first time, some set a variable besides
    before = settings()
    change()
    try:
        assert name in changes(before, settings())
    finally:
        undo()
    assert changes(before, settings()) == []


def test_the_threads_of_torch(monkeypatch):
    before = settings()
    count = torch.get_num_threads()
    torch.set_num_threads(count + 1)
    try:
        said = changes(before, settings())
    finally:
        torch.set_num_threads(count)
    assert said == [f"the threads of torch ({count} -> {count + 1})"]


def test_numpy_the_working_directory_and_the_umask(monkeypatch, tmp_path):
    before = settings()
    monkeypatch.chdir(tmp_path)
    mask = os.umask(0o007)
    with np.errstate(all="raise"):
        said = changes(before, settings())
    os.umask(mask)
    assert [line.partition(" (")[0] for line in said] == [
        "numpy's error handling",
        "the umask",
        "the working directory",
    ]
    assert before["the umask"] == mask


def test_asking_changes_nothing():
    mask = os.umask(0o022)
    os.umask(mask)
    assert changes(settings(), settings()) == []
    assert os.umask(mask) == mask


def test_many_variables_are_counted_no_further_than_five(monkeypatch):
    before = settings()
    for k in range(9):
        monkeypatch.setenv(f"VPBENCH_ODD_{k}", "1")
    (said,) = changes(before, settings())
    assert said.count("VPBENCH_ODD_") == 5


FRESH = """
import os, sys
from vpbench.harness.prediction.settings import changes, settings
before = settings()
assert "torch" not in sys.modules
import torch
torch.set_num_threads(1)  # as workers do
{more}
print(changes(before, settings()))
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "[]"),
        (
            "torch.backends.mkldnn.enabled = False",
            "['torch.backends.mkldnn.enabled (True -> False)']",
        ),
    ],
)
def test_a_package_that_is_imported_later_is_held_against_its_defaults(more, said):
    """The defaults are those of the torch that is installed."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH.format(more=more)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.strip() == said
    assert set(module._TORCH_DEFAULTS) == set(module._of_torch(torch))
