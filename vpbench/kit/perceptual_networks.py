"""Loads the networks of perceptual losses from converted weights (`vpbench weights list`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vpbench.api import Corrupt, MissingWeights, UnknownName, UsageError
from vpbench.kit.perceptual import FeatureNetwork

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
    model = whole_efficientnet_lite0(path)
    stem = nn.Sequential(*_folded(model.conv_stem, model.bn1))
    blocks = [_folded_block(block) for block in model.blocks]
    ends = [int(_STRIDES[s].partition(".")[2]) + 1 for s in wanted]
    parts = [nn.Sequential(*blocks[a:b]) for a, b in pairwise([0, *ends])]
    parts[0] = nn.Sequential(stem, *parts[0])
    half = (0.5, 0.5, 0.5)
    layers = [f"stride{s}" for s in wanted]
    return FeatureNetwork("efficientnet-lite0", layers, parts, wanted[-1], half, (2.0, 2.0, 2.0))


def whole_efficientnet_lite0(path: Path | str) -> Any:
    """EfficientNet-Lite0 as timm builds it, with its classifier, in evaluation mode.

    Args:
        path: the converted file of the weights `efficientnet-lite0`.

    Raises:
        Corrupt: the file holds no EfficientNet-Lite0.
        MissingWeights: there is no file.
    """
    from timm.models import create_model

    with torch.device("meta"):  # nothing is drawn at random
        model: Any = create_model("tf_efficientnet_lite0", pretrained=False)
    state: Mapping[str, Tensor] = model.state_dict()
    arrays = read_weights(path)
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
    return model.eval()


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
    arrays, caffe = read_weights(path), preprocessing == "caffe"
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


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Tensors of a converted file, in the order of the file that they came from.

    Raises:
        Corrupt: it is not a complete safetensors file.
        MissingWeights: there is no file.
    """
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
