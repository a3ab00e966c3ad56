"""What setuptools puts into the wheel beside Python: listed, not built."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_LIST = """
import json
from setuptools import Distribution
distribution = Distribution({"script_name": "setup.py", "include_package_data": False})
distribution.parse_config_files()
command = distribution.get_command_obj("build_py")
command.ensure_finalized()
listed = [f"{package.replace('.', '/')}/{name}"
          for package, _, _, names in command.data_files for name in names]
print(json.dumps([sorted(distribution.packages), listed]))
"""


@pytest.mark.parametrize(
    ("root", "package"), [("plugins", "vpbench_keypoints"), ("baselines", "vpbench_baselines")]
)
def test_checkpoints_of_our_plugins_are_in_the_wheel(tmp_path, root, package):
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    for place in ("README.md", "LICENSE", "vpbench/__init__.py", f"{root}/{package}/__init__.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / place, tmp_path / place)
    stage = "checkpoints/mine.keypoints-0123456789abcdef"
    wanted = [
        f"{stage}/stage.json",
        f"{stage}/train.jsonl",
        f"{stage}/checkpoint/detector/state.json",
        f"{stage}/checkpoint/detector/tensors.safetensors",
    ]
    for name in (*wanted, f"{stage}/notes.tmp"):
        path = tmp_path / root / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", _LIST], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    packages, listed = json.loads(done.stdout.splitlines()[-1])
    assert package in packages
    assert {n for n in listed if "checkpoints" in n} == {f"{package}/{name}" for name in wanted}
