"""Compact weights: matrices in half precision, vectors in full, the same in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from vpbench.api import Corrupt
from vpbench.kit.state import load_state, save_state


def _compact(value: Tensor) -> Tensor:
    """Half precision for what has two axes or more; biases, gains and counters stay."""
    return value.half() if value.is_floating_point() and value.ndim > 1 else value


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Make the weights what `save_weights` stores, so that memory and disk predict the same."""
    for value in (*module.parameters(), *module.buffers()):
        value.copy_(_compact(value))


def save_weights(module: nn.Module, folder: Path, without: tuple[str, ...] = ()) -> None:
    """Write a module's state; a module with rounded weights is read back bit for bit.

    Args:
        without: beginnings of names that are not written, such as those of a network that only
            training uses; `load_weights` takes them as `new`.
    """
    state = module.state_dict()
    kept = {name: value for name, value in state.items() if not name.startswith(without or ("\0",))}
    save_state(folder, {name: _compact(value) for name, value in kept.items()})


def load_weights(module: nn.Module, folder: Path, device: str, new: tuple[str, ...] = ()) -> None:
    """Read what `save_weights` wrote, and move the module to `device`.

    Args:
        new: beginnings of names that an earlier stage did not have; they keep their first values.

    Raises:
        Corrupt: the folder holds the weights of other networks.
    """
    stored = load_state(folder)
    own = module.state_dict()
    missing = [n for n in own if n not in stored and not n.startswith(new or ("\0",))]
    strange = [n for n in stored if n not in own]
    other = [n for n, v in stored.items() if n in own and v.shape != own[n].shape]
    for names, what in ((missing, "lacks"), (strange, "also holds"), (other, "has other sizes of")):
        if names:
            raise Corrupt(
                f"{folder} {what} {names[0]}: it was fitted with other settings.",
                fix="Delete its stage folder and fit again.",
            )
    module.load_state_dict(stored, strict=False)
    module.to(device)


def count(module: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(p.numel() for p in module.parameters())
