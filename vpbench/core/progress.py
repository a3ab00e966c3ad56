"""Progress events as plain dicts: workers report them, the command line shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Report = Callable[[Event], None]


def silent(event: Event) -> None:
    """Show nothing."""
