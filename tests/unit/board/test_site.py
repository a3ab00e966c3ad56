"""The site's files: which entries stand on it, in which tables, and that no text is markup."""

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.unit.board.site_entries import board, entry, score, task, usual, with_scores
from vpbench.api.errors import MissingData, UsageError
from vpbench.board.entry import entry_bytes, write_entry
from vpbench.board.reported import ReportedFigures, read_reported
from vpbench.board.site.assemble import Source, assemble
from vpbench.board.site.build import build_site
from vpbench.board.site.places import file_name
from vpbench.board.site.render import render
from vpbench.core.registry import registry

REPORTED = Path(__file__).parents[3] / "leaderboards" / "reported.toml"
VOID = {"meta", "link", "input", "br", "line", "path", "circle", "rect"}


class Page(HTMLParser):
    """What a browser would make of a page: elements, attributes, texts."""

    def __init__(self, content):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(content.decode())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len({name for name, _ in attrs}) == len(attrs), attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def site(entries, reported=None, recalled=None):
    """Files of the site of some entries, whatever `board check` would say."""
    sources = [Source(e, entry_bytes(e), (recalled or {}).get(e.id, {})) for e in entries]
    return render(assemble(sources, reported or ReportedFigures()))


def rows(content):
    """(method, part of the table) of all rows in order."""
    found = re.findall(
        r'<tr[^>]*class="(methods|unranked|references)"[^>]*>\s*(.*?)</tr>', content, re.S
    )
    return [(re.search(r"<bdi>(.*?)</bdi>", row).group(1), part) for part, row in found]


def test_the_usual_entries_are_pages_that_point_at_each_other(tmp_path):
    built = build_site(board(tmp_path / "lb"), tmp_path / "site", registry(()))
    assert (built.entries, built.refused) == (6, {})
    root = tmp_path / "site"
    pages = {p.relative_to(root).as_posix(): Page(p.read_bytes()) for p in root.rglob("*.html")}
    assert {"index.html", "tasks/puppets.html", "methods/mine.html"} <= pages.keys()
    for name, page in pages.items():
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(set(ids)) == len(ids)
        for tag, attrs in page.elements:
            for address in filter(None, (attrs.get("href"), attrs.get("src"))):
                if tag == "link" and address.startswith("data:image/svg+xml,"):
                    continue
                assert not re.match(r"[a-z]+:|/", address), (tag, address)  # nothing but relative
                path, _, fragment = address.partition("#")
                target = (root / name).parent / unquote(path) if path else root / name
                assert target.resolve().is_file(), (name, address)
                if fragment and fragment != "content":
                    other = pages[target.resolve().relative_to(root.resolve()).as_posix()]
                    assert unquote(fragment) in [a.get("id") for _, a in other.elements]
    stored = next((root / "entries" / "puppets").glob("mine-*.json"))
    assert stored.read_bytes() == (tmp_path / "lb/puppets/mine-puppets.json").read_bytes()


def test_the_same_entries_are_the_same_bytes_in_any_order(tmp_path):
    first = site(usual(), read_reported(REPORTED))
    assert first == site(usual()[::-1], read_reported(REPORTED))
    out = tmp_path / "site"
    build_site(board(tmp_path / "lb"), out, registry(()))
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    build_site(tmp_path / "lb", out, registry(()), force=True)
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_rows_stand_best_first_and_what_may_not_be_ranked_below():
    oracle = entry("oracle", 40.0, 0.99, kind="oracle")
    content = site([*usual(), oracle])["tasks/puppets.html"].decode()
    assert rows(content) == [
        ("mine", "methods"),
        ("mine[label=off]", "methods"),
        ("other", "methods"),
        ("third", "methods"),
        ("oracle", "unranked"),
        ("copy last frame", "references"),
        ("noise", "references"),
    ]
    levels = re.findall(
        r'data-level="(\S+)" data-tier="(\S+)" data-given="(\S*)" data-label="(\S+)"', content
    )
    assert levels[0] == ("self-reported", "reimplementation", "1", "yes")
    assert levels[2] == ("rerun", "original", "2+", "no")
    assert "data-rare" in content  # noise is hidden at first


def test_figures_that_do_not_compare_never_share_a_column():
    """Another version has a column, another number of frames a table, another task a page."""
    of = task()
    older = with_scores(entry("old"), [score(of, "ssim", 0.7, version=7)])
    short = with_scores(
        entry("short"), [score(of, "psnr", 25.0, frames=8), score(of, "psnr", 19.0)]
    )
    away = entry("away", of=task("puppets-moving"))
    files = site([*usual(), older, short, away])
    page = Page(files["tasks/puppets.html"])
    assert [a["id"] for a in page.all("table")] == ["t16", "t8"]
    columns = re.findall(r">(SSIM#[0-9a-f]{8})", files["tasks/puppets.html"].decode())
    assert len(set(columns)) == 2
    assert "differ in version" in page.text
    assert "away" not in page.text and "mine" not in Page(files["tasks/puppets-moving.html"]).text


def test_pages_of_papers_wait_for_entries(tmp_path):
    files = site(usual(), read_reported(REPORTED))
    for name in ("penn", "nemo", "mgif"):
        page = Page(files[f"tasks/{name}.html"])
        assert "No measured entry yet." in page.text and "no measured entry yet" in page.text
        assert not [a for a in page.all("table") if a.get("class") == "board"]
    assert "1509" in Page(files["tasks/penn.html"]).text
    assert "1509" not in Page(files["tasks/puppets.html"]).text


@pytest.mark.parametrize(("psnr", "status"), [(20.05, "reproduced"), (23.0, "off")])
def test_a_paper_s_figure_beside_the_measured_one(tmp_path, psnr, status):
    path = tmp_path / "reported.toml"
    path.write_text(
        '[papers.p]\ntitle="T"\nauthors="A"\nvenue="V"\n[papers.p.settings]\n'
        'm={given=1,size_puppets=64,frames=16}\n[methods.m]\ntitle="M & Co"\nmeasured="mine"\n'
        '[metrics.psnr]\ntitle="PSNR"\ndirection="up"\nunit="dB"\n'
        '[[reported]]\npaper="p"\ntable=1\nmetric="psnr"\ndataset="puppets"\nmethod="m"\nvalue=20\nn=12\n'
    )
    content = site([entry("mine", psnr)], read_reported(path))["tasks/puppets.html"].decode()
    assert f'<span class="badge status {status}">{status}</span>' in content
    board_table, papers = content.index('class="board"'), content.index('class="papers"')
    assert board_table < papers and "M &amp; Co" not in content[:papers]  # apart, and escaped
    sign = f"+{psnr - 20:.1f}" if status == "off" else "+0.1"
    assert sign in content or f"+{psnr - 20:.2f}" in content


def test_recalled_figures_are_struck_through_and_count_no_more():
    made = entry("mine", 30.0, 0.8)
    key = next((s.metric, s.frames, s.fp8) for s in made.runs[0].scores if s.metric == "psnr")
    files = site(
        [made, entry("other", 20.0), entry("third", 19.0)],
        recalled={made.id: {key: "wrong <frames>"}},
    )
    content = files["tasks/puppets.html"].decode()
    assert rows(content)[0] == ("other", "methods")  # the best of what counts
    assert "<del>30.00" in content and "recalled: wrong &lt;frames&gt;" in content
    assert "<b>20.00</b>" in content
    lines = list(csv.DictReader(io.StringIO(files["tasks/puppets.csv"].decode())))
    struck = [line for line in lines if line["recalled"]]
    assert [(x["entry"], x["metric"], x["value"]) for x in struck] == [(made.id, "psnr", "")]
    assert "Recalled" in Page(files["methods/mine.html"]).text


def claims(content):
    """The first figure of two rows without its bar: value, rank, mark, bold or underlined."""
    cell = r'<bdi>(mine|other)</bdi>.*?<td class="right".*?>(.*?)</td>'
    found = re.findall(cell, content.decode(), re.S)
    return {name: re.sub(r"<svg.*?</svg>", "", text, flags=re.S) for name, text in found}


def test_claims_are_those_of_a_table_that_never_had_what_was_recalled():
    """Neither ties with a recalled best nor marks against a recalled baseline stay."""
    made = [entry(name, p) for name, p in (("mine", 22), ("other", 21), ("best", 23))]
    made.append(entry("copy-last", 22.5))
    recalled = {
        e.id: {(s.metric, s.frames, s.fp8): "wrong" for s in e.runs[0].scores if s.metric == "psnr"}
        for e in made[2:]
    }
    gone = [with_scores(e, [s for s in e.runs[0].scores if s.metric != "psnr"]) for e in made[2:]]
    before, after, never = (
        claims(files["tasks/puppets.html"])
        for files in (site(made), site(made, recalled=recalled), site([*made[:2], *gone]))
    )
    assert after == never != before
    assert 'class="mark"' in before["mine"] and 'class="mark"' not in after["mine"]
    assert "<b>" in after["mine"] and "<b>" not in before["mine"]


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp; &#60;i&#62;",
    "{{ 7 * 7 }} {% raw %}",
    "日本語 русский العربية e\u0301",
    "</title></textarea></style><svg onload=alert(1)>",
    "x" * 5000,
    "=HYPERLINK(1)",
    "javascript:alert(1)",
)


def strange(number, text):
    """An entry with a text in every place where a stranger may write one."""
    name = f"m{number}[note={text.translate(str.maketrans('[]', '()', chr(34)))}]"
    made = entry(
        name,
        22.0,
        0.8,
        licence=text,
        citation=text,
        params={text: text},
        uses=(text,),
        notes=(text,),
    )
    return replace(made, id=f"m{number}", trust=replace(made.trust, sampled_by=text))


def test_no_text_of_an_entry_is_markup():
    """Names, notes, parameters of a stranger's entry: shown as they are, run by nobody."""
    files = site([strange(k, text) for k, text in enumerate(HOSTILE)])
    tame = site([strange(k, f"n{k}") for k in range(len(HOSTILE))])
    assert files.keys() == tame.keys()
    for path in (p for p in files if p.endswith(".html")):
        page, usual_page = Page(files[path]), Page(tame[path])
        assert [tag for tag, _ in page.elements] == [tag for tag, _ in usual_page.elements]
        for (_, attrs), (_, others) in zip(page.elements, usual_page.elements, strict=True):
            assert attrs.keys() == others.keys()
        assert [a.get("href") for a in page.all("a")] == [
            a.get("href") for a in usual_page.all("a")
        ]
    for k, text in enumerate(HOSTILE):
        assert " ".join(text.split()) in Page(files[f"methods/m{k}.html"]).text
    cells = [c for row in csv.reader(io.StringIO(files["tasks/puppets.csv"].decode())) for c in row]
    assert not any(c.startswith(("=", "@", "+")) for c in cells)
    assert all(re.fullmatch(r"-?[\d.e-]+", c) for c in cells if c.startswith("-"))


@pytest.mark.parametrize(
    ("address", "linked"),
    [
        ("https://example.org/a.vpb", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("http://example.org/", False),
    ],
)
def test_only_https_is_a_link(address, linked):
    page = Page(site([entry("mine", url=address)])["methods/mine.html"])
    outside = [a for a in page.all("a") if a.get("href") == address]
    assert bool(outside) is linked and address in page.text
    assert all("noopener" in a["rel"] for a in outside)


def test_file_names_differ_where_names_do():
    names = [
        "mine",
        "Mine",
        "mine+",
        "m/ine",
        "m ine",
        "日本",
        "日夲",
        "x" * 300,
        "x" * 301,
        "..",
        "",
    ]
    files = [file_name(name) for name in names]
    assert len({f.lower() for f in files}) == len(names)
    assert all(re.fullmatch(r"[a-z0-9_+-][a-z0-9._+-]{0,99}", f) for f in files)


def test_two_entries_of_one_method_are_two_rows():
    twice = [entry("mine", 21.0), entry("mine", 22.0, id="mine-again", level="rerun")]
    content = site(twice)["tasks/puppets.html"].decode()
    assert rows(content) == [("mine", "methods"), ("mine (mine-puppets)", "methods")]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: (d / "puppets/foreign.json").write_text('{"schema": "other/1"}'), "other/1"),
        (
            lambda d: (d / "puppets/mine-puppets.json").rename(d / "puppets/a.json"),
            "must be called",
        ),
        (
            lambda d: write_entry(
                with_scores(entry("bad"), [score(task(), "psnr", 20.0, frames=99)]), d
            ),
            "16 frames",
        ),
        (
            lambda d: (d / "puppets/mine-puppets.json").write_bytes(
                (d / "puppets/mine-puppets.json").read_bytes().replace(b"22.", b"23.", 1)
            ),
            "not what was written",
        ),
    ],
)
def test_an_entry_that_the_check_refuses_is_not_built_and_named(tmp_path, spoil, said):
    root = board(tmp_path / "lb")
    spoil(root)
    built = build_site(root, tmp_path / "site", registry(()))
    ((path, texts),) = built.refused.items()
    assert said in " ".join(texts) and path.startswith("puppets/")
    assert rows((tmp_path / "site/tasks/puppets.html").read_text())  # the others are there
    assert not (tmp_path / "site/entries" / path).exists()


def test_a_recalled_version_is_built_and_other_faults_of_its_entry_are_not_forgiven(tmp_path):
    old = with_scores(
        entry("old"), [score(task(), "psnr", 30.0, version=1), score(task(), "ssim", 0.7)]
    )
    bad = with_scores(
        entry("bad"),
        [score(task(), "psnr", 30.0, version=1), score(task(), "ssim", 0.7, version=9)],
    )
    root = board(tmp_path / "lb", [*usual(), old, bad])
    (root / "errata.toml").write_text(
        '[[recalled]]\nwhat="metric"\nname="psnr"\nversions=[1]\ndate="2026-11-26"\n'
        'reason="was clipped"\n'
    )
    built = build_site(root, tmp_path / "site", registry(()))
    assert list(built.refused) == ["puppets/bad-puppets.json"]
    assert "version 9" in " ".join(built.refused["puppets/bad-puppets.json"])
    content = (tmp_path / "site/tasks/puppets.html").read_text()
    assert "recalled: was clipped" in content and "<del>30.00" in content


def test_nothing_to_build_is_a_sentence(tmp_path):
    out = tmp_path / "site"
    with pytest.raises(MissingData, match="no folder"):
        build_site(tmp_path / "nowhere", out, registry(()))
    (tmp_path / "lb").mkdir()
    with pytest.raises(MissingData, match="no entries"):
        build_site(tmp_path / "lb", out, registry(()))
    assert not out.exists()
    board(tmp_path / "lb")
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        build_site(tmp_path / "lb", out, registry(()))
    build_site(tmp_path / "lb", out, registry(()), force=True)
    assert (out / "mine.txt").read_text() == "keep"
    assert "index.html" in json.loads((out / "site.json").read_text())["entries"]
