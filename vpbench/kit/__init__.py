"""Torch helpers for plugins; public, together with `vpbench.api`.

Names load on first use (PEP 562): importing this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vpbench.kit.adversarial import apply_gradients as apply_gradients
    from vpbench.kit.adversarial import discriminator_loss as discriminator_loss
    from vpbench.kit.adversarial import fake_loss as fake_loss
    from vpbench.kit.adversarial import frozen_logits as frozen_logits
    from vpbench.kit.adversarial import generator_loss as generator_loss
    from vpbench.kit.adversarial import real_loss as real_loss
    from vpbench.kit.composed import ComposedMethod as ComposedMethod
    from vpbench.kit.composed import evaluating as evaluating
    from vpbench.kit.fabric import make_fabric as make_fabric
    from vpbench.kit.files import read_clip as read_clip
    from vpbench.kit.layers import conv3x3 as conv3x3
    from vpbench.kit.layers import glorot as glorot
    from vpbench.kit.layers import pass_on as pass_on
    from vpbench.kit.layers import upconv3x3 as upconv3x3
    from vpbench.kit.loop import Training as Training
    from vpbench.kit.loop import training_steps as training_steps
    from vpbench.kit.perceptual import FeatureNetwork as FeatureNetwork
    from vpbench.kit.perceptual import PerceptualLoss as PerceptualLoss
    from vpbench.kit.perceptual_networks import perceptual_network as perceptual_network
    from vpbench.kit.pictures import contact_sheet as contact_sheet
    from vpbench.kit.pictures import draw_keypoints as draw_keypoints
    from vpbench.kit.prefetch import Prefetch as Prefetch
    from vpbench.kit.pretrained import EFFICIENTNET_LITE0 as EFFICIENTNET_LITE0
    from vpbench.kit.pretrained import VGG16_HED as VGG16_HED
    from vpbench.kit.pretrained import VGG19 as VGG19
    from vpbench.kit.schedules import autocast as autocast
    from vpbench.kit.schedules import cosine as cosine
    from vpbench.kit.schedules import exponential as exponential
    from vpbench.kit.schedules import linear_decay as linear_decay
    from vpbench.kit.schedules import named_precision as named_precision
    from vpbench.kit.schedules import pair_window as pair_window
    from vpbench.kit.schedules import ramp as ramp
    from vpbench.kit.schedules import rate_factor as rate_factor
    from vpbench.kit.schedules import require_at_least as require_at_least
    from vpbench.kit.schedules import require_one_of as require_one_of
    from vpbench.kit.schedules import set_rate as set_rate
    from vpbench.kit.schedules import validation_due as validation_due
    from vpbench.kit.schedules import warm_up as warm_up
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
    from vpbench.kit.threads import limited_threads as limited_threads
    from vpbench.kit.threads import pick_device as pick_device
    from vpbench.kit.threads import seeded as seeded
    from vpbench.kit.threads import set_threads as set_threads
    from vpbench.kit.validation import each_once as each_once
    from vpbench.kit.validation import task_window as task_window
    from vpbench.kit.validation import validation_clips as validation_clips
    from vpbench.kit.weights import load_weights as load_weights
    from vpbench.kit.weights import round_weights as round_weights
    from vpbench.kit.weights import save_weights as save_weights

_HOME = {
    "adversarial": "apply_gradients discriminator_loss fake_loss frozen_logits generator_loss "
    "real_loss",
    "composed": "ComposedMethod evaluating",
    "fabric": "make_fabric",
    "files": "read_clip",
    "layers": "conv3x3 glorot pass_on upconv3x3",
    "loop": "Training training_steps",
    "perceptual": "FeatureNetwork PerceptualLoss",
    "perceptual_networks": "perceptual_network",
    "pictures": "contact_sheet draw_keypoints",
    "prefetch": "Prefetch",
    "pretrained": "EFFICIENTNET_LITE0 VGG16_HED VGG19",
    "schedules": "autocast cosine exponential linear_decay named_precision pair_window ramp "
    "rate_factor require_at_least require_one_of set_rate validation_due warm_up",
    "state": "from_arrays load_state save_state to_arrays",
    "tensors": "generator normal pose_to_tensor to_tensor to_uint8",
    "threads": "deterministic device_name limited_threads pick_device seeded set_threads",
    "validation": "each_once task_window validation_clips",
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
