"""A small benchmark in this process: one plugin, and an executor that runs jobs at once."""

import io
import json
import re
import sys

from tests.conftest import write_clips
from tests.e2e.helpers import folder
from tests.forget import forget_modules
from vpbench.api import ExecutorSpec
from vpbench.core import code
from vpbench.core import registry as registries
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions, TaskRef
from vpbench.core.paths import Paths
from vpbench.core.plan import make_plan
from vpbench.harness.inputs import opened_files
from vpbench.harness.inputs.task_data import open_task_data
from vpbench.harness.jobs.scheduler import Scheduler
from vpbench.harness.scoring.score import wanted_metrics

EXECUTOR = ExecutorSpec("at-once", f"{__file__}:AtOnce", "runs every job in this process")

PLUGIN = """
from pathlib import Path
import numpy as np
from vpbench.api import MethodSpec, MetricSpec, Score

METHOD = MethodSpec("mine", ":Mine", "the last frame, brighter")
METRIC = MetricSpec("error", ":Error", "mean absolute error", "clip", "down", "", 1, default=False)


class Mine:
    def __init__(self, task, params, slots):
        self.more = int((Path(__file__).parent / "more.txt").read_text())

    def predict(self, given, horizon, seeds):
        last = given.frames[:, -1].astype(int) + self.more
        frames = np.clip(last, 0, 255).astype(np.uint8)[:, None, None]
        shape = (len(given), seeds.shape[1], horizon, *frames.shape[3:])
        return np.broadcast_to(frames, shape).copy()


class Error:
    def __init__(self, task, params, ctx):
        self.values = {}

    def update(self, fake, real, clip):
        self.values[clip.id] = float(np.abs(fake.astype(float) - real).mean()) * 1.0

    def merge(self, other):
        self.values |= other.values

    def result(self):
        known = list(self.values.values())
        return Score(sum(known) / len(known), len(known), per_clip=self.values)

    def fingerprint(self):
        return {"power": 1}
"""


class Handle:
    def __init__(self, job):
        self.job, self.status, self.reason = job, "queued", None

    def done(self):
        return self.status != "queued"

    def error(self):
        return self.reason

    def cancel(self):
        self.status = "cancelled"


class AtOnce:
    def __init__(self, slots):
        self.queue = []

    def submit(self, job, cpus, gpus, memory_gib):
        self.queue.append(Handle(job))
        return self.queue[-1]

    def poll(self, seconds):
        from vpbench.harness.jobs.job import Session
        from vpbench.harness.jobs.worker import run_file

        for handle in [h for h in self.queue if h.status == "queued"]:
            out = io.StringIO()
            code = run_file(handle.job, Session(), out)
            handle.reason = json.loads(out.getvalue().splitlines()[-1]).get("reason")
            handle.status = "failed" if code else "done"

    def close(self):
        self.queue = []


class Benchmark:
    """One plugin, one dataset, one runs folder; each call sees the files as they are."""

    def __init__(self, place, monkeypatch):
        self.paths = Paths(place / "runs", place / "cache", True)
        self.clips = write_clips(place / "clips", (("train", 4), ("val", 2), ("test", 9)))
        self.plugin = place / "plug" / "mine_toy.py"
        self.plugin.parent.mkdir()
        self.data = self.plugin.with_name("more.txt")
        self.data.write_text("3")
        self.plugin.write_text(PLUGIN)
        for module in (code, opened_files):  # files are older than the process that reads them
            monkeypatch.setattr(module, "STARTED", 4e9)
        monkeypatch.setenv("VPBENCH_NO_PLUGINS", "1")

    def edit(self, before, after):
        """Change the plugin's source."""
        text = self.plugin.read_text()
        assert text.count(before) == 1
        self.plugin.write_text(text.replace(before, after))

    @property
    def plugins(self):
        return (f"{self.plugin}:METHOD", f"{self.plugin}:METRIC", f"{__file__}:EXECUTOR")

    def registry(self):
        self.forget()
        return registries.registry(self.plugins)

    def forget(self):
        """What a new process would not know."""
        for name in [n for n in sys.modules if n.startswith("vpbench_file_mine_toy")]:
            del sys.modules[name]
        registries.registry.cache_clear()
        registries.limited_registry.cache_clear()
        forget_modules()

    def task_data(self):
        return open_task_data(TaskRef(dataset=folder(self.clips)), self.registry(), self.paths)

    def plan(self, method="mine", **fields):
        options = RunOptions(references=False, plugins=self.plugins, executor="at-once", **fields)
        task = self.task_data().task
        ref = MethodRef.parse(method)
        return make_plan([ref], options, task, self.registry(), self.paths.runs), options

    def one(self, method="mine", **fields):
        """The one run of a method."""
        (run,) = self.plan(method, **fields)[0].runs
        return run

    def wanted(self, *names):
        return wanted_metrics(names or ("psnr", "error"), self.registry())

    def run(self, method="mine", **fields):
        """Run it; (result, kinds of its jobs, notes)."""
        plan, options = self.plan(method, **fields)
        events = []
        before = set(self.paths.runs.rglob("events/*.json"))
        scheduler = Scheduler(
            plan,
            self.task_data(),
            self.registry(),
            self.paths,
            options,
            self.wanted(),
            events.append,
        )
        (result,) = scheduler.run()
        notes = [e["text"].removeprefix("mine: ") for e in events if e["event"] == "note"]
        jobs = set(self.paths.runs.rglob("events/*.json"))
        names = {p.name for p in before}  # a folder that was set aside has moved
        started = sorted((p.stat().st_mtime_ns, p.name) for p in jobs if p.name not in names)
        return result, [re.split(r"-\d", name)[0] for _, name in started], notes
