"""Numbers follow the bytes of clips, whatever their names and times; damage is found and named."""

import os

import numpy as np
import pytest

from tests.conftest import write_clips
from tests.e2e.helpers import folder, vpbench
from vpbench.cli.main import _run
from vpbench.data.puppets import dataset as puppets
from vpbench.data.puppets import rendered


def psnr(real, fake, tmp_path, *more):
    done = vpbench("measure", real, fake, "--metrics", "psnr", "--json", *more, cwd=tmp_path)
    assert done.code == 0, done.err
    return done.json()["scores"]["psnr"]["value"]


def outputs(place, real, error):
    """Outputs of a model: the real clips, off by `error`."""
    for path in sorted(real.rglob("*.npz")):
        target = place / path.relative_to(real)
        target.parent.mkdir(parents=True, exist_ok=True)
        frames = np.load(path)["frames"].astype(int)
        np.savez(target, frames=(frames + np.where(frames < 128, error, -error)).astype(np.uint8))


def test_measure_of_another_model_unpacked_over_the_first(tmp_path):
    """The first build printed 38.55 dB where 17.04 were right."""
    real = write_clips(tmp_path / "real", (("test", 4),))
    fake = tmp_path / "fake"
    outputs(fake, real, 3)
    first = psnr(real, fake, tmp_path)
    times = {path: path.stat() for path in fake.rglob("*.npz")}
    outputs(fake, real, 36)
    for path, status in times.items():
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert path.stat().st_size == status.st_size
    second = psnr(real, fake, tmp_path)
    assert first == pytest.approx(20 * np.log10(255 / 3)) and first == pytest.approx(
        38.59, abs=0.01
    )
    assert second == pytest.approx(20 * np.log10(255 / 36))
    assert psnr(real, fake, tmp_path, "--recompute") == second


def test_damaged_conversions_are_named_and_made_again(clips, tmp_path):
    where = folder(clips, size=8)
    assert vpbench("data", "prepare", where, cwd=tmp_path).code == 0
    path = sorted((tmp_path / "home" / "clips").rglob("*.npy"))[3]
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    found = vpbench("data", "verify", where, "--json", cwd=tmp_path)
    (error,) = (p for p in found.json()["problems"] if p["level"] == "error")
    assert found.code == 4 and error["path"] == str(path) and "data prepare" in error["fix"]
    made = vpbench("data", "prepare", where, cwd=tmp_path)
    assert made.code == 0 and f"{path} in the cache was damaged" in made.err
    assert path.read_bytes() == whole
    assert vpbench("data", "verify", where, cwd=tmp_path).code == 0


@pytest.mark.parametrize("damage", ["empty", "flip", "missing"])
def test_a_damaged_cache_of_puppets_at_the_command_line(monkeypatch, capsys, damage):
    """An empty file ended as "interrupted" once, a missing one as a bug."""
    monkeypatch.setattr(puppets, "SPLITS", dict.fromkeys(puppets.SPLITS, 2))
    monkeypatch.setattr(rendered, "cores", lambda: 1)
    verify, prepare = (["data", verb, "puppets[size=16]"] for verb in ("verify", "prepare"))
    assert _run(prepare) == 0 and _run(verify) == 0
    capsys.readouterr()
    (path,) = (p for p in _home().glob("puppets/*/test-joints.npy"))
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else data[:-1] + bytes([data[-1] ^ 1]))
    assert _run(verify) == 4
    out = capsys.readouterr().out
    assert "error: " in out and "in the cache is damaged" in out and "not usable" in out
    assert "vpbench data prepare 'puppets[size=16]'" in out
    assert _run(["data", "preview", "puppets[size=16]", "--out", str(_home() / "out")]) == 4
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "bug" not in err and "interrupted" not in err
    assert _run(prepare) == 0 and path.read_bytes() == data
    assert "was rendered again" in capsys.readouterr().err
    assert _run(verify) == 0


def _home():
    from vpbench.core.paths import user_paths

    return user_paths().cache


def test_an_end_of_file_inside_is_not_an_interrupt(monkeypatch, capsys):
    """click takes any EOFError for the end of its input."""

    def broken(*args, **more):
        raise EOFError("No data left in file")

    monkeypatch.setattr("vpbench.cli.data._open", broken)
    assert _run(["data", "verify", "puppets"]) == 70
    assert "a bug in vpbench: EOFError" in capsys.readouterr().err
