"""Why a command finds no finished run, and the command that makes one."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from vpbench.api.errors import MissingData, UnknownName, UsageError, VpbenchError
from vpbench.core.command_names import name_in_commands, name_of_run
from vpbench.core.names import parse_name
from vpbench.core.registry import Registry
from vpbench.core.run_folders import finished


def no_finished_run(text: str, registry: Registry, runs: Path) -> VpbenchError:
    """What to raise about a word that should name a method with a finished run, or a run folder.

    Returns:
        UnknownName or UsageError for a name that is neither installed nor in any run: the run is
        not what is missing.
    """
    base = parse_name(text).base
    stored = {parse_name(i["method"]).base: folder for folder, i in finished(runs)}
    typed = name_in_commands(text, registry)
    if base in stored and typed == text:
        typed = name_of_run(stored[base])
    elif base not in stored:
        try:
            registry.find("method", base)
        except UnknownName:
            if os.sep in text:
                return UsageError(f"{text} is neither a method nor the folder of a run.")
            known = [*registry.names("method"), *stored]
            return UnknownName("method", base, known, hint="See all with: vpbench list methods")
        except UsageError as error:
            return error
    return MissingData(
        f"there is no finished run of {typed!r} in {runs}.",
        fix=f"Make one: vpbench run {shlex.quote(typed)} --dataset D",
    )
