"""V-JEPA and VideoMAE v2 at a small size, in their publishers' format."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vpbench.api.errors import Corrupt, MissingWeights, UsageError
from vpbench.metrics.networks import transformer as tr
from vpbench.metrics.networks.clip_features import VideoMaeFeatures, VJepaFeatures
from vpbench.metrics.networks.pretrained import VIDEOMAE, VJEPA, VJEPA_PROBE
from vpbench.metrics.weights import convert
from vpbench.metrics.weights.fetch import fetch
from vpbench.metrics.weights.weight_file import weight_file

pytestmark = pytest.mark.e2e

SMALL = tr.Size(dim=32, depth=2, heads=4, hidden=128, patch=56)


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("VPBENCH_WEIGHTS", str(tmp_path / "own"))
    return tmp_path / "own"


def drawn(shapes, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return {name: 0.3 * torch.randn(shape, generator=rng) for name, shape in shapes.items()}


def layers(size):
    shapes = {}
    for k in range(size.depth):
        at = f"blocks.{k}."
        shapes |= {
            f"{at}{norm}.{end}": (size.dim,)
            for norm in ("norm1", "norm2")
            for end in ("weight", "bias")
        }
        shapes |= {
            f"{at}attn.qkv.weight": (3 * size.dim, size.dim),
            f"{at}attn.proj.weight": (size.dim, size.dim),
            f"{at}attn.proj.bias": (size.dim,),
            f"{at}mlp.fc1.weight": (size.hidden, size.dim),
            f"{at}mlp.fc1.bias": (size.hidden,),
            f"{at}mlp.fc2.weight": (size.dim, size.hidden),
            f"{at}mlp.fc2.bias": (size.dim,),
        }
    cut = (size.dim, 3, 2, size.patch, size.patch)
    return {**shapes, "patch_embed.proj.weight": cut, "patch_embed.proj.bias": (size.dim,)}


def vjepa_state(size, seed=0):
    shapes = layers(size)
    for k in range(size.depth):
        shapes[f"blocks.{k}.attn.qkv.bias"] = (3 * size.dim,)
    shapes |= {"norm.weight": (size.dim,), "norm.bias": (size.dim,)}
    shapes["pos_embed"] = (1, math.prod(size.grid), size.dim)
    return drawn(shapes, seed)


def probe_state(size):
    d, at = size.dim, "pooler.cross_attention_block."
    shapes = {"pooler.query_tokens": (1, 1, d), "linear.weight": (174, d), "linear.bias": (174,)}
    for name, out, into in (
        ("xattn.q", d, d),
        ("xattn.kv", 2 * d, d),
        ("xattn.proj", d, d),
        ("mlp.fc1", 4 * d, d),
        ("mlp.fc2", d, 4 * d),
    ):
        shapes |= {f"{at}{name}.weight": (out, into), f"{at}{name}.bias": (out,)}
    for name in ("norm1", "norm2"):
        shapes |= {f"{at}{name}.weight": (d,), f"{at}{name}.bias": (d,)}
    return drawn(shapes, 5)


def publish_vjepa(own, size=SMALL):
    """Both files as their training programs save them."""
    encoder, probe = vjepa_state(size), probe_state(size)
    wrapped = {f"module.backbone.{k}": v for k, v in encoder.items()}
    other = {f"module.backbone.{k}": v for k, v in vjepa_state(size, 9).items()}
    rest = {"opt": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]}}
    torch.save(
        {"encoder": other, "target_encoder": wrapped, "epoch": 300, **rest}, own / "vith16.pth.tar"
    )
    torch.save(
        {"classifier": {f"module.{k}": v for k, v in probe.items()}, "epoch": 20, **rest},
        own / "ssv2-probe.pth.tar",
    )
    return encoder, probe


def publish_videomae(own, size=SMALL, **changes):
    shapes = layers(size)
    for k in range(size.depth):
        shapes |= {f"blocks.{k}.attn.{b}_bias": (size.dim,) for b in "qv"}
    shapes |= {f"fc_norm.{end}": (size.dim,) for end in ("weight", "bias")}
    shapes |= {"head.weight": (174, size.dim), "head.bias": (174,)}
    state = {**{k: v.half() for k, v in drawn(shapes).items()}, **changes}
    torch.save(
        {"module": {k: v for k, v in state.items() if v is not None}}, own / VIDEOMAE.files[0]
    )
    return {k: v.float() for k, v in state.items() if v is not None}


def videomae_path(own, tmp_path):
    import hashlib

    digest = hashlib.sha256((own / VIDEOMAE.files[0]).read_bytes()).hexdigest()
    return fetch(replace(VIDEOMAE, sha256=digest), tmp_path / "cache", offline=True)


def norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight + bias


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def attend(q, k, v, heads):
    outs = []
    for a, b, c in zip(*(np.split(x, heads, axis=1) for x in (q, k, v)), strict=True):
        weights = np.exp(a @ b.T / math.sqrt(a.shape[1]))
        outs.append(weights / weights.sum(1, keepdims=True) @ c)
    return np.concatenate(outs, axis=1)


def by_hand(state, clip, size, positions):
    """The tokens [N,dim] after all layers, in float64 numpy; clip [3,T,224,224]."""
    p = size.patch
    times, rows, columns = clip.shape[1] // 2, clip.shape[2] // p, clip.shape[3] // p
    kernel = state["patch_embed.proj.weight"].reshape(size.dim, -1)
    x = np.stack(
        [
            kernel @ clip[:, 2 * t : 2 * t + 2, p * i : p * i + p, p * j : p * j + p].ravel()
            for t in range(times)
            for i in range(rows)
            for j in range(columns)
        ]
    )
    x = x + state["patch_embed.proj.bias"] + positions
    for k in range(size.depth):
        own = {n.partition(f"blocks.{k}.")[2]: v for n, v in state.items() if f"blocks.{k}." in n}
        y = norm(x, own["norm1.weight"], own["norm1.bias"], 1e-6)
        q, kk, v = np.split(y @ own["attn.qkv.weight"].T + own["attn.qkv.bias"], 3, axis=1)
        x = x + attend(q, kk, v, size.heads) @ own["attn.proj.weight"].T + own["attn.proj.bias"]
        y = norm(x, own["norm2.weight"], own["norm2.bias"], 1e-6)
        y = gelu(y @ own["mlp.fc1.weight"].T + own["mlp.fc1.bias"])
        x = x + y @ own["mlp.fc2.weight"].T + own["mlp.fc2.bias"]
    return x


def numbers(state):
    return {k: v.double().numpy() for k, v in state.items()}


def test_vjepa_by_hand(own, tmp_path):
    encoder, probe = map(numbers, publish_vjepa(own))
    paths = [fetch(spec, tmp_path / "cache", offline=True) for spec in (VJEPA, VJEPA_PROBE)]
    assert set(convert.read(paths[0])) == {f"module.backbone.{k}" for k in encoder}
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 224, 224, 3), np.uint8)
    features = VJepaFeatures(paths, "cpu", SMALL)
    got = features(clips)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = ((clips[1] / 255 - mean) / deviation).transpose(3, 0, 1, 2)
    tokens = by_hand(encoder, pixels, SMALL, encoder["pos_embed"][0])
    tokens = norm(tokens, encoder["norm.weight"], encoder["norm.bias"], 1e-6)
    own_ = {k.replace("pooler.cross_attention_block.", ""): v for k, v in probe.items()}
    keys, values = np.split(
        norm(tokens, own_["norm1.weight"], own_["norm1.bias"], 1e-5) @ own_["xattn.kv.weight"].T
        + own_["xattn.kv.bias"],
        2,
        axis=1,
    )
    query = own_["pooler.query_tokens"][0]
    asked = query @ own_["xattn.q.weight"].T + own_["xattn.q.bias"]
    seen = attend(asked, keys, values, SMALL.heads)
    query = query + seen @ own_["xattn.proj.weight"].T + own_["xattn.proj.bias"]
    y = norm(query, own_["norm2.weight"], own_["norm2.bias"], 1e-5)
    y = gelu(y @ own_["mlp.fc1.weight"].T + own_["mlp.fc1.bias"])
    wanted = (query + y @ own_["mlp.fc2.weight"].T + own_["mlp.fc2.bias"])[0]
    np.testing.assert_allclose(got[1], wanted, rtol=0, atol=2e-4 * np.abs(wanted).max())
    np.testing.assert_array_equal(features(clips[1:])[0], got[1])
    assert features(clips[:, :9]).shape == (2, 32)  # the ninth frame has no pair
    np.testing.assert_array_equal(features(clips[:, :9]), features(clips[:, :8]))
    with pytest.raises(UsageError, match="at least 2 frames"):
        features(clips[:, :1])


def test_videomae_by_hand(own, tmp_path):
    state = numbers(publish_videomae(own))
    path = videomae_path(own, tmp_path)
    clip = np.random.default_rng(1).integers(0, 256, (1, 16, 224, 224, 3), np.uint8)
    got = VideoMaeFeatures((path,), "cpu", SMALL)(clip)[0]
    for k in range(SMALL.depth):
        q, v = (state[f"blocks.{k}.attn.{b}_bias"] for b in "qv")
        state[f"blocks.{k}.attn.qkv.bias"] = np.concatenate([q, 0 * q, v])
    count = math.prod(SMALL.grid)
    place = np.arange(count)[:, None] / 10000 ** (2 * (np.arange(32) // 2) / 32)
    positions = np.where(np.arange(32) % 2 == 0, np.sin(place), np.cos(place))
    tokens = by_hand(state, (clip[0] / 255).transpose(3, 0, 1, 2), SMALL, positions)
    wanted = norm(tokens.mean(0), state["fc_norm.weight"], state["fc_norm.bias"], 1e-6)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-4 * np.abs(wanted).max())


def test_the_published_videomae_file_has_exactly_these_tensors():
    """Its 2,023,804,201 bytes are its numbers in half precision and under 200 bytes a tensor."""
    with torch.device("meta"):
        net = tr.VideoMae(tr.VITG14)
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("pos_embed")}
    count = sum(v.numel() for v in state.values()) - 40 * 1408 + 174 * 1409
    tensors = len(state) + 40 + 2  # two biases a layer instead of one; the head
    assert 0 < VIDEOMAE.size - 2 * count < 200 * tensors


def test_another_network_is_refused(own, tmp_path):
    publish_vjepa(own, replace(SMALL, depth=3))
    paths = [fetch(spec, tmp_path / "cache", offline=True) for spec in (VJEPA, VJEPA_PROBE)]
    with pytest.raises(Corrupt, match="holds no ClipTransformer of this size"):
        tr.vjepa(*paths, SMALL)
    publish_videomae(own, **{"fc_norm.bias": None})
    with pytest.raises(Corrupt, match="holds no LayerNorm of this size"):
        tr.videomae(videomae_path(own, tmp_path), SMALL)
    with pytest.raises(MissingWeights):
        tr.videomae(tmp_path / "none.safetensors", SMALL)


def test_a_file_without_the_part_is_refused(own, tmp_path):
    place = own / "vith16.pth.tar"
    for saved, why in (
        ({"encoder": {"a": torch.zeros(2)}}, "no state dict 'target_encoder'"),
        ({"target_encoder": {}}, "not a plain PyTorch state dict"),
        ({"target_encoder": {"a": 3}}, "'a' is not a tensor"),
        ({"target_encoder": {"a": torch.zeros(2)}, "x": Path("a")}, "not a plain PyTorch state"),
    ):
        torch.save(saved, place)
        with pytest.raises(Corrupt, match=why):
            fetch(VJEPA, tmp_path / "cache", offline=True)
    torch.save(
        {"target_encoder": {"a": torch.zeros(2)}}, place, _use_new_zipfile_serialization=False
    )
    arrays = convert.convert_part(weight_file(VJEPA), place)
    np.testing.assert_array_equal(arrays["a"], np.zeros(2, np.float32))
