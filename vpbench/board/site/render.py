"""Draws the pages of the site; every text is escaped, and the same site gives the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from vpbench import __version__
from vpbench.board.player import asset
from vpbench.board.site.pages import LEVELS, TIERS, Listed, Row, Site
from vpbench.board.site.places import file_name, method_file, row_link, source_file, task_file
from vpbench.core.plan import REFERENCES
from vpbench.render.flags import TITLES
from vpbench.render.statistics import NOT_BETTER, WORSE
from vpbench.render.text import clean

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

ASSETS = ("board.css", "board.js")

_LONGEST = 72
"""Characters of a name in a table; the page of the method has it in full."""

_MARKS = {
    NOT_BETTER: "not shown to beat a trivial baseline",
    WORSE: "worse than a trivial baseline",
    "": "",
}


def plain(text: object) -> str:
    """One line without control characters and halves of surrogates; escaping follows."""
    return clean(str(text)).encode("utf-8", "replace").decode("utf-8")


def shown(text: object) -> str:
    """As `plain`, cut where it is very long."""
    whole = plain(text)
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 1]}…"


def prose(text: object) -> Markup:
    """As `plain`, with `code` in backticks set as code."""
    from markupsafe import Markup, escape

    parts = re.split(r"`([^`]*)`", plain(text))
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(p) if k % 2 else escape(p) for k, p in enumerate(parts))


def html(body: str) -> Markup:
    """What is HTML already."""
    from markupsafe import Markup

    return Markup(body)  # noqa: S704: made by vpbench.board.sections, which escapes


def search_text(row: Row) -> str:
    """What the search looks through: names and ids in small letters."""
    entry = row.entry
    words = dict.fromkeys((row.name, entry.method, entry.id, entry.level, entry.tier))
    return plain(" ".join(words)).lower()


def render(site: Site) -> dict[str, bytes]:
    """All files of the site: path below its root -> content."""
    environment = _environment()
    draw = partial(_draw, environment, site)
    files = {"index.html": draw("index.html.j2", "")}
    for task in site.tasks:
        files[task.file] = draw("task.html.j2", "../", page=task)
        for entry in task.entries:
            files[source_file(entry)] = entry.source
    for method in site.methods:
        files[method.file] = draw("method.html.j2", "../", page=method)
    assets = resources.files("vpbench.board.site") / "assets"
    files |= {f"assets/{name}": (assets / name).read_bytes() for name in ASSETS}
    files["assets/details.css"] = _details_style().encode()
    if any(task.clips for task in site.tasks):
        files["assets/player.js"] = asset("player.js").encode()
    return dict(sorted((files | dict(site.files)).items()))


def _details_style() -> str:
    """The style of comparison pages, for sections of class `details` alone."""
    page = asset("page.css").replace(":root", "&")
    return f".details {{\n{page}\n{asset('player.css')}\n}}\n"


def _draw(environment: Environment, site: Site, template: str, root: str, **own: object) -> bytes:
    names: Mapping[str, object] = {
        "site": site,
        "root": root,
        "version": __version__,
        "levels": LEVELS,
        "tiers": TIERS,
        "marks": _MARKS,
        "references": REFERENCES,
        "titles": TITLES,
        **own,
    }
    text = environment.get_template(template).render(names)
    lines = (line.rstrip() for line in text.splitlines())
    return ("\n".join(line for line in lines if line) + "\n").encode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vpbench.board.site", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def url(path: str) -> str:
        return quote(path, safe="/#+")

    def page_of(entry: Listed) -> str:
        return method_file(entry.base)

    def section_id(entry: Listed) -> str:
        return f"entry-{file_name(entry.path)}"

    filters: dict[str, Callable[..., object]] = {
        "plain": plain,
        "shown": shown,
        "prose": prose,
        "html": html,
        "search": search_text,
        "url": url,
        "task_file": task_file,
        "method_file": page_of,
        "source_file": source_file,
        "section_id": section_id,
        "row_link": row_link,
    }
    cast("Any", environment).filters.update(filters)
    return environment
