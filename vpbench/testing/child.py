"""The child process of the kit: `python -m vpbench.testing.child REQUEST.json`.

Runs checks one after another and writes events as JSON lines. What a plugin prints goes to standard
error, so that it can never be taken for an event.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from vpbench.testing.model import Check, CheckFailed, CheckResult, NotApplicable, Request
from vpbench.testing.report import format_error, where_raised


def main(arguments: list[str]) -> int:
    """Run the checks that a request file asks for."""
    out = _channel()
    fields: dict[str, Any] = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    for name in ("plugins", "checks", "failed"):
        fields[name] = tuple(fields[name])
    request = Request(**{**fields, "work": Path(fields["work"]), "cache": Path(fields["cache"])})
    from vpbench.testing.subjects import make_subject
    from vpbench.testing.suite import checks_of

    checks = {c.id: c for c in checks_of(request.kind, full=True)}
    subject = make_subject(request)
    bad = set(request.failed)
    for name in request.checks:
        _send(out, {"event": "start", "id": name})
        result, blocked = _run(checks[name], subject, bad)
        if result.status == "failed" or blocked:
            bad.add(name)
        _send(out, {"event": "result", "result": vars(result)})
    _send(out, {"event": "end"})
    out.flush()
    os._exit(0)  # threads that a plugin has left behind must not hold us up


def _run(check: Check, subject: Any, bad: set[str]) -> tuple[CheckResult, bool]:
    """The result, and whether it was skipped because of another failure."""
    missing = [name for name in check.needs if name in bad]
    if missing:
        return CheckResult(check.id, "skipped", got=f"{missing[0]} does not hold"), True
    started = time.monotonic()
    try:
        subject.begin()
        check.run(subject)
        result = CheckResult(check.id, "passed")
    except NotApplicable as error:
        result = CheckResult(check.id, "skipped", expected=str(error))
    except CheckFailed as error:
        result = CheckResult(check.id, "failed", error.expected, error.got, error.where, error.fix)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, even SystemExit
        traceback.print_exc()
        result = CheckResult(
            check.id, "failed", "no exception", format_error(error), where_raised(error)
        )
    finally:
        subject.end()
    return CheckResult(**{**vars(result), "seconds": round(time.monotonic() - started, 3)}), False


def _channel() -> TextIO:
    """A private copy of standard output; the public one is led to standard error."""
    private = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(private, "w", encoding="utf-8", buffering=1)


def _send(out: TextIO, event: dict[str, Any]) -> None:
    out.write(json.dumps(event, ensure_ascii=False, default=str) + "\n")


if __name__ == "__main__":
    from vpbench.testing.child import main as run  # one module, whatever its name

    sys.exit(run(sys.argv[1:]))
