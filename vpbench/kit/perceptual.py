"""Perceptual networks with frozen weights, and the distance that a translator is trained on.

A network reads images float [N,3,H,W] in [0,1] and gives one feature map a layer. Its weights are
neither parameters nor part of `state_dict()`: no optimiser changes them, no checkpoint repeats
them. Gradients flow to the images.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench.api import Corrupt, MissingWeights, UnknownName, UsageError

Preprocessing = Literal["torchvision", "caffe"]
"""torchvision: RGB, ImageNet's mean and deviation. caffe: BGR 0..255 minus its mean."""

_MEAN = {"torchvision": (0.485, 0.456, 0.406), "caffe": (123.68, 116.779, 103.939)}
"""Red, green, blue."""

_DEVIATION = (0.229, 0.224, 0.225)

_VGG16 = (2, 2, 3, 3, 3)
_VGG19 = (2, 2, 4, 4, 4)
"""Convolutions in each of the five blocks (Simonyan and Zisserman 2015, table 1, D and E)."""

_STRIDES = {2: "blocks.0", 4: "blocks.1", 8: "blocks.2", 16: "blocks.4", 32: "blocks.6"}
"""EfficientNet-Lite0: the last block of each stride."""

_CALIBRATION_BATCH = 32


class FeatureNetwork(nn.Module):
    """A frozen network: images float [N,3,H,W] in [0,1] -> one feature map a layer.

    Values outside [0,1] are not clipped. It is in evaluation mode whatever `train` says.

    Attributes:
        name: as in `vpbench weights list`.
        layers: names of the feature maps, from shallow to deep.
        smallest: fewest pixels that height and width may have.
        memory_format: in which it is fastest on a CPU; images of another one are converted.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        name: str,
        layers: Sequence[str],
        parts: Sequence[nn.Module],
        smallest: int,
        mean: Sequence[float],
        scale: Sequence[float],
    ) -> None:
        super().__init__()
        self.name, self.layers, self.smallest = name, tuple(layers), smallest
        self.memory_format = torch.channels_last
        self.parts = nn.ModuleList(parts)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1))
        _freeze(self)
        self.to(memory_format=self.memory_format)  # pyright: ignore[reportCallIssue]
        self.eval()

    def train(self, mode: bool = True) -> FeatureNetwork:
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The feature maps [N,C,h,w], as many as `layers`.

        Raises:
            UsageError: no [N,3,H,W] of floating point, or too small.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise UsageError(
                f"images must be floating point [N,3,H,W], not {images.dtype} {list(images.shape)}."
            )
        if min(images.shape[2:]) < self.smallest:
            raise UsageError(
                f"{self.name} with the layer {self.layers[-1]} needs images of at least "
                f"{self.smallest} px, not {images.shape[3]}x{images.shape[2]}.",
                fix="Choose shallower layers.",
            )
        features = images.contiguous(memory_format=self.memory_format)
        features = (features - self.mean) * self.scale
        found: list[Tensor] = []
        for part in self.parts:
            features = part(features)
            found.append(features)
        return found


def _freeze(module: nn.Module) -> None:
    """Turn all parameters and buffers into buffers of float32 that no checkpoint holds."""
    for part in module.modules():
        for name, value in [*part._parameters.items(), *part._buffers.items()]:
            part._parameters.pop(name, None)
            part._buffers.pop(name, None)
            fixed = None if value is None else value.detach().float()
            part.register_buffer(name, fixed, persistent=False)


# loaders -----------------------------------------------------------------------------------------


def perceptual_network(name: str, path: Path | str, **options: Any) -> FeatureNetwork:
    """The network that weights of some name belong to.

    Args:
        name: "vgg19", "vgg16-hed" or "efficientnet-lite0".
        path: the converted file, as `FitContext.weights(name)` gives it.
        options: of `vgg19`, `vgg16_hed` or `efficientnet_lite0`.

    Raises:
        UnknownName: there is no such perceptual network.
        Corrupt, MissingWeights: see the loaders.
    """
    makers: Mapping[str, Callable[..., FeatureNetwork]] = {
        "vgg19": vgg19,
        "vgg16-hed": vgg16_hed,
        "efficientnet-lite0": efficientnet_lite0,
    }
    if name not in makers:
        raise UnknownName("perceptual network", name, makers)
    return makers[name](path, **options)


def vgg19(
    path: Path | str,
    layers: Sequence[str] = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4"),
    preprocessing: Preprocessing = "torchvision",
) -> FeatureNetwork:
    """VGG-19 (Simonyan and Zisserman 2015) with its features after rectification.

    The default layers are those of Kim et al. 2019, who used the original caffe weights; those of
    torchvision have other magnitudes, which `PerceptualLoss.calibrate` evens out.

    Args:
        path: the converted file of the weights `vgg19`.
        layers: "reluB_C" with block B and convolution C; what is deeper is not computed.
        preprocessing: "caffe" for weights that expect BGR 0..255 minus the mean.

    Raises:
        Corrupt: the file holds no VGG-19.
        MissingWeights: there is no file.
        UnknownName: no such layer.
    """
    return _vgg("vgg19", _VGG19, path, layers, preprocessing)


def vgg16_hed(
    path: Path | str,
    layers: Sequence[str] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
) -> FeatureNetwork:
    """The VGG-16 trunk of HED (Xie and Tu 2015), ImageNet weights tuned further for edges.

    Args:
        path: the converted file of the weights `vgg16-hed`.
        layers: as for `vgg19`, with three convolutions in blocks 3 to 5.

    Raises:
        Corrupt, MissingWeights, UnknownName: as `vgg19`.
    """
    return _vgg("vgg16-hed", _VGG16, path, layers, "caffe")


def efficientnet_lite0(path: Path | str, strides: Sequence[int] = (2, 4, 8)) -> FeatureNetwork:
    """EfficientNet-Lite0 (ImageNet), cut after the deepest stride asked for: the cheap one.

    A feature map is the (linear) output of the last block of its stride; batch normalisation in
    evaluation mode is folded into the convolutions.

    Args:
        path: the converted file of the weights `efficientnet-lite0`.
        strides: of 2, 4, 8, 16, 32: with 16, 24, 40, 112, 320 channels.

    Raises:
        Corrupt: the file holds no EfficientNet-Lite0.
        MissingWeights: there is no file.
        UsageError: no such stride.
    """
    wanted = sorted(set(strides))
    if not wanted or not {*wanted} <= {*_STRIDES}:
        raise UsageError(f"strides={list(strides)} must be of {', '.join(map(str, _STRIDES))}.")
    from timm.models import create_model

    with torch.device("meta"):  # nothing is drawn at random
        model: Any = create_model("tf_efficientnet_lite0", pretrained=False)
    state: Mapping[str, Tensor] = model.state_dict()
    arrays = _read(path)
    # the file has its publisher's names, in the order of timm's
    for (name, place), (theirs, array) in zip(state.items(), arrays.items(), strict=False):
        if place.shape != array.shape:
            raise Corrupt(
                f"{path} holds no EfficientNet-Lite0: {theirs} is {list(array.shape)}, "
                f"{name} {list(place.shape)}."
            )
    if len(state) != len(arrays):
        raise Corrupt(
            f"{path} holds no EfficientNet-Lite0: {len(arrays)} tensors, not {len(state)}."
        )
    model.load_state_dict(dict(zip(state, arrays.values(), strict=True)), assign=True)
    model.eval()
    stem = nn.Sequential(*_folded(model.conv_stem, model.bn1))
    blocks = [_folded_block(block) for block in model.blocks]
    ends = [int(_STRIDES[s].partition(".")[2]) + 1 for s in wanted]
    parts = [nn.Sequential(*blocks[a:b]) for a, b in pairwise([0, *ends])]
    parts[0] = nn.Sequential(stem, *parts[0])
    half = (0.5, 0.5, 0.5)
    layers = [f"stride{s}" for s in wanted]
    return FeatureNetwork("efficientnet-lite0", layers, parts, wanted[-1], half, (2.0, 2.0, 2.0))


def _folded(conv: nn.Conv2d, norm: Any) -> tuple[nn.Conv2d, nn.Module]:
    """A convolution with its batch normalisation in it, and the activation that follows."""
    return torch.nn.utils.fuse_conv_bn_eval(conv, norm), norm.act


def _folded_block(stage: Any) -> nn.Module:
    """A stage of timm's blocks (depthwise separable, inverted residual) without normalisation."""
    for block in stage:
        convs = [n for n in ("conv_pw", "conv_dw", "conv_pwl") if hasattr(block, n)]
        if hasattr(block, "conv_pwl"):
            pairs = list(zip(convs, ("bn1", "bn2", "bn3"), strict=True))
        else:
            pairs = [("conv_dw", "bn1"), ("conv_pw", "bn2")]
        for conv, norm in pairs:
            folded, act = _folded(getattr(block, conv), getattr(block, norm))
            setattr(block, conv, folded)
            setattr(block, norm, act)
    return stage


def _vgg(
    name: str,
    blocks: Sequence[int],
    path: Path | str,
    layers: Sequence[str],
    preprocessing: Preprocessing,
) -> FeatureNetwork:
    known = [f"relu{b + 1}_{c + 1}" for b, n in enumerate(blocks) for c in range(n)]
    for layer in layers:
        if layer not in known:
            raise UnknownName(f"layer of {name}", layer, known)
    if preprocessing not in _MEAN:
        raise UnknownName("preprocessing", preprocessing, _MEAN)
    wanted = [k for k in known if k in layers]
    if not wanted:
        raise UsageError(f"{name} without layers measures nothing.")
    arrays, caffe = _read(path), preprocessing == "caffe"
    parts: list[nn.Module] = []
    part: list[nn.Module] = []
    place, channels = 0, 3  # place among torchvision's `features`
    for layer in known[: known.index(wanted[-1]) + 1]:
        if layer.endswith("_1") and layer != "relu1_1":
            part.append(nn.MaxPool2d(2))
            place += 1
        conv = _conv(arrays, f"features.{place}", channels, name, path)
        if channels == 3 and caffe:  # its convolution expects blue first
            conv.weight = nn.Parameter(conv.weight.detach().flip(1))
        part += [conv, nn.ReLU(inplace=True)]
        place, channels = place + 2, conv.out_channels
        if layer in wanted:
            parts.append(nn.Sequential(*part))
            part = []
    smallest = 2 ** (int(wanted[-1][4]) - 1)
    scale = (255.0,) * 3 if caffe else tuple(1 / d for d in _DEVIATION)
    mean = [m / 255 for m in _MEAN["caffe"]] if caffe else _MEAN["torchvision"]
    return FeatureNetwork(name, wanted, parts, smallest, mean, scale)


def _conv(
    arrays: Mapping[str, Tensor], key: str, channels: int, name: str, path: Path | str
) -> nn.Conv2d:
    weight, bias = arrays.get(f"{key}.weight"), arrays.get(f"{key}.bias")
    if weight is None or bias is None or weight.shape != (len(bias), channels, 3, 3):
        raise Corrupt(f"{path} holds no {name}: {key} is missing or has another shape.")
    with torch.device("meta"):
        conv = nn.Conv2d(channels, len(bias), 3, padding=1)
    conv.weight, conv.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())
    return conv


def _read(path: Path | str) -> dict[str, Tensor]:
    """Tensors of a converted file, in the order of the file that they came from."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise MissingWeights(f"there is no weights file {path}.")
    try:
        with safe_open(path, "pt") as file:
            stored: dict[str, str] = file.metadata() or {}
            order = json.loads(stored.get("order", "null")) or sorted(file.keys())
            return {name: file.get_tensor(name) for name in order}
    except (SafetensorError, ValueError, KeyError) as error:
        raise Corrupt(f"{path} is no whole safetensors file ({error!s:.200}).") from error


# the distance ------------------------------------------------------------------------------------


class PerceptualLoss(nn.Module):
    """Mean over layers of the mean absolute difference of features (Kim et al. 2019).

    Features are divided by their mean magnitude on real frames, one number a layer, and the sum is
    multiplied by one constant; `calibrate` finds both. `state_dict()` holds these numbers only.

    Attributes:
        network: the frozen network.
        scales: float32 [L], what the features of each layer are multiplied with.
        constant: float32 [], what the mean over layers is multiplied with.
        calibrated: bool [], whether `calibrate` has been called (or its result loaded).
    """

    scales: Tensor
    constant: Tensor
    calibrated: Tensor

    def __init__(self, network: FeatureNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scales", torch.ones(len(network.layers)))
        self.register_buffer("constant", torch.ones(()))
        self.register_buffer("calibrated", torch.zeros((), dtype=torch.bool))

    def forward(self, fake: Tensor, real: Tensor | Sequence[Tensor]) -> Tensor:
        """The distance, a scalar >= 0, zero for identical images.

        Args:
            fake: float [N,3,H,W] in [0,1], not clipped; gradients flow to it.
            real: as fake, or what `features` gave for it; no gradient flows to it.
        """
        return self.constant * self.terms(fake, real).mean()

    def terms(self, fake: Tensor, real: Tensor | Sequence[Tensor]) -> Tensor:
        """[L]: the scaled distance of each layer, without the constant.

        Raises:
            UsageError: `fake` and `real` have different shapes, or are no images.
        """
        if isinstance(real, Tensor):
            if real.shape != fake.shape:
                raise UsageError(f"fake {list(fake.shape)} and real {list(real.shape)} differ.")
            real = self.features(real)
        pairs = zip(self.network(fake), real, strict=True)
        return self.scales * torch.stack([F.l1_loss(a, b) for a, b in pairs])

    def features(self, real: Tensor) -> list[Tensor]:
        """Features of real images, for several calls of `terms`; no gradient."""
        with torch.no_grad():
            return self.network(real)

    @torch.no_grad()
    def calibrate(
        self, frames: Tensor, source: Tensor, target: Tensor, copying: float = 10.0
    ) -> dict[str, float]:
        """Set the scale of each layer, and the constant.

        Afterwards the mean |feature| of every layer is 1 on `frames`, and showing `source` where
        `target` was to be shown costs `copying`.

        Args:
            frames: float [N,3,H,W] in [0,1], real training frames; 256 are usual.
            source, target: float [P,3,H,W] in [0,1], real frames of the same clips.

        Returns:
            The figures, for a training record: "scale LAYER" and "constant".

        Raises:
            UsageError: a layer is zero on all frames, or every source is its target.
        """
        sizes = torch.zeros(len(self.scales), dtype=torch.float64)
        for part in frames.split(_CALIBRATION_BATCH):
            found = [f.abs().mean(dtype=torch.float64).cpu() for f in self.network(part)]
            sizes += torch.stack(found) * len(part) / len(frames)
        if not bool((sizes > 0).all()):
            raise UsageError("a layer is zero, or NaN, on all frames.", fix="Use real frames.")
        self.scales.copy_(1 / sizes)
        cost = 0.0
        for a, b in self._pairs(source, target):
            cost += float(self.terms(a, b).double().mean()) * len(a) / len(source)
        if not cost > 0:
            raise UsageError("every source frame equals its target.", fix="Use moving pairs.")
        self.constant.fill_(copying / cost)
        self.calibrated.fill_(True)
        scales = dict(zip(self.network.layers, self.scales.tolist(), strict=True))
        return {f"scale {k}": v for k, v in scales.items()} | {"constant": self.constant.item()}

    def _pairs(self, source: Tensor, target: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        if source.shape != target.shape or not len(source):
            raise UsageError(
                f"source {list(source.shape)} and target {list(target.shape)} differ or are empty."
            )
        split = (x.split(_CALIBRATION_BATCH) for x in (source, target))
        return cast("Iterable[tuple[Tensor, Tensor]]", zip(*split, strict=True))
