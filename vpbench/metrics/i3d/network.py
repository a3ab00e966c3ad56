"""The I3D network of the FVD: Inception-v1 with every filter inflated to 3-D, RGB, Kinetics-400.

Carreira and Zisserman 2017 (arXiv:1705.07750), as the TensorFlow graph of
`deepmind/i3d-kinetics-400/1` defines it: padding SAME in all convolutions and max-pools (asymmetric
where the total is odd: the larger part stands at the end), batch normalisation without a scale and
with epsilon 1e-3, an average pool of 2 x 7 x 7 without padding, 400 logits, their mean over time.

`I3D` is the definition, unit by unit; `vpbench.metrics.i3d.folded` computes the same faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.api.errors import Corrupt, MissingWeights, UsageError
from vpbench.metrics.i3d.recipes import EPS

SIDE = 224
"""Height and width of the input, px."""
MIN_FRAMES = 9
"""The last pool needs two positions in time, which eight frames do not give."""
LOGITS = 400

Triple = tuple[int, int, int]
_PREFIX = "RGB/inception_i3d/"
_HEAD = "Logits/Conv3d_0c_1x1"
_ONE: Triple = (1, 1, 1)
_THREE: Triple = (3, 3, 3)

# Widths of (Branch_0; Branch_1 a, b; Branch_2 a, b; Branch_3), and the pool before the block.
_BLOCKS: Mapping[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
BLOCKS = tuple(_BLOCKS)
"""Names of the nine Inception blocks, in order."""
POOLS: Mapping[str, tuple[Triple, Triple]] = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Kernel and stride of the max-pool that stands before a unit or block."""


@dataclass(frozen=True)
class UnitSpec:
    """Convolution, normalisation and ReLU: name in the TensorFlow graph, widths, kernel, stride."""

    name: str
    n_in: int
    n_out: int
    kernel: Triple
    stride: Triple = _ONE


def unit_specs(narrow: int = 1) -> Iterator[UnitSpec]:
    """The 57 units in the order in which the graph runs them.

    Args:
        narrow: divides every width, for quick tests of the structure; 1, 2, 4 or 8.
    """

    def spec(name: str, n_in: int, n_out: int, kernel: Triple, stride: Triple = _ONE) -> UnitSpec:
        first = n_in if n_in == 3 else n_in // narrow
        return UnitSpec(name, first, n_out // narrow, kernel, stride)

    yield spec("Conv3d_1a_7x7", 3, 64, (7, 7, 7), (2, 2, 2))
    yield spec("Conv3d_2b_1x1", 64, 64, _ONE)
    yield spec("Conv3d_2c_3x3", 64, 192, _THREE)
    width = 192
    for block, (b0, b1a, b1b, b2a, b2b, b3) in _BLOCKS.items():
        # One unit of the graph carries a misprint: 0a for 0b.
        second = "0a" if block == "Mixed_5b" else "0b"
        yield spec(f"{block}/Branch_0/Conv3d_0a_1x1", width, b0, _ONE)
        yield spec(f"{block}/Branch_1/Conv3d_0a_1x1", width, b1a, _ONE)
        yield spec(f"{block}/Branch_1/Conv3d_0b_3x3", b1a, b1b, _THREE)
        yield spec(f"{block}/Branch_2/Conv3d_0a_1x1", width, b2a, _ONE)
        yield spec(f"{block}/Branch_2/Conv3d_{second}_3x3", b2a, b2b, _THREE)
        yield spec(f"{block}/Branch_3/Conv3d_0b_1x1", width, b3, _ONE)
        width = b0 + b1b + b2b + b3


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis of `size` under TensorFlow's SAME; the odd one is after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Pad [B,C,T,H,W] with zeros as TensorFlow's SAME does."""
    sizes = zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True)
    pads = [p for n, k, s in sizes for p in same_padding(n, k, s)]
    return F.pad(x, pads) if any(pads) else x


class Unit(nn.Module):
    """Convolution without bias, batch normalisation with stored statistics, ReLU."""

    weight: Tensor
    beta: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, spec: UnitSpec, eps: float) -> None:
        super().__init__()
        self.spec, self.eps = spec, eps
        self.register_buffer("weight", torch.zeros(spec.n_out, spec.n_in, *spec.kernel))
        for name, value in (("beta", 0.0), ("mean", 0.0), ("variance", 1.0)):
            self.register_buffer(name, torch.full((spec.n_out,), value))

    def forward(self, x: Tensor) -> Tensor:
        """[B,n_in,T,H,W] to [B,n_out,...], SAME."""
        x = pad_same(x, self.spec.kernel, self.spec.stride)
        x = F.conv3d(x, self.weight, stride=self.spec.stride)
        return F.batch_norm(x, self.mean, self.variance, bias=self.beta, eps=self.eps).relu_()


class I3D(nn.Module):
    """The network as the graph defines it; for inference only, so all tensors are buffers.

    Args:
        eps: of the batch normalisations; 1e-3 is the graph's.
        narrow: divides every width but the 3 and the 400, for quick tests.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, eps: float = EPS, narrow: int = 1) -> None:
        super().__init__()
        self.eps, self.narrow = eps, narrow
        self.units = nn.ModuleDict({s.name: Unit(s, eps) for s in unit_specs(narrow)})
        self.register_buffer("weight", torch.zeros(LOGITS, 1024 // narrow))
        self.register_buffer("bias", torch.zeros(LOGITS))
        self.eval()

    def train(self, mode: bool = True) -> I3D:
        """Only `train(False)`: stored statistics are part of the features' definition.

        Raises:
            UsageError: `mode` is true.
        """
        if mode:
            raise UsageError("I3D computes features only; it has no training mode.")
        super().train(False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Logits averaged over time.

        Args:
            x: floating point [B,3,T,224,224] in [-1,1], T at least 9.

        Returns:
            [B,400], dtype of `x`.

        Raises:
            UsageError: another shape.
        """
        check_input(x.shape)
        for name in ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3"):
            x = self.units[name](_pooled(x, name))
        for block in BLOCKS:
            x = self._block(_pooled(x, block), block)
        x = F.avg_pool3d(x, (2, 7, 7), 1)
        x = F.conv3d(x, self.weight[:, :, None, None, None], self.bias)
        return x.flatten(2).mean(2)

    def _block(self, x: Tensor, block: str) -> Tensor:
        paths = block_units(block)
        pooled = F.max_pool3d(pad_same(x, _THREE, _ONE), _THREE, 1)
        outs = [x, x, x, pooled]
        for k, path in enumerate(paths):
            for name in path:
                outs[k] = self.units[name](outs[k])
        return torch.cat(outs, 1)


def block_units(block: str) -> list[list[str]]:
    """Names of the units of a block: four branches of one or two, in the order of the output."""
    names = [s.name for s in unit_specs() if s.name.startswith(f"{block}/")]
    return [[n for n in names if n.startswith(f"{block}/Branch_{k}/")] for k in range(4)]


def check_input(shape: torch.Size) -> None:
    """Refuse what would silently give other features.

    Raises:
        UsageError: not [B,3,T,224,224] with T at least 9.
    """
    if len(shape) != 5 or shape[1] != 3 or shape[0] < 1:
        raise UsageError(f"I3D needs clips of shape [B,3,T,224,224], got {list(shape)}.")
    if tuple(shape[3:]) != (SIDE, SIDE):
        raise UsageError(
            f"I3D needs frames of {SIDE}x{SIDE} px, got {shape[4]}x{shape[3]}: "
            "another size would give several logits in space, which is another feature."
        )
    if shape[2] < MIN_FRAMES:
        raise UsageError(f"I3D needs at least {MIN_FRAMES} frames a clip, got {shape[2]}.")


def _pooled(x: Tensor, before: str) -> Tensor:
    """The max-pool that stands before a unit or block. Its inputs are >= 0: zeros pad like -inf."""
    if before not in POOLS:
        return x
    kernel, stride = POOLS[before]
    return F.max_pool3d(pad_same(x, kernel, stride), kernel, stride)


def variables(net: I3D) -> dict[str, tuple[Tensor, tuple[int, ...]]]:
    """TensorFlow name of each of the 230 variables: the buffer, and its TensorFlow shape."""
    out: dict[str, tuple[Tensor, tuple[int, ...]]] = {}
    for name, unit in net.units.items():
        assert isinstance(unit, Unit)
        spec, bn = unit.spec, (1, 1, 1, 1, unit.spec.n_out)
        out[f"{_PREFIX}{name}/conv_3d/w"] = unit.weight, (*spec.kernel, spec.n_in, spec.n_out)
        out[f"{_PREFIX}{name}/batch_norm/beta"] = unit.beta, bn
        out[f"{_PREFIX}{name}/batch_norm/moving_mean"] = unit.mean, bn
        out[f"{_PREFIX}{name}/batch_norm/moving_variance"] = unit.variance, bn
    n_out, n_in = net.weight.shape
    out[f"{_PREFIX}{_HEAD}/conv_3d/w"] = net.weight, (1, 1, 1, n_in, n_out)
    out[f"{_PREFIX}{_HEAD}/conv_3d/b"] = net.bias, (n_out,)
    return out


def load(path: Path | str, eps: float = EPS) -> I3D:
    """Read the 230 variables, named and laid out as in TensorFlow, from a safetensors file.

    Args:
        path: the file; kernels are float32 [t,h,w,in,out], statistics [1,1,1,1,C].
        eps: of the batch normalisations.

    Raises:
        MissingWeights: there is no such file.
        Corrupt: not a safetensors file, or other names, shapes or dtypes, or not finite.
    """
    import safetensors
    import safetensors.torch

    if not Path(path).is_file():
        raise MissingWeights(f"there are no I3D weights at {path}.")
    try:
        stored = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as err:
        raise Corrupt(f"{path} is not a safetensors file: {err}.") from err
    net = I3D(eps)
    wanted = variables(net)
    if odd := sorted(wanted.keys() ^ stored.keys()):
        raise Corrupt(f"{path} does not hold the I3D variables: {odd[0]} is missing or unknown.")
    for name, (buffer, shape) in wanted.items():
        value = stored[name]
        if tuple(value.shape) != shape or value.dtype != torch.float32:
            raise Corrupt(f"{path}: {name} is {value.dtype} {list(value.shape)}, not {shape}.")
        if not bool(torch.isfinite(value).all()):
            raise Corrupt(f"{path}: {name} is not finite.")
        value = value.permute(4, 3, 0, 1, 2) if value.ndim == 5 else value
        buffer.copy_(value.reshape(buffer.shape))
    return net
