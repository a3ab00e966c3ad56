"""Threads, devices and randomness of a process."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sys
from collections.abc import Generator
from typing import Any

import numpy as np
import torch

from vpbench.api import UsageError


def set_threads(n: int) -> None:
    """Let torch, and OpenCV where it is loaded, use `n` threads.

    The pool between operators can be set only before its first use; later calls leave it alone.
    NumPy's BLAS reads its number of threads from the environment when it is imported.

    Raises:
        UsageError: `n` is below 1.
    """
    if n < 1:
        raise UsageError(f"threads={n} must be at least 1.")
    torch.set_num_threads(n)
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(n)
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        cv2.setNumThreads(n)


@contextlib.contextmanager
def limited_threads(n: int) -> Generator[None]:
    """Let torch's operators use `n` threads; restore their number afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pick_device(name: str = "auto") -> str:
    """The torch device for `--device`.

    Args:
        name: "auto" (the first GPU if there is one), "cpu", "cuda" (the first) or "cuda:N".

    Returns:
        "cpu" or "cuda:N".

    Raises:
        UsageError: no such device on this machine, or no such name.
    """
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", name)
    if match is None:
        raise UsageError(f"device {name!r} is unknown.", fix="Known: auto, cpu, cuda:N.")
    count = torch.cuda.device_count() if name != "cpu" and torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count == 0):
        return "cpu"
    number = int(match[1] or 0)
    if number < count:
        return f"cuda:{number}"
    if count:
        raise UsageError(
            f"device {name!r} is not there: this machine has {count} CUDA GPU(s).",
            fix=f"Use cuda:0 to cuda:{count - 1}, or cpu.",
        )
    why = "" if torch.version.cuda else "; this torch was built without CUDA"
    raise UsageError(
        f"device {name!r} is not there: torch finds no CUDA GPU{why}.",
        fix="Use --device cpu or --device auto.",
    )


def device_name() -> str:
    """What "auto" would compute on, for people."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu only"


@contextlib.contextmanager
def seeded(seed: int) -> Generator[None]:
    """Seed the global generators of torch, NumPy and `random`; restore them afterwards."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed % 2**64)
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if gpus is not None:
            torch.cuda.set_rng_state_all(gpus)


@contextlib.contextmanager
def deterministic(strict: bool = False) -> Generator[None]:
    """Make torch choose algorithms that give the same bytes each time; restore the choice after.

    Args:
        strict: operators without such an algorithm raise; otherwise they warn.
    """
    backend = torch.backends.cudnn
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        backend.benchmark,
        backend.deterministic,
    )
    # cuBLAS reads this when it starts; its other default is free to vary
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        torch.use_deterministic_algorithms(True, warn_only=not strict)
        backend.benchmark, backend.deterministic = False, True
        # results are written over it anyway, and on a GPU each fill is a kernel more
        memory.fill_uninitialized_memory = False
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        backend.benchmark, backend.deterministic = before[2], before[3]
        memory.fill_uninitialized_memory = filled
