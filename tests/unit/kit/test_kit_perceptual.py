"""Frozen feature networks against other builds of the same ones; the calibrated distance."""

import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from timm.models import create_model
from torch import nn
from torch.nn import functional as F

from vpbench.api import Corrupt, MissingWeights, UnknownName, UsageError
from vpbench.kit import (
    FeatureNetwork,
    PerceptualLoss,
    from_arrays,
    perceptual_network,
    pretrained,
    to_arrays,
)
from vpbench.metrics.weights.fetch import locate

VGG19 = (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0)
VGG16 = (64, 64, 0, 128, 128, 0, *[256] * 3, 0, *[512] * 3, 0, *[512] * 3, 0)
"""Widths of the convolutions, 0 for a pooling."""


def plain_vgg(plan, divide):
    """A VGG as torchvision lays it out, with widths divided so that it is small."""
    layers, channels = [], 3
    for width in plan:
        if width == 0:
            layers.append(nn.MaxPool2d(2, 2))
        else:
            width //= divide
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers)


def last_of_each_block(net, x):
    """What Kim et al. compare: the rectified output right before each pooling."""
    found, kept = [], None
    for layer in net:
        if isinstance(layer, nn.MaxPool2d):
            found.append(kept)
            if len(found) == 5:
                break
        x = kept = layer(x)
    return found


def stored(path, state, order=None):
    """A file as the weights cache keeps it."""
    metadata = {"order": json.dumps(order or list(state))}
    save_file({k: v.contiguous() for k, v in state.items()}, path, metadata=metadata)
    return path


def vgg_file(tmp_path, plan, seed=0, divide=16):
    torch.manual_seed(seed)
    net = plain_vgg(plan, divide)
    state = {f"features.{k}": v for k, v in net.state_dict().items()}
    return net, stored(tmp_path / "vgg.safetensors", state)


def images(n=3, height=64, width=64, seed=1):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def assert_close(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.detach().abs().max()))


@pytest.mark.parametrize("size", [(64, 64), (72, 40), (16, 24)])
def test_vgg19_gives_the_last_rectified_layer_of_each_block(tmp_path, size):
    net, path = vgg_file(tmp_path, VGG19)
    ours = perceptual_network("vgg19", path)
    assert ours.layers == ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4")
    x = images(2, *size)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (x - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    assert_close(ours(x), last_of_each_block(net, normal))


def caffe(x):
    """0..255, blue first, minus the mean that the caffe networks were trained with."""
    return x.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(3, 1, 1)


def test_vgg19_with_caffe_weights_sees_blue_first_and_255_levels(tmp_path):
    net, path = vgg_file(tmp_path, VGG19)
    ours = perceptual_network("vgg19", path, preprocessing="caffe")
    assert_close(ours(images()), last_of_each_block(net, caffe(images())))


def test_vgg16_hed_is_a_vgg16_with_caffe_input(tmp_path):
    net, path = vgg_file(tmp_path, VGG16)
    ours = perceptual_network("vgg16-hed", path)
    assert ours.layers == ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    assert_close(ours(images()), last_of_each_block(net, caffe(images())))


def test_chosen_layers_come_from_shallow_to_deep_and_nothing_deeper_is_built(tmp_path):
    _, path = vgg_file(tmp_path, VGG19)
    ours = perceptual_network("vgg19", path, layers=["relu2_1", "relu1_1", "relu1_2"])
    whole = perceptual_network("vgg19", path)
    assert ours.layers == ("relu1_1", "relu1_2", "relu2_1")
    maps = ours(images())
    assert [m.shape[1] for m in maps] == [4, 4, 8]
    torch.testing.assert_close(maps[1], whole(images())[0])
    assert sum(isinstance(m, nn.Conv2d) for m in ours.modules()) == 3


def test_the_official_file_format_of_vgg19_goes_all_the_way(tmp_path, monkeypatch):
    torch.manual_seed(3)
    net = plain_vgg(VGG19, 1)
    assert sum(p.numel() for p in net.parameters()) == 20_024_384
    state = {f"features.{k}": v for k, v in net.state_dict().items()}
    for place, width in ((0, 8), (3, 8), (6, 10)):  # present in the file, and of no use here
        state |= {
            f"classifier.{place}.weight": torch.zeros(width, 8),
            f"classifier.{place}.bias": torch.zeros(width),
        }
    file = tmp_path / "own" / "vgg19-dcbb9e9d.pth"
    file.parent.mkdir()
    torch.save(state, file)
    pin = sha256(file.read_bytes()).hexdigest()[:8]
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(file.parent))
    path = locate(replace(pretrained.VGG19, sha256=pin), tmp_path / "cache")
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (images(1, 32, 32) - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        assert_close(
            perceptual_network("vgg19", path)(images(1, 32, 32)), last_of_each_block(net, normal)
        )


def lite0(tmp_path, seed=0):
    """EfficientNet-Lite0 with random weights and statistics, and its file under foreign names."""
    torch.manual_seed(seed)
    net = create_model("tf_efficientnet_lite0", pretrained=False)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    state = net.state_dict()
    names = [f"{(k * 37) % 997:03d}" for k in range(len(state))]  # only the order tells
    renamed = dict(zip(names, state.values(), strict=True))
    return net.eval(), stored(tmp_path / "lite0.safetensors", renamed)


@pytest.mark.parametrize("size", [(64, 64), (40, 72)])
def test_efficientnet_lite0_is_timms_with_the_normalisation_folded_in(tmp_path, size):
    net, path = lite0(tmp_path)
    ours = perceptual_network("efficientnet-lite0", path, strides=(2, 4, 8, 16, 32))
    x = images(2, *size)
    with torch.no_grad():
        y = net.bn1(net.conv_stem((x - 0.5) / 0.5))
        blocks = []
        for block in net.blocks:
            y = block(y)
            blocks.append(y)
        assert_close(ours(x), [blocks[k] for k in (0, 1, 2, 4, 6)])
        cheap = perceptual_network("efficientnet-lite0", path)
        assert cheap.layers == ("stride2", "stride4", "stride8")
        assert_close(cheap(x), [blocks[k] for k in (0, 1, 2)])
    assert not any(isinstance(m, nn.BatchNorm2d) for m in ours.modules())


@pytest.fixture(params=["vgg19", "vgg16-hed", "efficientnet-lite0"])
def network(request, tmp_path):
    if request.param == "efficientnet-lite0":
        path = lite0(tmp_path)[1]
    else:
        path = vgg_file(tmp_path, VGG19 if request.param == "vgg19" else VGG16)[1]
    return perceptual_network(request.param, path)


def test_weights_are_frozen_and_no_part_of_a_checkpoint(network):
    network.train()
    assert not any(m.training for m in network.modules())
    assert list(network.parameters()) == [] and network.state_dict() == {}
    before = [b.clone() for b in network.buffers()]
    x = images().requires_grad_()
    sum(f.square().sum() for f in network(x)).backward()
    assert x.grad is not None and float(x.grad.abs().max()) > 0
    assert all(b.grad is None and not b.requires_grad for b in network.buffers())
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


def test_loading_draws_no_random_numbers(tmp_path):
    paths = {"efficientnet-lite0": lite0(tmp_path)[1], "vgg19": vgg_file(tmp_path, VGG19)[1]}
    before = torch.get_rng_state()
    for name, path in paths.items():
        perceptual_network(name, path)
    assert torch.equal(torch.get_rng_state(), before)


def test_either_memory_layout_gives_the_same(network):
    x = images()
    assert_close(network(x.contiguous(memory_format=torch.channels_last)), network(x))


def test_what_is_no_image_is_refused(network):
    for wrong in (images()[0], images()[:, :1], (images() * 255).to(torch.uint8)):
        with pytest.raises(UsageError, match="floating point"):
            network(wrong)
    tiny = images(1, network.smallest // 2, 64)
    with pytest.raises(UsageError, match=f"at least {network.smallest} px"):
        network(tiny)
    network(images(1, network.smallest, network.smallest))


def test_files_that_are_no_such_network_are_refused(tmp_path):
    _, path = vgg_file(tmp_path, VGG16)
    with pytest.raises(Corrupt, match=r"no vgg19: features\.16 is missing"):
        perceptual_network("vgg19", path)
    with pytest.raises(Corrupt, match="no EfficientNet-Lite0"):
        perceptual_network("efficientnet-lite0", path)
    with pytest.raises(MissingWeights, match=r"no weights file .*gone"):
        perceptual_network("vgg19", tmp_path / "gone.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(Corrupt, match="no whole safetensors file"):
        perceptual_network("vgg16-hed", path)
    _, path = lite0(tmp_path)
    from safetensors.torch import load_file

    state = load_file(path)
    short = stored(tmp_path / "short.safetensors", dict(list(state.items())[:-1]))
    with pytest.raises(Corrupt, match="no EfficientNet-Lite0"):
        perceptual_network("efficientnet-lite0", short)


def test_wrong_names_offer_the_right_ones(tmp_path):
    _, path = vgg_file(tmp_path, VGG16)
    with pytest.raises(UnknownName, match="vgg19"):
        perceptual_network("vgg16", path)
    with pytest.raises(UnknownName, match="relu3_3"):
        perceptual_network("vgg16-hed", path, layers=["relu3_4"])
    with pytest.raises(UsageError, match="measures nothing"):
        perceptual_network("vgg16-hed", path, layers=[])
    with pytest.raises(UnknownName, match="caffe"):
        perceptual_network("vgg19", path, preprocessing="tf")
    with pytest.raises(UsageError, match="2, 4, 8, 16, 32"):
        perceptual_network("efficientnet-lite0", path, strides=(3,))


# the distance ------------------------------------------------------------------------------------


class Toy(FeatureNetwork):
    """Two layers that can be worked out by hand: the image times 3, and its row means times 5."""

    def __init__(self):
        super().__init__("toy", ("a", "b"), [], 1, (0, 0, 0), (1, 1, 1))

    def forward(self, images):
        return [3 * images, 5 * images.mean(3, keepdim=True)]


def test_before_calibration_it_is_the_mean_over_layers_of_the_mean_difference():
    loss = PerceptualLoss(Toy())
    a, b = images(4, seed=1).double(), images(4, seed=2).double()
    layer = (a.mean(3) - b.mean(3)).abs().mean()
    wanted = (3 * (a - b).abs().mean() + 5 * layer) / 2
    assert float(loss(a, b)) == pytest.approx(float(wanted), rel=1e-6)


def test_calibration_makes_features_one_and_copying_ten():
    loss = PerceptualLoss(Toy())
    frames = images(70, 8, 24, seed=5)
    source, target = images(45, 8, 24, seed=6), images(45, 8, 24, seed=7)
    told = loss.calibrate(frames, source, target)
    a, b = 1 / (3 * frames.mean()), 1 / (5 * frames.mean())
    np.testing.assert_allclose(loss.scales.numpy(), [a, b], rtol=1e-5)
    wide, narrow = (source - target).abs().mean(), (source - target).mean(3).abs().mean()
    constant = 10 / float((3 * a * wide + 5 * b * narrow) / 2)
    assert float(loss.constant) == pytest.approx(constant, rel=1e-5)
    assert told == pytest.approx(
        {"scale a": float(a), "scale b": float(b), "constant": constant}, rel=1e-5
    )
    assert float(loss(source, target)) == pytest.approx(10, rel=1e-5)
    assert bool(loss.calibrated)


def test_it_holds_for_real_networks_any_size_and_uneven_parts(network):
    loss = PerceptualLoss(network)
    frames, source, target = images(35, 64, 48, 1), images(33, 64, 48, 2), images(33, 64, 48, 3)
    loss.calibrate(frames, source, target, copying=4.0)
    means = [float(f.abs().mean()) for f in network(frames)]
    np.testing.assert_allclose(loss.scales.numpy() * means, 1, rtol=1e-3)
    assert float(loss(source, target)) == pytest.approx(4, rel=1e-3)
    assert float(loss(target, target)) == 0
    assert float(loss(images(2, 128, 72, 4), images(2, 128, 72, 5))) > 0


def test_gradients_reach_the_fake_image_and_only_that(network):
    loss = PerceptualLoss(network)
    fake, real = images(seed=8).requires_grad_(), images(seed=9).requires_grad_()
    loss(fake, real).backward()
    assert real.grad is None and fake.grad is not None
    assert bool(fake.grad.isfinite().all()) and float(fake.grad.abs().max()) > 0
    fake.grad = None
    outside = (fake.detach() * 3 - 1).requires_grad_()
    loss(outside, real).backward()
    # nothing is clipped: what lies outside [0,1] is pulled back, every pixel of it
    assert (
        float((outside.grad.abs().sum(1)[(outside.detach() > 1).any(1)] > 0).double().mean()) > 0.9
    )


def test_a_step_down_the_gradient_comes_nearer(network):
    loss = PerceptualLoss(network)
    fake, real = images(seed=8).requires_grad_(), images(seed=9)
    before = loss(fake, real)
    before.backward()
    step = fake.detach() - 1e-2 * fake.grad / fake.grad.abs().max()
    assert float(loss(step, real)) < float(before.detach())


def test_features_can_be_reused(network):
    loss = PerceptualLoss(network)
    real, fake = images(seed=1), images(seed=2)
    known = loss.features(real)
    assert not any(f.requires_grad for f in known)
    assert torch.equal(loss(fake, known), loss(fake, real))
    assert loss.terms(fake, known).shape == (len(network.layers),)


def test_the_state_is_three_small_numbers_and_survives_a_checkpoint(network):
    loss = PerceptualLoss(network)
    loss.calibrate(images(4, 16, 16), images(2, 16, 16, 2), images(2, 16, 16, 3))
    state = loss.state_dict()
    assert set(state) == {"scales", "constant", "calibrated"}
    fresh = PerceptualLoss(network)
    assert not bool(fresh.calibrated)
    fresh.load_state_dict(from_arrays(*to_arrays(state)))
    assert torch.equal(fresh(images(seed=2), images(seed=3)), loss(images(seed=2), images(seed=3)))
    both = nn.ModuleDict({"loss": loss, "net": nn.Linear(2, 2)})
    assert len(list(both.parameters())) == 2 and len(both.state_dict()) == 5


def test_calibration_on_nothing_is_an_error():
    loss = PerceptualLoss(Toy())
    real = images(4)
    for frames, source, target, said in (
        (torch.zeros_like(real), real, real.flip(0), "a layer is zero"),
        (real * float("nan"), real, real.flip(0), "a layer is zero, or NaN"),
        (real, real, real, "equals its target"),
        (real, real, real[:2], "differ or are empty"),
        (real, real[:0], real[:0], "differ or are empty"),
    ):
        with pytest.raises(UsageError, match=said):
            loss.calibrate(frames, source, target)
    with pytest.raises(UsageError, match="differ"):
        loss(real, real[:1])
    assert not bool(loss.calibrated)


# published weights -------------------------------------------------------------------------------


def published(name):
    (spec,) = (w for w in vars(pretrained).values() if getattr(w, "name", "") == name)
    folder = os.environ.get("VPBENCH_WEIGHTS_CACHE")
    path = locate(spec, Path(folder)) if folder else None
    if path is None:
        pytest.skip(f"{name} weights are not in {folder} (VPBENCH_WEIGHTS_CACHE)")
    return path


@pytest.mark.weights
@pytest.mark.parametrize("name", ["vgg16-hed", "efficientnet-lite0"])
def test_with_published_weights_more_damage_is_farther(name):
    loss = PerceptualLoss(perceptual_network(name, published(name)))
    axis = torch.linspace(0, 6, 64)
    real = 0.5 + 0.4 * torch.sin(axis * axis.flip(0)[:, None] + torch.arange(3).view(3, 1, 1))
    real = real[None].clamp(0, 1)
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    noisy = [float(loss(real + s * noise, real)) for s in (0.02, 0.08, 0.3)]
    blurred = [float(loss(F.avg_pool2d(real, k, 1, k // 2), real)) for k in (3, 7, 13)]
    shifted = [float(loss(real.roll(k, 3), real)) for k in (1, 2, 4)]
    for distances in (noisy, blurred, shifted):
        assert 0 < distances[0] < distances[1] < distances[2]
