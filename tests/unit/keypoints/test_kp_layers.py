"""Intermediates against TensorFlow's rules, written down a second time in NumPy."""

import math

import numpy as np
import pytest
import torch

from vpbench.kit import seeded
from vpbench_keypoints.layers import (
    Conv,
    ConvBlock,
    Encoder,
    Lstm,
    gaussian_maps,
    same_padding,
    upsample,
)


def same_conv(image, weight, bias, stride, border=0):
    """TensorFlow's conv2d with padding "SAME", one output number after another.

    Output i looks at inputs i*stride - before ... with `before` half of what is missing, rounded
    down; where there is no input there is a zero.
    """
    image = np.pad(image, ((0, 0), (border, border), (border, border)))
    outside, _, k, _ = weight.shape
    height, width = image.shape[1:]
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    above = max((rows - 1) * stride + k - height, 0) // 2
    left = max((columns - 1) * stride + k - width, 0) // 2
    found = np.zeros((outside, rows, columns))
    for r in range(rows):
        for c in range(columns):
            for dy in range(k):
                for dx in range(k):
                    y, x = r * stride - above + dy, c * stride - left + dx
                    if 0 <= y < height and 0 <= x < width:
                        found[:, r, c] += weight[:, :, dy, dx] @ image[:, y, x]
    return found + bias[:, None, None]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 4, 7])
@pytest.mark.parametrize("border", [0, 1])
def test_convolution_is_tensorflows(stride, kernel, border):
    rng = np.random.default_rng(100 * kernel + 10 * stride + border)
    for _ in range(3):
        height, width = rng.integers(4, 12, 2)
        with seeded(int(rng.integers(1000))):
            layer = Conv(2, 3, kernel, stride, border=border)
        torch.nn.init.normal_(layer.bias)
        image = rng.standard_normal((2, height, width)).astype(np.float32)
        found = layer(torch.from_numpy(image)[None])[0].detach().numpy()
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        wanted = same_conv(image, weight, bias, stride, border)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("size", [8, 9])
def test_an_impulse_through_a_stride_of_two_lands_as_in_tensorflow(size):
    """Even sizes: output i sees inputs 2i, 2i+1, 2i+2. Odd: 2i-1, 2i, 2i+1."""
    layer = Conv(1, 1, 3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, 10.0).view(1, 1, 3, 3))
    for at in range(size):
        image = torch.zeros(1, 1, size, size)
        image[0, 0, at, at] = 1.0
        found = layer(image)[0, 0].detach().numpy()
        first = 0 if size % 2 == 0 else -1
        wanted = np.zeros_like(found)
        for i in range(len(found)):
            for j in range(len(found)):
                dy, dx = at - (2 * i + first), at - (2 * j + first)
                if 0 <= dy < 3 and 0 <= dx < 3:
                    wanted[i, j] = 1 + 3 * dy + dx
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "wanted"),
    [
        (128, 3, 2, (0, 1)),
        (127, 3, 2, (1, 1)),
        (128, 7, 1, (3, 3)),
        (130, 4, 2, (1, 1)),
        (65, 4, 2, (1, 2)),
        (67, 4, 2, (1, 2)),
        (6, 3, 1, (1, 1)),
        (5, 1, 2, (0, 0)),
    ],
)
def test_padding_of_known_cases(size, kernel, stride, wanted):
    assert same_padding(size, kernel, stride) == wanted


def test_the_double_padding_of_the_image_discriminator():
    """Zeros on both ends of an axis, per layer, at 128 pixels: 2/2, 2/3, then 2/2."""
    size, seen = 128, []
    for _ in range(6):
        before, after = same_padding(size + 2, 4, 2)
        seen.append((before + 1, after + 1))
        size = math.ceil((size + 2) / 2)
    assert seen == [(2, 2), (2, 3), (2, 2), (2, 2), (2, 2), (2, 2)]
    assert same_padding(size + 2, 3, 1) == (1, 1)


def test_weights_begin_glorot_uniform_and_biases_at_zero():
    with seeded(3):
        layer = Conv(16, 32, 3)
    limit = math.sqrt(6.0 / (9 * 16 + 9 * 32))
    assert 0.98 * limit < float(layer.weight.detach().abs().max()) <= limit
    assert abs(float(layer.weight.detach().std()) - limit / math.sqrt(3)) < 0.02 * limit
    assert not layer.bias.any()


def test_a_block_normalises_and_cuts_below_zero():
    with seeded(1):
        block = ConvBlock(3, 5, 3, 2, momentum=0.25)
        image = torch.randn(4, 3, 8, 8)
    found = block(image)
    assert found.shape == (4, 5, 4, 4) and float(found.detach().min()) == 0.0
    raw = block[0](image).detach()
    mean, variance = raw.mean((0, 2, 3)), raw.var((0, 2, 3), unbiased=False)
    wanted = (raw - mean[:, None, None]) / torch.sqrt(variance + 1e-5)[:, None, None]
    torch.testing.assert_close(found, wanted.clamp_min(0.0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(block[1].running_mean, 0.25 * mean)
    torch.testing.assert_close(block[1].running_var, 0.75 + 0.25 * raw.var((0, 2, 3)))


@pytest.mark.parametrize("size", [16, 24])
def test_encoder_halves_and_doubles(size):
    maps = Encoder(4, 4, 0.1)(torch.randn(2, 3, size, size))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (4 * 2**k, size // 2**k, size // 2**k) for k in range(4)
    ]


def test_upsampling_of_the_known_example():
    found = upsample(torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]))[0, 0]
    wanted = [[0, 0.5, 1, 1], [1, 1.5, 2, 2], [2, 2.5, 3, 3], [2, 2.5, 3, 3]]
    torch.testing.assert_close(found, torch.tensor(wanted))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (8, 8), (9, 4)])
def test_upsampling_keeps_and_averages(height, width):
    maps = torch.from_numpy(np.random.default_rng(height).standard_normal((2, 3, height, width)))
    found = upsample(maps).numpy()
    values = maps.numpy()
    for axis, size in ((2, height), (3, width)):
        after = np.take(values, np.minimum(np.arange(size) + 1, size - 1), axis)
        both = np.stack([values, (values + after) / 2], axis + 1)
        values = both.reshape(*values.shape[:axis], 2 * size, *values.shape[axis + 1 :])
    np.testing.assert_allclose(found, values, atol=1e-12)


def test_gaussians_have_the_published_width():
    at = -1 + 2 * 11 / 31
    maps = gaussian_maps(torch.tensor([[[at, -1.0]]], dtype=torch.float64), 32, 14.3)[0, 0]
    assert float(maps[0, 11]) == pytest.approx(1.0, abs=1e-12)  # y before x
    assert float(maps.max()) <= 1.0 + 1e-12
    away = torch.tensor([[[1 / 14.3, 0.0]]], dtype=torch.float64)
    middle = gaussian_maps(away, 33, 14.3)[0, 0, 16, 16]
    assert float(middle) == pytest.approx(math.exp(-1.0))  # at a distance of 0.0699
    central = gaussian_maps(torch.zeros(1, 1, 2), 32, 14.3)
    assert float(central.sum()) == pytest.approx(3.69, abs=0.01)


@pytest.mark.parametrize("size", [5, 16])
def test_gaussians_are_one_exponential_of_the_distance(size):
    rng = np.random.default_rng(size)
    points = rng.uniform(-1.2, 1.2, (2, 3, 4, 3))
    found = gaussian_maps(torch.from_numpy(points), size, 7.0).numpy()
    axis = np.linspace(-1, 1, size)
    x, y = points[..., 0, None, None], points[..., 1, None, None]
    square = (axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2
    np.testing.assert_allclose(found, np.exp(-49.0 * square), atol=1e-12)


def tensorflow_lstm(path, layers):
    """BasicLSTMCell: one kernel over [input, state], gates i, j, f, o, forget bias 1."""

    def squash(v):
        return 1.0 / (1.0 + np.exp(-v))

    for kernel, bias in layers:
        hidden = kernel.shape[1] // 4
        state = np.zeros((len(path), hidden))
        cell = np.zeros_like(state)
        out = []
        for t in range(path.shape[1]):
            gates = np.concatenate([path[:, t], state], 1) @ kernel + bias
            i, j, f, o = np.split(gates, 4, 1)
            cell = squash(f + 1.0) * cell + squash(i) * np.tanh(j)
            state = squash(o) * np.tanh(cell)
            out.append(state)
        path = np.stack(out, 1)
    return path


@pytest.mark.parametrize("trained", [False, True])
def test_lstm_is_tensorflows(trained):
    inside, hidden = 6, 5
    with seeded(2):
        lstm = Lstm(inside, hidden)
    rng = np.random.default_rng(0)
    layers = []
    for k in range(2):
        width = (inside, hidden)[k]
        ours = [getattr(lstm, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih")]
        bias = rng.standard_normal(4 * hidden) * 0.3 if trained else np.zeros(4 * hidden)
        if trained:
            with torch.no_grad():
                i, j, f, o = np.split(bias, 4)
                ours[2].copy_(torch.from_numpy(np.concatenate([i, f + 1.0, j, o])))
        kernel = np.zeros((width + hidden, 4 * hidden))
        for theirs, ours_at in enumerate((0, 2, 1, 3)):  # i, j, f, o from torch's i, f, g, o
            rows = slice(ours_at * hidden, (ours_at + 1) * hidden)
            columns = slice(theirs * hidden, (theirs + 1) * hidden)
            kernel[:width, columns] = ours[0].detach().numpy()[rows].T
            kernel[width:, columns] = ours[1].detach().numpy()[rows].T
        layers.append((kernel, bias))
    path = rng.standard_normal((3, 7, inside))
    found = lstm(torch.from_numpy(path).float())[0].detach().numpy()
    np.testing.assert_allclose(found, tensorflow_lstm(path, layers), atol=1e-5)


def test_lstm_begins_glorot_uniform_over_input_and_state():
    with seeded(4):
        lstm = Lstm(7, 40)
    for k, inside in ((0, 7), (1, 40)):
        limit = math.sqrt(6.0 / (inside + 5 * 40))
        for name in ("weight_ih", "weight_hh"):
            weight = getattr(lstm, f"{name}_l{k}").detach()
            assert 0.98 * limit < float(weight.abs().max()) <= limit
        bias = getattr(lstm, f"bias_ih_l{k}").detach()
        assert bias[40:80].eq(1.0).all() and float(bias.sum()) == 40.0
        spare = getattr(lstm, f"bias_hh_l{k}")
        assert not spare.any() and not spare.requires_grad
