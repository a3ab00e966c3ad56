"""vpbench: a benchmark for class-conditional video prediction.

    >>> import vpbench
    >>> sorted(vpbench.__all__)[:4]
    ['Clip', 'Dataset', 'Measurement', 'Method']

Plugin authors import `vpbench.api` and `vpbench.kit`. Programs and notebooks use the functions
here; docs/python.md shows them. Everything else is internal. Importing vpbench loads nothing: a
function's module is imported when the function is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vpbench.python.loading import Clip, Dataset, Method, load_dataset, load_method
    from vpbench.python.measuring import fvd, kvd, measure, psnr, ssim
    from vpbench.python.results import Measurement, Runs, Score, Table
    from vpbench.python.running import compare, run

__version__ = "0.1.0"

__all__ = [
    "Clip",
    "Dataset",
    "Measurement",
    "Method",
    "Runs",
    "Score",
    "Table",
    "__version__",
    "compare",
    "fvd",
    "kvd",
    "load_dataset",
    "load_method",
    "measure",
    "psnr",
    "run",
    "ssim",
]

_HOMES = {
    "loading": ("Clip", "Dataset", "Method", "load_dataset", "load_method"),
    "measuring": ("fvd", "kvd", "measure", "psnr", "ssim"),
    "results": ("Measurement", "Runs", "Score", "Table"),
    "running": ("compare", "run"),
}
"""Module below vpbench.python -> what it offers."""


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    for module, names in _HOMES.items():
        if name in names:
            import importlib

            value = getattr(importlib.import_module(f"vpbench.python.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'vpbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
