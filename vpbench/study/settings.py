"""study.toml: what raters are told, what they are asked, and who will be left out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from vpbench.api.errors import BadData, MissingData
from vpbench.core.hashing import digest

UNSET = ""
"""A text that only the one who runs the study can write."""


@dataclass(frozen=True)
class Question:
    """What raters rank by.

    Attributes:
        id: short name in answers and tables, [a-z0-9_].
        title: heading above the ranking.
        text: one sentence that explains it.
    """

    id: str
    title: str
    text: str


QUALITY = Question(
    "quality",
    "Visual quality",
    "Which video looks clearest and most natural, with the fewest blurred, torn or flickering "
    "parts? Judge the picture alone.",
)
MOTION = Question(
    "motion",
    "Movement of the foreground",
    "In which video does the person or object in the foreground move most as it would in reality? "
    "A video that stands still has little movement.",
)
OVERALL = Question(
    "overall",
    "Overall",
    "All in all, which video is the best? Take both the visual quality and the movement into "
    "account.",
)
KIM2019 = Question(
    "overall",
    "Overall",
    "Rank the videos by their visual quality and the degree of movement in the foreground region.",
)
"""The wording of Kim et al. (NeurIPS 2019), section 4.2: two criteria, one ranking."""


@dataclass(frozen=True)
class Texts:
    """What the consent page says. Raters read it before anything is recorded."""

    title: str = "Which video looks best?"
    purpose: str = (
        "This study compares computer programs that continue a picture as a short video. You will "
        "see several short videos of the same scene side by side and rank them."
    )
    organiser: str = UNSET
    contact: str = UNSET
    ethics: str = UNSET
    payment: str = "There is no payment."
    data: str = (
        "We record your rankings, how long they take, how often each video was played, the size of "
        "your browser window, and one-way hashes of your participant id, your network address and "
        "the name of your browser. Some rankings have a known answer and some appear twice, to see "
        "whether answers are careful. The rankings may be published without anything that "
        "identifies you."
    )
    withdrawal: str = (
        "Taking part is voluntary. You can stop at any time and without giving a reason; if you "
        "press “Stop and withdraw”, your answers are not used."
    )


@dataclass(frozen=True)
class Completion:
    """What a rater gets at the end.

    Attributes:
        code: shown after the last answer, "" for none.
        url: where the rater is sent then, with the code in it; "" for nowhere.
    """

    code: str = ""
    url: str = ""


@dataclass(frozen=True)
class Exclusions:
    """Who is left out of the main result, fixed before the first answer.

    Attributes:
        gold_failed: more than this share of the gold trials answered wrongly.
        too_fast: more than this share of trials answered faster than half a video's length.
        not_played: more than this share of trials submitted before every video was played.
        same_pattern: one and the same slot pattern in more than this share of trials.
        missing: more than this share of trials not answered.
        disagreeing: correlation with the other raters below this; -1 leaves no one out. It looks at
            the answers themselves, and so can hide real disagreement.
    """

    gold_failed: float = 0.5
    too_fast: float = 0.2
    not_played: float = 0.2
    same_pattern: float = 0.6
    missing: float = 0.5
    disagreeing: float = -1.0


@dataclass(frozen=True)
class Settings:
    """All of study.toml."""

    texts: Texts = field(default_factory=Texts)
    questions: tuple[Question, ...] = (QUALITY, MOTION, OVERALL)
    completion: Completion = field(default_factory=Completion)
    exclusions: Exclusions = field(default_factory=Exclusions)

    @property
    def unset(self) -> list[str]:
        """Texts that a study with people needs and that are not written yet."""
        return [name for name in ("organiser", "contact") if not getattr(self.texts, name)]


def preregistration(settings: Settings, design: Mapping[str, Any]) -> str:
    """sha256 of what must not change once answers come in: questions, exclusions, design."""
    return digest(
        {
            "questions": settings.questions,
            "exclusions": settings.exclusions,
            "design": dict(design),
        }
    )


def read_settings(path: Path, base: Settings | None = None) -> Settings:
    """Read study.toml; what it leaves out is as in `base`.

    Raises:
        MissingData: there is no such file.
        BadData: it is not TOML, or a field is unknown or of the wrong kind; names it.
    """
    try:
        value = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise MissingData(f"there is no settings file {path}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path} is not valid TOML: {error}.") from None
    base = base or Settings()
    known = {f.name for f in fields(Settings)}
    for name in value:
        if name not in known:
            raise BadData(f"{path} has an unknown section [{name}].", fix=f"Known: {_list(known)}.")
    settings = Settings(
        _section(path, value, "texts", base.texts),
        _questions(path, value.get("questions"), base.questions),
        _section(path, value, "completion", base.completion),
        _section(path, value, "exclusions", base.exclusions),
    )
    _check(path, settings)
    return settings


_S = TypeVar("_S", Texts, Completion, Exclusions)


def _section(path: Path, value: Mapping[str, Any], name: str, base: _S) -> _S:
    given: Any = value.get(name, {})
    if not isinstance(given, dict):
        raise BadData(f"{path}: {name} must be a section, as [{name}].")
    known = asdict(base)
    new: dict[str, Any] = {}
    for key, entry in cast("dict[str, Any]", given).items():
        if key not in known:
            raise BadData(f"{path}: [{name}] has no field {key}.", fix=f"Known: {_list(known)}.")
        kind = type(known[key])
        number = kind is float and isinstance(entry, int) and not isinstance(entry, bool)
        if not isinstance(entry, kind) and not number:
            wanted = "a number" if kind is float else "a text in quotes"
            raise BadData(f"{path}: {name}.{key} must be {wanted}, not {entry!r}.")
        new[key] = kind(entry)
    return replace(base, **new)


def _questions(path: Path, given: Any, base: tuple[Question, ...]) -> tuple[Question, ...]:
    if given is None:
        return base
    names = [f.name for f in fields(Question)]
    rows = cast("list[Any]", given) if isinstance(given, list) else []
    for row in rows:
        whole = isinstance(row, dict) and sorted(cast("dict[str, Any]", row)) == sorted(names)
        if not whole or not all(isinstance(v, str) for v in cast("dict[str, Any]", row).values()):
            raise BadData(f"{path}: each of [[questions]] needs the texts {_list(names)}.")
    if not rows:
        raise BadData(f"{path}: [[questions]] must hold at least one question.")
    return tuple(Question(**row) for row in rows)


def _check(path: Path, settings: Settings) -> None:
    ids = [q.id for q in settings.questions]
    for name in ids:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,23}", name):
            raise BadData(f"{path}: the question id {name!r} must be a short lower-case word.")
    if len(set(ids)) != len(ids):
        raise BadData(f"{path}: two questions have the same id.")
    for f in fields(Exclusions):
        bound = getattr(settings.exclusions, f.name)
        low = -1 if f.name == "disagreeing" else 0
        if not low <= bound <= 1:
            raise BadData(f"{path}: exclusions.{f.name} = {bound} must lie in {low}..1.")
    url = settings.completion.url
    if url and (urlsplit(url).scheme != "https" or not urlsplit(url).netloc):
        raise BadData(f"{path}: completion.url must begin with https://, not {url!r}.")


def _list(names: Any) -> str:
    return ", ".join(sorted(names))


_COMMENTS = {
    "texts": "What raters read before they agree to take part. The contact is shown to them.",
    "questions": "What they rank by, in this order on every screen.",
    "completion": "Shown, and opened, after the last answer.",
    "exclusions": "Shares of a rater's trials above which the rater is left out of the main result."
    "\n# Fixed before the first answer: their hash is in the public manifest.",
}


def settings_toml(settings: Settings) -> str:
    """study.toml as text; `read_settings` reads it back."""
    lines: list[str] = []
    for name in ("texts", "questions", "completion", "exclusions"):
        lines += [f"# {_COMMENTS[name]}"]
        value: Any = getattr(settings, name)
        if name == "questions":
            for question in settings.questions:
                lines += ["[[questions]]", *_pairs(asdict(question)), ""]
        else:
            lines += [f"[{name}]", *_pairs(asdict(value)), ""]
    return "\n".join(lines)


def _pairs(values: Mapping[str, Any]) -> list[str]:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return [
        f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for key, value in values.items()
    ]
