"""Interpreter-wide settings: what a method's code may not change behind the harness's back.

A worker serves one method alone, so a change harms no one else. It is reported nevertheless,
because it moves numbers and is not a parameter.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_TORCH_DEFAULTS: dict[str, Any] = {
    "the default dtype of torch": "torch.float32",
    "the threads of torch": 1,
    "the grad mode of torch": True,
    "the deterministic mode of torch": False,
    "torch.backends.mkldnn.enabled": True,
    "torch.backends.cudnn.enabled": True,
    "torch.backends.cudnn.benchmark": False,
    "torch.backends.cudnn.allow_tf32": True,
    "torch.backends.cuda.matmul.allow_tf32": False,
    "the matmul precision of torch": "highest",
    "flushing of denormals": False,
}
"""What a process has that has only just imported torch; workers run with one thread."""


def settings() -> dict[str, Any]:
    """Interpreter-wide settings by name, in a form that can be compared."""
    import numpy as np

    values: dict[str, Any] = {
        "numpy's error handling": dict(np.geterr()),
        "the working directory": os.getcwd(),
        "the environment": dict(os.environ),
        "the umask": _umask(),
    }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        values |= _of_torch(torch)
    cv2 = sys.modules.get("cv2")
    if cv2 is not None and hasattr(cv2, "getNumThreads"):
        values["the threads of OpenCV"] = cv2.getNumThreads()
    return values


def _of_torch(torch: Any) -> dict[str, Any]:
    tiny = torch.tensor(1e-40) * 1.0  # a denormal survives unless they are flushed
    return {
        "the default dtype of torch": str(torch.get_default_dtype()),
        "the threads of torch": torch.get_num_threads(),
        "the grad mode of torch": torch.is_grad_enabled(),
        "the deterministic mode of torch": torch.are_deterministic_algorithms_enabled(),
        "torch.backends.mkldnn.enabled": torch.backends.mkldnn.enabled,
        "torch.backends.cudnn.enabled": torch.backends.cudnn.enabled,
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
        "torch.backends.cudnn.allow_tf32": torch.backends.cudnn.allow_tf32,
        "torch.backends.cuda.matmul.allow_tf32": torch.backends.cuda.matmul.allow_tf32,
        "the matmul precision of torch": torch.get_float32_matmul_precision(),
        "flushing of denormals": bool(tiny == 0),
    }


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of what differs, with the values where they are short; sorted.

    A package that was imported in between is held against what it has when it is new.
    """
    known = {**{k: v for k, v in _new().items() if k in after}, **before}
    changed: list[str] = []
    for name in known.keys() & after.keys():
        old, new = known[name], after[name]
        if old == new:
            continue
        if name == "the environment":
            keys = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
            changed.append(f"{name} ({', '.join(keys[:5])})")
        elif "generator" in name:
            changed.append(name)
        else:
            changed.append(f"{name} ({old} -> {new})")
    return sorted(changed)


def _new() -> dict[str, Any]:
    """What a process has that has only just imported its packages."""
    values = dict(_TORCH_DEFAULTS)
    cv2 = sys.modules.get("cv2")
    if cv2 is not None and hasattr(cv2, "getNumThreads") and cv2.getNumThreads() != 1:
        values["the threads of OpenCV"] = cv2.getNumberOfCPUs()  # the harness sets 1 after a job
    return values


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
