"""The worker: `vpbench _job FILE` does one job; with `--serve` it reads one file name a line.

Events go to standard output as JSON lines. What a plugin prints goes to standard error, so it can
never be taken for an event.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

from vpbench.api.errors import VpbenchError
from vpbench.core.child import keep_environment
from vpbench.core.children import end_with_parent
from vpbench.core.lock import announce_waits
from vpbench.core.progress import Event
from vpbench.core.provenance import peak_memory_mib
from vpbench.core.trouble import sentence_of
from vpbench.harness.jobs.events import EventLog
from vpbench.harness.jobs.job import JobSpec, Session
from vpbench.harness.training.context import STOP
from vpbench.harness.training.loading import describe_error

ORPHAN_GRACE_S = 5.0
"""Seconds that a worker gets to store its state after its parent has gone."""


def channel() -> TextIO:
    """A private copy of standard output; the public one is led to standard error."""
    sys.stdout.flush()
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8", buffering=1)


def run_file(path: Path, session: Session, out: TextIO) -> int:
    """Do the job in a file and write its events; the last one is "end".

    Returns:
        The exit code of the job.
    """

    def send(event: Event) -> None:
        out.write(json.dumps(event, ensure_ascii=False) + "\n")

    end: dict[str, Any] = {"event": "end", "status": "failed"}
    code = 0
    report = send
    try:
        job = JobSpec.read(path)
        if job.events:
            report = EventLog(Path(job.events), send, progress=job.log_progress)
        _limit_threads(job.threads)
        announce_waits(lambda text: report({"event": "note", "text": text}))
        report({"event": "start", "job": job.id, "pid": os.getpid()})
        end["status"] = session.do(job, report)
        _limit_threads(job.threads)  # packages that were imported by the job
    except VpbenchError as error:
        code = error.exit_code
        end |= {"reason": str(error), "code": code, "error": type(error).__name__}
        if error.__cause__ is not None:  # a plugin's own fault: where it happened
            end["trace"] = "".join(traceback.format_exception(error.__cause__))
            sys.stderr.write(end["trace"])  # which goes to the log of the job
    except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs go on
        traceback.print_exc()
        known = sentence_of(error)
        code = 70 if known is None else known.exit_code
        reason = f"a bug in vpbench: {describe_error(error)}" if known is None else str(known)
        end |= {"reason": reason, "code": code, "error": type(error).__name__}
        end["trace"] = traceback.format_exc()
    end["peak_mib"] = round(peak_memory_mib())
    report(end)
    return code


def _limit_threads(threads: int) -> None:
    """The environment was set before this process began; this holds packages loaded since."""
    if "torch" in sys.modules:
        from vpbench.kit.threads import set_threads

        set_threads(threads)
    elif "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def _stop(*_: object) -> None:
    STOP.set()


def _watch_parent() -> None:
    """End once the parent is gone, so that nothing is left behind.

    At the next safe point if there is one within a few seconds, else on the spot: a method that
    hangs in predict would hold its locks for ever.
    """
    gone = end_with_parent(pipe=0, grace_s=ORPHAN_GRACE_S)
    threading.Thread(target=lambda: gone.wait() and STOP.set(), daemon=True, name="stop").start()


def main(arguments: list[str]) -> int:
    """`_job FILE` or `_job --serve`."""
    keep_environment()  # a dataset that has to be read again is not read in a method's
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    out = channel()
    session = Session()
    if arguments == ["--serve"]:
        _watch_parent()
        for line in sys.stdin:
            run_file(Path(line.rstrip("\n")), session, out)
            if STOP.is_set():
                break
        return 0
    return run_file(Path(arguments[0]), session, out)
