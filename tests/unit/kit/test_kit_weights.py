"""Compact weights: what is kept, what is rounded, what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from vpbench.api import Corrupt, HashMismatch, MissingData
from vpbench.kit import load_weights, round_weights, save_weights, seeded


class Net(nn.Module):
    """Matrices, vectors, counters, whole numbers, frozen and trained ones."""

    def __init__(self, seed=1, width=5, extra=False):
        super().__init__()
        with seeded(seed):
            self.first = nn.Conv2d(3, width, 3)
            self.norm = nn.BatchNorm2d(width)
            self.last = nn.Linear(width, 2)
            self.lstm = nn.LSTM(2, 3)
            if extra:
                self.extra = nn.Linear(2, 2)
            with torch.no_grad():
                for value in self.parameters():
                    value.add_(torch.randn_like(value) / 3)
        self.register_buffer("table", torch.arange(6).view(2, 3) * 70_001)
        self.norm.num_batches_tracked.fill_(12345)


def state(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def test_matrices_come_back_in_half_precision_and_the_rest_as_it_was(tmp_path):
    net, again = Net(1), Net(2)
    before = state(net)
    save_weights(net, tmp_path)
    assert same(state(net), before)  # saving changes nothing
    load_weights(again, tmp_path, "cpu")
    for name, value in state(again).items():
        assert value.dtype == before[name].dtype
        exact = before[name].numpy()
        if exact.ndim > 1 and exact.dtype == np.float32:
            assert np.array_equal(value.numpy(), exact.astype(np.float16).astype(np.float32)), name
            assert not np.array_equal(value.numpy(), exact)
        else:
            assert np.array_equal(value.numpy(), exact), name


def test_the_file_is_half_as_long(tmp_path):
    net = nn.Linear(100, 100)
    save_weights(net, tmp_path)
    size = (tmp_path / "tensors.safetensors").stat().st_size
    assert 20_000 + 400 <= size < 20_000 + 400 + 500


def test_rounded_weights_are_read_back_bit_for_bit_and_rounding_twice_is_rounding_once(tmp_path):
    net, again = Net(1), Net(2)
    first = state(net)
    round_weights(net)
    once = state(net)
    assert not same(first, once)
    round_weights(net)
    assert same(state(net), once)
    save_weights(net, tmp_path)
    load_weights(again, tmp_path, "cpu")
    assert same(state(again), once)
    x = torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        assert torch.equal(net.eval().first(x), again.eval().first(x))


def test_what_was_loaded_is_saved_to_the_same_bytes(tmp_path):
    net, again = Net(1), Net(2)
    save_weights(net, tmp_path / "a")
    load_weights(again, tmp_path / "a", "cpu")
    save_weights(again, tmp_path / "b")
    for name in ("tensors.safetensors", "state.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_loading_leaves_the_parameters_themselves(tmp_path):
    """An optimiser that holds them goes on with them."""
    net, again = Net(1), Net(2)
    held = list(again.parameters())
    again.last.bias.requires_grad_(False)
    save_weights(net, tmp_path)
    load_weights(again, tmp_path, "cpu")
    assert all(a is b for a, b in zip(held, again.parameters(), strict=True))
    assert not again.last.bias.requires_grad
    torch.testing.assert_close(again.last.bias, net.last.bias.detach())


def test_other_networks_are_refused_and_nothing_is_read(tmp_path):
    save_weights(Net(1), tmp_path / "plain")
    save_weights(Net(1, extra=True), tmp_path / "more")
    for folder, net, said in (
        ("plain", Net(2, extra=True), "lacks extra.weight"),
        ("more", Net(2), "also holds extra.weight"),
        ("plain", Net(2, width=6), "has other sizes of first.weight"),
    ):
        before = state(net)
        with pytest.raises(Corrupt, match=said) as caught:
            load_weights(net, tmp_path / folder, "cpu")
        assert str(tmp_path / folder) in str(caught.value) and "fit again" in caught.value.fix
        assert same(state(net), before)


def test_weights_that_an_earlier_stage_did_not_have_keep_their_first_values(tmp_path):
    save_weights(Net(1), tmp_path)
    net = Net(2, extra=True)
    kept = net.extra.weight.detach().clone()
    load_weights(net, tmp_path, "cpu", new=("extra.",))
    assert torch.equal(net.extra.weight.detach(), kept)
    assert torch.equal(net.first.bias.detach(), Net(1).first.bias.detach())
    with pytest.raises(Corrupt, match="lacks extra"):
        load_weights(Net(2, extra=True), tmp_path, "cpu", new=("other.",))


def test_what_only_training_uses_is_not_written(tmp_path):
    net, again = Net(1, extra=True), Net(2, extra=True)
    save_weights(net, tmp_path / "whole")
    save_weights(net, tmp_path / "part", without=("extra.", "first."))
    sizes = [(tmp_path / f / "tensors.safetensors").stat().st_size for f in ("whole", "part")]
    assert sizes[1] < sizes[0]
    kept = state(again)
    load_weights(again, tmp_path / "part", "cpu", new=("extra.", "first."))
    for name, value in state(again).items():
        left_out = name.startswith(("extra.", "first."))
        wanted = kept[name] if left_out else net.state_dict()[name]
        assert torch.allclose(value, wanted, atol=0 if left_out else 1e-3), name
    with pytest.raises(Corrupt, match="lacks first"):
        load_weights(Net(2, extra=True), tmp_path / "part", "cpu", new=("extra.",))
    # and a folder that holds everything is read as a whole
    load_weights(again, tmp_path / "whole", "cpu", new=("extra.", "first."))
    assert not torch.equal(again.extra.weight.detach(), kept["extra.weight"])


def test_a_folder_without_or_with_damaged_weights(tmp_path):
    with pytest.raises(MissingData):
        load_weights(Net(), tmp_path / "nothing", "cpu")
    save_weights(Net(), tmp_path / "bad")
    file = tmp_path / "bad" / "tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(HashMismatch):
        load_weights(Net(), tmp_path / "bad", "cpu")
