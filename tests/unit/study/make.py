"""Small studies made on the spot, and raters that answer them without a browser."""

import json
from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from vpbench.study.answers import AnswerFile
from vpbench.study.bundle import Contents, export
from vpbench.study.collection import Collection
from vpbench.study.design import Plan
from vpbench.study.files import PrivatePaths, open_bundle
from vpbench.study.settings import Completion, Settings, Texts

NAMES = ("zebramethod", "quaggamethod", "okapimethod", "tapirmethod", "elandmethod", "oryxmethod")

SETTINGS = Settings(
    texts=Texts(organiser="Video Lab, Example University", contact="study@example.org"),
    completion=Completion("C0DE42", ""),
)


def clip(seed, frames=6, size=16):
    """A square over a still ground; every seed another one."""
    rng = np.random.default_rng(seed)
    video = np.repeat(rng.integers(0, 256, (1, size, size, 3), np.uint8), frames, 0)
    for t in range(frames):
        video[t, t : t + 5, t : t + 5] = rng.integers(0, 256, 3, np.uint8)
    return video


def contents(methods=4, clips=3, raters=3, gold=1, repeats=1, settings=SETTINGS, **more):
    plan = Plan(clips, methods, raters, gold, repeats, **more)
    return Contents(
        [{"name": n, "run": "0" * 8, "manifest": "0" * 64} for n in NAMES[:methods]],
        [{"id": f"clip {c}", "label": None, "cluster": f"clip:clip {c}"} for c in range(clips)],
        lambda c, m: clip(100 * c + m),
        [clip(9000 + g) for g in range(gold)],
        {"id": "toy", "name": "toy", "dataset": "toy", "horizon": 6},
        plan,
        "ranking",
        settings,
        frames=6,
        size=16,
        fps=12.0,
    )


def study(folder, *, films=True, **more):
    """An exported study: its bundle, its key and its private folder.

    Without `films` the videos are empty files: most tests look at answers only.
    """
    with ExitStack() as stack:
        if not films:
            for name, stand_in in (("encode", lambda *_: b""), ("padded", lambda data, *_: data)):
                stack.enter_context(patch(f"vpbench.study.bundle.{name}", stand_in))
        export(contents(**more), folder)
    private = PrivatePaths.of(folder)
    return open_bundle(folder), json.loads(private.key.read_text()), private


def salt(private):
    return bytes.fromhex(private.salt.read_text())


def hello(bundle, client="someone", prolific=None):
    return {
        "study": bundle.study,
        "client": client,
        "consent": True,
        "prolific": prolific,
        "viewport": [1280, 800],
    }


def body(bundle, session, sheet, index, ranks=None, **more):
    """An answer as the page sends it; ranks by slot, the same for every question."""
    trial = bundle.sheets[sheet][index]
    k = len(trial["slots"])
    ranks = ranks or list(range(1, k + 1))
    return {
        "session": session,
        "trial": trial["id"],
        "slots": trial["slots"],
        "ranks": {q: list(ranks) for q in bundle.questions},
        "plays": [1] * k,
        "seconds": 12.5,
        "visible": 12.0,
        "ways": dict.fromkeys(bundle.questions, "drag"),
        "viewport": [1280, 800],
        **more,
    }


def ranks_by_slot(key, sheet, index, by_method, by_version=None):
    """Turn ranks of methods (or of gold versions) into ranks of slots."""
    trial = key["sheets"][sheet][index]
    group = key["gold" if trial["kind"] == "gold" else "clips"][trial["clip"]]["media"]
    wanted = by_method
    if trial["kind"] == "gold":
        wanted = by_version or list(range(1, len(group) + 1))
    return [int(wanted[group.index(name)]) for name in trial["slots"]]


def collect_answers(bundle, key, private, choose, raters=None, gold=lambda rater: None, **more):
    """Let raters answer everything; `choose(rater, clip)` gives the ranks of the methods.

    Written in one go, as the server would have done.
    """
    collection = Collection(bundle, salt(private), {}, clock=lambda: 1000.0)
    events = []
    for rater in range(raters or len(bundle.sheets)):
        outcome = collection.open(hello(bundle, f"rater{rater}"), f"10.0.0.{rater}", "browser")
        events.append(outcome.event)
        session, sheet = outcome.reply["session"], outcome.reply["sheet"]
        for index, trial in enumerate(key["sheets"][sheet]):
            ranks = ranks_by_slot(key, sheet, index, choose(rater, trial["clip"]), gold(rater))
            request = body(bundle, session, sheet, index, ranks, **more)
            events.append(collection.answer(request).event)
        events.append(collection.finish({"session": session}).event)
    writer = AnswerFile(private.answers)
    writer.append(events)
    writer.close()
    return collection


def without(settings, **exclusions):
    return replace(settings, exclusions=replace(settings.exclusions, **exclusions))
