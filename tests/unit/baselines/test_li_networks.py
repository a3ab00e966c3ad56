"""The networks of `li`: sizes of the published method, and what each part may depend on."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vpbench.api import UsageError
from vpbench.kit import seeded
from vpbench.kit.weights import count
from vpbench_baselines.li.flow_model import (
    FRAMES,
    FlowGenerator,
    PosteriorEncoder,
    divergences,
    draw_code,
    halvings,
    stage_widths,
)
from vpbench_baselines.li.params import PARAMS, PRESETS
from vpbench_baselines.li.pictures import flow_colours
from vpbench_baselines.li.refiner import Refiner, squared_distances, warp
from vpbench_baselines.li.settings import Settings
from vpbench_baselines.li.spynet import Pyramid


def settings(preset="smoke", **changed):
    return Settings.of({**PARAMS, **PRESETS[preset], **changed})


def layers(kernel, *channels, norm=False):
    """Weights, biases (and gains) of convolutions with these (in, out) channels."""
    return sum(kernel * a * b + b + (2 * b if norm else 0) for a, b in channels)


# sizes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        shape = (128, 64, 2000, 5.0)
        return FlowGenerator(*shape), PosteriorEncoder(*shape), Refiner(64, 3)


def test_the_posterior_encoder_has_the_published_size(paper):
    body = layers(27, (5, 64), (64, 64), (64, 128), (128, 256), (256, 512), norm=True)
    heads = 2 * layers(2 * 4 * 4, (512, 2000))
    assert count(paper[1]) == body + heads
    assert round(count(paper[1]) / 1e6, 2) == 70.31


def test_the_image_encoder_and_the_decoder_have_the_published_size(paper):
    image = layers(16, (3, 64), (64, 64), (64, 128), (128, 256), (256, 512), (512, 2000))
    assert count(paper[0].image) == image
    decoder = layers(32, (2000, 512), norm=True)
    decoder += layers(64, (512, 256), (256, 128), (128, 64), norm=True)
    decoder += layers(48, (64, 64), norm=True) + layers(48, (64, 2))
    assert count(paper[0].decoder) == decoder
    assert [round(n / 1e6, 2) for n in (image, decoder)] == [19.21, 43.98]


def test_the_refiner_has_the_published_size(paper):
    def tower(channels):
        return layers(
            9,
            (channels, 64),
            (64, 64),
            (64, 128),
            (128, 128),
            (128, 256),
            *[(256, 256)] * 3,
            (256, 512),
        )

    decoder = layers(
        9,
        (1024, 512),
        (512, 256),
        *[(256, 256)] * 3,
        (256, 128),
        (128, 128),
        (128, 64),
        (64, 64),
        (64, 3),
    )
    refiner = paper[2]
    assert (count(refiner.image), count(refiner.flow)) == (tower(3), tower(2))
    assert count(refiner.decoder) == decoder
    parts = [round(n / 1e6, 2) for n in (tower(3), tower(2), decoder, count(refiner))]
    assert parts == [3.51, 3.51, 8.22, 15.24]


def test_what_is_bundled_has_at_most_six_megabytes():
    s = settings("cpu")
    shape = (64, s.width, s.latent, s.bound(64))
    whole = count(FlowGenerator(*shape)) + count(Refiner(s.refiner_width, s.refiner_levels))
    assert 2 * whole < 6e6


def test_a_spynet_level_has_the_published_size():
    pyramid = Pyramid()
    assert [count(level) for level in pyramid.levels] == [240_050] * 5


@pytest.mark.parametrize(
    ("size", "stages"), [(32, 3), (40, 3), (48, 3), (56, 3), (64, 4), (80, 4), (96, 4), (128, 5)]
)
def test_flow_comes_out_at_the_size_of_the_image(size, stages):
    assert halvings(size) == stages == len(stage_widths(size, 2))
    shape = (size, 2, 3, 5.0)
    with seeded(0):
        generator, posterior = FlowGenerator(*shape), PosteriorEncoder(*shape)
        image, flows = torch.rand(2, 3, size, size), torch.randn(2, FRAMES, 2, size, size)
    mean, log_variance = posterior(image, flows)
    assert mean.shape == log_variance.shape == (2, 3)
    assert generator(image, mean).shape == flows.shape


# the flow model ----------------------------------------------------------------------------------


@pytest.fixture
def generator():
    with seeded(1):
        return FlowGenerator(32, 4, 6, 3.0).eval()


def test_flow_keeps_to_its_bound(generator):
    with torch.no_grad():
        generator.decoder[-1].weight.mul_(1e4)
    largest = float(generator(torch.rand(2, 3, 32, 32), torch.randn(2, 6)).detach().abs().max())
    assert 2.99 < largest <= 3.0


def silent(generator):
    """Make the image's code zero."""
    with torch.no_grad():
        generator.image[-1].weight.zero_()
        generator.image[-1].bias.zero_()


def test_two_codes_give_two_flows_only_through_the_code_of_the_image(generator):
    image = torch.rand(1, 3, 32, 32)
    one, two = (generator(image, torch.randn(1, 6)) for _ in range(2))
    assert not torch.equal(one, two)
    silent(generator)
    one, two = (generator(image, torch.randn(1, 6)) for _ in range(2))
    assert torch.equal(one, two)


def test_the_code_gates_each_number_of_the_images_code(generator):
    """h + h*z: z = 0 leaves it as it is, z = -1 takes it away, and so number by number."""
    image, seen = torch.rand(1, 3, 32, 32), []
    generator.decoder.register_forward_pre_hook(lambda _, x: seen.append(x[0].flatten(1)))
    z = torch.tensor([[0.0, -1.0, 1.0, 0.5, 2.0, -3.0]])
    generator(image, z)
    code = generator.image(image).flatten(1)
    torch.testing.assert_close(seen[0], code * (1 + z))


def test_all_flows_follow_from_one_code(generator):
    """One number of z moves flows of all times."""
    image, z = torch.rand(1, 3, 32, 32), torch.zeros(1, 6)
    other = z.clone()
    other[0, 2] = 2
    changed = (generator(image, z) != generator(image, other)).flatten(2).any(2)
    assert changed.all()


def test_the_posterior_sees_the_image_in_0_1_and_flow_over_its_bound():
    with seeded(2):
        encoder = PosteriorEncoder(32, 2, 3, 2.5).eval()
    seen = []
    encoder.body[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image, flows = torch.rand(1, 3, 32, 32), torch.randn(1, 16, 2, 32, 32)
    encoder(image, flows)
    assert seen[0].shape == (1, 5, 16, 32, 32)
    assert torch.equal(seen[0][:, :3, 7], image)
    torch.testing.assert_close(seen[0][:, 3:, 7], flows[:, 7] / 2.5)


def test_the_divergence_is_that_of_two_gaussians():
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    wanted = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, (0.5 * log_variance).exp()),
        torch.distributions.Normal(0.0, 1.0),
    )
    torch.testing.assert_close(divergences(mean, log_variance), wanted)
    noise = torch.ones(5, 7)
    drawn = draw_code(mean, log_variance, noise)
    torch.testing.assert_close(drawn, mean + log_variance.exp().sqrt())


# warp and refiner --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (1, 5), (5, 1), (64, 64)])
def test_no_flow_gives_the_very_frames_back(shape):
    frames = torch.rand(2, 3, *shape) * 3 - 1
    assert torch.equal(warp(frames, torch.zeros(2, 2, *shape)), frames)


def test_the_warp_is_that_of_grid_sample():
    """An independent implementation: bilinear, border, corners at the centres of outer pixels."""
    generator = torch.Generator().manual_seed(0)
    for height, width in ((6, 9), (16, 16), (5, 4)):
        frames = torch.rand(3, 3, height, width, generator=generator)
        flow = 6 * torch.randn(3, 2, height, width, generator=generator)
        x = torch.arange(width) + flow[:, 0]
        y = torch.arange(height)[:, None] + flow[:, 1]
        grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
        wanted = F.grid_sample(frames, grid, "bilinear", "border", align_corners=True)
        torch.testing.assert_close(warp(frames, flow), wanted, atol=1e-5, rtol=0)


def test_flow_says_where_a_pixel_comes_from():
    frames = torch.zeros(1, 1, 5, 5)
    frames[0, 0, 2, 3] = 1
    flow = torch.zeros(1, 2, 5, 5)
    flow[:, 0] = 2.0  # out(q) = frames(q + (2, 0))
    assert warp(frames, flow)[0, 0, 2, 1] == 1


@pytest.fixture
def refiner():
    with seeded(3):
        return Refiner(4, 2).eval()


def test_each_frame_is_made_from_the_last_one_and_never_clipped(refiner):
    with torch.no_grad():
        refiner.decoder[-1].weight.mul_(5)
    with seeded(0):
        frame, flows = torch.rand(2, 3, 32, 32), torch.randn(2, 4, 2, 32, 32)
    rolled = refiner.rollout(frame, flows)
    before = torch.cat([frame[:, None], rolled[:, :-1]], 1)
    for k in range(4):
        assert torch.equal(rolled[:, k], refiner(before[:, k], flows[:, k]))
    assert bool(((rolled > 1) | (rolled < 0)).any())


def test_the_refiner_redraws_what_is_warped_in_the_light_of_the_flow(refiner):
    frame, flow = torch.rand(1, 3, 32, 32), torch.randn(1, 2, 32, 32)
    with_flow = refiner(frame, flow)
    moved = refiner.image(warp(frame, flow))
    told = refiner.flow(flow)
    torch.testing.assert_close(with_flow, refiner.decoder(torch.cat([moved, told], 1)))
    assert not torch.equal(refiner(warp(frame, flow), torch.zeros_like(flow)), with_flow)


@pytest.mark.parametrize("size", [16, 24, 32, 40])
def test_any_size_that_can_be_halved_often_enough(size):
    assert Refiner(2, 3)(torch.rand(1, 3, size, size), torch.zeros(1, 2, size, size)).shape == (
        1,
        3,
        size,
        size,
    )


def test_distances_of_features_are_scaled_squared_and_summed():
    fake, real = [torch.ones(1, 2), torch.zeros(1, 3)], [torch.zeros(1, 2), torch.full((1, 3), 3.0)]
    found = squared_distances(fake, real, torch.tensor([2.0, 0.5]))
    assert float(found) == 4 * 1 + 0.25 * 9


def test_no_flow_is_white_and_directions_have_their_colours():
    flow = torch.zeros(2, 2, 1, 3)
    flow[0, 0, 0, 1], flow[0, 0, 0, 2] = 5.0, -5.0
    colours = flow_colours(flow, 5.0)
    assert colours.shape == (2, 1, 3, 3) and colours.dtype == np.uint8
    assert (colours[1] == 255).all() and (colours[0, 0, 0] == 255).all()
    assert colours[0, 0, 1].tolist() == [255, 64, 64]
    assert colours[0, 0, 2].tolist() == [0, 191, 191]


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"teacher": "brox"}, "teacher"),
        ({"width": 0}, "width"),
        ({"flow_max": 0.0}, "flow_max"),
        ({"kl_reduction": "max"}, "kl_reduction"),
        ({"refiner_levels": 4}, "refiner_levels"),
        ({"kl_weight": -1.0}, "kl_weight"),
        ({"colour_weight": 0.0}, "nothing to learn"),
        ({"flow_max": math.nan}, "flow_max"),
    ],
)
def test_parameters_that_cannot_be_are_named(changed, word):
    with pytest.raises(UsageError, match=word):
        settings(**changed)


def test_the_bound_scales_with_the_size():
    assert [settings("paper").bound(s) for s in (64, 128, 256)] == [2.5, 5.0, 10.0]
