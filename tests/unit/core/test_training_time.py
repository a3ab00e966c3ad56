"""Estimates of a training: only for what was counted, and proportional to its steps."""

from dataclasses import replace

import pytest

from vpbench.api import MethodSpec, StageSpec, TrainingCost
from vpbench.core.names import MethodRef
from vpbench.core.registry import registry
from vpbench.core.resolve import resolve
from vpbench.core.stages import stage_graph
from vpbench.core.training_time import DEVICES, span, training_time


@pytest.fixture(scope="module")
def plugins():
    return registry(())


def times(name, plugins, size=128):
    method = resolve(MethodRef.parse(name), plugins, size)
    nodes = stage_graph(method, {"id": "x"}, size, plugins, 0)
    return {node.label: training_time(node, size) for node in nodes if node.mode != "labels"}


@pytest.mark.parametrize("name", ["ours", "villegas", "wichers", "li"])
def test_every_stage_of_preset_paper_has_an_estimate_at_128_px(name, plugins):
    known = times(f"{name}[preset=paper]", plugins)
    assert known and all(known.values())
    for time in known.values():
        assert set(time.hours) == set(DEVICES) and all(h > 0 for h in time.hours.values())
        assert 0.5 < time.gib < 64
    assert not any(times(f"{name}[preset=smoke]", plugins).values())
    assert not any(times(f"{name}[preset=paper]", plugins, 64).values())


def test_it_is_the_operations_of_all_steps_at_the_devices_rate(plugins):
    time = times("ours[preset=paper]", plugins)["ours:keypoints"]
    half = times("ours[preset=paper,steps=250000]", plugins)["ours:keypoints"]
    assert (time.steps, half.steps) == (500_000, 250_000)
    spec = plugins.method("ours")
    (cost,) = (c for c in spec.costs if c.stage == "keypoints")
    # Kim et al.: 65 G multiply-adds a sample in a step that shares its forward pass, 32 samples
    assert cost.tflop == pytest.approx(2 * 65e9 * 32 / 1e12, rel=0.02)
    for device, rate in DEVICES.items():
        assert time.hours[device] == pytest.approx(500_000 * cost.tflop / rate / 3600)
        assert half.hours[device] == pytest.approx(time.hours[device] / 2)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("ours[preset=paper,batch=4]", {"ours:keypoints": False, "ours:motion": True}),
        ("ours[preset=paper,motion_batch=4]", {"ours:keypoints": True, "ours:motion": False}),
        ("ours[preset=paper,n_keypoints=15]", {"ours:keypoints": False, "ours:motion": False}),
        ("ours[preset=paper,motion_steps=7]", {"ours:keypoints": True, "ours:motion": True}),
        (
            "villegas[preset=paper,translator.batch=2]",
            {
                "villegas-detector:fit": True,
                "villegas-motion:fit": True,
                "villegas-translator:fit": False,
            },
        ),
        ("li[preset=paper,refiner_steps=10]", {"li:flow": True, "li:refiner": True}),
        ("li[preset=paper,refiner_width=8]", {"li:flow": True, "li:refiner": False}),
    ],
)
def test_other_parameters_were_not_counted(name, known, plugins):
    assert {label: time is not None for label, time in times(name, plugins).items()} == known


def test_costs_are_in_no_key(plugins):
    """A count that is corrected moves no result and no checkpoint."""
    method = resolve(MethodRef.parse("ours[preset=paper]"), plugins, 128)
    other = replace(method, spec=replace(method.spec, costs=()))
    assert method.identity() == other.identity()
    one, two = (stage_graph(m, {"id": "x"}, 128, plugins, 0) for m in (method, other))
    assert [node.key for node in one] == [node.key for node in two]


def test_a_plugin_says_what_its_own_stages_cost():
    cost = TrainingCost("fit", "big", 64, 2.0, 1.5, steps="rounds")
    spec = MethodSpec("mine", "m:M", "", params={"rounds": 3}, stages=(StageSpec("fit"),))
    assert spec.costs == () and replace(spec, costs=(cost,)).costs[0].steps == "rounds"


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0.001, "4 s"),
        (0.5, "30 min"),
        (1.49, "89 min"),
        (2.0, "2.0 h"),
        (48, "48 h"),
        (200, "8 days"),
        (36_000, "1,500 days"),
    ],
)
def test_times_as_people_say_them(hours, text):
    assert span(hours) == text
