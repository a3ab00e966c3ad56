"""The networks of `wichers`: sizes of the published method, and what each part may depend on."""

import math

import numpy as np
import pytest
import torch

from vpbench.api import UsageError
from vpbench.kit import seeded
from vpbench.kit.weights import count
from vpbench_baselines.wichers.critic import Critic, Sequence, judged, score_gap, scores
from vpbench_baselines.wichers.images import AnalogyNetwork, Encoder, small_blocks
from vpbench_baselines.wichers.params import PARAMS, PRESETS
from vpbench_baselines.wichers.recurrent import PeepholeLSTM, Predictor, dense, start
from vpbench_baselines.wichers.settings import CRITIC_SPREAD, Networks, Settings, make_critic


def settings(preset="smoke", **changed):
    return Settings.of({**PARAMS, **PRESETS[preset], **changed})


def convs(*channels):
    """Weights and biases of 3x3 convolutions with these (in, out) channels."""
    return sum(9 * a * b + b for a, b in channels)


def lstm(inputs, n):
    """Gates, peepholes, projection: Sak et al. 2014."""
    return (inputs + n) * 4 * n + 4 * n + 3 * n + n * n


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"), seeded(0):
        return Networks(settings("paper"), 64, 100), make_critic(settings("paper"), 64)


def test_the_encoder_has_vggs_convolutions_and_one_dense_layer(paper):
    vgg = convs(
        (3, 64),
        (64, 64),
        (64, 128),
        (128, 128),
        (128, 256),
        (256, 256),
        (256, 256),
        (256, 512),
        *[(512, 512)] * 5,
    )
    assert vgg == 14_714_688
    assert count(paper[0].encoder) == vgg + 2048 * 64 + 64 == 14_845_824


def test_the_analogy_network_has_the_published_size(paper):
    d, decoder = 64, paper[0].decoder
    image = convs((3, d), (d, d), (d, 2 * d), (2 * d, 2 * d), (2 * d, 4 * d), *[(4 * d, 4 * d)] * 2)
    assert count(decoder.image) == image + 2 * (2 * d + 2 * d)
    features = 64 * 16 * d + 16 * d + 2 * 16 * d + 2 * d + 2 * 2 * d
    features += convs((d, d), (d, 2 * d), (2 * d, 2 * d), (2 * d, 4 * d))
    assert count(decoder.features) == features
    analogy = convs(*[(4 * d, 4 * d)] * 4, (8 * d, 4 * d)) + 2 * 4 * d
    assert sum(count(m) for m in (decoder.first, decoder.wanted, decoder.join)) == analogy
    decode = convs(
        *[(4 * d, 4 * d)] * 2, (4 * d, 2 * d), (2 * d, 2 * d), (2 * d, d), (d, 4), (4, 4)
    )
    assert count(decoder.decode) == decode + 2 * (4 * d + 2 * d + d)
    whole = count(decoder)
    assert [round(n / 1e6, 2) for n in (count(decoder.image), features, analogy, whole)] == [
        1.74,
        0.62,
        3.54,
        7.60,
    ]


@pytest.mark.parametrize(("slot", "noise", "millions"), [(5, 100, 1.16), (0, 0, 0.99)])
def test_the_predictor_has_21_cells_of_the_published_size(slot, noise, millions):
    predictor = Predictor(64, 21, slot, noise)
    n = 64 + slot
    cells = lstm(3 * n, n) + 10 * lstm(n, n) + 10 * lstm(2 * n, n)
    rest = n * n + n + (noise * n + n if noise else 0) + n * 64 + 64 + 11 * 2 * n + 2 * n
    assert count(predictor) == cells + rest
    assert round(count(predictor) / 1e6, 2) == millions


def test_the_critic_has_the_published_size(paper):
    looks = convs((128, 64), (64, 64), (256, 128), (128, 64)) + 4 * 64
    cells = lstm(640, 256) + lstm(256, 256) + lstm(256, 128) + lstm(128, 64)
    wanted = looks + cells + 2 * (256 + 256 + 128 + 64) + 65
    assert count(paper[1]) == wanted == 2_325_313


def test_one_lstm_step_is_the_formula():
    with seeded(3):
        cell = PeepholeLSTM(2, 3)
        for p in cell.parameters():
            torch.nn.init.normal_(p)
        x, c, m = torch.randn(4, 2), torch.randn(4, 3), torch.randn(4, 3)
    new, out = cell(x, (c, m))
    p = {k: v.detach().double().numpy() for k, v in cell.state_dict().items()}
    sig = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    both = np.concatenate([x.numpy(), m.numpy()], 1).astype(np.float64)
    i, j, f, o = np.split(both @ p["gates.weight"].T + p["gates.bias"], 4, 1)
    wi, wf, wo = p["peephole"]
    wanted = sig(f + 1 + wf * c.numpy()) * c.numpy() + sig(i + wi * c.numpy()) * np.tanh(j)
    output = (sig(o + wo * wanted) * np.tanh(wanted)) @ p["project.weight"].T
    np.testing.assert_allclose(new.detach(), wanted, atol=1e-5)
    np.testing.assert_allclose(out.detach(), output, atol=1e-5)


def rolled(predictor, codes, n, steps, unit=False):
    return predictor(codes[:, :n], steps, None, unit)


@pytest.fixture
def predictor():
    with seeded(0):
        made = Predictor(6, 5)
        for p in made.parameters():
            torch.nn.init.normal_(p, std=0.5)
    return made.eval()


def test_the_predictor_is_fed_true_encodings_first_and_its_own_after(predictor):
    codes = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1))
    five = rolled(predictor, codes, 4, 7)
    # fed by hand with what it said itself, it says the same
    by_hand = torch.cat([codes, five[:, 3:6]], 1)
    torch.testing.assert_close(rolled(predictor, by_hand, 7, 7), five)
    # a later given frame does not change what was said before it
    other = codes.clone()
    other[:, 3] += 1
    again = rolled(predictor, other, 4, 7)
    assert torch.equal(again[:, :3], five[:, :3]) and not torch.equal(again[:, 3:], five[:, 3:])
    # longer rollouts begin with shorter ones
    assert torch.equal(rolled(predictor, codes, 4, 12)[:, :7], five)


def test_unit_encodings_have_length_one(predictor):
    codes = torch.randn(2, 3, 6)
    lengths = rolled(predictor, codes, 3, 5, unit=True).norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones(2, 5))


def test_noise_changes_what_follows_it_and_nothing_before():
    with seeded(0):
        predictor = Predictor(6, 3, noise=4)
        noise = torch.randn(1, 5, 4)
    codes, other = torch.randn(1, 2, 6), noise.clone()
    other[:, 3] += 5
    one, two = predictor(codes, 5, noise), predictor(codes, 5, other)
    assert torch.equal(one[:, :3], two[:, :3])
    assert (one[:, 3:] != two[:, 3:]).any()


@pytest.mark.parametrize("size", [32, 48, 64, 80, 96])
def test_frames_come_out_at_the_size_they_went_in(size):
    with seeded(0):
        encoder = Encoder(small_blocks(2), size, 6, 0.0, imagenet=False)
        decoder = AnalogyNetwork(6, 2, size, 4, 0.0)
        critic = Critic(6, 2, size // 8, 2)
        frames = torch.rand(2, 3, 3, size, size)
    codes = encoder(frames)
    assert codes.shape == (2, 3, 6)
    assert decoder(frames[:, 0], codes[:, 0], codes[:, 1:]).shape == (2, 2, 3, size, size)
    h2, h4 = decoder.maps(codes)
    assert h2.shape == (2, 3, 4, size // 8, size // 8) and h4.shape[2] == 8
    assert critic(Sequence(codes, h2, h4)).shape == (2,)


@pytest.fixture
def decoder():
    with seeded(0):
        return AnalogyNetwork(6, 4, 32, 8, 0.0).eval()


def mask_logit(decoder, value):
    """Make the mask the same everywhere."""
    last = decoder.decode[-1]
    with torch.no_grad():
        last.weight[3] = 0
        last.bias[3] = value


def test_a_mask_of_nothing_gives_the_first_frame_back(decoder):
    mask_logit(decoder, -100.0)
    frame, codes = torch.rand(2, 3, 32, 32), torch.randn(2, 4, 6)
    video = decoder(frame, codes[:, 0], codes)
    torch.testing.assert_close(video, frame[:, None].expand_as(video), atol=1e-6, rtol=0)


def test_a_mask_of_everything_does_not_blend(decoder):
    mask_logit(decoder, 100.0)
    frame, codes = torch.rand(2, 3, 32, 32), torch.randn(2, 4, 6)
    drawn, mask = decoder.coarse_and_mask(frame, codes[:, 0], codes)
    assert torch.equal(mask, torch.ones_like(mask))
    torch.testing.assert_close(decoder(frame, codes[:, 0], codes), drawn)


def test_frames_of_a_clip_are_drawn_alone(decoder):
    """Normalisation is within a frame: what stands beside it makes no difference."""
    frame, codes = torch.rand(3, 3, 32, 32), torch.randn(3, 5, 6)
    whole = decoder(frame, codes[:, 0], codes)
    alone = decoder(frame[1:2], codes[1:2, 0], codes[1:2, 2:3])
    torch.testing.assert_close(whole[1:2, 2:3], alone, atol=1e-5, rtol=1e-5)


def test_the_gradient_penalty_of_a_linear_critic_is_known():
    class Linear(torch.nn.Module):
        def forward(self, seen):
            return 2 * seen.codes.flatten(1).sum(1) + 0 * seen.h2.sum() + 0 * seen.h4.sum()

    parts = [torch.randn(3, 4, 5), torch.randn(3, 4, 2, 2, 2), torch.randn(3, 4, 4, 2, 2)]
    real, fake = Sequence(*parts), Sequence(*(p + 1 for p in parts))
    gap, found = (x.detach() for x in judged(Linear(), real, fake, torch.rand(3)))
    assert math.isclose(float(gap), 2 * 20, rel_tol=1e-5)
    torch.testing.assert_close(score_gap(Linear(), real, fake), gap)
    assert math.isclose(float(found), (2 * math.sqrt(20) - 1) ** 2, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"cells": 4}, "cells"),
        ({"width": 0}, "width"),
        ({"variant": "gan"}, "variant"),
        ({"encoder_init": "vgg16-hed"}, "encoder_init"),
        ({"latent_delay": 0}, "latent_delay"),
    ],
)
def test_parameters_that_cannot_be_are_named(changed, word):
    with pytest.raises(UsageError, match=word):
        settings(**changed)


# fused cells and first weights -------------------------------------------------------------------


class PlainCell(PeepholeLSTM):
    """The cell as the formula says it, gate by gate."""

    def forward(self, x, state):
        cell, output = state
        i, j, f, o = self.gates(torch.cat([x, output], 1)).chunk(4, 1)
        see_i, see_f, see_o = self.peephole
        keep = torch.sigmoid(f + 1 + see_f * cell) * cell
        cell = keep + torch.sigmoid(i + see_i * cell) * torch.tanh(j)
        return cell, self.project(torch.sigmoid(o + see_o * cell) * torch.tanh(cell))


@pytest.mark.parametrize(("batch", "inputs", "units"), [(1, 1, 1), (3, 5, 4), (4, 2, 7)])
def test_the_fused_cell_is_the_plain_one_with_its_gradients(batch, inputs, units):
    with seeded(batch):
        cell = PeepholeLSTM(inputs, units, None)
        x = torch.randn(batch, inputs, requires_grad=True)
        state = tuple(torch.randn(batch, units, requires_grad=True) for _ in range(2))
        weights = [x, *state, *cell.parameters()]
        pull = torch.randn(2, batch, units)
    plain = PlainCell(inputs, units)
    plain.load_state_dict(cell.state_dict())
    theirs = [x, *state, *plain.parameters()]
    results, slopes, curves = [], [], []
    for made, leaves in ((cell, weights), (plain, theirs)):
        out = torch.stack(made(x, state))
        slope = torch.autograd.grad((out * pull).sum(), leaves, create_graph=True)
        # the gradient penalty differentiates once more
        curve = torch.autograd.grad(slope[0].square().sum(), leaves)
        results.append(out.detach())
        slopes.append([s.detach() for s in slope])
        curves.append(curve)
    torch.testing.assert_close(*results)
    for pair in (*zip(*slopes, strict=True), *zip(*curves, strict=True)):
        torch.testing.assert_close(*pair, rtol=1e-4, atol=1e-5)


def test_glorot_weights_fill_their_bounds_and_truncated_ones_are_cut_off():
    with seeded(0):
        cell, layer = PeepholeLSTM(60, 40, None), dense(300, 50, None)
        small = PeepholeLSTM(60, 40, 0.01)
    for weight in (cell.gates.weight, cell.project.weight, layer.weight):
        bound = math.sqrt(6 / sum(weight.shape))
        top = float(weight.detach().abs().max())
        assert 0.99 * bound < top <= bound
        assert math.isclose(float(weight.detach().std()), bound / math.sqrt(3), rel_tol=0.05)
    bound = math.sqrt(6 / (40 + 40))
    assert 0.9 * bound < float(cell.peephole.detach().abs().max()) <= bound
    assert not cell.gates.bias.any() and not layer.bias.any()
    for weight in (small.gates.weight, small.peephole, small.project.weight):
        assert 0.015 < float(weight.detach().abs().max()) <= 0.02
    weight = torch.zeros(30, 20)
    with seeded(1):
        start(weight, None)
    assert 0.98 * math.sqrt(6 / 50) < float(weight.abs().max()) <= math.sqrt(6 / 50)


def test_the_critic_starts_as_the_parameter_says():
    with seeded(0):
        glorot = make_critic(settings(critic_init="glorot", critic_width=16), 32)
        small = make_critic(settings(critic_init="truncated", critic_width=16), 32)
    for critic, widest in ((glorot, None), (small, 2 * CRITIC_SPREAD)):
        for layer in (critic.leave, *(c.gates for c in critic.cells)):
            bound = math.sqrt(6 / sum(layer.weight.shape)) if widest is None else widest
            assert 0.8 * bound < float(layer.weight.detach().abs().max()) <= bound


def slope(critic, seen):
    """|dC/dw|, mean over clips."""
    parts = Sequence(*(p.clone().requires_grad_() for p in seen))
    grads = torch.autograd.grad(critic(parts).sum(), tuple(parts))
    return float(sum(g.flatten(1).square().sum(1) for g in grads).sqrt().mean())


def test_from_small_weights_the_critic_begins_without_a_slope():
    """From Glorot's its slope is of the order of the penalty's target, 1."""
    with seeded(2):
        seen = Sequence(
            torch.nn.functional.normalize(torch.randn(3, 6, 8), dim=2),
            torch.rand(3, 6, 8, 4, 4),
            torch.rand(3, 6, 16, 4, 4),
        )
        glorot = make_critic(settings(critic_init="glorot"), 32)
        small = make_critic(settings(critic_init="truncated"), 32)
    assert slope(glorot, seen) > 10 * slope(small, seen)


def test_scores_in_one_pass_are_those_of_each():
    with seeded(3):
        critic = make_critic(settings(critic_init="glorot"), 32)
        parts = [
            Sequence(torch.randn(n, 5, 8), torch.rand(n, 5, 8, 4, 4), torch.rand(n, 5, 16, 4, 4))
            for n in (2, 2, 2)
        ]
    one, each = (scores(critic, *parts, together=t) for t in (True, False))
    for a, b in zip(one, each, strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.allclose(one[0], one[1])
