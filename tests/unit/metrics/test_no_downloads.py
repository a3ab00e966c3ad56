"""No metric and no network reaches for the internet when it is made."""

import json
import math
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from vpbench.api.errors import Missing, VpbenchError
from vpbench.core.registry import registry
from vpbench.harness.inputs.training_clips import TaskTrainingClips
from vpbench.harness.scoring.score import wanted_metrics
from vpbench.harness.training import context
from vpbench.kit import perceptual_network
from vpbench.metrics.networks import perceptual, transformer
from vpbench.metrics.networks.inception import inception, whole_inception
from vpbench.testing.clips import sample_task_data

METRICS = [
    f"{e.name}@{recipe}" if recipe else e.name
    for e in registry().of("metric")
    if e.status == "ok"
    for recipe in ("", *getattr(e.spec, "recipes", ()))
]


class Reached(BaseException):
    """No `except Exception` of a library hides it."""


@pytest.fixture(autouse=True)
def cut(monkeypatch):
    def refuse(*_, **__):
        raise Reached

    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return sample_task_data(1, 16, 32, tmp_path_factory.mktemp("given"))


@pytest.mark.parametrize("there", [True, False], ids=["with-weights", "without"])
@pytest.mark.parametrize("name", METRICS)
def test_no_metric_does(name, there, data, tmp_path, monkeypatch):
    toy = tmp_path / "toy.safetensors"
    save_file({"a": np.zeros(2, np.float32)}, toy)
    if there:
        monkeypatch.setattr(context, "find_weights", lambda *_: toy)
    (wanted,) = wanted_metrics([name], registry())
    params = {**wanted.spec.params, **({"recipe": wanted.recipe} if wanted.recipe else {})}
    ctx = context.ScoreContext(
        "cpu", 1, tmp_path, declared=wanted.spec.weights, training=TaskTrainingClips(data)
    )
    try:
        made = registry().factory("metric", wanted.spec.name)(data.task.info, params, ctx)
    except VpbenchError as error:
        if not (wanted.spec.learned or wanted.spec.name == "lpips"):
            # Those have learned nothing here, or their package is not installed.
            assert isinstance(error, Missing) and not there
        return
    assert there or not wanted.weights
    made.fingerprint()


def small(state):
    return {k: v.contiguous() for k, v in state.items()}


def vgg_weights(place: Path, blocks):
    arrays, at, channels = {}, 0, 3
    for count in blocks:
        for _ in range(count):
            arrays[f"features.{at}.weight"] = np.zeros((2, channels, 3, 3), np.float32)
            arrays[f"features.{at}.bias"] = np.zeros(2, np.float32)
            at, channels = at + 2, 2
        at += 1
    save_file(arrays, place)


@pytest.mark.parametrize(
    ("name", "blocks"), [("vgg19", (2, 2, 4, 4, 4)), ("vgg16-hed", (2, 2, 3, 3, 3))]
)
def test_no_perceptual_network_does(name, blocks, tmp_path):
    vgg_weights(tmp_path / "w.safetensors", blocks)
    assert len(perceptual_network(name, tmp_path / "w.safetensors").layers) == 5


@pytest.mark.e2e
def test_efficientnet_and_the_clip_networks_do_not(tmp_path):
    from timm.models import create_model

    from vpbench.kit.perceptual_networks import whole_efficientnet_lite0

    with torch.device("meta"):
        shapes = create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    state = {k: torch.zeros(v.shape) for k, v in shapes.items()}
    save_tensors(state, tmp_path / "e", metadata={"order": json.dumps(list(state))})
    whole_efficientnet_lite0(tmp_path / "e")
    size = transformer.Size(8, 1, 2, 16, 112)
    net = transformer.VideoMae(size)
    encoder = dict(net.encoder.state_dict())
    del encoder["pos_embed"]
    for bias in [k for k in encoder if k.endswith("qkv.bias")]:
        value = encoder.pop(bias)
        for k, letter in enumerate("q.v"):
            if letter != ".":
                encoder[bias.replace("qkv.bias", f"{letter}_bias")] = value[8 * k : 8 * k + 8]
    tail = {f"fc_norm.{k}": v for k, v in net.fc_norm.state_dict().items()}
    save_tensors(small({**encoder, **tail}), tmp_path / "m")
    assert math.isfinite(float(transformer.videomae(tmp_path / "m", size).fc_norm.eps))
    jepa = transformer.VJepa(size)
    save_tensors(small(jepa.encoder.state_dict()), tmp_path / "j")
    pooler = {f"pooler.{k}": v for k, v in jepa.pooler.state_dict().items()}
    save_tensors(small(pooler), tmp_path / "p")
    transformer.vjepa(tmp_path / "j", tmp_path / "p", size)


@pytest.mark.e2e
def test_inception_and_lpips_do_not(tmp_path):
    save_tensors(small(whole_inception().state_dict()), tmp_path / "i")
    inception(tmp_path / "i")
    pytest.importorskip("lpips", reason="lpips is not installed")
    from torchvision import models

    for net, maker in (("alex", models.alexnet), ("vgg", models.vgg16)):
        with torch.device("meta"):
            trunk = maker(weights=None).features
        state = {f"features.{k}": torch.zeros(v.shape) for k, v in trunk.state_dict().items()}
        save_tensors(state, tmp_path / net)
        perceptual.lpips_network(net, tmp_path / net)


@pytest.mark.e2e
def test_the_constructor_that_is_not_used_would(tmp_path, monkeypatch):
    """pytorch-fid's own: the guard of this file works."""
    from pytorch_fid.inception import InceptionV3

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(Reached):
        InceptionV3()
