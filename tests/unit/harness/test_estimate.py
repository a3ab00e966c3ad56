"""What is said of a training before it starts, and when `run` asks."""

import json
from dataclasses import replace
from types import SimpleNamespace

import click
import pytest

from vpbench.api import Effort
from vpbench.cli import run as run_verb
from vpbench.core.checkpoints import StagePlan
from vpbench.core.names import MethodRef
from vpbench.core.options import RunOptions
from vpbench.core.plan import Plan, RunPlan
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench.core.rundir import StageDir
from vpbench.core.stages import stage_graph
from vpbench.core.training_time import training_steps
from vpbench.harness.training.estimate import preset_costs, training_estimates


def planned(tmp_path, name="ours[preset=paper]", seeds=(0,), origin="to fit", effort=None, size=64):
    plugins = registry()
    method = resolve(MethodRef.parse(name), plugins, size)
    if effort is not None:
        method = replace(method, spec=replace(method.spec, effort=effort))
    runs = []
    for seed in seeds:
        nodes = stage_graph(method, {"id": "x"}, size, plugins, seed)
        stages = tuple(StagePlan(n, origin, StageDir(tmp_path / n.folder)) for n in nodes)
        runs.append(
            RunPlan(
                method=method,
                seed=0,
                fit_seed=seed,
                samples=1,
                stages=stages,
                key="",
                folder=None,
                requested=True,
            )
        )
    task = SimpleNamespace(spec=SimpleNamespace(size=size))
    return Plan(task, tuple(runs), ())


def said(plan, device="cpu"):
    return [estimate.text() for estimate in training_estimates(plan, device)]


EFFORT = {
    "paper": Effort(600_000),
    "cpu": Effort(10_000, cpu_hours=1.0, gpu_hours=0.1),
    "smoke": Effort(10, cpu_hours=0.01),
}


@pytest.mark.parametrize(
    ("name", "seeds", "device", "wanted"),
    [
        (
            "ours[preset=cpu]",
            (0,),
            "cpu",
            "ours: trains preset cpu: 10,000 steps, about 60 min on 2 CPU cores",
        ),
        (
            "ours[preset=cpu]",
            (0, 1, 2),
            "cpu",
            "ours: trains preset cpu 3 times: 10,000 steps, about 3.0 h on 2 CPU cores",
        ),
        (
            "ours[preset=paper]",
            (0,),
            "cpu",
            "ours[preset=paper]: trains preset paper: 600,000 steps, at least 60 h on 2 CPU cores; "
            "--preset cpu: 60 min",
        ),
        (
            "ours[preset=paper]",
            (0,),
            "cuda:0",
            "ours[preset=paper]: trains preset paper: 600,000 steps, at least 6.0 h on an H100; "
            "--preset cpu: 6 min",
        ),
        (
            "ours[preset=gpu]",
            (0,),
            "cpu",
            "ours: trains preset gpu: no time is known for it; --preset cpu: 60 min",
        ),
    ],
)
def test_the_declared_time_is_said_or_a_bound_by_its_steps(tmp_path, name, seeds, device, wanted):
    plan = planned(tmp_path, name, seeds, effort=EFFORT)
    (text,) = said(plan, device)
    assert text.replace("ours[preset=cpu]", "ours") == wanted


@pytest.mark.parametrize(
    ("name", "size", "wanted"),
    [
        ("ours[preset=cpu]", 96, "10,000 steps, about 2.2 h on 2 CPU cores"),
        ("ours[preset=cpu]", 128, "10,000 steps, about 4.0 h on 2 CPU cores"),
        ("ours[preset=cpu]", 32, "10,000 steps, about 60 min on 2 CPU cores"),
        ("ours[preset=gpu]", 128, "no time is known for it; --preset cpu: 4.0 h"),
    ],
)
def test_larger_frames_take_longer(tmp_path, name, size, wanted):
    (text,) = said(planned(tmp_path, name, effort=EFFORT, size=size))
    assert text.endswith(wanted)


def test_a_preset_of_known_time_is_named_beside_one_of_which_only_a_bound_is_known(tmp_path):
    effort = {"gpu": Effort(10_000, gpu_hours=0.1), "cpu": Effort(10_000, cpu_hours=1.0)}
    (text,) = said(planned(tmp_path, "ours[preset=gpu]", effort=effort))
    assert text.endswith("10,000 steps, at least 60 min on 2 CPU cores; --preset cpu: 60 min")
    (text,) = said(planned(tmp_path, "ours[preset=gpu]", effort=effort), "cuda:0")
    assert text.endswith("10,000 steps, about 6 min on an H100")


def test_the_time_of_a_preset_is_not_said_of_other_numbers_of_steps(tmp_path):
    plan = planned(tmp_path, "ours[preset=cpu,steps=8,motion_steps=9,label=off]", effort=EFFORT)
    (text,) = said(plan)
    wanted = "trains preset cpu with other numbers of steps: no time is known for it"
    assert text.partition(": ")[2] == wanted
    plan = planned(tmp_path, "ours[preset=cpu,steps=7000,label=off]", effort=EFFORT)
    assert "10,000 steps, about 60 min" in said(plan)[0]  # 7000 is what the preset has


def test_what_took_so_long_here_counts_more(tmp_path):
    plan = planned(tmp_path, "ours[preset=cpu]", effort=EFFORT)
    for stage in plan.runs[0].stages:
        path = stage.folder.path
        other = path.with_name(f"{path.name.rpartition('-')[0]}-0123456789abcdef")
        other.mkdir(parents=True)
        record = {"method": stage.node.method.name, "seconds": 1800.0}
        (other / "stage.json").write_text(json.dumps(record))
    (text,) = said(plan)
    assert "about 60 min on this machine" in text  # two stages that are fitted
    next(iter(tmp_path.glob("*motion*/stage.json"))).unlink()
    assert "on 2 CPU cores" in said(plan)[0]


@pytest.mark.parametrize("name", ["ours[preset=gpu]", "li[preset=gpu]"])
def test_what_a_whole_training_takes_is_not_said_of_a_part(tmp_path, name):
    whole = planned(tmp_path, name)
    (run,) = whole.runs
    first = replace(run.stages[0], origin="bundled")
    part = replace(whole, runs=(replace(run, stages=(first, *run.stages[1:])),))
    method = name.partition("[")[0]
    assert said(part) == [f"{method}: trains a part of preset gpu: no time is known for it"]
    assert "steps" in said(whole)[0]
    # the keypoints of all clips, found by a detector, are no training that is there already
    labels = [replace(s, origin="fitted") if s.node.mode == "labels" else s for s in run.stages]
    assert said(replace(whole, runs=(replace(run, stages=tuple(labels)),))) == said(whole)


def test_nothing_is_said_where_nothing_is_trained(tmp_path):
    assert said(planned(tmp_path, origin="bundled")) == []
    assert said(planned(tmp_path, effort={})) == [
        "ours[preset=paper]: trains preset paper: no time is known for it"
    ]


def test_every_preset_of_the_bundled_methods_declares_its_steps():
    for name in ("ours", "villegas", "wichers", "li", "latent-flow"):
        spec = registry().method(name)
        assert set(spec.effort) == set(spec.presets)
        assert spec.effort["cpu"].cpu_hours


@pytest.mark.parametrize("name", ["ours", "villegas", "wichers", "li"])
def test_declared_steps_are_those_of_the_stages_that_a_preset_trains(name):
    plugins = registry()
    for preset, effort in plugins.method(name).effort.items():
        method = resolve(MethodRef(name, {"preset": preset}), plugins, 64)
        nodes = stage_graph(method, {"id": "x"}, 64, plugins, 0)
        steps = [training_steps(node) for node in nodes if node.mode != "labels"]
        assert None not in steps and sum(steps) == effort.steps, preset


@pytest.mark.parametrize("name", ["ours", "villegas", "wichers", "li"])
def test_info_and_plan_say_the_same_of_the_published_size(tmp_path, name):
    plugins = registry()
    method = resolve(MethodRef.parse(name), plugins, 64)
    costs = {cost.preset: cost for cost in preset_costs(method, plugins)}
    assert list(costs) == list(method.spec.effort)
    assert {k: c.size for k, c in costs.items()} == dict.fromkeys(costs, 64) | {"paper": 128}
    plan = planned(tmp_path, f"{name}[preset=paper]", size=128)
    cost = costs["paper"]
    for device, time, where in (("cpu", cost.cpu, "2 CPU cores"), ("cuda:0", cost.gpu, "an H100")):
        assert f": {cost.steps:,} steps, about {time} on {where}" in said(plan, device)[0]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("wichers[preset=cpu]", "preset cpu: 6,000 steps, about 19 min on 2 CPU cores"),
        (
            "wichers[preset=cpu,variant=adversarial]",
            "preset cpu with other stages: 6,120 steps, no time is known for it",
        ),
        (
            "wichers[preset=gpu,variant=adversarial]",
            "preset gpu with other stages: 5,600 steps, no time is known for it",
        ),
        (
            "li[preset=gpu,refiner=off]",
            "preset gpu with other stages: 5,000 steps, no time is known for it",
        ),
        (  # the translator also teaches a regressor
            "villegas[preset=gpu,detector=annotated]",
            "preset gpu with other stages: no time is known for it",
        ),
    ],
)
def test_other_stages_than_the_preset_has_are_counted(tmp_path, name, wanted):
    (text,) = said(planned(tmp_path, name))
    assert text.partition(": trains ")[2] == wanted


@pytest.mark.parametrize(
    ("preset", "terminal", "yes", "asked"),
    [
        ("paper", True, False, True),
        ("paper", True, True, False),
        ("paper", False, False, False),
        ("cpu", True, False, False),
    ],
)
def test_only_on_a_terminal_and_only_before_hours_it_asks(
    tmp_path, monkeypatch, capsys, preset, terminal, yes, asked
):
    questions = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(click, "confirm", lambda text, **_: questions.append(text) or False)
    plan = planned(tmp_path, f"ours[preset={preset}]", effort=EFFORT)
    agreed = run_verb._agreed(plan, RunOptions(device="cpu"), yes=yes)
    assert agreed is not asked and bool(questions) is asked
    assert not questions or questions[0].startswith("Train for at least 60 h?")
    assert "trains preset" in capsys.readouterr().err


def test_where_only_a_bound_is_known_it_asks(tmp_path, monkeypatch):
    """A preset that was trained on a GPU only may take many times as long on a processor."""
    effort = {**EFFORT, "gpu": Effort(10_000, gpu_hours=0.1)}
    plan = planned(tmp_path, "ours[preset=gpu]", effort=effort)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    questions = []
    monkeypatch.setattr(click, "confirm", lambda text, **_: questions.append(text) or False)
    assert not run_verb._agreed(plan, RunOptions(device="cpu"), yes=False)
    assert questions[0].startswith("Train for at least 60 min?")
    assert run_verb._agreed(plan, RunOptions(device="cuda:0"), yes=False)
