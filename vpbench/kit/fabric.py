"""Training on several devices with Lightning Fabric (extra `multi-gpu`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vpbench.api import MissingDependency

if TYPE_CHECKING:
    from lightning_fabric import Fabric  # pyright: ignore[reportMissingImports]


def make_fabric(
    devices: int | str | Sequence[int], accelerator: str = "auto", strategy: str = "auto"
) -> Fabric:
    """Lightning Fabric for a plugin's training loop; the plugin calls `launch()` itself.

    Args:
        devices: how many, which ones, or "auto" for all.
        accelerator: "auto", "cpu" or "cuda".
        strategy: how gradients are shared; "auto" is DDP on more than one device.

    Raises:
        MissingDependency: lightning-fabric is not installed.
    """
    try:
        from lightning_fabric import Fabric  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "lightning_fabric":
            raise
        raise MissingDependency(
            "training on several devices needs lightning-fabric, which is not installed.",
            fix="pip install 'vpbench[multi-gpu]'",
        ) from error
    chosen = devices if isinstance(devices, int | str) else list(devices)
    return Fabric(accelerator=accelerator, devices=chosen, strategy=strategy)
