"""Compare objects for tests of tables."""

from vpbench.core.schema import COMPARE, score_json
from vpbench.render.model import table_model
from vpbench.render.notes import table_notes as notes_of

EVIL = "a|b_c&d%e#f*g<h>\\i$j{k}~l^m[n=1]\n`o"
"""A name with what Markdown, LaTeX and HTML take for their own."""
PRINT = {"psnr": "aa" * 8, "fvd": "bb" * 8}


def figure(value, metric="psnr", n=90, **more):
    return score_json(value, n=n, fingerprint=PRINT[metric], **more)


def row(method, kind="method", **changes):
    values = {
        "method": method,
        "row": method,
        "kind": kind,
        "conditioning_frames": 1,
        "uses": [],
        "n": 90,
        "samples": 1,
        "seeds": [0],
        "fit_seeds": [],
        "checkpoint": None,
        "nulls": [],
        "notes": [],
        "not_comparable": [],
        "missed": [],
        "doubts": [],
        "tied": [],
        "scores": {"psnr": figure(24.3, se=0.12), "fvd": figure(152.3, "fvd", se=8.1)},
    }
    return {**values, **changes}


def group(*rows, metrics=("psnr", "fvd"), **task):
    units = {"psnr": ("up", "dB"), "fvd": ("down", "")}
    return {
        "task": {"id": "puppets", **task},
        "frames": 16,
        "metrics": {
            m: {"fingerprint": PRINT[m], "direction": units[m][0], "unit": units[m][1]}
            for m in metrics
        },
        "rows": list(rows),
        "comparisons": {"nulls": 48, "pairs": 24, "level": 0.05},
        "to_run": "",
    }


def compare(*groups, differences=()):
    return {"schema": COMPARE, "groups": list(groups), "differences": list(differences)}


def table_notes(of):
    return [note.plain for note in notes_of(of, of["rows"])]


def legend(of):
    return [line.text for line in table_model(of).legend]


def names(model):
    return [r.source["method"] for r in model.rows]
