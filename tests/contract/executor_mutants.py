"""A good executor, and for every check one that only this check catches."""

import io
import json
import subprocess
import threading

from vpbench.api import ExecutorSpec

MUTANTS = {}


def executor(name, catches):
    def add(cls):
        globals()[f"SPEC_{name}"] = ExecutorSpec(name, f"{__file__}:{cls.__name__}", "a mutant")
        MUTANTS[name] = catches
        return cls

    return add


class Handle:
    def __init__(self, job):
        self.job, self.status, self.reason = job, "queued", None

    def done(self):
        return self.status in ("done", "failed", "cancelled")

    def error(self):
        return self.reason

    def cancel(self):
        if self.status == "queued":
            self.status = "cancelled"


@executor("in-turn", None)
class InTurn:
    """Runs one job a poll, in this process."""

    handle = Handle

    def __init__(self, slots):
        self.queue = []

    def submit(self, job, cpus, gpus, memory_gib):
        self.queue.append(self.handle(job))
        return self.queue[-1]

    def poll(self, seconds):
        for handle in self.next():
            self.work(handle)

    def next(self):
        return [h for h in self.queue if h.status == "queued"][:1]

    def work(self, handle):
        from vpbench.harness.jobs.job import Session
        from vpbench.harness.jobs.worker import run_file

        out = io.StringIO()
        code = run_file(handle.job, Session(), out)
        end = json.loads(out.getvalue().splitlines()[-1])
        handle.reason = end.get("reason")
        handle.status = "failed" if code else "done"

    def close(self):
        """Nothing is open."""


@executor("no-close", "methods")
class NoClose(InTurn):
    poll = None


@executor("only-says-so", "runs")
class OnlySaysSo(InTurn):
    def work(self, handle):
        handle.status = "done"


@executor("silent-failure", "failure")
class SilentFailure(InTurn):
    def work(self, handle):
        super().work(handle)
        handle.reason = None


class Deaf(Handle):
    def cancel(self):
        """Goes on."""


@executor("deaf", "cancel")
class DeafExecutor(InTurn):
    handle = Deaf


@executor("all-at-once", "limits")
class AllAtOnce(InTurn):
    def poll(self, seconds):
        threads = [
            threading.Thread(target=self.work, args=[h]) for h in self.queue if h.status == "queued"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@executor("last-first", "order")
class LastFirst(InTurn):
    def next(self):
        return [h for h in self.queue if h.status == "queued"][-1:]


@executor("leaves-a-worker", "close")
class LeavesAWorker(InTurn):
    def work(self, handle):
        super().work(handle)
        self.worker = subprocess.Popen(["sleep", "60"])
