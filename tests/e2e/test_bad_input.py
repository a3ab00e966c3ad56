"""Bad input: one sentence that names the file and the fix, and the right exit code."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.conftest import moving_square
from tests.e2e.helpers import PLUGINS, folder, vpbench


def run(where, tmp_path, *more, env=None):
    done = vpbench(
        "run", "copy-last", "--no-references", "--dataset", where, *more, cwd=tmp_path, env=env
    )
    assert len([x for x in done.err.splitlines() if x.startswith("error:")]) <= 1
    return done


def test_missing_folder(tmp_path):
    done = run("folder:nowhere", tmp_path)
    assert done.code == 5 and "nowhere" in done.err


def test_empty_class(clips, tmp_path):
    (clips / "test" / "left").mkdir()
    done = run(folder(clips), tmp_path)
    assert done.code == 4 and "left" in done.err


@pytest.mark.parametrize("name", ["broken.mp4", "broken.gif", "broken.npz", "broken.webm"])
def test_a_text_file_with_the_ending_of_a_video(clips, tmp_path, name):
    (clips / "test" / "down" / name).write_text("this is no video\n" * 50)
    done = run(folder(clips), tmp_path)
    assert done.code == 4 and name in done.err


def test_truncated_mp4(clips, tmp_path):
    from vpbench.media.encode import write_mp4

    path = clips / "test" / "down" / "cut.mp4"
    rng = np.random.default_rng(0)
    write_mp4(path, rng.integers(0, 256, (40, 64, 64, 3), np.uint8), 25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    done = run(folder(clips), tmp_path)
    assert done.code == 4 and "cut.mp4" in done.err


def test_too_short_clips_are_left_out_and_counted(clips, tmp_path):
    np.savez(clips / "test" / "down" / "short.npz", frames=moving_square(1, 0, 5))
    done = run(folder(clips), tmp_path)
    assert done.code == 0 and "1 clips are too short" in done.err and "1 in test" in done.err
    refused = run(folder(clips, short="error"), tmp_path)
    assert refused.code == 4 and "down/short" in refused.err and "has 5 frames" in refused.err
    none = run(folder(clips, horizon=30), tmp_path)
    assert none.code == 5 and "fewer than the 31 frames" in none.err


def test_nan_and_wrong_channels_and_floats(clips, tmp_path):
    good = moving_square(1, 0)
    for name, frames in {
        "nan": np.full(good.shape, np.nan, np.float32),
        "float": good / 255.0,
        "two": good[..., :2],
        "four": np.concatenate([good, good[..., :1]], -1),
        "flat": good[0],
    }.items():
        path = clips / "test" / "down" / f"{name}.npz"
        np.savez(path, frames=frames)
        done = run(folder(clips), tmp_path)
        assert done.code == 4 and f"{name}.npz" in done.err, (name, done.err)
        path.unlink()


def test_a_large_picture_is_read_without_a_warning(tmp_path):
    """Pillow warns of what is twice as large as it thinks plausible; a strip of frames may be."""
    Image.new("RGB", (16, 16)).save(tmp_path / "large.png")
    code = (
        "from PIL import Image; Image.MAX_IMAGE_PIXELS = 200\n"
        "from pathlib import Path; from vpbench.media.images import opened\n"
        "with opened(Path('large.png')) as image: print(image.size)"
    )
    words = (sys.executable, "-W", "error", "-c", code)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "(16, 16)\n", "")


def test_duplicate_clip_ids(clips, tmp_path):
    from vpbench.media.encode import write_gif

    write_gif(clips / "test" / "down" / "clip01.gif", moving_square(1, 0), 10)
    done = run(folder(clips), tmp_path)
    assert done.code == 4 and "clip01.gif" in done.err and "clip01.npz" in done.err


def test_unknown_names_offer_the_nearest(clips, tmp_path):
    words = ("--dataset", folder(clips))
    for arguments, near in (
        (("run", "copy-lats", *words), "copy-last"),
        (("run", "copy-last[size=3]", *words), "size"),
        (("run", "copy-last", "--metrics", "pnsr", *words), "psnr"),
        (("run", "copy-last", "--dataset", "foldre:x"), "folder"),
        (("run", "copy-last", "--dataset", folder(clips, horizn=3)), "horizon"),
        (("rnu", "copy-last"), "run"),
        (("info", "copy-lst"), "copy-last"),
    ):
        done = vpbench(*arguments, cwd=tmp_path)
        assert done.code == 2 and near in done.err, (arguments, done.err)


def test_label_out_of_range(clips, tmp_path):
    plugin = str(PLUGINS / "bad_dataset.py")
    env = {"VPBENCH_PLUGINS": plugin}
    done = run("badlabels", tmp_path, env=env)
    assert done.code == 4 and "label 7" in done.err and "2 classes" in done.err
    twice = run("twice", tmp_path, env=env)
    assert twice.code == 4 and "same" in twice.err


def test_options_out_of_range(clips, tmp_path):
    for words in (
        ("--seeds", "3-1"),
        ("--seeds", "x"),
        ("--samples", 0),
        ("--workers", 0),
        ("--limit", 0),
        ("--checkpoint", "nowhere"),
        ("--task", "other"),
        ("--device", "cuda:9"),
    ):
        done = vpbench("run", "copy-last", "--dataset", folder(clips), *words, cwd=tmp_path)
        expected = 0 if words[0] == "--device" else 2  # references need no device
        assert done.code == expected, (words, done.err)
    for options in ({"size": 0}, {"horizon": 0}, {"stride": -1}, {"short": "maybe"}):
        done = run(folder(clips, **options), tmp_path)
        assert done.code == 2, (options, done.err)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("float", "float"),
        ("nan", "NaN"),
        ("shape", "shape"),
        ("horizon", "shape"),
        ("list", "list"),
        ("raise", "ValueError: on purpose"),
        ("init", "could not be created"),
        ("import", "no_such_package"),
    ],
)
def test_bad_answers_of_a_method(clips, tmp_path, how, says):
    env = {"VPBENCH_PLUGINS": str(PLUGINS / "bad_methods.py")}
    done = vpbench(
        "run",
        f"bad[how={how}]",
        "copy-last",
        "--dataset",
        folder(clips),
        "--json",
        "--no-references",
        cwd=tmp_path,
        env=env,
    )
    assert done.code == (5 if how == "import" else 1)
    bad, good = done.json()["runs"]
    assert bad["status"] == "failed" and says in bad["reason"]
    assert good["status"] == "ok" and good["scores"]["psnr"]["value"] is not None


def test_a_plugin_that_fails_on_import_is_one_red_row(clips, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_package_at_all\n")
    env = {"VPBENCH_PLUGINS": str(broken)}
    listed = vpbench("list", "--json", cwd=tmp_path, env=env).json()["items"]
    (row,) = (i for i in listed if i["status"] == "broken")
    assert "no_such_package_at_all" in row["reason"]
    assert run(folder(clips), tmp_path, env=env).code == 0
    used = vpbench("run", "broken", "--dataset", folder(clips), cwd=tmp_path, env=env)
    assert used.code == 2 and "no_such_package_at_all" in used.err


def test_without_plugins_everything_but_the_methods_works(clips, tmp_path):
    env = {"VPBENCH_NO_PLUGINS": "1", "VPBENCH_PLUGINS": str(PLUGINS / "standins.py")}
    names = {i["name"] for i in vpbench("list", "--json", cwd=tmp_path, env=env).json()["items"]}
    assert "alpha" not in names and {"copy-last", "folder", "psnr", "local"} <= names
    assert run(folder(clips), tmp_path, env=env).code == 0
    assert vpbench("measure", clips, clips, "--json", cwd=tmp_path, env=env).code == 0


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("SPEC = (", 1, "cannot be imported: SyntaxError"),
        ("1 / 0", 1, "cannot be imported: ZeroDivisionError"),
        ("import no_such_package", 5, "needs the Python package 'no_such_package'"),
        ("SPEC = 1", 2, "is not "),
        ("", 2, "has no SPEC"),
    ],
)
def test_a_single_file_that_cannot_be_imported_is_one_sentence(clips, tmp_path, text, code, said):
    (tmp_path / "mine.py").write_text(text)
    words = ("./mine.py:SPEC", "--dataset", folder(clips))
    for done in (
        vpbench("run", *words, cwd=tmp_path),
        vpbench("compare", words[0], cwd=tmp_path),
        vpbench("check", words[0], cwd=tmp_path),
    ):
        assert done.code == code and said in done.err and "mine.py" in done.err
        assert len([x for x in done.err.splitlines() if x.lower().startswith("error:")]) == 1
    assert not (tmp_path / "runs").exists()
