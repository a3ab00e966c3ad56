"""An executor of a third party: a process for each job, as a queue on a cluster starts them.

It knows only `vpbench.api`, passes no events on, and no two jobs share a process.
"""

import os
import subprocess
import sys
import time

from vpbench.api import ExecutorSpec

SPEC = ExecutorSpec("cluster", ":Cluster", "a process for each job")


class Handle:
    def __init__(self, job, cpus):
        self.job, self.cpus = job, cpus
        self.process = None
        self.cancelled = False

    def done(self):
        return self.cancelled or (self.process is not None and self.process.poll() is not None)

    def error(self):
        if self.cancelled or self.process is None or self.process.poll() in (None, 0):
            return None
        return f"the job ended with {self.process.returncode}"

    def cancel(self):
        self.cancelled = self.process is None


class Cluster:
    def __init__(self, slots):
        self.cpus, self.handles = slots.cpus, []

    def submit(self, job, cpus, gpus, memory_gib):
        self.handles.append(Handle(job, min(cpus, self.cpus)))
        return self.handles[-1]

    def poll(self, seconds):
        waiting = [h for h in self.handles if h.process is None and not h.cancelled]
        for handle in waiting:
            at_work = sum(h.cpus for h in self.handles if h.process and not h.done())
            if at_work + handle.cpus <= self.cpus:
                self.start(handle)
        time.sleep(min(seconds, 0.05))

    def start(self, handle):
        if "CLUSTER_LOG" in os.environ:
            with open(os.environ["CLUSTER_LOG"], "a") as log:
                log.write(f"{handle.job.name}\n")
        handle.process = subprocess.Popen(
            [sys.executable, "-m", "vpbench", "_job", str(handle.job)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self):
        for handle in self.handles:
            if handle.process is not None and handle.process.poll() is None:
                handle.process.terminate()
                handle.process.wait()
