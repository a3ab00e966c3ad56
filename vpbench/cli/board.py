"""board: the sub-commands, imported when they are called."""

from __future__ import annotations

import importlib

import click

SUBCOMMANDS = {
    "add": ("vpbench.cli.board_add:add", "Make an entry of finished runs or a bundle."),
    "check": ("vpbench.cli.board_check:check", "Check entries; says why one is refused."),
    "build": ("vpbench.cli.board_build:build", "Build a static site of all entries."),
    "verify": ("vpbench.cli.board_verify:verify", "Score an entry's evidence again."),
}

_EPILOG = """\b
Examples:
  vpbench board add my-method --task puppets
  vpbench board check
  vpbench board build
  vpbench board verify leaderboards/puppets/my-method-0f1e2d3c.json --bundle mine.vpb"""


class _Lazy(click.Group):
    """Imports a sub-command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        module, _, name = SUBCOMMANDS[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in SUBCOMMANDS.items()])


@click.group(cls=_Lazy, epilog=_EPILOG)
def board() -> None:
    """Entries of leaderboards: one file each, checked before it is believed.

    docs/leaderboards.md says what an entry holds and what its level means.
    """
