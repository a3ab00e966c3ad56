"""The shell of a page: one file with everything in it, and a policy that forbids all requests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from vpbench import __version__
from vpbench.board.player import asset
from vpbench.render.text import clean


@dataclass(frozen=True)
class Section:
    """A part of a page; `body` is HTML, `title` is text."""

    title: str
    body: str
    id: str = ""


def render_page(
    title: str,
    lines: Sequence[str],
    sections: Sequence[Section],
    blocks: Iterable[str] = (),
    *,
    beside: bool = False,
) -> str:
    """A page that needs nothing else.

    Args:
        title, lines: text above the sections.
        blocks: HTML for the end of the body: films.
        beside: scripts may come from a folder beside the page.
    """
    style = asset("page.css") + asset("player.css")
    scripts = [asset("table.js"), asset("player.js")]
    return _template().render(
        title=clean(title),
        lines=[clean(line) for line in lines],
        sections=[replace(section, title=clean(section.title)) for section in sections],
        style=style,
        scripts=scripts,
        blocks=list(blocks),
        policy=_policy(f"\n{style}", scripts, beside),
        footer=f"Made by vpbench {__version__}. It makes no network requests.",
    )


def _policy(style: str, scripts: Sequence[str], beside: bool) -> str:
    """Only the page's own style and scripts, by their hashes: what a name says never runs."""
    own = " ".join(_hash(script) for script in scripts)
    folder = " file: 'self'" if beside else ""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {own}{folder}; "
        "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(asset("page.html.j2"))
