"""Training probes: what they record, when two agree, what they refuse. Real stages: tests/e2e."""

import json
from dataclasses import replace

import pytest

from vpbench.api import BadData, MissingData
from vpbench.harness.training import probe
from vpbench.harness.training.probe import ProbeRecord

RECORD = ProbeRecord(
    stage="m:one",
    method="m[preset=smoke]",
    dataset="puppets",
    task="puppets",
    seed=0,
    losses=({"a": 1.0, "b": 1e-5}, {"a": 0.5}),
    vpbench="1",
    python="3",
    torch="2",
)


def changed(step, **values):
    losses = [dict(row) for row in RECORD.losses]
    losses[step] |= values
    return replace(RECORD, losses=tuple(losses))


def test_a_record_is_read_back(tmp_path):
    RECORD.write(tmp_path)
    assert ProbeRecord.read(tmp_path) == RECORD
    assert json.loads((tmp_path / "probe.json").read_text())["schema"] == "vpbench.probe/1"


def test_equal_losses_agree_whatever_the_versions():
    other = replace(RECORD, vpbench="2", python="4", torch="3")
    assert RECORD.differences(other) == []


@pytest.mark.parametrize(
    ("step", "values", "agree"),
    [
        (0, {"a": 1.0019}, True),
        (0, {"a": 1.0021}, False),
        (1, {"a": 0.5019}, True),  # 2 x 2e-3 at the second step
        (1, {"a": 0.5021}, False),
        (0, {"b": 1.09e-5}, True),  # within the absolute tolerance
        (0, {"b": 1.2e-5}, False),
        (0, {"c": 0.0}, False),
    ],
)
def test_losses_may_differ_by_what_another_machine_makes_of_them(step, values, agree):
    other = changed(step, **values)
    assert (RECORD.differences(other) == []) is agree
    if not agree:
        (line,) = RECORD.differences(other)
        assert f"step {step + 1}: {next(iter(values))} is" in line


def test_missing_steps_and_losses_are_named():
    assert RECORD.differences(replace(RECORD, losses=RECORD.losses[:1])) == ["1 steps, were 2"]
    fewer = replace(RECORD, losses=({"a": 1.0}, {"a": 0.5}))
    assert RECORD.differences(fewer) == ["step 1: b is None, was 1e-05"]


@pytest.mark.parametrize(
    "change", [{"stage": "m:two"}, {"method": "m"}, {"task": "t"}, {"seed": 1}, {"dataset": "d"}]
)
def test_probes_of_something_else_do_not_agree(change):
    (line,) = RECORD.differences(replace(RECORD, **change))
    assert line.startswith(f"{next(iter(change))} is")


def test_a_folder_without_a_probe_says_so(tmp_path):
    with pytest.raises(MissingData, match=r"no training probe \(probe.json\)"):
        ProbeRecord.read(tmp_path)


@pytest.mark.parametrize("text", ['{"schema": "vpbench.stage/1"}', '{"schema": "vpbench.probe/1"}'])
def test_another_file_is_not_a_probe(tmp_path, text):
    (tmp_path / "probe.json").write_text(text)
    with pytest.raises(BadData, match="is not a training probe"):
        ProbeRecord.read(tmp_path)


def test_the_context_stops_a_fit_and_keeps_first_losses(tmp_path):
    from vpbench.api import TaskInfo
    from vpbench.core.progress import silent
    from vpbench.core.rundir import StageDir

    ctx = probe._ProbeContext(
        task=TaskInfo("t", 16, 4, 1, None, 0, (), 0, ()),
        trains=(),
        device="cpu",
        threads=1,
        seed=0,
        stage=StageDir(tmp_path),
        label="m:one",
        cache_root=tmp_path,
        report=silent,
        limit=2,
    )
    ctx.log({"before": 1.0})
    for step in range(3):
        assert ctx.should_stop == (step >= 2)
        ctx.step(5)
        ctx.log({"loss": float(step)})
        ctx.log({"val_loss": 9.0})
    assert ctx.losses == {1: {"loss": 0.0}, 2: {"loss": 1.0}}
