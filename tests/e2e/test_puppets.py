"""The first command of the README, on the built-in dataset."""

import json

import pytest
from PIL import Image

from tests.e2e.helpers import vpbench


@pytest.mark.e2e
def test_run_preview_and_verify(tmp_path):
    done = vpbench("run", "copy-last", "nearest-train", "--limit", 9, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    runs = {r["method"]: r for r in json.loads(done.out)["runs"]}
    assert len(runs) == 9 and all(r["task"] == "puppets" for r in runs.values())
    assert runs["copy-last"]["scores"]["psnr"]["value"] > runs["noise"]["scores"]["psnr"]["value"]
    assert "warning" not in done.err
    shown = vpbench("compare", "copy-last", cwd=tmp_path).out
    assert "Rendered figures: says nothing about photographic video" in shown
    drawn = vpbench("data", "preview", "puppets", "--out", "look", cwd=tmp_path)
    assert drawn.code == 0, drawn.err
    with Image.open(tmp_path / "look" / "sheet.png") as sheet:
        assert sheet.width > 12 * 64 and sheet.height > 9 * 64
    with Image.open(tmp_path / "look" / "preview.gif") as moving:
        assert moving.n_frames == 24 and moving.size == (384, 384)
    checked = vpbench("data", "verify", "puppets", "--json", cwd=tmp_path).json()
    assert checked["ok"] is True and checked["problems"] == []
    assert checked["counts"] == {"train": 900, "val": 90, "test": 90, "extra": 27, "large": 512}
    listed = vpbench("data", "list", "--json", cwd=tmp_path).json()
    assert {"puppets", "folder"} <= {i["name"] for i in listed["items"]}
    ready = vpbench("data", "prepare", "puppets", cwd=tmp_path)
    assert ready.code == 0 and "900 train" in ready.out


def test_verify_of_a_broken_folder_lists_everything_and_exits_with_4(clips, tmp_path):
    (clips / "train" / "down" / "bad.mp4").write_text("text")
    (clips / "test" / "right" / "bad.gif").write_text("text")
    done = vpbench("data", "verify", f"folder:{clips}[size=16,horizon=8]", "--json", cwd=tmp_path)
    assert done.code == 4
    wrong = " ".join(p["path"] + p["what"] for p in done.json()["problems"])
    assert "bad.mp4" in wrong and "bad.gif" in wrong
    good = vpbench("data", "verify", f"folder:{clips}[size=16,horizon=8]", cwd=tmp_path)
    assert good.code == 4 and "2 errors" in good.out
