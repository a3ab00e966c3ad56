"""The Inception network of the FID, built without pytorch-fid's download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from vpbench.api.errors import Corrupt
from vpbench.kit.perceptual_networks import read_weights

CLASSES = 1008
"""Outputs of TensorFlow's Inception of 2015."""


def inception(path: Path | str) -> nn.Module:
    """Images float [N,3,299,299] in [-1,1] to features [N,2048].

    pytorch-fid's own constructor fetches its weights, so its blocks are put together here.

    Args:
        path: the converted file of the weights `inception-fid`.

    Raises:
        Corrupt: the file holds another network.
        MissingWeights: there is no file.
    """
    state = read_weights(path)
    with torch.device("meta"):  # nothing is drawn at random
        net = whole_inception()
    try:
        net.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise Corrupt(f"{path} holds no Inception network ({error!s:.200}).") from error
    net.fc = nn.Identity()
    return net.eval()


def whole_inception() -> Any:
    """The network with its classifier, untrained."""
    from pytorch_fid import inception as fid
    from torchvision.models import inception_v3

    net: Any = inception_v3(weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False)
    net.Mixed_5b = fid.FIDInceptionA(192, pool_features=32)
    net.Mixed_5c = fid.FIDInceptionA(256, pool_features=64)
    net.Mixed_5d = fid.FIDInceptionA(288, pool_features=64)
    net.Mixed_6b = fid.FIDInceptionC(768, channels_7x7=128)
    net.Mixed_6c = fid.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6d = fid.FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6e = fid.FIDInceptionC(768, channels_7x7=192)
    net.Mixed_7b = fid.FIDInceptionE_1(1280)
    net.Mixed_7c = fid.FIDInceptionE_2(2048)
    return net
