"""`latent-flow`: codec, transformer and sampler."""

import numpy as np
import pytest
import torch

from tests.unit.baselines.latent_flow_toys import SIZE, SMOKE, alive
from vpbench.api import TaskInfo
from vpbench_baselines.latent_flow.method import LatentFlow
from vpbench_baselines.latent_flow.networks import Codec, FlowNet, integrate

pytestmark = pytest.mark.usefixtures("same_numbers")

# networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "times", "height", "width"), [(1, 1, 32, 32), (3, 5, 40, 48)])
def test_codes_have_an_eighth_of_the_size_and_frames_come_back(batch, times, height, width):
    codec = Codec(4, 3)
    first, frames = torch.rand(batch, 3, height, width), torch.rand(batch, times, 3, height, width)
    codes = codec.encode(first, frames)
    assert codes.shape == (batch, times, 3, height // 8, width // 8)
    drawn = codec.decode(first, codes)
    assert drawn.shape == frames.shape
    part = 1 / (1 + np.e)  # at first so much grey lies over the first frame
    wanted = (1 - part) * first[:, None] + part / 2
    assert (drawn - wanted).abs().max() < 0.1


def test_each_frame_is_coded_and_drawn_by_itself():
    codec = Codec(4, 3).eval()
    first, frames = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 3, 32, 32)
    codes = codec.encode(first, frames)
    drawn = codec.decode(first, codes)
    for b in range(2):
        for t in range(3):
            alone = codec.encode(first[b : b + 1], frames[b : b + 1, t : t + 1])
            torch.testing.assert_close(alone[0, 0], codes[b, t])
            again = codec.decode(first[b : b + 1], alone)
            torch.testing.assert_close(again[0, 0], drawn[b, t])


def test_codes_have_mean_0_and_variance_1_over_training_frames_and_ask_no_batch_afterwards():
    codec, first, frames = Codec(4, 3), torch.rand(4, 3, 32, 32), torch.rand(4, 2, 3, 32, 32)
    for _ in range(60):
        codes = codec.encode(first, frames)
    torch.testing.assert_close(codes.mean((0, 1, 3, 4)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(codes.std((0, 1, 3, 4)), torch.ones(3), atol=0.02, rtol=0)
    found = codec.eval().encode(first, frames)
    torch.testing.assert_close(found, codes, atol=0.05, rtol=0)
    torch.testing.assert_close(codec.encode(first[:1], frames[:1, 1:])[0, 0], found[0, 1])


@pytest.mark.parametrize(("tube", "times"), [(1, 3), (2, 4), (3, 3)])
def test_tokens_of_several_frames_come_apart_where_they_were_put_together(tube, times):
    """With places, attention and the rest silenced, the two outer layers are each token's own."""
    net = FlowNet(2, 3, 4, 32, 1, tube, 0.0).eval()
    codes = torch.randn(2, times, 2, 4, 5)
    time, seen = torch.rand(2), torch.zeros(2, 32, 4, 5)
    with torch.no_grad():
        net.sample.weight.zero_()
        net.place.weight.zero_(), net.place.bias.zero_(), net.enter.bias.zero_()
        net.leave.weight.copy_(torch.linalg.pinv(net.enter.weight))
        out = net(codes, time, seen, torch.tensor([0, 3]))
        tokens = codes.unflatten(1, (-1, tube)).permute(0, 1, 4, 5, 2, 3).flatten(4)
        inside = tokens @ net.enter.weight.T
        mean, spread = inside.mean(-1, keepdim=True), inside.var(-1, keepdim=True, correction=0)
        wanted = (inside - mean) / (spread + 1e-5).sqrt() @ net.leave.weight.T
    wanted = wanted.unflatten(4, (tube, 2)).permute(0, 1, 4, 5, 2, 3).reshape(codes.shape)
    torch.testing.assert_close(out, wanted)


def test_the_velocity_of_each_place_and_frame_depends_on_all_others_and_on_what_is_known():
    net = alive().flow
    codes = torch.randn(1, 6, 4, 4, 4, requires_grad=True)
    seen = net.see(torch.rand(1, 3, 32, 32)).detach().requires_grad_()
    time = torch.tensor([0.3], requires_grad=True)
    one = net(codes, time, seen, torch.tensor([0]))
    found = torch.autograd.grad(one[0, 0, 0, 0, 0], (codes, seen, time))
    assert (found[0].abs().amax((0, 2)) > 0).all() and (found[1].abs().amax((0, 1)) > 0).all()
    assert found[2] != 0
    assert not torch.equal(one, net(codes, time, seen, torch.tensor([1])))


def test_batches_do_not_mix():
    net = alive().flow
    codes, image, time = torch.randn(3, 6, 4, 4, 4), torch.rand(3, 3, 32, 32), torch.rand(3)
    label = torch.tensor([0, 1, 2])
    whole = net(codes, time, net.see(image), label)
    for k in range(3):
        part = slice(k, k + 1)
        alone = net(codes[part], time[part], net.see(image[part]), label[part])
        torch.testing.assert_close(alone[0], whole[k])


# the sampler -------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_heuns_rule_on_a_linear_field_is_its_closed_form(steps):
    """dx/dt = a x: each step multiplies by 1 + ah + (ah)^2 / 2."""
    x, a = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), -1.3
    drawn = integrate(lambda y, t: a * y, x, steps)
    step = a / steps
    torch.testing.assert_close(drawn, x * (1 + step + step**2 / 2) ** steps)


def test_heuns_rule_is_exact_where_the_velocity_is_linear_in_time_and_of_second_order_elsewhere():
    x = torch.zeros(2, dtype=torch.float64)
    torch.testing.assert_close(integrate(lambda y, t: torch.full_like(y, 3 - 2 * t), x, 3), x + 2)
    errors = [
        abs(float(integrate(lambda y, t: y * t, x[:1] + 1, n)) - np.exp(0.5)) for n in (8, 16, 32)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def test_the_true_velocity_has_no_loss_and_carries_any_noise_to_the_data():
    """From x at time t the straight way to the data is (data - x) / (1 - t)."""
    codes = torch.randn(5, 2, 3, 4, 4)

    class Straight:
        def see(self, first):
            return first

        def __call__(self, x, time, seen, label):
            return (codes - x) / (1 - time)[:, None, None, None, None]

    class Still(Straight):
        def __call__(self, x, time, seen, label):
            return torch.zeros_like(x)

    loss = FlowNet.losses(Straight(), torch.zeros(5), codes, torch.zeros(5))["velocity"]
    assert float(loss) < 1e-6  # but for rounding
    still = FlowNet.losses(Still(), torch.zeros(5), codes, torch.zeros(5))["velocity"]
    assert float(still) == pytest.approx(float(codes.square().mean()) + 1, rel=0.35)


@pytest.mark.parametrize(
    ("horizon", "tube", "frames"), [(16, 2, 16), (6, 4, 8), (1, 2, 2), (40, 4, 16), (40, 3, 18)]
)
def test_frames_drawn_at_once(horizon, tube, frames):
    task = TaskInfo("toy", SIZE, horizon, 1, None, 2, ("a", "b"), 0, ())
    assert LatentFlow(task, {**SMOKE, "tube": tube}, {}).length == frames
