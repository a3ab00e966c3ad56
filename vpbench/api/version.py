"""The version of the plugin interface, and what happens with other versions."""

from __future__ import annotations

from vpbench.api.errors import UsageError

API = 1
"""The interface version that this vpbench speaks; a spec names the one it was written for."""

KIT_PREDICTION = 1
"""Raise it when code of `vpbench.kit` makes methods predict otherwise: all runs are made again."""

KIT_TRAINING = 1
"""Raise it when code of `vpbench.kit` makes methods learn otherwise: stages are fitted again."""

OLDEST = 1
"""The oldest interface version that this vpbench still runs."""


def check_api(owner: str, wanted: int) -> None:
    """Refuse a plugin that was written for an interface this vpbench does not speak.

    Args:
        owner: name of the plugin, for the message.
        wanted: the `api` field of its spec.

    Raises:
        UsageError: the version is newer than `API`, older than `OLDEST`, or no integer.
    """
    if type(wanted) is not int:  # True is not a version
        raise UsageError(f"{owner} declares api={wanted!r}; it must be an integer such as {API}.")
    if wanted > API:
        raise UsageError(
            f"{owner} needs plugin api {wanted}; this vpbench provides {API}.",
            fix="Upgrade: pip install -U vpbench",
        )
    if wanted < OLDEST:
        raise UsageError(
            f"{owner} was written for plugin api {wanted}; the oldest that runs here is {OLDEST}.",
            fix=f"Upgrade {owner}.",
        )
