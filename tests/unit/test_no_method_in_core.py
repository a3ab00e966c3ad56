"""Methods are plugins: none is named inside the package."""

import re
from pathlib import Path

import vpbench

ROOT = Path(vpbench.__file__).parent


def test_no_name_of_a_method_stands_in_the_core():
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted([*ROOT.rglob("*.py"), *ROOT.rglob("*.tmpl")])
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b(ours|wichers|villegas)\b", line)
    ]
    assert found == []
    # the door that they come through must not be a direct import either
    assert not [
        p
        for p in ROOT.rglob("*.py")
        if re.search(
            r"^\s*(import|from) vpbench_(keypoints|baselines)", p.read_text(), re.MULTILINE
        )
    ]
