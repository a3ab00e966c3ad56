"""Why does my FVD differ: what each choice moves that programs and papers make differently.

Every line changes one choice and leaves the others as in the definition (`tf2018`). Features are
computed once for each distinct input of the network; the divisor of covariances needs none of its
own. The change has the error of the same clips under both choices, which is far below that of
either figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vpbench.api.errors import UsageError
from vpbench.core import schema
from vpbench.core.jackknife import corrected, jackknife
from vpbench.core.paths import Paths
from vpbench.core.progress import Report
from vpbench.core.provenance import cores
from vpbench.core.records import correction
from vpbench.core.tasks import Item, clip_of
from vpbench.harness.scoring.explain_features import (
    ClipSource,
    FeatureSet,
    extract,
    network_recipe,
)
from vpbench.harness.scoring.measure import Aligned, Side, aligned
from vpbench.harness.scoring.sampling import Sampling
from vpbench.harness.scoring.score_record import shares_and_strata
from vpbench.media.roundtrip import H264_CRF, JPEG_QUALITY
from vpbench.metrics.features import Feature
from vpbench.metrics.frechet import frechet
from vpbench.metrics.i3d.recipes import RECIPES, Recipe
from vpbench.metrics.leave_out import leave_one_out
from vpbench.metrics.sample_sets import stratified_se
from vpbench.metrics.video_specs import FVD, MIN_FRAMES

_FRAMES = (10, 16, 32)
"""Lengths of clips that papers use."""
_FIRST = 128
"""Pixels that programs bring clips to before the network's own resize."""
_DEFAULT = RECIPES["tf2018"]
_PRESETS = ("styleganv", "videogpt", "cdfvd-i3d")


@dataclass(frozen=True)
class Choice:
    """One line: what is compared, and how.

    Attributes:
        factor, setting: what is changed, and to what; "" for the definition.
        reason: why it cannot be tried on these clips; "" where it can.
    """

    factor: str
    setting: str
    real: FeatureSet
    fake: FeatureSet
    ddof: int = 1
    reason: str = ""

    def both(self, **changes: object) -> Choice:
        """The same with both sides changed."""
        real, fake = (replace(one, **changes) for one in (self.real, self.fake))
        return replace(self, real=real, fake=fake)


@dataclass(frozen=True)
class Explained:
    """The figure of the definition, and one line for every choice that differs.

    Attributes:
        lines: those with the largest change first, those that could not be tried last.
        notes: for readers.
    """

    real: Side
    fake: Side
    reference: Side | None
    both: Aligned
    default: schema.ExplainedJson
    lines: Sequence[schema.ExplainedJson]
    notes: Sequence[str]

    def json(self) -> schema.ExplainJson:
        """As `--json` prints it."""
        return {
            "schema": schema.EXPLAIN,
            "metric": FVD.name,
            "real": self.real.path,
            "fake": self.fake.path,
            "reference": None if self.reference is None else self.reference.path,
            "frames": self.both.task.horizon,
            "sampling": dict(self.both.task.sampling),
            "notes": list(self.notes),
            "default": self.default,
            "lines": list(self.lines),
        }


def explain(
    real: Side,
    fake: Side,
    reference: Side | None,
    sampling: Sampling,
    paths: Paths,
    report: Report,
    *,
    workers: int | None = None,
    device: str = "cpu",
) -> Explained:
    """FVD under the definition and with one choice changed at a time.

    Args:
        reference: other real clips, such as the training split; None leaves that line untried.
        workers: processes at once; None is one a core.

    Raises:
        UsageError: fewer than 9 frames or 2 clips, or options that contradict each other.
        BadData: clips that are too short.
        MissingWeights: those of I3D are not here.
    """
    both = aligned(real, fake, sampling)
    _check(both)
    sources = {
        "real": ClipSource(real.dataset, both.items[0], both.geometry),
        "fake": ClipSource(fake.dataset, both.items[1], both.geometry),
    }
    if reference is not None:
        fixed = replace(sampling, frames=both.task.horizon)
        other = aligned(real, reference, fixed)
        sources["reference"] = ClipSource(reference.dataset, other.items[1], other.geometry)
    default = _default(both)
    choices = [default, *_choices(default, sources, _shape(real, both))]
    tried = [c for c in choices if not c.reason]
    sets = list(dict.fromkeys(one for c in tried for one in (c.real, c.fake)))
    windows = {one: _windows(sources[one.side].items, one.frames) for one in sets}
    made = extract(sets, windows, sources, paths.cache, device, workers or cores(), report)
    figures = {c: _Figure.of(c, made, sources) for c in tried}
    base = figures[default]
    scored = [figures[c].json(c, base) for c in choices[1:] if not c.reason]
    missed = [_untried(c) for c in choices[1:] if c.reason]
    scored.sort(key=lambda line: -abs(line["change"] or 0.0))
    first = base.json(default, base)
    return Explained(real, fake, reference, both, first, [*scored, *missed], both.notes)


def _check(both: Aligned) -> None:
    frames = both.task.horizon
    if frames < MIN_FRAMES:
        raise UsageError(f"fvd needs at least {MIN_FRAMES} frames, but there are {frames}.")
    for items, word in zip(both.items, ("real", "generated"), strict=True):
        if len(items) < 2:
            raise UsageError(f"fvd needs at least 2 {word} clips, but there are {len(items)}.")


def _shape(real: Side, both: Aligned) -> tuple[int, int]:
    """Height and width of the frames that are compared."""
    if both.geometry is not None and not both.geometry.native:
        return both.geometry.size, both.geometry.size
    clip = next(iter(real.clips.values()))
    return clip.height, clip.width


def _default(both: Aligned) -> Choice:
    frames = both.task.horizon
    real, fake = (FeatureSet(side, _DEFAULT, frames) for side in ("real", "fake"))
    return Choice("", "", real, fake, _DEFAULT.ddof)


def _choices(
    default: Choice, sources: Mapping[str, ClipSource], shape: tuple[int, int]
) -> list[Choice]:
    """All lines but the first."""
    square = shape[0] == shape[1]

    def by(recipe: Recipe, factor: str, setting: str, reason: str = "") -> Choice:
        changed = default.both(recipe=network_recipe(recipe, square))
        return replace(changed, factor=factor, setting=setting, ddof=recipe.ddof, reason=reason)

    lines = [by(RECIPES[name], "preset", name) for name in _PRESETS]
    lines.append(by(RECIPES["half-pixel"], "resize", "half-pixel bilinear"))
    crop = Recipe("tf1-crop", aspect="crop")
    lines.append(by(crop, "resize", "centre crop", "the frames are square" if square else ""))
    lines.append(_first_to(default, shape))
    lines.append(by(RECIPES["eps1e-5"], "eps", "1e-5 instead of 1e-3"))
    lines.append(by(RECIPES["ddof0"], "ddof", "covariances divided by n"))
    lines += [_of_frames(default, n, sources) for n in _FRAMES if n != default.real.frames]
    lines.append(_of_reference(default, sources))
    return [*lines, *_codecs(default)]


def _first_to(default: Choice, shape: tuple[int, int]) -> Choice:
    small = f"the frames have {shape[1]}x{shape[0]} px" if min(shape) <= _FIRST else ""
    changed = default.both(size=_FIRST)
    return replace(changed, factor="resize", setting=f"to {_FIRST} px first", reason=small)


def _of_frames(default: Choice, frames: int, sources: Mapping[str, ClipSource]) -> Choice:
    changed = replace(default.both(frames=frames), factor="frames", setting=f"{frames} frames")
    for side in ("real", "fake"):
        for item in sources[side].items.values():
            if _window(item, frames) is None:
                left = 1 + (item.clip.frames - 1 - item.targets[0]) // _stride(item)
                return replace(changed, reason=f"{side} {item.id!r} has {left} frames")
    return changed


def _of_reference(default: Choice, sources: Mapping[str, ClipSource]) -> Choice:
    reason = "" if "reference" in sources else "name other real clips with --reference"
    real = replace(default.real, side="reference")
    changed = replace(default, real=real, factor="reference", reason=reason)
    return replace(changed, setting="other real clips")


def _codecs(default: Choice) -> list[Choice]:
    jpeg, h264 = f"JPEG, quality {JPEG_QUALITY}", f"H.264, crf {H264_CRF}"
    lines: list[Choice] = []
    for codec, name in (("png", "PNG"), ("jpeg", jpeg), ("h264", h264)):
        fake = replace(default.fake, codec=codec)
        lines.append(replace(default, fake=fake, factor="codec", setting=f"generated: {name}"))
    for codec, name in (("jpeg", jpeg), ("h264", h264)):
        changed = default.both(codec=codec)
        lines.append(replace(changed, factor="codec", setting=f"both: {name}"))
    return lines


def _stride(item: Item) -> int:
    return item.targets[1] - item.targets[0]


def _window(item: Item, frames: int) -> Item | None:
    """The window with another number of frames from the same start; None where the clip ends."""
    stop = item.targets[0] + (frames - 1) * _stride(item)
    if stop >= item.clip.frames:
        return None
    return replace(item, targets=tuple(range(item.targets[0], stop + 1, _stride(item))))


def _windows(items: Mapping[str, Item], frames: int) -> list[Item]:
    cut = (_window(items[name], frames) for name in sorted(items))
    return [item for item in cut if item is not None]


def _untried(choice: Choice) -> schema.ExplainedJson:
    none = None
    return {
        "factor": choice.factor,
        "setting": choice.setting,
        "value": none,
        "se": none,
        "bias": none,
        "corrected": none,
        "change": none,
        "change_se": none,
        "change_percent": none,
        "n": 0,
        "n_real": 0,
        "reason": choice.reason,
    }


@dataclass(frozen=True)
class _Figure:
    """FVD of one choice.

    Attributes:
        left: cluster -> the value without it.
        in_fake, in_real: the cluster of each clip; those of a reference have names of their own.
    """

    value: float
    left: Mapping[str, float | None]
    in_fake: Sequence[str]
    in_real: Sequence[str]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    @classmethod
    def of(
        cls,
        choice: Choice,
        made: Mapping[FeatureSet, Mapping[str, Feature]],
        sources: Mapping[str, ClipSource],
    ) -> _Figure:
        fake, in_fake = _rows(made[choice.fake], sources[choice.fake.side].items)
        real, in_real = _rows(made[choice.real], sources[choice.real.side].items)
        if choice.real.side == "reference":
            in_real = [name if name in in_fake else f"reference {name}" for name in in_real]
        value = frechet(fake, real, choice.ddof)
        left = leave_one_out(fake, real, in_fake, in_real, choice.ddof)
        sizes = {name: (in_fake.count(name), in_real.count(name)) for name in sorted(left)}
        return cls(value, left, in_fake, in_real, sizes)

    def json(self, choice: Choice, base: _Figure) -> schema.ExplainedJson:
        """A line beside the figure of the definition."""
        shares, strata = shares_and_strata(self.sizes)
        figures = correction(self.value, self.left, shares, strata)
        change = self.value - base.value
        return {
            "factor": choice.factor,
            "setting": choice.setting,
            "value": self.value,
            "se": self.se(),
            "bias": figures["bias"],
            "corrected": figures["corrected"],
            "change": change,
            "change_se": self.change_se(base),
            "change_percent": 100 * change / base.value if base.value else None,
            "n": len(self.in_fake),
            "n_real": len(self.in_real),
            "reason": _caveat(choice),
        }

    def se(self) -> float | None:
        """Standard error, as that of `fvd`; None where a cluster cannot be left out."""
        known = [v for _, v in sorted(self.left.items()) if v is not None]
        if len(known) < len(self.left):
            return None
        own = stratified_se(self.left, set(self.in_fake), set(self.in_real))
        return jackknife(known, self.value)[0] if own is None else own

    def change_se(self, base: _Figure) -> float | None:
        """Standard error of the change, the same clips left out on both sides of it.

        Clips that are in one set only are independent of the others (`core.jackknife.corrected`).
        """
        names = sorted({*self.left, *base.left})
        pairs = [(self.left.get(n, self.value), base.left.get(n, base.value)) for n in names]
        changes = [one - two for one, two in pairs if one is not None and two is not None]
        if len(changes) < len(names):
            return None
        sets = [set(s) for s in (self.in_fake, self.in_real, base.in_real)]
        strata = ["".join(str(int(name in one)) for one in sets) for name in names]
        got = corrected(changes, self.value - base.value, strata=strata)
        return None if got is None else got.se


def _rows(made: Mapping[str, Feature], items: Mapping[str, Item]) -> tuple[Feature, list[str]]:
    """Features [n,400] in the order of names, and the cluster of each."""
    names = sorted(made)
    clips = [clip_of(items[name]) for name in names]
    return np.stack([made[name] for name in names]), [clip.group or clip.id for clip in clips]


def _caveat(choice: Choice) -> str | None:
    preset = choice.factor == "preset" and not RECIPES[choice.setting].verified
    return "by recipe, unverified" if preset else None
