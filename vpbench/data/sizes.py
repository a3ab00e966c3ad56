"""The option `size` of datasets whose clips have one of their own."""

from __future__ import annotations

from vpbench.api.errors import UsageError


def square_size(text: str, dataset: str) -> int:
    """Width and height of a task in pixels.

    Raises:
        UsageError: not a whole number from 16 to 1024.
    """
    if not (text.isascii() and text.isdigit()) or not 16 <= int(text) <= 1024:
        raise UsageError(f"size={text} of {dataset} must be a whole number from 16 to 1024.")
    return int(text)
