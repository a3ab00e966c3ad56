"""What the README shows works."""

import re
from pathlib import Path

from tests.e2e.helpers import folder, vpbench

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_method_in_the_readme_runs_as_it_stands(clips, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "mine.py").write_text(code)
    words = ("--dataset", folder(clips), "--no-references", "--json")
    mine = vpbench("run", "./mine.py:SPEC", *words, cwd=tmp_path).json()["runs"][0]
    copy = vpbench("run", "copy-last", *words, cwd=tmp_path).json()["runs"][0]
    assert mine["status"] == "ok"
    assert mine["scores"]["psnr"]["value"] == copy["scores"]["psnr"]["value"]


def test_the_test_command_is_where_the_check_script_looks_for_it():
    block = README.partition("<!-- tests -->")[2].partition("```sh\n")[2].partition("```")[0]
    assert "pytest -n 2" in block and ".venv" in block
