"""Sizes of the networks: numbers of weights and of pixels, by hand count from the publication.

Nothing is computed: the networks stand on torch's meta device. TensorFlow's LSTM has one bias where
torch has two, so that one of torch's is frozen and does not count; nor do running statistics.
"""

import pytest
import torch

from vpbench_keypoints.motion import KeypointMotion
from vpbench_keypoints.networks import (
    ImageDiscriminator,
    KeypointNetwork,
    MotionNetwork,
    SequenceDiscriminator,
    TranslatorNetwork,
)
from vpbench_keypoints.spec import MOTION, PRESETS

MOMENTUM = 0.001


def made(cls, *words, **more):
    with torch.device("meta"):
        return cls(*words, **more)


def trained(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def everything(module):
    return sum(p.numel() for p in module.parameters())


def statistics(module):
    return sum(b.numel() for name, b in module.named_buffers() if "running" in name)


@pytest.mark.parametrize(("points", "count"), [(40, 2_252_840), (15, 2_252_415), (60, 2_253_180)])
def test_the_detector_of_the_paper(points, count):
    network = made(KeypointNetwork, points, 32, 128, MOMENTUM)
    assert trained(network) == everything(network) == count
    assert statistics(network) == 3_776


@pytest.mark.parametrize(("points", "count"), [(40, 3_395_620), (15, 3_280_420), (60, 3_487_780)])
def test_the_translator_of_the_paper(points, count):
    """Without the level of its encoder that gets no gradient: 886,272 weights, 1,024 statistics."""
    network = made(TranslatorNetwork, points, 32, 256, MOMENTUM)
    assert trained(network) == everything(network) == count
    assert trained(network.encoder) == 291_744 == 1_178_016 - 886_272
    assert (
        trained(network) - trained(network.encoder)
        == {
            40: 3_103_876,
            15: 2_988_676,
            60: 3_196_036,
        }[points]
    )
    assert statistics(network) == 5_248 - 1_024


@pytest.mark.parametrize(
    ("points", "classes", "motion", "rival"),
    [
        (40, 9, 25_870_480, 12_919_809),
        (15, 0, 25_604_990, 12_715_009),
        (60, 0, 26_080_280, 13_083_649),
    ],
)
def test_the_motion_generator_of_the_paper(points, classes, motion, rival):
    network = made(MotionNetwork, points, classes, 1024, 64, 32)
    assert trained(network) == motion
    assert trained(made(SequenceDiscriminator, points, 1024)) == rival


def test_the_parts_of_the_motion_generator():
    network = made(MotionNetwork, 40, 9, 1024, 64, 32)
    parts = (network.encoder, network.posterior, network.entry, network.decoder, network.out)
    assert [trained(p) for p in parts] == [12_918_784, 142_592, 4_928, 12_722_176, 82_000]
    assert everything(network) == 25_886_864
    assert everything(made(SequenceDiscriminator, 40, 1024)) == 12_928_001


def test_the_image_discriminator_of_the_paper():
    assert trained(made(ImageDiscriminator, 64, 6)) == 44_721_088


@pytest.mark.parametrize(
    ("network", "count"),
    [
        ((KeypointNetwork, 12, 16, 64, MOMENTUM), 565_740),
        ((KeypointNetwork, 10, 8, 32, MOMENTUM), 142_754),
        ((TranslatorNetwork, 12, 16, 128, MOMENTUM), 833_812),
        ((TranslatorNetwork, 10, 8, 64, MOMENTUM), 214_732),
        ((ImageDiscriminator, 32, 4), 692_448),
        ((ImageDiscriminator, 16, 4), 174_192),
        ((MotionNetwork, 12, 6, 128, 16, 32), 433_624),
        ((SequenceDiscriminator, 12, 128), 210_049),
    ],
)
def test_reduced_networks(network, count):
    assert trained(made(*network)) == count


@pytest.mark.parametrize(
    ("width", "depth", "size", "maps", "logits"),
    [(64, 6, 128, [65, 34, 18, 10, 6, 4], 6), (32, 4, 64, [33, 18, 10, 6], 8)],
)
def test_the_image_discriminator_pads_twice(width, depth, size, maps, logits):
    network = made(ImageDiscriminator, width, depth)
    image = torch.empty(2, 3, size, size, device="meta")
    seen = []
    for layer in network.layers:
        image = layer(image)
        seen.append(image.shape[-1])
        assert image.shape[1] == width * 2 ** (len(seen) - 1)
    assert seen == maps
    assert network.logit.bias is None
    assert network(torch.empty(2, 3, size, size, device="meta")).shape == (2, 1, logits, logits)


def test_skips_and_switches_change_the_decoder_alone():
    base = trained(made(TranslatorNetwork, 10, 8, 64, MOMENTUM))
    one = trained(made(TranslatorNetwork, 10, 8, 64, MOMENTUM, reference=False))
    bare = trained(made(TranslatorNetwork, 10, 8, 64, MOMENTUM, mask=False))
    skips = trained(made(TranslatorNetwork, 10, 8, 64, MOMENTUM, skips=True))
    assert base - one == 10 * 9 * 64  # the maps of the source's keypoints
    assert base - bare == 16 * 9 + 1  # one 3x3 convolution to one channel
    assert skips - base == 16 * 9 * 32 + 8 * 9 * 16  # e4 into t2, e2 into t3


def test_classes_enter_the_motion_generator_twice():
    with_label = trained(made(MotionNetwork, 12, 6, 128, 16, 32))
    without = trained(made(MotionNetwork, 12, 0, 128, 16, 32))
    assert with_label - without == 6 * 32 + 6 * 32  # the posterior's 2 x 16 outputs, and the inlet


@pytest.mark.parametrize("preset", [p for p in PRESETS if p != "paper"])
def test_the_switch_of_labels_takes_the_class_input_away(preset):
    from vpbench.api import TaskInfo

    task = TaskInfo("toy", 64, 16, 1, None, 9, tuple("abcdefghi"), 0, ())
    params = {**MOTION, **PRESETS[preset]}
    on = KeypointMotion(task, params, None)
    off = KeypointMotion(task, {**params, "label": False}, None)
    inlet, latent = int(params["motion_inlet"]), int(params["motion_latent"])
    assert trained(on.net) - trained(off.net) == 9 * (2 * latent + inlet)
