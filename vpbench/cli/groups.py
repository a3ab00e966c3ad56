"""Commands that hold others, in the order of use; an unknown name gets a suggestion."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

_WHOLE = 200
"""Characters of a summary; lines are wrapped, not cut."""


class OrderedGroup(click.Group):
    """A group that lists its commands as they were defined, each with its whole summary."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of use."""
        return list(self.commands)

    def summary(self, ctx: click.Context, name: str) -> str:
        """The line of a command in the list."""
        command = self.get_command(ctx, name)
        return command.get_short_help_str(_WHOLE) if command is not None else ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Offer the nearest command for an unknown one."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            from vpbench.api.errors import UnknownName

            raise UnknownName("command", args[0], known, hint=f"See: {ctx.command_path} --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(n, self.summary(ctx, n)) for n in self.list_commands(ctx)])


class LazyGroup(OrderedGroup):
    """A group that imports the module of a command only when it is called.

    Args:
        members: name -> ("module:attribute", summary).
    """

    def __init__(self, *args: Any, members: Mapping[str, tuple[str, str]], **more: Any) -> None:
        super().__init__(*args, **more)
        self.members = members

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of use."""
        return list(self.members)

    def summary(self, ctx: click.Context, name: str) -> str:
        """The line of a command in the list; its module is not imported."""
        return self.members[name][1]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.members:
            return None
        module, _, name = self.members[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), name)
