"""board: the sub-commands, imported when they are called."""

from __future__ import annotations

import click

from vpbench.cli.groups import LazyGroup

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


@click.group(cls=LazyGroup, members=SUBCOMMANDS, epilog=_EPILOG)
def board() -> None:
    """Entries of leaderboards: one file each, checked before it is believed.

    docs/leaderboards.md says what an entry holds and what its level means.
    """
