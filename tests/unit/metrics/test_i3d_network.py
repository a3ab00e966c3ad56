"""I3D against an independent, slow reading of the graph, with random weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from vpbench.api.errors import Corrupt, MissingWeights, UsageError
from vpbench.metrics.i3d.folded import fold, max_pool
from vpbench.metrics.i3d.network import (
    I3D,
    Unit,
    block_units,
    load,
    pad_same,
    same_padding,
    unit_specs,
    variables,
)

ROOT = "RGB/inception_i3d"
NARROW = 8


def fill(net, seed=0):
    """Random kernels, offsets and statistics, so that a wrong epsilon or mapping shows."""
    rng = torch.Generator().manual_seed(seed)
    for name, (buffer, _) in variables(net).items():
        if name.endswith("moving_variance"):
            buffer.uniform_(0.02, 0.5, generator=rng)
        elif name.endswith("conv_3d/w"):
            fan_in = math.prod(buffer.shape[1:])
            buffer.normal_(0, math.sqrt(0.5 / fan_in), generator=rng)
        else:
            buffer.normal_(0, 0.2, generator=rng)
    return net


def tensorflow_variables(net):
    """Name -> tensor, laid out as in TensorFlow."""
    return {
        name: (b.permute(2, 3, 4, 1, 0) if b.ndim == 5 else b.T if b.ndim == 2 else b)
        .reshape(shape)
        .contiguous()
        for name, (b, shape) in variables(net).items()
    }


class Slow:
    """The graph from its description: explicit padding, batch normalisation by its formula."""

    def __init__(self, values, eps=1e-3):
        self.values, self.eps = values, eps

    def pads(self, size, kernel, stride):
        out = math.ceil(size / stride)
        need = max(0, (out - 1) * stride + kernel - size)
        return [need // 2, need - need // 2]

    def padded(self, x, kernel, stride, value):
        pads = []
        for axis in (4, 3, 2):
            pads += self.pads(x.shape[axis], kernel[axis - 2], stride[axis - 2])
        return F.pad(x, pads, value=value)

    def unit(self, x, name, stride=1):
        get = {
            k: self.values[f"{ROOT}/{name}/{k}"].to(x.dtype)
            for k in (
                "conv_3d/w",
                "batch_norm/beta",
                "batch_norm/moving_mean",
                "batch_norm/moving_variance",
            )
        }
        w = get["conv_3d/w"].permute(4, 3, 0, 1, 2)
        x = F.conv3d(self.padded(x, w.shape[2:], (stride,) * 3, 0.0), w, stride=stride)
        mean, variance, beta = (
            get[f"batch_norm/{k}"].reshape(1, -1, 1, 1, 1)
            for k in ("moving_mean", "moving_variance", "beta")
        )
        return torch.clamp((x - mean) / torch.sqrt(variance + self.eps) + beta, min=0)

    def pool(self, x, kernel, stride):
        x = self.padded(x, kernel, stride, -math.inf)
        for axis in (2, 3, 4):
            x = x.unfold(axis, kernel[axis - 2], stride[axis - 2]).amax(-1)
        return x

    def block(self, x, name, last="Conv3d_0b_3x3"):
        b = f"{name}/Branch_"
        return torch.cat(
            [
                self.unit(x, f"{b}0/Conv3d_0a_1x1"),
                self.unit(self.unit(x, f"{b}1/Conv3d_0a_1x1"), f"{b}1/Conv3d_0b_3x3"),
                self.unit(self.unit(x, f"{b}2/Conv3d_0a_1x1"), f"{b}2/{last}"),
                self.unit(self.pool(x, (3, 3, 3), (1, 1, 1)), f"{b}3/Conv3d_0b_1x1"),
            ],
            1,
        )

    def __call__(self, x):
        x = self.unit(x, "Conv3d_1a_7x7", 2)
        x = self.pool(x, (1, 3, 3), (1, 2, 2))
        x = self.unit(self.unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
        x = self.pool(x, (1, 3, 3), (1, 2, 2))
        x = self.block(self.block(x, "Mixed_3b"), "Mixed_3c")
        x = self.pool(x, (3, 3, 3), (2, 2, 2))
        for k in "bcdef":
            x = self.block(x, f"Mixed_4{k}")
        x = self.pool(x, (2, 2, 2), (2, 2, 2))
        x = self.block(x, "Mixed_5b", "Conv3d_0a_3x3")
        x = self.block(x, "Mixed_5c")
        self.positions = x.shape[2] - 1
        x = torch.stack([x[:, :, t : t + 2].mean((2, 3, 4)) for t in range(self.positions)], 2)
        w = self.values[f"{ROOT}/Logits/Conv3d_0c_1x1/conv_3d/w"].to(x.dtype)[0, 0, 0]
        bias = self.values[f"{ROOT}/Logits/Conv3d_0c_1x1/conv_3d/b"].to(x.dtype)
        return (torch.einsum("bct,co->bto", x, w) + bias).mean(1)


def clips(frames, batch=1, dtype=torch.float64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, frames, 224, 224, generator=rng, dtype=dtype) * 2 - 1


def error(found, true):
    return float((found.double() - true.double()).abs().max() / true.double().abs().max())


@pytest.fixture(scope="module")
def narrow():
    return fill(I3D(narrow=NARROW))


@pytest.mark.parametrize(("frames", "positions"), [(9, 1), (15, 1), (16, 1), (17, 2), (32, 3)])
def test_equals_the_graph(narrow, frames, positions):
    x = clips(frames, dtype=torch.float32)
    slow = Slow(tensorflow_variables(narrow))
    with torch.inference_mode():
        true = slow(x)
        assert slow.positions == positions
        assert true.shape == (1, 400)
        assert error(narrow(x), true) < 1e-5
        assert error(fold(narrow)(x), true) < 1e-5


@pytest.mark.parametrize("frames", [9, 10])
def test_equals_the_graph_in_float64(narrow, frames):
    x = clips(frames, seed=1)
    with torch.inference_mode():
        true = Slow(tensorflow_variables(narrow))(x)
        assert error(fill(I3D(narrow=NARROW)).double()(x), true) < 1e-12
        assert error(fold(narrow, torch.float64)(x), true) < 1e-12
        assert error(fold(narrow)(x.float()), true) < 1e-5


def test_the_comparison_feels_epsilon_statistics_and_padding(narrow):
    x = clips(9, dtype=torch.float32)
    values = tensorflow_variables(narrow)
    with torch.inference_mode():
        true = fold(narrow)(x)
        assert error(fold(fill(I3D(1e-5, NARROW)))(x), true) > 1e-3
        assert error(Slow(values, eps=1e-5)(x), true) > 1e-3
        other = dict(values)
        unit = f"{ROOT}/Mixed_3b/Branch_1/Conv3d_0a_1x1/batch_norm"
        other[f"{unit}/beta"] = values[f"{unit}/moving_mean"]
        assert error(Slow(other)(x), true) > 1e-4
        assert error(fold(narrow)(x.roll(1, -1)), true) > 1e-4


def test_structure():
    net = I3D()
    names = variables(net)
    assert len(names) == 230
    kinds = [n.rsplit("/", 1)[1] for n in names]
    assert {k: kinds.count(k) for k in set(kinds)} == {
        "w": 58,
        "beta": 57,
        "moving_mean": 57,
        "moving_variance": 57,
        "b": 1,
    }
    assert sum(buffer.numel() for buffer, _ in names.values()) == 12_704_544
    assert all(math.prod(shape) == buffer.numel() for buffer, shape in names.values())
    assert [u.eps for u in net.units.values()] == [1e-3] * 57
    assert not list(net.parameters())


def test_names_are_those_of_the_table():
    """Names and shapes as in the table of checksums that comes with the weights' reader."""
    from importlib.resources import files

    table = files("vpbench.metrics.weights") / "i3d_k400_tf_crc32c.tsv"
    rows = [r.split("\t") for r in table.read_text().splitlines() if r.startswith("RGB/")]
    shapes = {r[0]: tuple(map(int, r[2].split("x"))) for r in rows}
    assert {n: shape for n, (_, shape) in variables(I3D()).items()} == shapes


def test_widths_add_up():
    inputs = {s.name: s.n_in for s in unit_specs()}
    widths = {"3b": 192, "3c": 256, "4b": 480, "4c": 512, "4f": 528, "5b": 832, "5c": 832}
    assert {b: inputs[f"Mixed_{b}/Branch_0/Conv3d_0a_1x1"] for b in widths} == widths
    assert block_units("Mixed_5b")[2][1] == "Mixed_5b/Branch_2/Conv3d_0a_3x3"
    assert block_units("Mixed_5c")[2][1] == "Mixed_5c/Branch_2/Conv3d_0b_3x3"


def test_padding_at_the_sizes_of_the_network():
    assert same_padding(224, 7, 2) == (2, 3)
    assert same_padding(16, 7, 2) == (2, 3)
    assert same_padding(15, 7, 2) == (3, 3)
    assert same_padding(112, 3, 2) == (0, 1)
    assert same_padding(5, 3, 2) == (1, 1)
    assert same_padding(8, 2, 2) == (0, 0)
    assert same_padding(5, 2, 2) == (0, 1)
    assert same_padding(28, 3, 1) == (1, 1)


@pytest.mark.parametrize("size", range(1, 10))
@pytest.mark.parametrize("kernel, stride", [(3, 1), (3, 2), (2, 2), (3, 3), (5, 2), (1, 1)])
def test_max_pool(size, kernel, stride):
    x = torch.rand(2, 3, size, size, 9, generator=torch.Generator().manual_seed(size))
    k, s = (kernel, kernel, 2), (stride, stride, 2)
    true = F.max_pool3d(pad_same(x, k, s), k, s)
    found = max_pool(x.permute(0, 2, 3, 4, 1), k, s)
    assert torch.equal(found.permute(0, 4, 1, 2, 3), true)


def test_the_maximum_leaves_its_input_alone():
    x = torch.rand(1, 4, 4, 4, 2)
    before = x.clone()
    max_pool(x, (3, 3, 3), (1, 1, 1))
    assert torch.equal(x, before)


@pytest.mark.parametrize("form", [lambda net: net, fold])
def test_refuses_other_sizes(narrow, form):
    net = form(narrow)
    with pytest.raises(UsageError, match="at least 9 frames a clip, got 8"):
        net(torch.zeros(1, 3, 8, 224, 224))
    with pytest.raises(UsageError, match="224x224 px, got 256x224"):
        net(torch.zeros(1, 3, 9, 224, 256))
    with pytest.raises(UsageError, match=r"\[B,3,T,224,224\]"):
        net(torch.zeros(1, 9, 3, 224, 224))
    with pytest.raises(UsageError, match=r"\[B,3,T,224,224\]"):
        net(torch.zeros(3, 9, 224, 224))


def test_has_no_training_mode(narrow):
    assert not narrow.training
    assert not any(m.training for m in narrow.modules())
    assert not any(m.training for m in fold(narrow).modules())
    with pytest.raises(UsageError, match="no training mode"):
        narrow.train()
    assert narrow.eval() is narrow


def test_folding_leaves_the_network_alone(narrow):
    before = {k: v.clone() for k, v in narrow.state_dict().items()}
    fold(narrow)
    assert all(torch.equal(before[k], v) for k, v in narrow.state_dict().items())


def test_a_unit_normalises_by_its_formula():
    (spec,) = [s for s in unit_specs(NARROW) if s.name == "Conv3d_2b_1x1"]
    unit = Unit(spec, 1e-3)
    unit.weight.copy_(torch.eye(8)[:, :, None, None, None])
    unit.mean.fill_(1.0), unit.variance.fill_(0.003), unit.beta.fill_(0.5)
    found = unit(torch.full((1, 8, 1, 1, 1), 1.2))
    assert found.flatten().tolist() == pytest.approx([0.5 + 0.2 / math.sqrt(0.004)] * 8, rel=1e-5)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A network of full width and its file."""
    net = fill(I3D())
    path = tmp_path_factory.mktemp("i3d") / "i3d.safetensors"
    save_file(tensorflow_variables(net), path)
    return net, path


class TestLoad:
    def test_restores_every_variable(self, stored):
        net, path = stored
        found = load(path, eps=1e-3)
        assert all(torch.equal(v, net.state_dict()[k]) for k, v in found.state_dict().items())

    def test_epsilon(self, stored):
        assert {u.eps for u in load(stored[1], eps=1e-5).units.values()} == {1e-5}

    def test_missing(self, tmp_path):
        with pytest.raises(MissingWeights, match=r"no I3D weights at .*none\.safetensors"):
            load(tmp_path / "none.safetensors")

    def test_truncated(self, stored, tmp_path):
        short = tmp_path / "short.safetensors"
        short.write_bytes(stored[1].read_bytes()[:1_000_000])
        with pytest.raises(Corrupt, match="not a safetensors file"):
            load(short)

    @pytest.mark.parametrize("how", ["gone", "extra", "shape", "dtype", "nan"])
    def test_other_content(self, stored, tmp_path, how):
        values = tensorflow_variables(stored[0])
        name = f"{ROOT}/Mixed_4c/Branch_0/Conv3d_0a_1x1/batch_norm/beta"
        if how == "gone":
            del values[name]
        elif how == "extra":
            values[f"{name}/gamma"] = values[name].clone()
        elif how == "shape":
            values[name] = values[name][..., :-1].contiguous()
        elif how == "dtype":
            values[name] = values[name].half()
        else:
            values[name][..., 3] = math.nan
        path = tmp_path / "odd.safetensors"
        save_file(values, path)
        with pytest.raises(Corrupt, match="Mixed_4c/Branch_0/Conv3d_0a_1x1/batch_norm/beta"):
            load(path)
