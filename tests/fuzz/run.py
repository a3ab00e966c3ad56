"""Runs one target for a time, in a process that a crash, a hang or a feast of memory ends.

The input that is being read lies in the scratch folder under its own name, so that it is there
whatever happens to the process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, Target
from vpbench.api.errors import VpbenchError
from vpbench.core.provenance import peak_memory_mib

HANG = 5.0
"""Seconds that one input may take."""
MEMORY = 1 << 30
"""Bytes that one process may have at its largest."""
_FORBIDDEN = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")
_EXECUTED = 77


@dataclass(frozen=True)
class Outcome:
    """What came of a target.

    Attributes:
        inputs: how many were read.
        refused: how many of them with an error of `vpbench.api`.
        finding: what went wrong; "" for nothing.
        culprit: the input that it went wrong with.
        memory: bytes, the most that the process had.
        slowest: seconds of the slowest input.
    """

    inputs: int
    refused: int
    finding: str = ""
    culprit: bytes = b""
    memory: int = 0
    slowest: float = 0.0


def fuzz(name: str, seconds: float, seed: int = 0, target: Target | None = None) -> Outcome:
    """Read mutated inputs until the time is up or something goes wrong.

    Args:
        target: one that is not in the table.
    """
    target = target or TARGETS[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_child, args=(f"{name} {seed}", target, seconds, HANG, folder, theirs)
        )
        process.start()
        theirs.close()
        outcome: Outcome | None = None
        with contextlib.suppress(EOFError):
            outcome = ours.recv()
        process.join()
        if outcome is not None and not outcome.finding:
            return outcome
        if outcome is None:
            code = process.exitcode or 0
            what = {1: f"longer than {HANG:g} s", _EXECUTED: "something was executed"}
            outcome = Outcome(0, 0, what.get(code, f"the process ended with {code}"))
        file = folder / "input" / target.name
        culprit = file.read_bytes() if file.is_file() else b""
        return Outcome(outcome.inputs, outcome.refused, outcome.finding, culprit, outcome.memory)


def _child(
    seed: str, target: Target, seconds: float, hang: float, folder: Path, out: Connection
) -> None:
    warnings.simplefilter("ignore")
    (folder / "seeds").mkdir()
    (folder / "input").mkdir()
    seeds = target.seeds(folder / "seeds")
    file = folder / "input" / target.name
    for data in seeds:
        file.write_bytes(target.wrap(data))
        said = _attempt(target, file)  # imports, and what is made once
        if said:
            out.send(Outcome(0, 0, f"a valid input: {said}"))
            return
    sys.addaudithook(_forbid)
    out.send(_loop(target, seeds, file, seconds, hang, random.Random(seed)))


def _loop(
    target: Target,
    seeds: Sequence[bytes],
    file: Path,
    seconds: float,
    hang: float,
    rng: random.Random,
) -> Outcome:
    end = time.monotonic() + seconds
    inputs = refused = memory = 0
    slowest = 0.0
    while time.monotonic() < end:
        file.write_bytes(target.wrap(mutated(seeds, rng, target.words)))
        faulthandler.dump_traceback_later(hang, exit=True)
        start = time.perf_counter()
        finding = _attempt(target, file)
        slowest = max(slowest, time.perf_counter() - start)
        faulthandler.cancel_dump_traceback_later()
        inputs += 1
        refused += finding == "refused"
        memory = int(peak_memory_mib() * 2**20)
        if memory > MEMORY:
            finding = f"{memory >> 20} MiB of memory"
        if finding not in ("", "refused"):
            return Outcome(inputs, refused, finding, memory=memory)
    return Outcome(inputs, refused, "", b"", memory, slowest)


def _attempt(target: Target, file: Path) -> str:
    """Read one input: "" if it is read, "refused", or what went wrong."""
    try:
        target.read(file)
    except VpbenchError as error:
        return "refused" if error.message else "an error without a sentence"
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        return f"{type(error).__name__}: {error!s:.200}"
    return ""


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        import os

        os._exit(_EXECUTED)
