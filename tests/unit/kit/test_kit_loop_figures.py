"""Figures of the training loop: logged, on a GPU, not a number."""

import json
import math

import pytest
import torch

from tests.unit.kit.kit_loop_toys import Toy, context, stored, straight
from vpbench.api import MethodFailed
from vpbench.kit import training_steps


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_stops_with_step_clips_and_state(tmp_path, value):
    toy = Toy(400, {25: value})
    with pytest.raises(MethodFailed) as caught:
        toy.fit(context(tmp_path / "bad"))
    said = str(caught.value)
    assert f"toy:all stopped at step 26 of 400: loss = {value}" in said and "fine" not in said
    assert "last good state is that of step 20" in said
    assert list(caught.value.clips) == [3, 0, 7]
    assert caught.value.fix and "learning rate" in caught.value.fix
    # the state is that of step 20, nothing of step 26 is in it
    good = Toy(400)
    good.fit(context(tmp_path / "good", 20))
    again = Toy(400)
    again.fit(context(tmp_path / "bad", 20))
    assert again.began == [20] and again.made == [] and again.state() == good.state()


# figures on a device ------------------------------------------------------------------------------


class Tensors(Toy):
    """Hands over its loss as a tensor."""

    def step(self, k):
        return torch.tensor(super().step(k), requires_grad=True)


@pytest.fixture
def far(monkeypatch):
    """Tensors count as lying on a GPU; returns one entry for each time that any was read."""
    from vpbench.kit import loop

    read, numbers = [], loop._numbers

    def counted(figures):
        read.append(sum(isinstance(f, torch.Tensor) for f in figures.values()))
        return numbers(figures)

    monkeypatch.setattr(loop, "_on_gpu", lambda f: isinstance(f, torch.Tensor))
    monkeypatch.setattr(loop, "_numbers", counted)
    return read


def test_tensors_are_figures_like_numbers(tmp_path):
    whole = straight(tmp_path)
    toy = Tensors()
    assert toy.fit(context(tmp_path / "tensors"))
    assert toy.state() == whole.state()
    wanted = [json.loads(x) for x in (tmp_path / "straight/train.jsonl").read_text().splitlines()]
    found = [json.loads(x) for x in (tmp_path / "tensors/train.jsonl").read_text().splitlines()]
    assert [r["loss"] for r in found] == pytest.approx([r["loss"] for r in wanted], rel=1e-6)


@pytest.mark.e2e
def test_on_a_gpu_figures_are_read_where_they_are_logged_or_stored(tmp_path, far):
    whole = straight(tmp_path, 1000)  # logs every 5th step, stores every 25th
    far.clear()
    toy = Tensors(1000)
    assert toy.fit(context(tmp_path / "far"))
    assert len(far) == 1 + 200 and toy.state() == whole.state()
    far.clear()
    cut = Tensors(1000)
    assert not cut.fit(context(tmp_path / "cut", 7))  # no step that is logged: read to be stored
    assert len(far) == 1 + 1 + 1 and stored(tmp_path / "cut")


@pytest.mark.parametrize(("bad", "noticed"), [(24, 25), (25, 30), (28, 30)])
def test_on_a_gpu_what_is_no_number_is_noticed_before_it_is_stored(tmp_path, far, bad, noticed):
    toy = Tensors(1000, {k: math.nan for k in range(bad, 1000)})
    with pytest.raises(MethodFailed) as caught:
        toy.fit(context(tmp_path))
    assert f"stopped at step {noticed} of 1000: loss = nan" in str(caught.value)
    assert f"state is that of step {0 if bad < 25 else 25}" in str(caught.value)
    assert list(caught.value.clips) == []  # it may have been an earlier step


def test_on_a_gpu_a_bad_figure_is_noticed_when_the_job_is_stopped(tmp_path, far):
    toy = Tensors(1000, {k: math.nan for k in range(5, 1000)})
    with pytest.raises(MethodFailed, match="stopped at step 7 of 1000"):
        toy.fit(context(tmp_path, 7))
    assert not stored(tmp_path)


def test_a_step_without_figures_counts_and_logs_nothing(tmp_path):
    toy, ctx = Toy(5), context(tmp_path)
    for step, _ in training_steps(ctx, toy.training, toy.batches):
        toy.step(step)
    assert toy.training.finished and toy.made == [0, 1, 2, 3, 4]
    assert not (tmp_path / "train.jsonl").exists()
