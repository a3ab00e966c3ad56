"""`folder:PATH[...]`: any folder of clips as a dataset. Only the spec; no heavy imports."""

from __future__ import annotations

from vpbench.api.specs import DatasetSpec

SPEC = DatasetSpec(
    name="folder",
    factory="vpbench.data.folder.dataset:FolderDataset",
    summary="Your own clips: video files, gifs, arrays, image strips or folders of frames",
    options={
        "path": "",
        "conditioning": 1,
        "horizon": 16,
        "size": 64,
        "stride": 1,
        "windows": 1,
        "group": "",
        "label": "",
        "split": "",
        "short": "exclude",
        "layout": "auto",
        "frame": "",
        "ground": "white",
        "rate": "",
        "axes": "",
    },
)
