"""What strangers name their methods, classes and clips is harmless on a page."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.unit.render.table_toys import figure, group, row
from vpbench.board.page import Section, render_page
from vpbench.board.planes import Layout
from vpbench.board.player import (
    Film,
    PlayerClip,
    PlayerData,
    PlayerMetric,
    Track,
    film_blocks,
    film_script,
    player_html,
)
from vpbench.board.provenance import facts
from vpbench.board.sections import confusion_section, table_section
from vpbench.board.tables import confusions
from vpbench.render.model import table_model

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>&amp;",
    "<!-- ]]> {{ 7*7 }} {% raw %}",
    "運動 رقص \u202e\u2028\u2029",
    "\x1b[31mred\x1b]0;title\x07\x00",
    "=HYPERLINK(1)",
]


class Tags(HTMLParser):
    """Tags and attributes of a page, and the texts of its scripts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.data, self.texts = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "script":
            self.data.append([dict(attrs).get("type"), ""])

    def handle_endtag(self, tag):
        self.tags.append(f"/{tag}")

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script" and self.data:
            self.data[-1][1] += data
        self.texts.append(data)


def page(name):
    rows = [row(name, uses=[name], notes=[name], doubts=[name]), row("copy-last", "null")]
    rows[0]["scores"]["fvd"] = figure(None, "fvd", reason=name)
    of = group(*rows, id=name)
    model = table_model(of)
    share = {"correct": 1, "n": 2, "share": 0.5, "ci95": None}
    seen = {"method": name, "row": name, "overall": share, "confusion": [[1, 0], [1, 0]]}
    layout = Layout(6, 8, 8)
    data = PlayerData(
        [Track(name, "real"), Track(name, "method")],
        [PlayerMetric(name, "up", name)],
        [PlayerClip(name, name, [[None, float("nan")]], "0000")],
        layout,
        3,
        12.0,
        inside=frozenset({"0000"}),
    )
    sections = [
        table_section(model, of, name),
        Section(name, confusions([seen], [name, "b"], {name: name})),
        Section("player", player_html(data)),
        Section("facts", facts({name: name})),
    ]
    assert confusion_section(of, []) is None
    film = Film("0000", b"\x00\x01", layout)
    return render_page(name, [name], sections, film_blocks([film]))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_add_no_markup(name):
    plain, hostile = Tags(page("plain")), Tags(page(name))
    assert hostile.tags == plain.tags and hostile.attributes == plain.attributes
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", "".join(hostile.texts))
    kinds = [kind for kind, _ in hostile.data]
    assert kinds == ["application/json", None, None, "application/json"]
    known = json.loads(hostile.data[0][1])
    assert known["clips"][0]["values"] == [[None, None]]  # NaN is no JSON
    text = "".join(c for c in name if c.isprintable() or c in " \u202e")
    assert known["tracks"][1]["title"].replace(" ", "") == text.replace(" ", "")


def test_a_page_forbids_requests_and_foreign_scripts():
    """The policy names the page's own scripts by their hashes, as a browser computes them."""
    import base64
    import hashlib

    text = page("plain")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    scripts = [body for kind, body in Tags(text).data if kind is None]
    style = text.partition("<style>")[2].partition("</style>")[0]
    for body in [*scripts, style]:
        digest = hashlib.sha256(body.encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert not re.search(r"""(src|href)=["'](?!data:,|#content)""", text.partition("<script")[0])


def test_keypoints_are_whole_numbers_in_the_frame():
    path = np.array([[[-1, -1, 1], [1, 0, 0.5], [np.nan, np.inf, 2]]], np.float32)
    script = film_script(Film("0007", b"", Layout(3, 4, 4), {1: path}), "p")
    name, film = json.loads(f"[{script.removeprefix('vpbenchFilm(').removesuffix(');' + chr(10))}]")
    assert name == "p-0007"
    assert film["points"] == {"1": [[0, 0, 100, 1000, 500, 50, 500, 2000, 100]]}
