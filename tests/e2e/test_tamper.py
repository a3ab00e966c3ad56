"""Whatever is stored is checked when it is read."""

import json
import shutil

import pytest

from tests.e2e.helpers import TINY, folder, vpbench


def flip(path, where):
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "pattern",
    [
        "run.json",
        "predictions/00000.npz",
        "predictions/00000.json",
        "predictions/MANIFEST.json",
        "scores/psnr@*.json",
        "scores/ssim@*.json",
    ],
)
def test_one_flipped_byte_is_found_and_the_file_named(finished, pattern, where):
    (path,) = finished.glob(f"runs/*/noise/*/{pattern}")
    flip(path, where)
    found = vpbench("compare", "noise", cwd=finished)
    assert found.code == 4, found.out
    assert path.name in found.err and len(found.err.strip().splitlines()) == 1


def test_a_missing_shard_is_found(finished):
    (path,) = finished.glob("runs/*/noise/*/predictions/00000.npz")
    path.unlink()
    found = vpbench("compare", "noise", cwd=finished)
    assert found.code == 4 and path.name in found.err


@pytest.mark.e2e
def test_a_score_of_other_predictions_does_not_count(finished, finished_clips):
    """Scores name the manifest that they belong to."""
    (run,) = finished.glob("runs/*/noise/*")
    kept = finished / "kept"
    shutil.copytree(run / "scores", kept)
    where = ("--dataset", folder(finished_clips))
    vpbench("run", "noise", *where, "--seeds", "5", "--no-references", cwd=finished)
    (other,) = (p for p in finished.glob("runs/*/noise/*") if p != run)
    shutil.rmtree(other / "scores")
    shutil.copytree(kept, other / "scores")
    alone = json.loads((run / "run.json").read_text())["inputs"]["seed"]
    assert alone == 0
    found = vpbench("compare", "noise", "--json", cwd=finished)
    assert found.code == 4 and len(found.err.strip().splitlines()) == 1
    assert f"belongs to the run {run.name}, not to this one" in found.err
    shutil.rmtree(other)
    again = vpbench("run", "noise", *where, "--again", "--no-references", cwd=finished)
    assert again.code == 0, again.err
    shutil.rmtree(run / "scores")
    shutil.copytree(kept, run / "scores")  # of this run, but of the predictions before
    rows = vpbench("compare", "noise", "--json", cwd=finished).json()["groups"][0]["rows"]
    assert rows[0]["seeds"] == [0] and not rows[0]["scores"]
    back = vpbench("run", "noise", *where, "--no-references", cwd=finished)
    assert back.code == 0, back.err
    rows = vpbench("compare", "noise", "--json", cwd=finished).json()["groups"][0]["rows"]
    assert rows[0]["scores"]["psnr"]["n"] == 6


def test_a_changed_checkpoint_is_found_before_it_is_used(finished, finished_clips):
    env = {"VPBENCH_PLUGINS": TINY}
    (run,) = finished.glob("runs/*/tiny")
    shutil.rmtree(run)  # predictions are to be made
    path = next(finished.glob("runs/*/stages/tiny.motion-*/checkpoint/motion/*.safetensors"))
    flip(path, 0.9)
    words = ("run", "tiny", "--dataset", folder(finished_clips), "--no-references")
    done = vpbench(*words, cwd=finished, env=env)
    assert done.code == 4 and path.name in done.err


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(clips, tmp_path):
    """The runs folder is a file system of 256 KiB."""
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        done = vpbench(
            "run",
            "noise",
            "copy-last",
            "--dataset",
            folder(clips, horizon=16, size=64),
            "--runs",
            small,
            "--no-references",
            cwd=tmp_path,
        )
        assert done.code == 5, done.err
        assert "the disk is full" in done.err
        assert not list(small.glob("**/.tmp-*"))
        for array in small.glob("*/*/*/predictions/*.npz"):
            import numpy as np

            assert np.load(array)["frames"].shape[0] == 6
        assert vpbench("compare", "noise", "--runs", small, cwd=tmp_path).code == 5
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_an_unwritable_place_is_one_sentence(clips, tmp_path):
    (tmp_path / "taken").write_text("a file")
    done = vpbench(
        "run", "copy-last", "--dataset", folder(clips), "--runs", "taken/runs", cwd=tmp_path
    )
    assert done.code == 5
    assert len(done.err.strip().splitlines()) == 1 and "cannot write" in done.err
