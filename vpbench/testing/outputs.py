"""Checks of what `predict` returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from vpbench.testing.method import MethodSubject, at
from vpbench.testing.model import Check, CheckFailed, NotApplicable

METHOD = ("method",)


def answers(subject: MethodSubject) -> None:
    """Predict returns something for one, three and eight clips."""
    setting = subject.setting()
    try:
        instance = setting.instance()
        for count in (1, 3, 8):
            setting.ask(instance, setting.items[:count])
    except CheckFailed:
        if subject.watch.network:
            raise NotApplicable("it reaches for the network, which is closed") from None
        raise


def network(subject: MethodSubject) -> None:
    """Neither fitting nor predicting has reached for the network."""
    if subject.watch.network:
        raise CheckFailed(
            "no network access",
            subject.watch.network[0],
            subject.row.ref.value,
            "Name files to fetch as WeightSpec and take them from ctx.weights(name).",
        )


def _each(subject: MethodSubject) -> list[tuple[Any, tuple[int, ...], str]]:
    """(answer, wanted shape, where) for 1, 3 and 8 clips and up to two samples."""
    setting = subject.setting()
    instance = setting.instance()
    samples = 2 if setting.method.capabilities.stochastic else 1
    size = setting.task_data.task.spec.size
    predictions: list[tuple[Any, tuple[int, ...], str]] = []
    for count in (1, 3, 8):
        items = setting.items[:count]
        frames = setting.ask(instance, items, seeds=setting.seeds(items, 0, samples))
        shape = (count, samples, setting.task_data.task.horizon, size, size, 3)
        predictions.append((frames, shape, at(instance)))
    return predictions


def finite(subject: MethodSubject) -> None:
    """No NaN, no infinity."""
    for frames, _, where in _each(subject):
        kind = getattr(frames, "dtype", None)
        if kind is None or not np.issubdtype(np.asarray(frames).dtype, np.floating):
            continue
        bad = np.size(frames) - int(np.isfinite(frames).sum())
        if bad:
            raise CheckFailed(
                "finite values",
                f"{bad} values are NaN or infinite",
                where,
                "Look for a division by zero, a logarithm or an overflow.",
            )


def dtype(subject: MethodSubject) -> None:
    """A numpy array of uint8."""
    for frames, _, where in _each(subject):
        got = str(getattr(frames, "dtype", "")) or type(frames).__name__
        if not isinstance(frames, np.ndarray):
            got = f"{type(frames).__module__}.{type(frames).__name__}"
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            raise CheckFailed(
                "a numpy array of uint8, 0..255",
                got,
                where,
                "vpbench.kit.to_uint8 turns tensors in [0,1] into it.",
            )


def shape(subject: MethodSubject) -> None:
    """[B,S,T,H,W,3] in all axes but time."""
    for frames, wanted, where in _each(subject):
        others = [a for a in range(6) if a != 2]
        if frames.ndim != 6 or any(frames.shape[a] != wanted[a] for a in others):
            raise CheckFailed(
                f"[B,S,T,H,W,3] = {list(wanted)}",
                str(list(frames.shape)),
                where,
                "Return one video for every clip and every column of `seeds`.",
            )


def horizon(subject: MethodSubject) -> None:
    """As many frames as were asked for, even, odd or one."""
    usual = subject.horizon()
    for wanted in dict.fromkeys((usual, 1)):
        setting = subject.setting(horizon=wanted)
        instance = setting.instance()
        frames = setting.ask(instance, setting.items[:1])
        if frames.ndim == 6 and frames.shape[2] != wanted:
            raise CheckFailed(
                f"{wanted} frames",
                f"{frames.shape[2]} frames",
                at(instance),
                "Return exactly `horizon` frames: t0+1 .. t0+horizon, not the given ones.",
            )


def moves(subject: MethodSubject) -> None:
    """Some clip changes over time, or the keypoints of a method that has hardly learned yet."""
    if subject.method_spec.kind == "null":
        raise NotApplicable("a null may stand still")
    setting = subject.setting()
    if setting.task_data.task.horizon < 2:
        raise NotApplicable("it predicts one frame")
    instance = setting.instance()
    frames = setting.ask(instance)
    if (frames == frames[:, :, :1]).all():
        points = setting.keypoints(instance)
        if points is not None and (points != points[:, :, :1]).any():
            return
        raise CheckFailed(
            "frames that change over time",
            "the same frame again and again",
            at(instance),
            "Predict motion; a method that must stand still declares the expected failure.",
        )


def sizes(subject: MethodSubject) -> None:
    """Another declared size works as well."""
    base = subject.size()
    other = subject.size(base + 16)
    setting = subject.setting(size=other)
    instance = setting.instance()
    frames = setting.ask(instance, setting.items[:1])
    if frames.shape[3:] != (other, other, 3):
        raise CheckFailed(
            f"frames of {other} x {other} px",
            str(list(frames.shape)),
            at(instance),
            "Take the size from task.size; declare size_multiple or min_size where it matters.",
        )


def given_frames(subject: MethodSubject) -> None:
    """The fewest and the most declared given frames both work."""
    fewest, most = subject.capabilities.conditioning_frames
    if most in (fewest, 1):
        raise NotApplicable(f"it always gets {most}")
    usual = max(5, fewest)
    for count in dict.fromkeys((max(1, fewest), min(most, 7))):
        if min(most, usual) == count and count != max(1, fewest):
            continue
        setting = subject.setting(n_max=count)
        instance = setting.instance()
        frames = setting.ask(instance, setting.items[:1])
        if frames.shape[:3] != (1, 1, setting.task_data.task.horizon):
            raise CheckFailed(
                f"[1,1,{setting.task_data.task.horizon},H,W,3] from {count} given frames",
                str(list(frames.shape)),
                at(instance),
                "Declare in conditioning_frames how many given frames it can take.",
            )


def horizon_limit(subject: MethodSubject) -> None:
    """The longest declared horizon works, and a longer one is refused before anything runs."""
    limit = subject.capabilities.max_horizon
    wanted = limit if limit is not None else 33
    setting = subject.setting(horizon=wanted)
    instance = setting.instance()
    frames = setting.ask(instance, setting.items[:1])
    if frames.shape[2] != wanted:
        raise CheckFailed(
            f"{wanted} frames",
            f"{frames.shape[2]} frames",
            at(instance),
            "Declare max_horizon in the capabilities.",
        )
    if limit is not None:
        _refused(subject, limit + 1)


def _refused(subject: MethodSubject, horizon: int) -> None:
    try:
        subject.setting(horizon=horizon)
    except CheckFailed:
        return
    raise CheckFailed(
        f"a refusal of {horizon} frames",
        "it would run",
        "capabilities of the spec",
        "An override or a component lifts max_horizon.",
    )


CHECKS = (
    Check(
        "answers",
        "basic",
        METHOD,
        "A method that raises or hangs has no results.",
        answers,
        ("factory", "fit"),
    ),
    Check(
        "network",
        "basic",
        METHOD,
        "Scores must not depend on a server's response.",
        network,
        ("answers",),
    ),
    Check(
        "finite", "basic", METHOD, "NaN in one clip is NaN in every score.", finite, ("network",)
    ),
    Check(
        "dtype",
        "basic",
        METHOD,
        "Rounding to bytes is the method's choice, not the harness's.",
        dtype,
        ("finite",),
    ),
    Check(
        "shape", "basic", METHOD, "Axes in another order score as another video.", shape, ("dtype",)
    ),
    Check(
        "horizon",
        "basic",
        METHOD,
        "A frame too many or too few shifts every comparison.",
        horizon,
        ("shape",),
    ),
    Check(
        "moves",
        "basic",
        METHOD,
        "A still video is what broken motion looks like.",
        moves,
        ("horizon",),
    ),
    Check(
        "sizes",
        "basic",
        METHOD,
        "A declared size that fails costs a whole run.",
        sizes,
        ("horizon",),
    ),
    Check(
        "given-frames",
        "basic",
        METHOD,
        "Tasks differ in how many frames they give.",
        given_frames,
        ("horizon",),
    ),
    Check(
        "horizon-limit",
        "basic",
        METHOD,
        "Tables are built from what is declared.",
        horizon_limit,
        ("horizon",),
    ),
)
