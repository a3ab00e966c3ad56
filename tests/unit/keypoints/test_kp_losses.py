"""Loss terms against torch's own, against loops, and where their gradients go."""

import numpy as np
import pytest
import torch

from vpbench.kit import discriminator_loss, frozen_logits, generator_loss, seeded
from vpbench_keypoints.losses import CHANGED, changed_pixels, pixel_pyramid
from vpbench_keypoints.networks import ImageDiscriminator, SequenceDiscriminator


@pytest.mark.parametrize(("height", "width"), [(8, 8), (12, 10), (9, 13)])
def test_pixel_pyramid_against_loops(height, width):
    rng = np.random.default_rng(height)
    fake, real = rng.uniform(-1, 1, (2, 2, 3, height, width))
    weight = 1.0 + 20.0 * (rng.uniform(size=(2, 1, height, width)) > 0.7)
    found = pixel_pyramid(*(torch.from_numpy(v) for v in (fake, real, weight)))
    total = 0.0
    for _ in range(3):
        above = below = 0.0
        for n in range(2):
            for y in range(fake.shape[2]):
                for x in range(fake.shape[3]):
                    error = np.mean([abs(fake[n, c, y, x] - real[n, c, y, x]) for c in range(3)])
                    above += error * weight[n, 0, y, x]
                    below += weight[n, 0, y, x]
        total += above / below / 3
        rows, columns = fake.shape[2] // 2, fake.shape[3] // 2
        fake, real, weight = (
            np.array(
                [
                    [
                        [
                            [
                                v[n, c, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean()
                                for x in range(columns)
                            ]
                            for y in range(rows)
                        ]
                        for c in range(v.shape[1])
                    ]
                    for n in range(2)
                ]
            )
            for v in (fake, real, weight)
        )
    assert float(found) == pytest.approx(total, rel=1e-9)


def test_pixel_pyramid_of_a_constant_difference_is_that_difference():
    real = torch.rand(2, 3, 8, 8)
    weight = torch.rand(2, 1, 8, 8) + 0.5
    assert float(pixel_pyramid(real + 0.25, real, weight)) == pytest.approx(0.25, rel=1e-5)
    assert float(pixel_pyramid(real, real, weight)) == 0.0


def test_changed_pixels_differ_by_a_tenth_in_the_mean_of_their_channels():
    source = torch.zeros(1, 3, 1, 3)
    target = torch.zeros(1, 3, 1, 3)
    target[0, :, 0, 0] = CHANGED * 1.01
    target[0, 0, 0, 1] = CHANGED * 2.9  # one channel of three
    target[0, 0, 0, 2] = CHANGED * 3.1
    assert changed_pixels(source, target).flatten().tolist() == [True, False, True]
    assert changed_pixels(target, source).dtype == torch.bool


@pytest.mark.parametrize("kind", ["image", "sequence"])
def test_the_generator_learns_from_the_discriminator_without_moving_it(kind):
    with seeded(1):
        net = ImageDiscriminator(4, 2) if kind == "image" else SequenceDiscriminator(3, 5)
        fake = torch.randn(2, 3, 16, 16) if kind == "image" else torch.randn(2, 6, 6)
    fake.requires_grad_()
    trained = [p for p in net.parameters() if p.requires_grad]
    logits = frozen_logits(net, fake)
    generator_loss(logits).backward()
    assert fake.grad is not None and bool(fake.grad.abs().sum() > 0)
    assert all(p.grad is None for p in net.parameters())
    assert all(p.requires_grad for p in trained)  # it goes on learning
    torch.testing.assert_close(logits, net(fake))
    # the discriminator's own step does not reach what made the picture
    fake.grad = None
    discriminator_loss(*net(torch.cat([fake.detach(), fake.detach() + 1])).chunk(2)).backward()
    assert fake.grad is None and all(p.grad is not None for p in trained)
