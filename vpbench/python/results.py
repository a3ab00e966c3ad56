"""What the functions return: figures, measurements, tables, as text, pandas, LaTeX and HTML."""

from __future__ import annotations

import html
from collections.abc import ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vpbench.api.errors import UnknownName
from vpbench.core.schema import CompareJson, DifferenceJson, RunJson, ScoreJson

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Score:
    """A figure with its uncertainty.

        >>> print(Score("fvd", 988.3, se=96.2, n=90, corrected=715.4, corrected_se=109.0))
        988 ± 96 (n = 90, corrected 715)
        >>> print(Score("ssim", None, n=0, reason="frames are under 11 px"))
        — (frames are under 11 px)

    Attributes:
        metric: its name, with the recipe.
        value: the figure, None where there is none; `reason` says why.
        se, ci95: standard error and 95 % interval of the value.
        n: clips that it stands on.
        corrected: the value without the bias of few clips, where the metric has one.
        corrected_se: its standard error.
        floor: what two halves of the real clips give, `floor_n` clips in each.
        p: p-value, where the metric has a test.
        reason: why the value is missing, or what to know of it.
        fingerprint: 8 digits; figures with different ones do not belong in one table.
        per_clip: the value of each clip; of FVD and KVD, the value without each clip.
    """

    metric: str
    value: float | None
    se: float | None = None
    ci95: tuple[float, float] | None = None
    n: int = 0
    corrected: float | None = None
    corrected_se: float | None = None
    floor: float | None = None
    floor_n: int | None = None
    p: float | None = None
    reason: str | None = None
    fingerprint: str = ""
    per_clip: Mapping[str, float | None] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(
        cls, metric: str, score: ScoreJson, per_clip: Mapping[str, float | None] | None = None
    ) -> Score:
        """From the figure that `--json` prints."""
        interval = score["ci95"]
        return cls(
            metric,
            score["value"],
            se=score["se"],
            ci95=None if interval is None else (interval[0], interval[1]),
            n=score["n"],
            corrected=score["corrected"],
            corrected_se=score["corrected_se"],
            floor=score["floor"],
            floor_n=score["floor_n"],
            p=score["p"],
            reason=score["reason"],
            fingerprint=score["fingerprint"],
            per_clip=per_clip or {},
        )

    def __str__(self) -> str:
        from vpbench.render.text import DASH, rounded

        if self.value is None:
            return f"{DASH} ({self.reason})" if self.reason else DASH
        text = rounded(self.value, self.se, self.metric)
        if self.se:
            text += f" ± {rounded(self.se, self.se, self.metric)}"
        more = [f"n = {self.n}"]
        if self.corrected is not None:
            more.append(f"corrected {rounded(self.corrected, self.corrected_se, self.metric)}")
        return f"{text} ({', '.join(more)})"

    def __float__(self) -> float:
        """The value; NaN where there is none."""
        return float("nan") if self.value is None else self.value


_FIELDS = ("n", "value", "se", "corrected", "corrected_se", "floor", "floor_n", "p", "reason")
"""What tables show of a score."""


@dataclass(frozen=True)
class Measurement:
    """Figures of one set of clips against another: metric -> `Score`.

    Attributes:
        frames: of each window.
        sampling: how windows were chosen; empty for the first frames of each clip.
        notes: what to know of the clips.
    """

    scores: Mapping[str, Score]
    frames: int
    sampling: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __getitem__(self, metric: str) -> Score:
        if metric not in self.scores:
            raise UnknownName("metric of this measurement", metric, self.scores)
        return self.scores[metric]

    def __contains__(self, metric: object) -> bool:
        return metric in self.scores

    def items(self) -> ItemsView[str, Score]:
        """Metrics and their figures."""
        return self.scores.items()

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def __str__(self) -> str:
        lines = [f"{name} {score}" for name, score in self.scores.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_pandas(self, *, per_clip: bool = False) -> pandas.DataFrame:
        """One row a metric; with `per_clip`, one row a clip and one column a metric."""
        import pandas

        if per_clip:
            return pandas.DataFrame({k: dict(s.per_clip) for k, s in self.scores.items()})
        rows = [{name: getattr(score, name) for name in _FIELDS} for score in self.scores.values()]
        return pandas.DataFrame(rows, index=pandas.Index(self.scores, name="metric"))

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(score))}</td></tr>"
            for name, score in self.scores.items()
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<table>{rows}</table>{notes}"


@dataclass(frozen=True)
class Table:
    """Finished runs side by side, as `vpbench compare` shows them.

    Attributes:
        content: as `vpbench compare --json` prints it.
        names: rows that were asked for, which a print or a notebook shows even where they are
            references that say little.
    """

    content: CompareJson
    names: Sequence[str] = ()

    def json(self) -> CompareJson:
        """As `vpbench compare --json` prints it."""
        return self.content

    def to_pandas(self) -> pandas.DataFrame:
        """One row a method and metric, with all figures in full precision.

        `table.to_pandas().pivot(index="row", columns="metric", values="value")` is the table.
        """
        import pandas

        own = ("method", "row", "kind", "given", "n", "samples", "metric")
        columns = ("task", "frames", *own, *_FIELDS, "notes")
        rows = [
            {
                "task": group["task"].get("id", ""),
                "frames": group["frames"],
                "method": row["method"],
                "row": row["row"],
                "kind": row["kind"],
                "given": row["conditioning_frames"],
                "samples": row["samples"],
                "metric": metric,
                **{name: score[name] for name in _FIELDS},
                "notes": "; ".join(row["notes"]),
            }
            for group in self.content["groups"]
            for row in group["rows"]
            for metric, score in row["scores"].items()
        ]
        return pandas.DataFrame(rows, columns=list(dict.fromkeys(columns)))

    def differences(self) -> pandas.DataFrame:
        """Paired differences of all rows to the one that `compare(..., vs=)` names.

        One row a method and metric, as `vpbench compare --vs --json` has them; none without `vs`.
        """
        import pandas

        fields = DifferenceJson.__annotations__
        rows = [
            {
                "task": group["task"].get("id", ""),
                "frames": group["frames"],
                "vs": versus["row"],
                **pair,
            }
            for group in self.content["groups"]
            if (versus := group.get("versus")) is not None
            for pair in versus["pairs"]
        ]
        return pandas.DataFrame(rows, columns=["task", "frames", "vs", *fields])

    def to_latex(self) -> str:
        """Tables for a paper; needs the packages booktabs and xcolor."""
        from vpbench.render.tables import to_latex

        return to_latex(self.content)

    def to_markdown(self) -> str:
        """Tables with their notes."""
        from vpbench.render.tables import to_markdown

        return to_markdown(self.content)

    def to_html(self) -> str:
        """Tables with their notes, as HTML without scripts or styles of its own."""
        from vpbench.render.html_tables import to_html

        return to_html(self.content)

    def _repr_html_(self) -> str:
        from vpbench.render.html_tables import to_html
        from vpbench.render.model import View

        return to_html(self.content, View(names=self.names))

    def __str__(self) -> str:
        """As the terminal shows it: in Markdown, with what every reader needs to know below."""
        from vpbench.render.model import View
        from vpbench.render.tables import to_markdown

        return to_markdown(self.content, View(names=self.names), "short")


@dataclass(frozen=True)
class Runs:
    """What `vpbench.run` did: one entry a method and seed, as `vpbench run --json` prints it.

    Attributes:
        runs: the entries.
        methods, preset, limit: what was asked for, for `table`.
        folder: where results are.
    """

    runs: Sequence[RunJson]
    methods: Sequence[str]
    folder: str | None
    preset: str | None = None
    limit: int | None = None

    def __getitem__(self, method: str) -> dict[str, Score]:
        """The scores of a method's first run, by metric."""
        for run in self.runs:
            if run["method"] == method:
                return {k: Score.parse(k, s) for k, s in run["scores"].items()}
        raise UnknownName("method of these runs", method, [run["method"] for run in self.runs])

    def __iter__(self) -> Iterator[RunJson]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def table(self) -> Table:
        """The requested methods and the references, side by side."""
        from vpbench.python.running import compare

        tasks = {run["task"] for run in self.runs}
        return compare(
            self.methods,
            task=tasks.pop(),
            preset=self.preset,
            limit=self.limit,
            runs=self.folder,
        )

    def to_pandas(self) -> pandas.DataFrame:
        """One row a run and metric."""
        import pandas

        return pandas.DataFrame(
            [
                {
                    **{k: run[k] for k in ("method", "kind", "task", "seed", "fit_seed", "status")},
                    "metric": name,
                    **{k: score[k] for k in _FIELDS},
                }
                for run in self.runs
                for name, score in run["scores"].items()
            ]
        )

    def _repr_html_(self) -> str:
        return self.table._repr_html_()

    def __str__(self) -> str:
        return str(self.table)
