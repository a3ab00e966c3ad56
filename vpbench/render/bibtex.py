"""Citations as BibTeX.

Specs cite as `Authors: Title, Venue Year`, several papers with `; ` between them. What begins with
`@` is BibTeX already.
"""

from __future__ import annotations

import re
import unicodedata

_PAPER = re.compile(
    r"(?P<authors>[^:]+): (?P<title>.+), (?P<venue>[^,]+?)[, ]+(?P<year>(?:19|20)\d\d)\.?"
)
_AFTER = re.compile(r"^Own design after ")
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_JOURNAL = re.compile(r"(?P<name>.+) (?P<volume>\d+)\((?P<number>\d+)\)")
_SMALL = {"a", "an", "the", "on", "of", "in", "for", "to", "from", "are", "via"}


def bibtex(citation: str, name: str) -> str:
    """A citation as BibTeX, one entry a paper.

    Args:
        name: what is cited; the key of an entry whose citation cannot be taken apart.
    """
    text = citation.strip()
    if text.startswith("@"):
        return text
    parts = _AFTER.sub("", text).split("; ")
    return "\n\n".join(_entry(part.strip(), name) for part in parts if part.strip())


def _entry(text: str, name: str) -> str:
    paper = _PAPER.fullmatch(text)
    if paper is None:
        return _written("misc", name, {"title": f"{{{_tex(name)}}}", "note": _tex(text)})
    authors = _authors(paper["authors"])
    venue = paper["venue"].strip()
    fields = {"author": " and ".join(map(_tex, authors)), "title": f"{{{_tex(paper['title'])}}}"}
    kind = "inproceedings"
    arxiv, journal = _ARXIV.fullmatch(venue), _JOURNAL.fullmatch(venue)
    if arxiv:
        kind = "misc"
        fields |= {"eprint": arxiv[1], "archiveprefix": "arXiv"}
    elif journal:
        kind = "article"
        fields |= {"journal": _tex(journal["name"]), **_issue(journal)}
    else:
        fields["booktitle"] = _tex(venue)
    fields["year"] = paper["year"]
    return _written(kind, _key(authors[0], paper["year"], paper["title"]), fields)


def _issue(journal: re.Match[str]) -> dict[str, str]:
    return {"volume": journal["volume"], "number": journal["number"]}


def _authors(text: str) -> list[str]:
    """Names in their order; "et al." becomes "others"."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names[-1].endswith(" et al."):
        names = [*names[:-1], names[-1].removesuffix(" et al."), "others"]
    return names


def _key(author: str, year: str, title: str) -> str:
    """`kim2019unsupervised`."""
    words = re.findall(r"[a-z]+", _ascii(title).lower())
    word = next((w for w in words if w not in _SMALL), "")
    return f"{''.join(re.findall('[a-z]+', _ascii(author).lower().split()[-1]))}{year}{word}"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _tex(text: str) -> str:
    """Escaped for a field in braces."""
    return re.sub(r"([&%$#_])", r"\\\1", text)


def _written(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {field:<13} = {{{value}}}," for field, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
