"""Where things lie below the site's root."""

from __future__ import annotations

import hashlib

from vpbench.board.site.pages import Listed
from vpbench.core.names import safe_name


def file_name(name: str) -> str:
    """A file name that differs for names that differ, on file systems without case, too."""
    text = safe_name(name)
    plain = name.isascii() and name == name.lower() and text == name and len(name) < 100
    if plain:
        return text
    suffix = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{text.lower()[:80]}-{suffix}"


def task_file(task: str) -> str:
    """Page of a task below the site's root."""
    return f"tasks/{file_name(task)}.html"


def method_file(name: str) -> str:
    """Page of a method, without its parameters, below the site's root."""
    return f"methods/{file_name(name)}.html"


def source_file(entry: Listed) -> str:
    """Where the copy of an entry lies below the site's root."""
    return f"entries/{file_name(entry.task)}/{file_name(entry.id)}.json"


def row_id(entry_id: str) -> str:
    """What the row of an entry is called within its task's page."""
    return f"entry-{file_name(entry_id)}"


def row_link(path: str) -> str:
    """Where the row of the entry `task/id` stands, below the site's root."""
    task, _, entry_id = path.rpartition("/")
    return f"{task_file(task)}#{row_id(entry_id)}"
