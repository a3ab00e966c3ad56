"""Specs of the executors that come with vpbench; import-light."""

from __future__ import annotations

from vpbench.api.specs import ExecutorSpec

LOCAL = ExecutorSpec(
    "local",
    "vpbench.harness.jobs.executors.local:LocalExecutor",
    "worker processes on this machine, with slots for cores, GPUs and memory",
    licence="Apache-2.0",
)
BUILTIN = (LOCAL,)
