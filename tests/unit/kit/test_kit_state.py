"""Nested state to files and arrays, and back."""

from __future__ import annotations

import json
import math
import random
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn

from vpbench.api import Corrupt, HashMismatch, MissingData, UsageError
from vpbench.kit import from_arrays, load_state, save_state, to_arrays

torch.set_num_threads(1)

DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.bool,
    torch.complex64,
    torch.float8_e4m3fn,
]


def through_files(state, folder):
    save_state(folder, state)
    return load_state(folder)


def through_arrays(state, folder):
    """As the harness does it: npz and JSON text."""
    arrays, meta = to_arrays(state)
    assert all(isinstance(a, np.ndarray) for a in arrays.values())
    folder.mkdir(exist_ok=True)
    with (folder / "state.npz").open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    text = json.dumps(meta, allow_nan=False)
    with np.load(folder / "state.npz", allow_pickle=False) as loaded:
        return from_arrays({name: loaded[name] for name in loaded.files}, json.loads(text))


both = pytest.mark.parametrize("through", [through_files, through_arrays])


def same(a, b) -> bool:
    """Equal in value, type and order; NaN equals NaN."""
    if isinstance(a, torch.Tensor):
        return (
            isinstance(b, torch.Tensor)
            and (a.dtype, a.shape) == (b.dtype, b.shape)
            and a.detach().contiguous().flatten().view(torch.uint8).tolist()
            == b.contiguous().flatten().view(torch.uint8).tolist()
        )
    if isinstance(a, np.ndarray | np.generic):
        equal = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        return type(a) is type(b) and equal
    if isinstance(a, dict):
        keys = [(type(k), k) for k in a]
        return keys == [(type(k), k) for k in b] and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


STATES = {
    "numbers": [None, True, False, 0, -3, 2**130, 0.1, -0.0, math.nan, math.inf, -math.inf, "ä\n"],
    "nesting": {"a": (1, [2, (), {}]), 3: {"b": None}, None: [], "float": 1, "tensor": "x"},
    "looks like a node": {"tensor": "a", "dtype": "float32"},
    "random": {"python": random.Random(3).getstate(), "numpy": np.random.PCG64(3).state},
    "keys": {k: torch.tensor([i]) for i, k in enumerate(["a/b", "#1", 1, "1", "", "__metadata__"])}
    | {"a": {"b": torch.tensor([9])}, "%": torch.tensor([8]), "file": torch.zeros(1)},
    "arrays": [np.arange(6).reshape(2, 3), np.float32(1.5), np.array(3), np.zeros((0, 2), bool)],
    "only a tensor": torch.arange(3),
    "strided": torch.arange(12).reshape(3, 4).t(),
    "nothing": {},
}


@both
@pytest.mark.parametrize("name", STATES)
def test_comes_back_as_it_was(name, through, tmp_path):
    assert same(STATES[name], through(STATES[name], tmp_path / "s"))


@both
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_every_dtype_and_shape(dtype, shape, through, tmp_path):
    state = {"x": torch.linspace(0, 3, 6)[: math.prod(shape)].reshape(shape).to(dtype)}
    back = through(state, tmp_path)
    assert same(state, back)


@both
def test_training_goes_on_as_if_nothing_happened(through, tmp_path):
    def make():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        return net, torch.optim.Adam(net.parameters(), amsgrad=True)

    def steps(net, optimiser, numbers):
        for k in numbers:
            x = torch.randn(8, 3, generator=torch.Generator().manual_seed(k))
            optimiser.zero_grad()
            net(x).square().mean().backward()
            optimiser.step()

    net, optimiser = make()
    steps(net, optimiser, range(3))
    state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "step": 3}
    assert 0 in state["optimiser"]["state"]  # integer keys
    back = through(state, tmp_path)
    steps(net, optimiser, range(3, 6))
    other, other_optimiser = make()
    other.load_state_dict(back["net"])
    other_optimiser.load_state_dict(back["optimiser"])
    steps(other, other_optimiser, range(3, 6))
    assert same(dict(net.state_dict()), dict(other.state_dict()))


def test_tensors_have_readable_names(tmp_path):
    from safetensors.numpy import load_file

    save_state(tmp_path, {"net": nn.Linear(2, 2).state_dict(), "sum": [torch.zeros(1)]})
    names = {"net/weight", "net/bias", "sum/#0"}
    assert set(load_file(tmp_path / "tensors.safetensors")) == names


def test_same_state_same_bytes(tmp_path):
    for folder in ("a", "b"):
        state = {f"layer{i}": torch.full((3, i), float(i)) for i in range(20)}
        save_state(tmp_path / folder, {**state, "half": torch.ones(3).half(), "t": (1, math.nan)})
    for name in ("tensors.safetensors", "state.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "state.json",
        "tensors.safetensors",
    ]


@both
def test_shared_tensors_are_stored_once_and_shared_again(through, tmp_path):
    weight = torch.arange(4.0)
    state = {"a": weight, "b": nn.Parameter(weight), "half": weight[:2], "other": weight.clone()}
    back = through(state, tmp_path)
    assert back["a"] is back["b"] and back["a"] is not back["other"]
    back["a"].fill_(7)
    assert back["half"].tolist() == [0, 1] and back["other"].tolist() == [0, 1, 2, 3]
    assert len(to_arrays(state)[0]) == 3


def test_nothing_is_shared_with_the_live_state():
    state = {"x": torch.zeros(2), "y": np.zeros(2)}
    arrays, meta = to_arrays(state)
    state["x"].fill_(1), state["y"].fill(1)
    back = from_arrays(arrays, meta)
    back["x"].fill_(2), back["y"].fill(2)
    assert all(a.max() == 0 for a in arrays.values())


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("state", "where"),
    [
        ({"a": [1, {2: {1, 2}}]}, r"state\['a'\]\[1\]\[2\] is a builtins.set"),
        ({"a": nn.Linear(1, 1)}, r"state\['a'\].*Linear.*state_dict"),
        ({"a": {(1, 2): 3}}, r"state\['a'\] has the key \(1, 2\)"),
        ({"a": {0.5: 3}}, r"state\['a'\] has the key 0.5"),
        ([Point(1, 2)], r"state\[0\].*Point"),
        ([np.array(["x"])], r"state\[0\] is an array of <U1"),
        ([np.array([object()])], r"state\[0\] is an array of object"),
        ([torch.eye(2).to_sparse()], r"state\[0\] is a sparse"),
        (b"x", r"state is a builtins.bytes"),
        ([torch.float32], r"state\[0\] is a torch.dtype"),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_place(state, where, tmp_path):
    with pytest.raises(UsageError, match=where):
        save_state(tmp_path / "s", state)
    assert not (tmp_path / "s").exists()
    with pytest.raises(UsageError, match=where):
        to_arrays(state)


def test_mappings_come_back_as_dicts(tmp_path):
    back = through_files(OrderedDict(b=1, a=2), tmp_path)
    assert type(back) is dict and list(back) == ["b", "a"]


def test_halves_of_two_states_are_never_taken_for_one(tmp_path):
    save_state(tmp_path / "a", {"x": torch.zeros(2)})
    save_state(tmp_path / "b", {"x": torch.ones(2)})
    (tmp_path / "b" / "state.json").replace(tmp_path / "a" / "state.json")
    with pytest.raises(HashMismatch, match=r"tensors\.safetensors"):
        load_state(tmp_path / "a")


def test_missing_and_broken_states(tmp_path):
    with pytest.raises(MissingData, match="holds no saved state"):
        load_state(tmp_path)
    save_state(tmp_path, {"x": torch.zeros(2)})
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(Corrupt, match="state/1"):
        load_state(tmp_path)
    arrays, meta = to_arrays({"x": torch.zeros(2), "y": torch.ones(1)})
    arrays.pop("y")
    with pytest.raises(Corrupt, match="'y'"):
        from_arrays(arrays, meta)
    with pytest.raises(Corrupt, match="'x'"):
        from_arrays({"x": np.zeros(2, np.int8), "y": np.ones(1, np.float32)}, meta)


def test_a_failed_write_leaves_the_old_state(tmp_path, monkeypatch):
    save_state(tmp_path, {"x": torch.zeros(2)})
    with pytest.raises(UsageError):
        save_state(tmp_path, {"x": torch.ones(2), "bad": object()})
    assert load_state(tmp_path)["x"].tolist() == [0, 0]


def test_tensors_land_on_the_device(tmp_path):
    save_state(tmp_path, [torch.zeros(2), np.zeros(2)])
    tensor, array = load_state(tmp_path, "meta")
    assert tensor.device.type == "meta" and isinstance(array, np.ndarray)
