"""What `vpbench.python` asks for, done in a process of its own: `vpbench _python`.

The program that asks may have any threads, settings and imported modules; here they are those of
the command line, so that figures and predictions are the same to the last bit.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from vpbench.api.errors import MethodFailed, UsageError
from vpbench.cli.opening import open_task, prepare_dataset, task_ref
from vpbench.cli.progress import Progress
from vpbench.core.child import Answer, Send, serve
from vpbench.core.options import RunOptions
from vpbench.core.paths import user_paths
from vpbench.core.progress import Report

Request = dict[str, Any]

_KEPT_SHARDS = 64
"""Predicted shards that are kept: clips of a shard are seldom asked for one after the other."""


def main() -> int:
    """Answer requests until no more come."""
    served = _Served()
    serve(served.answer, lambda: served.doing)
    return 0


@dataclass
class _Served:
    """What the process keeps between requests.

    Attributes:
        doing: what is being done, for the sentence about an unexpected exception.
        method: the loaded method; a process loads one at most.
    """

    doing: str = "vpbench"
    method: _LoadedHere | None = None

    def answer(self, request: Request, send: Send) -> Answer:
        """Do what is asked."""
        self.doing = f"vpbench.{request['do']}"
        work = {
            "measure": _measure,
            "run": _run,
            "prepare": _prepare,
            "load_method": self._load,
            "predict": self._predict,
        }[request["do"]]
        with _relayed(send):
            return work(request, send)

    def _load(self, request: Request, send: Send) -> Answer:
        self.method = _LoadedHere.load(request, send)
        return self.method.describe(), b""

    def _predict(self, request: Request, send: Send) -> Answer:
        if self.method is None:
            raise UsageError("no method is loaded.")
        frames = self.method.predict(request)
        return {"shape": list(frames.shape)}, np.ascontiguousarray(frames).tobytes()


@contextlib.contextmanager
def _relayed(send: Send) -> Iterator[None]:
    """Progress and lines for people go to the asking process; click's errors become vpbench's."""
    Progress.relay = send
    try:
        with contextlib.redirect_stderr(_Lines(send)):
            yield
    except click.ClickException as error:
        raise UsageError(error.format_message()) from error
    finally:
        Progress.relay = None


class _Lines(io.TextIOBase):
    """A stream whose lines become events."""

    def __init__(self, send: Send) -> None:
        self._send, self._rest = send, ""

    def write(self, text: str, /) -> int:
        """Send whole lines."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(str.strip, lines):
            self._send({"event": "note", "text": line})
        return len(text)


def _measure(request: Request, send: Report) -> Answer:
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.fetch import fetch_metric_weights
    from vpbench.harness.scoring.array_clips import ArrayClips, StoredArray
    from vpbench.harness.scoring.measure import Side, array_side, measure, open_side
    from vpbench.harness.scoring.sampling import Sampling, with_protocol
    from vpbench.harness.scoring.score import wanted_metrics

    paths, plugins = user_paths(), registry()

    def side(fields: Mapping[str, Any]) -> Side:
        if "path" in fields:
            return open_side(fields["path"], paths)
        stored = [StoredArray.parse(clip) for clip in fields["clips"]]
        return array_side(fields["name"], ArrayClips(Path(fields["file"]), stored))

    wanted = wanted_metrics(request["metrics"], plugins, classes=0)
    sampling = with_protocol(Sampling(**request["sampling"]), request["protocol"])
    fetch_metric_weights([f for w in wanted for f in w.weights], paths, send)
    result = measure(
        side(request["real"]),
        side(request["fake"]),
        wanted,
        sampling,
        plugins,
        paths,
        send,
        workers=request["workers"],
        device=request["device"],
        here=True,
    )
    per_clip = {name: score.per_clip for name, score in result.scores.items()}
    return {**result.json(), "per_clip": per_clip}, b""


def _run(request: Request, send: Report) -> Answer:
    """As the command `vpbench run --json`."""
    from vpbench.cli.run import execute

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = execute("score", request["methods"], as_json=True, strict=False, **request["fields"])
    return {"code": code, **json.loads(out.getvalue())}, b""


def _prepare(request: Request, send: Report) -> Answer:
    """Convert or render a dataset, so that the asking process only reads it."""
    from vpbench.core.registry import registry
    from vpbench.harness.inputs.task_data import absolute, open_dataset

    dataset, _ = open_dataset(
        absolute(request["dataset"]), registry(), user_paths(), request["root"]
    )
    with Progress() as progress:
        prepare_dataset(dataset, progress)
    return {}, b""


@dataclass
class _LoadedHere:
    """A trained method in this process."""

    loaded: Any
    _shards: dict[str, tuple[Any, int]] = field(default_factory=dict[str, Any])
    _last: dict[tuple[int, int, int], Any] = field(default_factory=dict[Any, Any])

    @classmethod
    def load(cls, request: Request, send: Report) -> _LoadedHere:
        """Load a method as `vpbench predict --image` does."""
        from vpbench.harness.prediction.loaded import load_trained, plan_loaded

        ref = task_ref(request["dataset"], request["task"], request["root"])
        opened = open_task([request["method"]], ref, request["runs"], False, prepare=True)
        checkpoint = request["checkpoint"]
        chosen = RunOptions(
            preset=request["preset"],
            fit_seeds=(request["fit_seed"],),
            checkpoint=Path(checkpoint).expanduser().absolute() if checkpoint else None,
            device=request["device"],
        )
        runs = plan_loaded(opened.methods, chosen, opened.task_data, opened.registry, opened.paths)
        if len(runs) != 1:
            raise UsageError(f"{request['method']} names {len(runs)} methods, load one.")
        return cls(
            load_trained(
                runs[0], opened.task_data, opened.registry, opened.paths, request["device"], send
            )
        )

    def describe(self) -> dict[str, Any]:
        """What the asking process knows of the method."""
        from vpbench.harness.prediction.from_image import uses_label

        task, method = self.loaded.task_data.task, self.loaded.run.method
        return {
            "name": self.loaded.name,
            "task": task.id,
            "size": task.spec.size,
            "horizon": task.horizon,
            "class_names": list(task.info.class_names),
            "uses_label": uses_label(method, task.info),
            "stochastic": method.capabilities.stochastic,
        }

    def predict(self, request: Request) -> Any:
        """uint8 [S,T,H,W,3] of a test clip or of a picture."""
        if request["clip"] is None:
            return self._picture(request)
        own = self._item(request["clip"]).clip.label
        if request["label"] is None or (own is not None and self._label(request) == own):
            return self._as_run(request["clip"], request["samples"], request["seed"])
        return self._relabelled(request)

    def _label(self, request: Request) -> int | None:
        from vpbench.harness.prediction.from_image import pick_labels

        task, method = self.loaded.task_data.task, self.loaded.run.method
        (label,) = pick_labels(request["label"], method, task.info)[:1]
        return label

    def _picture(self, request: Request) -> Any:
        from vpbench.harness.prediction import from_image

        from_image.check_pictured(self.loaded.run.method)
        size = self.loaded.task_data.task.spec.size
        picture = from_image.read_picture(Path(request["image"]), size)
        label = self._label(request)
        return from_image.predict_picture(
            self.loaded, picture, label, request["samples"], request["seed"]
        ).frames

    def _relabelled(self, request: Request) -> Any:
        """A test clip with another label: alone, as `vpbench figure` predicts it."""
        from vpbench.harness.prediction.from_image import predict_clip

        task_data, run = self.loaded.task_data, self.loaded.run
        self._refuse_oracle()
        item = self._item(request["clip"])
        given = task_data.conditioning([item], run.method)
        return predict_clip(
            self.loaded, given, self._label(request), request["samples"], request["seed"], item.id
        ).frames

    def _as_run(self, clip: str, samples: int, seed: int) -> Any:
        """The bytes that `vpbench run` stores: a clip is predicted with the others of its shard."""
        from vpbench.harness.prediction.shards import predict_items, shards

        task_data, run = self.loaded.task_data, self.loaded.run
        if not self._shards:
            self._shards = {
                item.id: (shard, k)
                for shard in shards(task_data.task)
                for k, item in enumerate(shard.items)
            }
        samples = samples if run.method.capabilities.stochastic else 1
        shard, place = self._shards[clip]
        key = (shard.index, samples, seed)
        if key not in self._last:
            frames = predict_items(
                shard.items, run.method, seed, samples, task_data, self.loaded.instance
            )
            if len(self._last) >= _KEPT_SHARDS:
                self._last.clear()
            self._last[key] = frames
        return self._last[key][place]

    def _item(self, clip: str) -> Any:
        for item in self.loaded.task_data.task.test:
            if item.id == clip:
                return item
        raise UsageError(
            f"{self.loaded.task_data.task.id} has no test clip {clip!r}.",
            fix="Methods predict clips of their task's test split, or pictures.",
        )

    def _refuse_oracle(self) -> None:
        if self.loaded.oracle:
            raise MethodFailed(f"{self.loaded.name} sees the true future: labels cannot change.")
