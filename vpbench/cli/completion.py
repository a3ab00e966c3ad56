"""Names that a shell completes: of methods, datasets, metrics and other plugins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def names(*kinds: str, listed: bool = False) -> Completer:
    """Complete the names of plugins of some kinds; what has a slash is a path.

    Args:
        kinds: such as "method"; () is every kind.
        listed: several names with commas between them.
    """

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if "/" in incomplete or incomplete.startswith("."):
            return [CompletionItem(incomplete, type="file")]
        lead, comma, start = incomplete.rpartition(",") if listed else ("", "", incomplete)
        known = _known(kinds)
        return [CompletionItem(f"{lead}{comma}{n}") for n in known if n.startswith(start)]

    return complete


def _known(kinds: Sequence[str]) -> list[str]:
    """Names in force, sorted; a broken plugin must not break the shell's line."""
    from vpbench.core.registry import KINDS, registry

    plugins = registry()
    return sorted({name for kind in kinds or KINDS for name in plugins.names(kind)})
