"""Pages for a person fit 80 columns and lose nothing."""

import json

import pytest
from click.testing import CliRunner

from vpbench.cli.catalogue import list_
from vpbench.cli.data import data
from vpbench.cli.info import info
from vpbench.cli.pages import beside
from vpbench.cli.weights import weights
from vpbench.render.text import blocks


def shown(verb, *words, columns="80"):
    done = CliRunner(env={"COLUMNS": columns}).invoke(verb, words, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (list_, ()),
        (list_, ("metrics",)),
        (weights, ("list",)),
        (data, ("list",)),
        *((info, (name,)) for name in ("ours", "villegas", "fvd", "folder", "ours-motion")),
    ],
)
def test_no_line_is_wider_than_80_columns(verb, words):
    lines = shown(verb, *words).splitlines()
    assert lines and max(map(len, lines)) <= 80


def test_the_list_names_every_plugin_and_says_whence_others_come(monkeypatch):
    items = json.loads(shown(list_, "--json"))["items"]
    text = shown(list_)
    assert all(f"  {item['name']}" in text for item in items)
    assert text.index("methods\n") < text.index("\ndatasets\n") < text.index("\nmetrics\n")
    assert "from builtin" not in text and "from vpbench" not in text


def test_the_page_of_a_method_says_what_it_costs():
    page = shown(info, "ours")
    for text in (
        "presets ",
        "2 CPU cores",
        "600,000",
        "121 days",
        "at 128 px",
        "up to 64 px",
        "run it ",
    ):
        assert text in page
    assert "n_keypoints=" in page and "keypoints -> motion" in page
    assert "BibTeX: vpbench info ours --bibtex" in page


def test_bibtex_can_be_pasted():
    got = shown(info, "ours", "--bibtex")
    assert got.startswith("@inproceedings{kim2019unsupervised,\n") and got.endswith("}\n")
    assert "has no citation" in shown(info, "copy-last", "--bibtex")


def test_a_long_name_stands_above_its_text(capsys):
    beside("a name that is long", "text", 6)
    beside("name", "text", 6)
    assert capsys.readouterr().out == "a name that is long\n        text\nname    text\n"


@pytest.mark.parametrize("room", [200, 60, 31, 5])
def test_columns_that_do_not_fit_go_below_and_no_figure_is_cut(room):
    rows = [("method", "mean rank", "95 %", "worth", "p")]
    rows += [(f"m{k}", f"{k}.22 ± 0.42", f"[{k}.77, 2.01]", f"−{k}.08", "0.94") for k in range(3)]
    made = blocks(rows, room)
    assert [lines[0].split()[0] for lines in made] == ["method"] * len(made)
    for k, row in enumerate(rows):
        assert " ".join(" ".join(lines[k].split()[1:]) for lines in made) == " ".join(row[1:])
    widest = max(len(line) for lines in made for line in lines)
    assert widest <= room or (room == 5 and len(made) == len(rows[0]) - 1)
    assert len(made) == {200: 1, 60: 1, 31: 3, 5: 4}[room]
