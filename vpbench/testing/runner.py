"""Runs checks in a child process: a plugin that crashes, exits or hangs is a failed check."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from vpbench.api.errors import UnknownName, UsageError
from vpbench.core.children import remember
from vpbench.core.files import write_json
from vpbench.core.hashing import plain
from vpbench.core.paths import cache_folder
from vpbench.core.progress import Report, silent
from vpbench.core.registry import KINDS, Entry, Registry
from vpbench.core.registry import registry as all_plugins
from vpbench.harness.inputs.task_data import absolute
from vpbench.testing.model import Check, CheckResult, Request
from vpbench.testing.suite import checks_of

TIMEOUT = 120.0
"""Seconds that one check may take; a check of level "full" may take ten times as long."""

START_TIMEOUT = 60.0
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def run_checks(
    kind: str,
    name: str,
    full: bool = False,
    registry: Registry | None = None,
    *,
    timeout: float = TIMEOUT,
    cache: Path | None = None,
    root: str | None = None,
    report: Report = silent,
) -> list[CheckResult]:
    """Run the conformance checks of one plugin.

    Args:
        kind: method, component, dataset, metric or executor.
        name: as registered; a dataset may carry options, such as `folder:PATH`.
        full: the slow checks as well.
        registry: where to look the plugin up; by default the one of this process.
        timeout: seconds that one basic check may take before it counts as hung.
        cache: where pretrained weights are; by default the user's cache.
        root: the folder of a dataset; by default that in VPBENCH_DATA.
        report: told how many checks are done.

    Returns:
        One result a check, in order. A failure that the spec declares in `expected_failures` is an
        "expected-failure"; a pass of such a check is an "unexpected-pass" and counts as wrong.

    Raises:
        UnknownName: there is no such plugin.
    """
    plugins = registry if registry is not None else all_plugins()
    name = absolute(name) if kind == "dataset" else name
    entry = find_row(plugins, kind, name)
    checks = checks_of(kind, full)
    declared = dict(entry.spec.expected_failures) if entry.spec is not None else {}
    with tempfile.TemporaryDirectory(prefix="vpbench-check-") as folder:
        request = Request(
            kind,
            name,
            full,
            _plugins(plugins),
            tuple(c.id for c in checks),
            (),
            Path(folder).resolve(),
            cache or cache_folder(),
            str(Path(root).expanduser().absolute()) if root else None,
        )
        results = _run_all(request, {c.id: c for c in checks}, timeout, report)
    return [_declared(result, declared) for result in results]


def find_row(plugins: Registry, kind: str, name: str) -> Entry:
    """The row of a plugin, broken ones included: checks report why a plugin is broken."""
    base = name.partition("[")[0]
    base = base.partition(":")[0] if kind == "dataset" else base.rpartition(":")[2]
    for entry in plugins.of(kind):
        if entry.name == base and entry.status == "broken":
            return entry
    return plugins.find(kind, base if kind == "dataset" else name.partition("[")[0])


def kind_and_name(text: str, registry: Registry | None = None) -> tuple[str, str]:
    """`name`, or `kind:name` where several kinds share it, as (kind, name).

    Raises:
        UnknownName, UsageError: nothing or several things are called so.
    """
    plugins = registry if registry is not None else all_plugins()
    kind, colon, name = text.partition(":")
    if colon and kind in KINDS:
        return kind, name
    short = text.partition("[")[0]
    kinds = [k for k in KINDS if short in plugins.names(k) or kind in plugins.names(k)]
    if short.rpartition(":")[2] and not kinds:
        kinds = [k for k in KINDS if short.rpartition(":")[2] in plugins.names(k)]
    if len(kinds) > 1:
        raise UsageError(f"{text!r} is a {' and a '.join(kinds)}.", fix=f"Write {kinds[0]}:{text}.")
    if not kinds:
        known = [n for k in KINDS for n in plugins.names(k)]
        raise UnknownName("plugin", text, known, hint="See all with: vpbench list")
    return kinds[0], text


def _plugins(plugins: Registry) -> tuple[str, ...]:
    """Plugins that a process elsewhere, with other folders, would not find."""
    values: dict[str, None] = {}
    for entry in plugins.entries:
        if entry.ref.source in ("cli", "env", "folder"):
            home, colon, attribute = entry.ref.value.partition(":")
            if home.endswith(".py"):
                home = str(Path(home).expanduser().absolute())
            values[f"{home}{colon}{attribute}"] = None
    return tuple(values)


def _declared(result: CheckResult, declared: dict[str, str]) -> CheckResult:
    if result.id not in declared:
        return result
    reason = declared[result.id]
    if result.status == "failed":
        return replace(result, status="expected-failure", fix=f"declared: {reason}")
    if result.status == "passed":
        return replace(
            result,
            status="unexpected-pass",
            expected=f"a failure, as declared: {reason}",
            got="the check holds",
            where="expected_failures of the spec",
            fix=f"Take {result.id!r} out of expected_failures.",
        )
    return result


def _run_all(
    request: Request, checks: dict[str, Check], timeout: float, report: Report
) -> list[CheckResult]:
    """Start a child again, without the check that ended it, until every check has a result."""
    results: dict[str, CheckResult] = {}
    while len(results) < len(checks):
        before = len(results)
        left = replace(
            request,
            checks=tuple(c for c in checks if c not in results),
            failed=tuple(r.id for r in results.values() if r.status == "failed" or r.got),
        )
        for result in _one_child(left, checks, timeout):
            results[result.id] = result
            event = {"event": "progress", "what": "checks", "method": request.name}
            report({**event, "done": len(results), "total": len(checks)})
        if len(results) == before:
            raise UsageError(f"the checks of {request.name} could not be run.")
    return [results[c] for c in checks]


def _one_child(request: Request, checks: dict[str, Check], timeout: float) -> Iterator[CheckResult]:
    with _Child(request) as child:
        current, limit, started = request.checks[0], START_TIMEOUT, time.monotonic()
        while True:
            event = child.event(started + limit - time.monotonic())
            if event is None:
                yield child.ended(current, time.monotonic() - started, limit)
                return
            if event["event"] == "end":
                return
            if event["event"] == "start":
                current, started = event["id"], time.monotonic()
                limit = timeout * (10 if checks[current].level == "full" else 1)
            else:
                yield CheckResult(**event["result"])
                done = request.checks.index(current) + 1
                current = request.checks[min(done, len(request.checks) - 1)]
                limit, started = START_TIMEOUT, time.monotonic()


class _Child:
    """A process that runs checks and writes an event a line."""

    def __init__(self, request: Request) -> None:
        for name in ("cwd", "home", "tmp", "cache"):
            (request.work / name).mkdir(exist_ok=True)
        path = request.work / "request.json"
        write_json(path, plain(request))
        self._log = cast("IO[bytes]", tempfile.TemporaryFile(prefix="vpbench-check-"))  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vpbench.testing.child", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=request.work / "cwd",
            env=_environment(request),
            start_new_session=True,
        )
        remember(self._process)
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # also what the plugin has started
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None  # asked for in __init__
        self._process.stdout.close()
        self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # asked for in __init__
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def event(self, seconds: float) -> dict[str, Any] | None:
        """The next event; None when the process ended or the time is up."""
        try:
            line = self._lines.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        return json.loads(line) if line else None

    def ended(self, check: str, seconds: float, limit: float) -> CheckResult:
        """The failure of the check during which the process ended, or did not end."""
        if seconds >= limit:
            return CheckResult(
                check,
                "failed",
                f"an end within {limit:g} s",
                "it hangs",
                self._tail(),
                "Look for an endless loop or a deadlock.",
                seconds,
            )
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        return CheckResult(
            check,
            "failed",
            "a process that keeps running",
            f"the process {how}",
            self._tail(),
            "Raise an exception instead of ending the process.",
            seconds,
        )

    def _tail(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        lines = [x for x in self._log.read().decode(errors="replace").splitlines() if x.strip()]
        return f"last stderr line: {lines[-1].strip()}" if lines else ""


def _environment(request: Request) -> dict[str, str]:
    work = request.work
    paths = [os.path.abspath(p) for p in sys.path if not p.endswith(".zip")]
    env = {k: v for k, v in os.environ.items() if k not in ("VPBENCH_PLUGINS", "VPBENCH_RUNS")}
    return {
        **env,
        **dict.fromkeys(_ONE_THREAD, "1"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "HOME": str(work / "home"),
        "TMPDIR": str(work / "tmp"),
        "XDG_CACHE_HOME": str(work / "cache"),
        "XDG_CONFIG_HOME": str(work / "home" / "config"),
        "VPBENCH_HOME": str(request.cache),
        "VPBENCH_OFFLINE": "1",
        # torch creates this folder itself and passes its choice on to child processes
        "TORCHINDUCTOR_CACHE_DIR": str(work / "tmp" / "inductor"),
    }
