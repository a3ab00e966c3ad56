"""Clips in files, for plugins that read what another program made."""

from __future__ import annotations

from pathlib import Path

from vpbench.api import Frames


def read_clip(path: Path | str) -> Frames:
    """All frames of a video file, gif, npz, image strip or folder of frames.

    Returns:
        uint8 [T,H,W,3], RGB.

    Raises:
        MissingData: there is no such file.
        BadData: it is not a clip, is damaged, or of a type that is not supported.
    """
    from vpbench.media.decode import read

    return read(Path(path))
