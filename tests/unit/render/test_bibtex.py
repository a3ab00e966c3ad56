"""Citations of specs as BibTeX that can be pasted."""

import re

import pytest

from vpbench.core.registry import registry
from vpbench.render.bibtex import bibtex


def fields(entry):
    return dict(re.findall(r"^  (\w+) += \{(.*)\},$", entry, re.MULTILINE))


@pytest.mark.parametrize(
    ("citation", "head", "wanted"),
    [
        (
            "Ada B. Lovelace, Alan Turing: Machines & Minds: A Study, NeurIPS 2019",
            "@inproceedings{lovelace2019machines,",
            {
                "author": "Ada B. Lovelace and Alan Turing",
                "title": r"{Machines \& Minds: A Study}",
                "booktitle": "NeurIPS",
                "year": "2019",
            },
        ),
        (
            "Müller et al.: The Way, arXiv:1812.01717 2018",
            "@misc{muller2018way,",
            {"author": "Müller and others", "eprint": "1812.01717", "archiveprefix": "arXiv"},
        ),
        (
            "Wang, Bovik: Image Quality, IEEE Transactions on Image Processing 13(4) 2004",
            "@article{wang2004image,",
            {"journal": "IEEE Transactions on Image Processing", "volume": "13", "number": "4"},
        ),
        ("my thesis", "@misc{mine,", {"title": "{mine}", "note": "my thesis"}),
    ],
)
def test_a_paper_becomes_an_entry(citation, head, wanted):
    entry = bibtex(citation, "mine")
    assert entry.splitlines()[0] == head and entry.endswith("\n}")
    assert fields(entry).items() >= wanted.items()


def test_several_papers_and_bibtex_itself():
    two = bibtex("Own design after A: X, ICLR 2023; B, C: Y, ICCV 2023", "n")
    assert two.count("@inproceedings") == 2 and "author        = {A}" in two
    assert bibtex(" @misc{drift, title={Drift}} ", "n") == "@misc{drift, title={Drift}}"


def test_all_citations_of_vpbench_are_taken_apart():
    for kind in ("method", "component", "dataset", "metric"):
        for entry in registry().of(kind):
            citation = entry.spec.citation if entry.spec else ""
            if citation:
                written = bibtex(citation, entry.name)
                assert "note " not in written, entry.name
                assert written.count("year ") == written.count("@") == written.count("author ")
