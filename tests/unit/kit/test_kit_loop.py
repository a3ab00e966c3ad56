"""The training loop: killed, stopped, resumed, out of memory."""

import json
import threading

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.kit.kit_loop_toys import Toy, context, stored, straight
from vpbench.api import Corrupt, MethodFailed
from vpbench.kit import seeded, training_steps
from vpbench.kit.loop import step_seed


@pytest.mark.parametrize("cuts", [(1,), (3,), (6,), (2, 3, 5)])
def test_stopped_and_resumed_is_as_if_nothing_had_been(tmp_path, cuts):
    whole = straight(tmp_path)
    place = tmp_path / "cut"
    for cut in cuts:
        toy = Toy()
        assert toy.fit(context(place, cut)) is False
        assert toy.made[-1] == cut - 1 and stored(place)
    toy = Toy()
    assert toy.fit(context(place)) is True
    assert toy.began == [cuts[-1]] and toy.made == list(range(cuts[-1], 7))
    assert toy.state() == whole.state()
    assert toy.training.extra["seen"] == list(range(7))


@pytest.mark.e2e
def test_a_killed_training_goes_on_from_its_last_state(tmp_path):
    """400 steps store a state every 10th; what came after is made again."""
    whole = straight(tmp_path, 400)
    killed = Toy(400, {37: KeyError("killed")})
    with pytest.raises(KeyError):
        killed.fit(context(tmp_path / "cut"))
    toy = Toy(400)
    assert toy.fit(context(tmp_path / "cut"))
    assert toy.began == [30] and toy.state() == whole.state()
    lines = [json.loads(x) for x in (tmp_path / "cut" / "train.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines] == [1, *range(2, 401, 2)]
    wanted = (tmp_path / "straight" / "train.jsonl").read_text()
    assert (tmp_path / "cut" / "train.jsonl").read_text() == wanted


class Pictures(Toy):
    """Weights in channels_last, as on a GPU."""

    def __init__(self, steps=7, fail=None):
        super().__init__(steps, fail)
        with seeded(1):
            self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 1, 3))
        self.net.to(memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(self.net.parameters(), 0.05)
        self.training.modules["net"] = self.net
        self.training.optimisers["adam"] = self.adam

    def step(self, k):
        loss = self.net(torch.randn(2, 3, 8, 8)).square().mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return float(loss.detach())


def test_a_resumed_optimiser_is_laid_out_as_its_weights(tmp_path):
    """A fused Adam on a GPU refuses running means of another memory format."""
    whole = Pictures()
    assert whole.fit(context(tmp_path / "straight"))
    Pictures().fit(context(tmp_path / "cut", 3))
    toy = Pictures()
    means = {}
    toy.after.append(
        lambda done: means.update({p: toy.adam.state[p]["exp_avg"] for p in toy.net.parameters()})
    )
    weight = toy.net[0].weight
    assert weight.stride() != weight.contiguous().stride()
    assert toy.fit(context(tmp_path / "cut")) is True
    assert all(mean.stride() == p.stride() for p, mean in means.items()) and len(means) == 4
    assert toy.state() == whole.state()


def test_a_training_that_is_done_makes_no_step(tmp_path):
    whole = straight(tmp_path)
    toy = Toy()
    assert toy.fit(context(tmp_path / "straight")) is True
    assert toy.made == [] and toy.state() == whole.state()


def test_no_steps_are_no_steps(tmp_path):
    toy = Toy(0)
    before = toy.state()
    assert toy.fit(context(tmp_path)) is True
    assert toy.made == [] and toy.state() == before


def test_a_stop_before_the_first_step_keeps_everything(tmp_path):
    toy = Toy()
    assert toy.fit(context(tmp_path, 0)) is False
    assert toy.made == [] and not stored(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 9 bytes."
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_no_memory_names_what_to_lower_and_lowers_nothing(tmp_path, error):
    toy = Toy(7, {3: error})
    with pytest.raises(MethodFailed) as caught:
        toy.fit(context(tmp_path))
    assert "toy:all ran out of memory at step 4" in str(caught.value)
    assert "last good state is that of step 3" in str(caught.value)
    assert caught.value.fix.startswith("Lower batch or width")
    assert caught.value.__cause__ is error
    assert toy.made == [0, 1, 2, 3]  # not tried again with anything smaller
    good = Toy()
    assert good.fit(context(tmp_path)) and good.began == [3]


def test_torch_says_so_when_it_cannot_allocate(tmp_path):
    """The real message, not one that was made up."""
    toy = Toy(2)
    toy.step = lambda k: torch.empty(2**62, dtype=torch.uint8)
    with pytest.raises(MethodFailed, match="ran out of memory at step 1"):
        toy.fit(context(tmp_path))


def test_other_errors_are_not_taken_for_want_of_memory(tmp_path):
    toy = Toy(7, {2: RuntimeError("shapes cannot be multiplied")})
    with pytest.raises(RuntimeError, match="shapes"):
        toy.fit(context(tmp_path))


def test_what_follows_log_comes_before_the_state_is_stored(tmp_path):
    toy = Toy()
    seen = []

    def after(done):
        assert done == toy.made[-1] + 1
        assert stored(tmp_path) == (done > 1)
        toy.training.extra["best"] = {"at": done, "weight": toy.net[0].weight.detach().clone()}
        seen.append(done)

    toy.after = [after]
    assert toy.fit(context(tmp_path, 4)) is False
    assert seen == [1, 2, 3, 4]
    again = Toy()
    again.fit(context(tmp_path, 4))
    assert again.training.extra["best"]["at"] == 4
    assert torch.equal(again.training.extra["best"]["weight"], again.net[0].weight.detach())


def test_each_step_has_randomness_of_its_own(tmp_path):
    """The process's generators before, and what is drawn after a step, change nothing."""
    whole = straight(tmp_path)
    torch.manual_seed(77)
    np.random.seed(77)
    before = torch.get_rng_state()
    toy = Toy()
    toy.fit(context(tmp_path / "two"))
    assert torch.equal(torch.get_rng_state(), before)
    noisy = Toy()
    noisy.after = [torch.rand]
    noisy.fit(context(tmp_path / "three"))
    assert torch.equal(torch.get_rng_state(), before)
    assert whole.state() == toy.state() == noisy.state()
    other = Toy()
    other.fit(context(tmp_path / "four", seed=6))
    assert other.state() != whole.state()


def test_seeds_of_steps_differ():
    seeds = {step_seed(seed, k) for seed in range(20) for k in range(50)}
    assert len(seeds) == 1000 and all(0 <= s < 2**64 for s in seeds)
    assert step_seed(1, 23) != step_seed(12, 3)


def test_the_choice_of_algorithms_is_put_back(tmp_path):
    toy = Toy(2, {1: RuntimeError("trouble")})
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError):
        toy.fit(context(tmp_path))
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("ahead", [1, 3])
def test_batches_made_ahead_change_nothing(tmp_path, ahead):
    whole = straight(tmp_path)
    toy = Toy()
    assert toy.fit(context(tmp_path / "ahead", 3), ahead) is False
    again = Toy()
    assert again.fit(context(tmp_path / "ahead"), ahead) and again.state() == whole.state()
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_the_thread_of_batches_ends_with_a_failed_training(tmp_path):
    toy = Toy(7, {2: KeyError("trouble")})
    with pytest.raises(KeyError):
        toy.fit(context(tmp_path), ahead=2)
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_a_loop_that_is_left_early_is_not_finished(tmp_path):
    toy = Toy(5)
    for step, _ in training_steps(context(tmp_path), toy.training, toy.batches):
        if step == 2:
            break
    assert not toy.training.finished and toy.training.done == 2
    assert not torch.are_deterministic_algorithms_enabled()


def test_batches_that_end_are_named(tmp_path):
    toy = Toy(5)
    toy.batches = lambda done: iter(range(3))
    with pytest.raises(MethodFailed, match="toy:all: the batches ended before step 4"):
        toy.fit(context(tmp_path))


def test_the_state_of_another_training_is_refused(tmp_path):
    Toy().fit(context(tmp_path, 3))
    toy = Toy()
    toy.training.optimisers = {"sgd": toy.adam}
    with pytest.raises(Corrupt, match="optimisers adam, this training has sgd"):
        toy.fit(context(tmp_path))


def test_determinism_fills_no_memory_and_restores_all_choices():
    import torch.utils.deterministic as memory

    from vpbench.kit import deterministic

    before = memory.fill_uninitialized_memory
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert not memory.fill_uninitialized_memory
    assert memory.fill_uninitialized_memory == before
    assert not torch.are_deterministic_algorithms_enabled()
