"""Networks with random weights in their publishers' format, through the user's own folder.

What nobody can download here is proven by everything but its numbers: the file is made by the
network's own program, brought in VPBENCH_WEIGHTS under a hash of this test alone, and what the
loaded network says is what that program says.
"""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from vpbench.api.errors import Corrupt
from vpbench.api.types import ClipInfo
from vpbench.harness.training.context import ScoreContext
from vpbench.kit import perceptual_network, pretrained
from vpbench.metrics.networks import perceptual
from vpbench.metrics.networks.frame_distance import Fid
from vpbench.metrics.networks.frame_features import EfficientNetFeatures, InceptionFeatures
from vpbench.metrics.networks.inception import whole_inception
from vpbench.metrics.networks.pretrained import ALEXNET, INCEPTION, VGG16
from vpbench.metrics.networks.specs import FID, LPIPS
from vpbench.metrics.weights.fetch import fetch

pytestmark = pytest.mark.e2e


@pytest.fixture
def bring(tmp_path, monkeypatch):
    """Put a state dict into VPBENCH_WEIGHTS under the spec's file name; the spec with its hash."""
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(own))

    def put(spec, state):
        place = own / spec.files[0]
        torch.save(state, place)
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        return replace(spec, sha256=digest, content="", size=place.stat().st_size)

    return put


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def randomised(net, seed=0):
    """Weights and statistics of every layer at random, such that values neither die nor explode."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=rng)
            elif value.is_floating_point() and value.ndim > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=rng)
            elif value.is_floating_point():
                value.uniform_(0.5, 1.5, generator=rng)
                if name.endswith(("bias", "running_mean")):
                    value.sub_(1)
    return net.eval()


def frames(count, height=40, width=52, seed=3):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_inception_is_pytorch_fids(bring, cache, monkeypatch):
    from pytorch_fid import inception as theirs

    state = randomised(whole_inception()).state_dict()
    spec = bring(INCEPTION, state)
    path = fetch(spec, cache, offline=True)
    ours = InceptionFeatures(path)
    clip = frames(5)
    features = ours(clip[None])[0]
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: state)
    network = theirs.InceptionV3().eval()
    with torch.inference_mode():
        pixels = torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 255
        wanted = network(pixels)[0][:, :, 0, 0].numpy()
    size = np.abs(wanted).max()
    np.testing.assert_allclose(features, wanted, rtol=0, atol=1e-5 * size)
    for statistic in (lambda x: x.mean(0), lambda x: np.cov(x, rowvar=False)):
        mine, own = statistic(features.astype(np.float64)), statistic(wanted.astype(np.float64))
        assert np.abs(mine - own).max() < 1e-6 * np.abs(own).max()
    # A frame's features do not depend on how many frames the clip has.
    np.testing.assert_array_equal(ours(clip[None, 4:])[0], features[4:])

    context = ScoreContext("cpu", 1, cache, declared=(spec,))
    metric = Fid(None, dict(FID.params), context)  # pyright: ignore[reportArgumentType]
    info = ClipInfo("a", 1, 40, 52, None)
    metric.update(clip[None, :1], clip[2:3], info)
    metric.update(clip[None, 3:4], clip[1:2], replace(info, id="b"))
    score = metric.result()
    assert score.value is not None and score.value > 0
    assert metric.fingerprint()["features_layer"] == "pool2048"

    del state["Mixed_7c.branch1x1.conv.weight"]
    bad = bring(INCEPTION, state)
    with pytest.raises(Corrupt, match="holds no Inception"):
        InceptionFeatures(fetch(bad, cache, offline=True))(clip[None])


def test_lpips_is_the_packages(bring, cache, monkeypatch):
    lpips = pytest.importorskip("lpips", reason="lpips is not installed")
    import warnings

    from torchvision import models

    for net, spec, maker in (("alex", ALEXNET, models.alexnet), ("vgg", VGG16, models.vgg16)):
        features = randomised(maker(weights=None).features)
        state = {f"features.{k}": v for k, v in features.state_dict().items()}
        brought = bring(spec, {**state, "classifier.6.bias": torch.zeros(1000)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        places = theirs.net.state_dict()
        theirs.net.load_state_dict({k: state["features." + k.partition(".")[2]] for k in places})
        real, fake = frames(5), frames(5, seed=4)

        def tensor(x):
            return torch.from_numpy(x).permute(0, 3, 1, 2).float() / 127.5 - 1

        with torch.inference_mode():
            wanted = theirs(tensor(fake), tensor(real)).flatten().numpy()
        context = ScoreContext("cpu", 1, cache, declared=(brought,))
        perceptual._network.cache_clear()
        metric = perceptual.Lpips(None, {"recipe": net}, context)  # pyright: ignore[reportArgumentType]
        before = torch.random.get_rng_state()
        metric.update(np.stack([fake, real]), real, ClipInfo("a", 5, 40, 52, None))
        assert torch.equal(torch.random.get_rng_state(), before)
        score = metric.result()
        np.testing.assert_allclose(score.samples["a"][0], wanted.mean(), rtol=1e-5)
        assert score.samples["a"][1] == 0
        halves = np.array(score.per_frame["a"], dtype=np.float64)
        np.testing.assert_allclose(halves, wanted / 2, rtol=1e-4)
        assert metric.fingerprint()["trunk"] == brought.name
        small = perceptual.Lpips(None, {"recipe": net}, context)  # pyright: ignore[reportArgumentType]
        small.update(fake[None, :, :15], real[:, :15], ClipInfo("a", 5, 15, 52, None))
        assert small.result().value is None and "smaller than" in (small.result().reason or "")
        broken = bring(spec, {k: v for k, v in state.items() if not k.startswith("features.0.")})
        with pytest.raises(Corrupt, match=f"holds no {broken.name}"):
            perceptual.lpips_network(net, fetch(broken, cache, offline=True))


def test_the_best_sample_is_the_nearest(bring, cache):
    pytest.importorskip("lpips", reason="lpips is not installed")
    from torchvision import models

    features = randomised(models.alexnet(weights=None).features)
    brought = bring(ALEXNET, {f"features.{k}": v for k, v in features.state_dict().items()})
    context = ScoreContext("cpu", 1, cache, declared=(brought,))
    real = frames(1)
    noise = np.random.default_rng(0).normal(size=(3, *real.shape))
    levels = np.array([40.0, 5.0, 20.0])[:, None, None, None, None]
    fake = np.clip(real + levels * noise, 0, 255).astype(np.uint8)
    values = {}
    for recipe in ("alex", "best3"):
        metric = perceptual.Lpips(None, {"recipe": recipe}, context)  # pyright: ignore[reportArgumentType]
        metric.update(fake, real, ClipInfo("a", 1, 40, 52, None))
        values[recipe] = metric.result()
    samples = values["alex"].samples["a"]
    assert values["best3"].value == min(samples) == samples[1]
    assert values["alex"].value == pytest.approx(np.mean(samples))
    assert LPIPS.direction == "down"


def test_vgg19_is_torchvisions(bring, cache):
    from torchvision import models

    features = randomised(models.vgg19(weights=None).features)
    brought = bring(
        pretrained.VGG19, {f"features.{k}": v for k, v in features.state_dict().items()}
    )
    ours = perceptual_network("vgg19", fetch(brought, cache, offline=True))
    images = torch.from_numpy(frames(2)).permute(0, 3, 1, 2).float() / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean[:, None, None]) / deviation[:, None, None]
    wanted = []
    with torch.inference_mode():
        for place, layer in enumerate(features):
            x = layer(x).clone()
            if place in (3, 8, 17, 26, 35):
                wanted.append(x)
        for a, b in zip(ours(images), wanted, strict=True):
            torch.testing.assert_close(a.contiguous(), b, rtol=1e-4, atol=1e-4 * float(b.max()))


def test_efficientnet_is_timms(bring, cache):
    from timm.models import create_model

    net = randomised(create_model("tf_efficientnet_lite0", pretrained=False))
    state = net.state_dict()
    # Its publisher's names are others, in the same order.
    brought = bring(pretrained.EFFICIENTNET_LITE0, {f"_{k}": v for k, v in state.items()})
    path = fetch(brought, cache, offline=True)
    ours = EfficientNetFeatures(path)
    clip = frames(5, 224, 224)
    features = ours(clip[None])[0]
    with torch.inference_mode():
        pixels = torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 127.5 - 1
        wanted = net.forward_head(net.forward_features(pixels), pre_logits=True).numpy()
    assert features.shape == (5, 1280)
    np.testing.assert_allclose(features, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_array_equal(ours(clip[None, :2])[0], features[:2])
    shorter = dict(list({f"_{k}": v for k, v in state.items()}.items())[:-1])
    bad = bring(pretrained.EFFICIENTNET_LITE0, shorter)
    with pytest.raises(Corrupt, match="tensors, not"):
        EfficientNetFeatures(fetch(bad, cache, offline=True))(clip[None])
