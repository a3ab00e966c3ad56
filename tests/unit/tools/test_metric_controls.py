"""Tables of controls: rows that were not made anew stay, in the columns of the new table."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
import metric_controls

HEAD = ["| | other | frozen | codec |", "|---|---|---|---|"]
OLD = [
    "| | frozen | codec | other |",
    "|---|---|---|---|",
    "| `psnr` | 1 | 2 |  |",
    "| `fvd` | 3 | 4 | 5 |",
]
SHORT = ["| | frozen | codec |", "|---|---|---|"]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ([], [*HEAD, "| `fvd` | 5 | 3 | 4 |"], [*HEAD, "| `fvd` | 5 | 3 | 4 |"]),
        (
            OLD,
            [*HEAD, "| `kvd` | 8 | **6 (p<.001)** | 7 |", "| `fvd` | 0 | 9 | — |"],
            [
                *HEAD,
                "| `fvd` | 0 | 9 | — |",
                "| `kvd` | 8 | **6 (p<.001)** | 7 |",
                "| `psnr` |  | 1 | 2 |",
            ],
        ),
        # Metrics of single clips have no row of other clips; those of sets keep theirs.
        (
            OLD,
            [*SHORT, "| `x` | 6 | 7 |"],
            [*OLD[:2], "| `fvd` | 3 | 4 | 5 |", "| `psnr` | 1 | 2 |  |", "| `x` | 6 | 7 |  |"],
        ),
    ],
)
def test_rows_that_were_not_asked_for_stay(old, new, wanted):
    assert metric_controls.kept_rows(old, new, ["fvd", "kvd", "psnr"]) == wanted


def test_the_page_has_both_places():
    page = metric_controls.PAGE.read_text()
    for name in ("puppets", "weizmann"):
        lines = metric_controls.place(page, name)[1].splitlines()
        rows = [line.split(" | ")[0] for line in lines[2:]]
        assert rows == sorted(set(rows), key=rows.index) and "| `fvd`" in rows, name
    with pytest.raises(SystemExit, match="no place for nowhere"):
        metric_controls.place(page, "nowhere")
