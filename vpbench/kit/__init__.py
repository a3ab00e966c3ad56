"""Torch helpers for plugins; public, together with `vpbench.api`.

Names load on first use (PEP 562): importing this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vpbench.kit.composed import ComposedMethod as ComposedMethod
    from vpbench.kit.composed import evaluating as evaluating
    from vpbench.kit.fabric import make_fabric as make_fabric
    from vpbench.kit.files import read_clip as read_clip
    from vpbench.kit.loop import Made as Made
    from vpbench.kit.loop import Training as Training
    from vpbench.kit.loop import train as train
    from vpbench.kit.perceptual import FeatureNetwork as FeatureNetwork
    from vpbench.kit.perceptual import PerceptualLoss as PerceptualLoss
    from vpbench.kit.perceptual import perceptual_network as perceptual_network
    from vpbench.kit.pictures import contact_sheet as contact_sheet
    from vpbench.kit.pictures import draw_keypoints as draw_keypoints
    from vpbench.kit.prefetch import Prefetch as Prefetch
    from vpbench.kit.pretrained import EFFICIENTNET_LITE0 as EFFICIENTNET_LITE0
    from vpbench.kit.pretrained import VGG16_HED as VGG16_HED
    from vpbench.kit.pretrained import VGG19 as VGG19
    from vpbench.kit.state import from_arrays as from_arrays
    from vpbench.kit.state import load_state as load_state
    from vpbench.kit.state import save_state as save_state
    from vpbench.kit.state import to_arrays as to_arrays
    from vpbench.kit.tensors import generator as generator
    from vpbench.kit.tensors import normal as normal
    from vpbench.kit.tensors import pose_to_tensor as pose_to_tensor
    from vpbench.kit.tensors import to_tensor as to_tensor
    from vpbench.kit.tensors import to_uint8 as to_uint8
    from vpbench.kit.threads import deterministic as deterministic
    from vpbench.kit.threads import device_name as device_name
    from vpbench.kit.threads import pick_device as pick_device
    from vpbench.kit.threads import seeded as seeded
    from vpbench.kit.threads import set_threads as set_threads
    from vpbench.kit.weights import load_weights as load_weights
    from vpbench.kit.weights import round_weights as round_weights
    from vpbench.kit.weights import save_weights as save_weights

_HOME = {
    "composed": "ComposedMethod evaluating",
    "fabric": "make_fabric",
    "files": "read_clip",
    "loop": "Made Training train",
    "perceptual": "FeatureNetwork PerceptualLoss perceptual_network",
    "pictures": "contact_sheet draw_keypoints",
    "prefetch": "Prefetch",
    "pretrained": "EFFICIENTNET_LITE0 VGG16_HED VGG19",
    "state": "from_arrays load_state save_state to_arrays",
    "tensors": "generator normal pose_to_tensor to_tensor to_uint8",
    "threads": "deterministic device_name pick_device seeded set_threads",
    "weights": "load_weights round_weights save_weights",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = list(_MODULE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'vpbench.kit' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vpbench.kit.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_MODULE))
