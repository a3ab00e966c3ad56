"""The same network, arranged for speed on a processor.

- The normalisation is folded into the convolution before it (in float64).
- Channels stand last in memory, so that a 1 x 1 x 1 convolution is one matrix product and the
  other convolutions need no rearranging.
- The three 1 x 1 x 1 convolutions that read a block's input are one.
- Only the first convolution is padded by copying; the others pad evenly, which the library does on
  the fly.
- A max-pool is three maxima of shifted views, one an axis; torch's 3-D pool is 2-50x slower.

It is fastest on one clip at a time: what passes between layers then stays in the cache and in
memory that the allocator already holds (touching fresh pages costs more than a ReLU).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.metrics.i3d.network import (
    BLOCKS,
    I3D,
    POOLS,
    Triple,
    Unit,
    block_units,
    check_input,
    pad_same,
    same_padding,
)

_STEM = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")


class Conv(nn.Module):
    """Convolution with bias and ReLU on channels-last clips [B,T,H,W,C]."""

    weight: Tensor
    bias: Tensor

    def __init__(self, units: list[Unit], dtype: torch.dtype) -> None:
        super().__init__()
        folded = [fold_unit(u) for u in units]
        weight = torch.cat([w for w, _ in folded]).to(dtype)
        bias = torch.cat([b for _, b in folded]).to(dtype)
        spec = units[0].spec
        self.kernel, self.stride = spec.kernel, spec.stride
        self.widths = [u.spec.n_out for u in units]
        if self.kernel == (1, 1, 1):
            weight = weight.flatten(1).contiguous()
        else:
            weight = weight.contiguous(memory_format=torch.channels_last_3d)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B,T,H,W,n_in] to [B,T',H',W',n_out], SAME."""
        if self.kernel == (1, 1, 1):
            return F.linear(x, self.weight, self.bias).relu_()
        x = x.permute(0, 4, 1, 2, 3)
        padding = (1, 1, 1)
        if self.stride != (1, 1, 1):
            x, padding = pad_same(x, self.kernel, self.stride), (0, 0, 0)
        x = _conv3d(x, self.weight, self.bias, padding, self.stride)
        return x.relu_().permute(0, 2, 3, 4, 1)


class Block(nn.Module):
    """One Inception block on channels-last clips."""

    def __init__(self, net: I3D, block: str, dtype: torch.dtype) -> None:
        super().__init__()
        paths = [[unit_of(net, n) for n in names] for names in block_units(block)]
        self.entry = Conv([path[0] for path in paths[:3]], dtype)
        self.second = Conv([paths[1][1]], dtype)
        self.third = Conv([paths[2][1]], dtype)
        self.fourth = Conv([paths[3][0]], dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[B,T,H,W,n_in] to [B,T,H,W,n_out]."""
        first, second, third = self.entry(x).split(self.entry.widths, -1)
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        outs = first, self.second(second), self.third(third), self.fourth(pooled)
        return torch.cat(outs, -1)


class Folded(nn.Module):
    """`I3D` with folded normalisation; the same call, the same values up to rounding.

    Args:
        net: the network with its weights; it is not changed.
        dtype: of the arithmetic up to the last pool; the logits are computed in float32, or in
            float64 if that is asked for.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, net: I3D, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype = dtype
        self.last = torch.float64 if dtype == torch.float64 else torch.float32
        self.stem = nn.ModuleDict({n: Conv([unit_of(net, n)], dtype) for n in _STEM})
        self.blocks = nn.ModuleDict({b: Block(net, b, dtype) for b in BLOCKS})
        self.register_buffer("weight", net.weight.to(self.last))
        self.register_buffer("bias", net.bias.to(self.last))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits averaged over time, as `I3D.forward`.

        Args:
            x: floating point [B,3,T,224,224] in [-1,1], T at least 9; fastest if its memory is
                [B,T,H,W,3].

        Returns:
            float32 (float64 if so built) [B,400].

        Raises:
            UsageError: another shape.
        """
        check_input(x.shape)
        x = x.permute(0, 2, 3, 4, 1).to(self.dtype).contiguous()
        for name, layer in (*self.stem.items(), *self.blocks.items()):
            if name in POOLS:
                x = max_pool(x, *POOLS[name])
            x = layer(x)
        # The average pool [2,7,7] and the mean over time are linear: they come before the logits.
        x = x.to(self.last).mean((2, 3))
        x = (x[:, 1:] + x[:, :-1]).mean(1) / 2
        return F.linear(x, self.weight, self.bias)


def fold(net: I3D, dtype: torch.dtype = torch.float32) -> Folded:
    """The fast form of a network; see `Folded`."""
    return Folded(net, dtype)


def fold_unit(unit: Unit) -> tuple[Tensor, Tensor]:
    """Kernel [out,in,t,h,w] and bias [out] in float64 that include the normalisation."""
    gain = (unit.variance.double() + unit.eps).rsqrt()
    weight = unit.weight.double() * gain[:, None, None, None, None]
    return weight, unit.beta.double() - unit.mean.double() * gain


def unit_of(net: I3D, name: str) -> Unit:
    """The unit of that name."""
    unit = net.units[name]
    assert isinstance(unit, Unit)
    return unit


def max_pool(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Max-pool, SAME, of values >= 0: [B,T,H,W,C] to [B,T',H',W',C]."""
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), 1):
        if k > 1:
            x = _max_along(x, axis, k, s)
    return x


def _max_along(x: Tensor, axis: int, kernel: int, stride: int) -> Tensor:
    """Max-pool along one axis, SAME."""
    n = x.shape[axis]
    n_out, before = -(-n // stride), same_padding(n, kernel, stride)[0]
    # The tap `before` lies inside for every output; the others for a range of them.
    best = _take(x, axis, slice(0, None, stride)).clone()
    for tap in range(kernel):
        shift = tap - before
        first = max(0, -(shift // stride))
        last = min(n_out - 1, (n - 1 - shift) // stride)
        if shift == 0 or first > last:
            continue
        inside = _take(best, axis, slice(first, last + 1))
        start, stop = first * stride + shift, last * stride + shift + 1
        torch.maximum(inside, _take(x, axis, slice(start, stop, stride)), out=inside)
    return best


def _take(x: Tensor, axis: int, part: slice) -> Tensor:
    return x[(slice(None),) * axis + (part,)]


def _conv3d(x: Tensor, weight: Tensor, bias: Tensor, padding: Triple, stride: Triple) -> Tensor:
    """Convolution of [B,C,T,H,W], by oneDNN where there is one.

    In float32, `conv3d` leaves single small clips to a fallback that takes a fifth longer.
    """
    here = x.device.type == "cpu" and torch.backends.mkldnn.is_available()
    if here and x.dtype == torch.float32:
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, (1, 1, 1), 1)
    return F.conv3d(x, weight, bias, stride, padding)
