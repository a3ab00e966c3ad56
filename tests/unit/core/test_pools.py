"""Pools: results in order, errors in one sentence, no process that outlives its use."""

import os
import signal
import subprocess
import sys
import time

import pytest

from vpbench.api import VpbenchError
from vpbench.core.pools import in_processes

_SCRIPT = """
import sys, time
from vpbench.core.pools import in_processes
from tests.unit.core.test_pools import sleepy
if __name__ == "__main__":
    print("ready", flush=True)
    for pid in in_processes(sleepy, [0.1] * 4 + [60] * 8, 2, "sleeps"):
        print(pid, flush=True)
"""


def squared(x):
    return x * x


def sleepy(seconds):
    time.sleep(seconds)
    return os.getpid()


def dies(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pids, seconds=10):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_results_in_order():
    assert list(in_processes(squared, range(7), 2, "squares", chunk=2)) == [0, 1, 4, 9, 16, 25, 36]


def test_a_killed_process_is_one_sentence():
    with pytest.raises(VpbenchError, match="a process that counts was killed"):
        list(in_processes(dies, range(5), 2, "counts"))


def test_stopping_early_ends_the_processes_at_once():
    results = in_processes(sleepy, [0, 0, *[60] * 6], 2, "sleeps")
    pids = {next(results), next(results)}
    begun = time.monotonic()
    results.close()
    assert gone(pids) and time.monotonic() - begun < 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_its_parent(tmp_path, number):
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    pids = {int(process.stdout.readline()) for _ in range(4)}
    process.send_signal(number)
    begun = time.monotonic()
    process.wait(20)
    assert gone(pids) and time.monotonic() - begun < 10
    process.stdout.close()


_STUCK = """
import os, re, subprocess, sys
child = "import re, sys; from vpbench.core.children import end_with_parent; end_with_parent(); "
child += "print(1, flush=True); re.match('(a+)+$', 'a' * 64 + 'b')"
process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
process.stdout.readline()
print(process.pid, flush=True)
os._exit(0)
"""


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_process_that_holds_pythons_lock_ends_as_well():
    """It looks at nothing any more: no thread of it runs."""
    done = subprocess.run(
        [sys.executable, "-c", _STUCK],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert gone([int(done.stdout)], 25)
