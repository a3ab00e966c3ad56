"""What must be quick imports nothing heavy; what is shipped is whole."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.e2e.helpers import folder, real, vpbench

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pandas", "scipy", "cv2", "av", "PIL", "torchmetrics", "timm", "numpy")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list"],
        ["run", "--help"],
        ["compare", "--help"],
        ["predict", "--help"],
        ["figure", "sweep", "--help"],
        ["--version"],
        ["list", "--json"],
    ],
)
def test_help_and_list_import_nothing_heavy(words, tmp_path):
    code = (
        "import sys\nfrom vpbench.cli.main import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    loaded = set(done.stderr.split())
    assert not loaded & set(HEAVY), loaded & set(HEAVY)


def test_compare_imports_neither_torch_nor_pandas(clips, tmp_path):
    vpbench("run", "copy-last", "--dataset", folder(clips), "--no-references", cwd=tmp_path)
    code = (
        "import sys\nfrom vpbench.cli.main import main\n"
        "try:\n    main(['compare', 'copy-last'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "copy last frame" in done.stdout
    assert not set(done.stderr.split()) & {"torch", "pandas"}


def test_references_run_without_importing_torch(clips, tmp_path):
    """A worker that predicts references stays small."""
    done = real("run", "copy-last", "--dataset", folder(clips), cwd=tmp_path)
    assert done.code == 0
    import json

    ends = [
        json.loads(line)
        for p in tmp_path.glob("runs/*/*/*/events/predict-*.jsonl")
        for line in p.read_text().splitlines()
        if '"end"' in line
    ]
    assert ends and max(e["peak_mib"] for e in ends) < 200


GROUPS = ("data", "weights", "figure", "bundle", "study", "recogniser", "board")


def test_every_verb_has_help_with_an_example(tmp_path):
    from vpbench.cli.main import VERBS

    words = [[v] for v in VERBS if v not in GROUPS]
    words += [["data", v] for v in ("list", "prepare", "verify", "preview")]
    words += [["bundle", "add"], ["bundle", "attest"]]
    words += [["study", v] for v in ("export", "import", "analyse")]
    words += [["board", v] for v in ("add", "check", "verify", "build")]
    words += [["recogniser", v] for v in ("train", "list", "publish", "install")]
    kinds = ("predictions", "sweep", "translation", "ablation")
    kinds += ("failures", "limits", "confusion", "curves")
    words += [["figure", v] for v in kinds]
    for verb in words:
        done = vpbench(*verb, "--help", cwd=tmp_path)
        assert done.code == 0
        assert "Example" in done.out and "--json" in done.out and "--debug" in done.out, verb


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy so that the checkout stays clean."""
    import shutil

    source = tmp_path_factory.mktemp("source") / "vpbench"
    skip = shutil.ignore_patterns(
        ".git", "*.egg-info", "build", "dist", "__pycache__", ".*_cache", "runs", ".venv"
    )
    shutil.copytree(ROOT, source, ignore=skip)
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(out),
            str(source),
        ],
        check=True,
        capture_output=True,
    )
    return next(out.glob("*.whl"))


@pytest.mark.e2e
def test_the_wheel_holds_all_packages_and_data(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    for base, package in (
        (ROOT, "vpbench"),
        (ROOT / "plugins", "vpbench_keypoints"),
        (ROOT / "baselines", "vpbench_baselines"),
    ):
        for path in sorted((base / package).rglob("*")):
            name = path.relative_to(base).as_posix()
            if path.is_file() and "__pycache__" not in name:
                assert name in inside, name
    assert not any(n.startswith("tests/") for n in inside)


@pytest.mark.e2e
def test_the_wheel_works_in_an_environment_of_its_own(wheel, clips, tmp_path):
    """Third-party packages are reused from here; vpbench itself is only in the new environment."""
    home = tmp_path / "env"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    purelib = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(purelib),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    here = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (purelib / "borrowed.pth").write_text(f"{here}\n")
    env = {**os.environ, "PYTHONPATH": ""}
    words = [python, "-m", "vpbench", "run", "copy-last", "--dataset", folder(clips)]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "copy last frame" in done.stdout
    where = subprocess.run(
        [python, "-c", "import vpbench; print(vpbench.__file__)"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(purelib) in where
