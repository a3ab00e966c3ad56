"""Vision transformers on clips: the encoders of V-JEPA and of VideoMAE v2.

Both cut a clip into blocks of two frames and some pixels, add fixed sines of the position, and pass
the blocks through timm's transformer layers; they differ in sizes, in where the sines come from and
in how one vector comes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api.errors import Corrupt
from vpbench.kit.perceptual_networks import read_weights

TUBELET = 2
"""Frames in a block."""

SIDE = 224
FRAMES = 16
"""Frames that the positions are made for; they are interpolated in time for other clips."""


@dataclass(frozen=True)
class Size:
    """Of an encoder.

    Attributes:
        patch: pixels of a block's side.
        hidden: width inside of a layer's two linear maps.
    """

    dim: int
    depth: int
    heads: int
    hidden: int
    patch: int

    @property
    def grid(self) -> tuple[int, int, int]:
        """Blocks in time, height and width."""
        return FRAMES // TUBELET, SIDE // self.patch, SIDE // self.patch


VITH16 = Size(dim=1280, depth=32, heads=16, hidden=5120, patch=16)
"""V-JEPA's ViT-H/16 (Bardes et al., arXiv:2404.08471, 2024)."""

VITG14 = Size(dim=1408, depth=40, heads=16, hidden=6144, patch=14)
"""VideoMAE v2's ViT-g/14 (Wang et al., CVPR 2023)."""


class ClipTransformer(nn.Module):
    """Clips float [B,3,T,224,224] to tokens [B,N,dim].

    Attributes:
        pos_embed: [1,N,dim] of `FRAMES` frames.
    """

    def __init__(self, size: Size, *, last_norm: bool) -> None:
        from timm.models.vision_transformer import Block

        super().__init__()
        self.size = size
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        self.patch_embed = nn.ModuleDict(
            {
                "proj": nn.Conv3d(
                    3,
                    size.dim,
                    (TUBELET, size.patch, size.patch),
                    (TUBELET, size.patch, size.patch),
                )
            }
        )
        self.pos_embed = nn.Parameter(torch.zeros(1, math.prod(size.grid), size.dim))
        ratio = size.hidden / size.dim
        self.blocks = nn.Sequential(
            *(
                Block(size.dim, size.heads, mlp_ratio=ratio, qkv_bias=True, norm_layer=norm)
                for _ in range(size.depth)
            )
        )
        self.norm = norm(size.dim) if last_norm else nn.Identity()

    def forward(self, clips: Tensor) -> Tensor:
        """Tokens, after the last layer."""
        tokens = self.patch_embed["proj"](clips).flatten(2).transpose(1, 2)
        return self.norm(self.blocks(tokens + self._positions(clips.shape[2] // TUBELET)))

    def _positions(self, times: int) -> Tensor:
        own, height, width = self.size.grid
        if times == own:
            return self.pos_embed
        places = self.pos_embed.transpose(1, 2).reshape(1, -1, own, height, width)
        there = F.interpolate(places, size=(times, height, width), mode="trilinear")
        return there.flatten(2).transpose(1, 2)


class AttentivePooler(nn.Module):
    """One vector [B,dim] of tokens [B,N,dim]: a learned query that attends to all of them."""

    def __init__(self, dim: int, heads: int) -> None:
        from timm.layers.mlp import Mlp

        super().__init__()
        self.heads = heads
        self.query_tokens = nn.Parameter(torch.zeros(1, 1, dim))
        linear = {"q": nn.Linear(dim, dim), "kv": nn.Linear(dim, 2 * dim)}
        self.cross_attention_block = nn.ModuleDict(
            {
                "norm1": nn.LayerNorm(dim),
                "xattn": nn.ModuleDict({**linear, "proj": nn.Linear(dim, dim)}),
                "norm2": nn.LayerNorm(dim),
                "mlp": Mlp(dim, 4 * dim),
            }
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """The query, after attention and two linear maps, each beside what it was before."""
        layers: Any = self.cross_attention_block
        batch, _, dim = tokens.shape
        query = self.query_tokens.expand(batch, -1, -1)
        keys, values = layers["xattn"]["kv"](layers["norm1"](tokens)).split(dim, dim=2)
        seen = F.scaled_dot_product_attention(
            self._by_head(layers["xattn"]["q"](query)), self._by_head(keys), self._by_head(values)
        )
        query = query + layers["xattn"]["proj"](seen.transpose(1, 2).flatten(2))
        return (query + layers["mlp"](layers["norm2"](query))).squeeze(1)

    def _by_head(self, tokens: Tensor) -> Tensor:
        """[B,heads,N,dim / heads]."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class VJepa(nn.Module):
    """V-JEPA's encoder and the pooler of its probe: [B,3,T,224,224] to [B,dim]."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.encoder = ClipTransformer(size, last_norm=True)
        self.pooler = AttentivePooler(size.dim, size.heads)

    def forward(self, clips: Tensor) -> Tensor:
        """ImageNet-normalised clips to features."""
        return self.pooler(self.encoder(clips))


class VideoMae(nn.Module):
    """VideoMAE v2's encoder, its mean token normalised: [B,3,T,224,224] to [B,dim]."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.encoder = ClipTransformer(size, last_norm=False)
        self.fc_norm = nn.LayerNorm(size.dim, eps=1e-6)

    def forward(self, clips: Tensor) -> Tensor:
        """Clips to features."""
        return self.fc_norm(self.encoder(clips).mean(dim=1))


def vjepa(encoder: Path | str, probe: Path | str, size: Size = VITH16) -> VJepa:
    """V-JEPA with the weights of its publisher.

    Args:
        encoder: converted `target_encoder` of the published checkpoint.
        probe: converted `classifier` of the published probe, whose last linear map is not used.

    Raises:
        Corrupt: a file holds another network.
        MissingWeights: a file is not there.
    """
    with torch.device("meta"):
        net = VJepa(size)
    _fill(net.encoder, _renamed(read_weights(encoder), ("module.", "backbone.")), encoder)
    whole = _renamed(read_weights(probe), ("module.",))
    for name in ("linear.weight", "linear.bias"):
        whole.pop(name, None)
    _fill(net.pooler, _renamed(whole, ("pooler.",)), probe)
    return net.eval()


def videomae(path: Path | str, size: Size = VITG14) -> VideoMae:
    """VideoMAE v2 with the weights of its publisher.

    Args:
        path: converted `module` of the published checkpoint, whose classifier is not used.

    Raises:
        Corrupt: the file holds another network.
        MissingWeights: the file is not there.
    """
    with torch.device("meta"):
        net = VideoMae(size)
    state = _with_biases(read_weights(path))
    for name in ("head.weight", "head.bias"):
        state.pop(name, None)
    tail = {n.partition(".")[2]: state.pop(n) for n in sorted(state) if n.startswith("fc_norm.")}
    positions = {"pos_embed": sine_positions(math.prod(size.grid), size.dim)}
    _fill(net.encoder, {**positions, **state}, path)
    _fill(net.fc_norm, tail, path)
    return net.eval()


def sine_positions(count: int, dim: int) -> Tensor:
    """[1,count,dim]: sines (even) and cosines (odd) of the place (Vaswani et al. 2017, 3.5)."""
    place = torch.arange(count, dtype=torch.float64)[:, None]
    pairs = torch.arange(dim) // 2
    angles = place / 10000 ** (2 * pairs.double() / dim)
    waves = torch.where(torch.arange(dim) % 2 == 0, angles.sin(), angles.cos())
    return waves.float()[None]


def _with_biases(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Biases of queries and values, and none of keys, as the one bias that timm's layers have."""
    joined: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".attn.q_bias"):
            other = state.get(name.replace("q_bias", "v_bias"))
            if other is not None:
                whole = torch.cat([value, torch.zeros_like(value), other])
                joined[name.replace("q_bias", "qkv.bias")] = whole
        elif not name.endswith(".attn.v_bias"):
            joined[name] = value
    return joined


def _renamed(state: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    """Names without what wrappers of training put in front of them."""
    return {reduce(str.removeprefix, prefixes, name): value for name, value in state.items()}


def _fill(net: nn.Module, state: Mapping[str, Tensor], path: Path | str) -> None:
    """Give a network exactly these weights, in float32."""
    try:
        net.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()
        raise Corrupt(
            f"{path} holds no {type(net).__name__} of this size ({first[-1].strip()[:200]})."
        ) from error
