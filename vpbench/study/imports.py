"""Answers from files: what raters downloaded where there was no server, and MTurk's results."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from vpbench.api.errors import BadData, MissingData, UsageError
from vpbench.core.hashing import file_sha256
from vpbench.study.answers import AnswerFile, read_events
from vpbench.study.collection import Collection, Refused
from vpbench.study.files import Bundle, PrivatePaths

ANSWERS_SCHEMA = "vpbench.study-answers/1"
_LARGEST_FILE = 64 * 2**20
_NO_WINDOW = [0, 0]


@dataclass
class Imported:
    """What became of one file.

    Attributes:
        known: answers that were there already.
        refused: reasons why others were not taken, with how often.
    """

    file: Path
    sessions: int = 0
    answers: int = 0
    known: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def refuse(self, reason: str) -> None:
        """Count an answer that was not taken."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "file": str(self.file),
            "sessions": self.sessions,
            "answers": self.answers,
            "known": self.known,
            "refused": self.refused,
        }


def all_events(private: PrivatePaths) -> list[dict[str, Any]]:
    """Events of the server and of every imported file, in that order.

    Raises:
        Corrupt: a file was changed.
    """
    files = sorted(private.imported.glob("*.jsonl")) if private.imported.is_dir() else []
    return [event for path in (private.answers, *files) for event in read_events(path)]


def import_file(bundle: Bundle, private: PrivatePaths, file: Path) -> Imported:
    """Take the answers of a file; the same file again changes nothing.

    Answers are checked as the server checks them. A rater's second answer to a trial is refused.

    Raises:
        MissingData: no such file, or no DIR.private.
        BadData: it is neither a download of this study nor a results file of MTurk.
    """
    if not file.is_file():
        raise MissingData(f"there is no file {file}.")
    if not private.salt.is_file():
        raise MissingData(f"{private.salt} is missing; ids cannot be hashed without it.")
    if file.stat().st_size > _LARGEST_FILE:
        raise BadData(f"{file} is larger than {_LARGEST_FILE >> 20} MiB.")
    salt = bytes.fromhex(private.salt.read_text("ascii"))
    collection = Collection(bundle, salt, {}, all_events(private))
    text = file.read_bytes().decode("utf-8-sig", "replace")
    done = Imported(file)
    if text.lstrip().startswith("{"):
        _take_download(collection, text, done)
    else:
        _take_mturk(collection, text, done)
    if done.events:
        target = private.imported / f"{file_sha256(file)[:16]}.jsonl"
        writer = AnswerFile(target)
        writer.append(done.events)
        writer.close()
    return done


def _take_download(collection: Collection, text: str, done: Imported) -> None:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise BadData(
            f"{done.file} is not whole JSON.", fix="Ask the rater to send it again."
        ) from None
    if not isinstance(value, dict) or value.get("schema") != ANSWERS_SCHEMA:
        raise BadData(f"{done.file} is not a file of answers that the page made.")
    record = cast("dict[str, Any]", value)
    sheet = record.get("sheet")
    if type(sheet) is not int or not 0 <= sheet < len(collection.bundle.sheets):
        raise BadData(f"{done.file} names no sheet of this study.")
    request = {
        "study": record.get("study"),
        "client": record.get("session"),
        "consent": record.get("consent"),
        "prolific": record.get("prolific"),
        "viewport": record.get("viewport"),
    }
    session = _open(collection, request, str(record.get("browser"))[:400], sheet, "file", done)
    for answer in record.get("answers") or ():
        body = dict(answer) if isinstance(answer, dict) else {}
        body.pop("index", None)
        _answer(collection, {"session": session, **body}, done)


def _open(
    collection: Collection,
    request: dict[str, Any],
    browser: str,
    sheet: int,
    source: str,
    done: Imported,
) -> str:
    try:
        outcome = collection.open(request, "", browser, sheet=sheet, source=source)
    except Refused as refused:
        raise BadData(f"{done.file} cannot be imported: {refused.reason}.") from None
    if outcome.event is not None:
        done.events.append(outcome.event)
        done.sessions += 1
    return outcome.reply["session"]


def _answer(collection: Collection, body: dict[str, Any], done: Imported) -> None:
    try:
        outcome = collection.answer(body)
    except Refused as refused:
        done.refuse(refused.reason)
        return
    if outcome.event is None:
        done.known += 1
    else:
        done.events.append(outcome.event)
        done.answers += 1


def _take_mturk(collection: Collection, text: str, done: Imported) -> None:
    """Rows of a batch's results: `Input.trial`, `WorkerId`, and `Answer.<question>_<letter>`."""
    rows = csv.DictReader(io.StringIO(text))
    wanted = ["WorkerId", "Input.trial", *(f"Answer.{n}" for n in answer_names(collection.bundle))]
    missing = [name for name in wanted if name not in (rows.fieldnames or ())]
    if missing:
        raise BadData(
            f"{done.file} is not a results file of this study: no column {missing[0]!r}.",
            fix="docs/study.md shows the layout.",
        )
    for row in rows:
        if (row.get("AssignmentStatus") or "") == "Rejected":
            done.refuse("the assignment was rejected")
            continue
        _mturk_row(collection, row, done)


def answer_names(bundle: Bundle) -> list[str]:
    """Names of the form's fields: one for each question and slot, as `overall_A`."""
    letters = [chr(ord("A") + slot) for slot in range(bundle.page["slots"])]
    return [f"{question}_{letter}" for question in bundle.questions for letter in letters]


def _mturk_row(collection: Collection, row: dict[str, str | None], done: Imported) -> None:
    bundle = collection.bundle
    trial = row.get("Input.trial") or ""
    if trial not in bundle.trials:
        done.refuse("this trial is not of this study")
        return
    sheet, index = bundle.trials[trial]
    request = {
        "study": bundle.study,
        "client": row.get("WorkerId"),
        "consent": True,  # the HIT's own text asked for it
        "prolific": None,
        "viewport": _NO_WINDOW,
    }
    session = _open(collection, request, "mturk", sheet, "mturk", done)
    values = iter([_whole(row.get(f"Answer.{name}")) for name in answer_names(bundle)])
    k = bundle.page["slots"]
    body = {
        "session": session,
        "trial": trial,
        "slots": bundle.sheets[sheet][index]["slots"],
        "ranks": {question: [next(values) for _ in range(k)] for question in bundle.questions},
        "plays": [0] * k,  # not known
        "seconds": float(_whole(row.get("WorkTimeInSeconds"))),
        "visible": 0.0,
        "ways": dict.fromkeys(bundle.questions, "table"),
        "viewport": _NO_WINDOW,
    }
    _answer(collection, body, done)


def _whole(text: str | None) -> int:
    """A whole number; 0, which no rank is, where there is none."""
    stripped = (text or "").strip()
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 9 else 0


def mturk_batch(bundle: Bundle, base_url: str) -> str:
    """The CSV that MTurk's web form takes: one HIT a row, columns for the layout's `${...}`.

    Args:
        base_url: where the folder `media` of the study can be reached, https.

    Raises:
        UsageError: it is not an https address.
    """
    if not base_url.startswith("https://"):
        raise UsageError(f"MTurk shows videos from https only, not {base_url!r}.")
    letters = [chr(ord("A") + slot) for slot in range(bundle.page["slots"])]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["trial", *(f"video_{letter}" for letter in letters)])
    for trial in _all_trials(bundle):
        urls = [f"{base_url.rstrip('/')}/media/{name}.mp4" for name in trial["slots"]]
        writer.writerow([trial["id"], *urls])
    return out.getvalue()


def _all_trials(bundle: Bundle) -> Iterator[dict[str, Any]]:
    for sheet in bundle.sheets:
        yield from sheet
