"""Checks of what predictions depend on: seeds, batches, label, pose, never the future."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vpbench.api.errors import VpbenchError
from vpbench.harness.prediction.seal import leak_probe
from vpbench.testing.method import MethodSubject, at, difference
from vpbench.testing.model import Check, CheckFailed, NotApplicable
from vpbench.testing.report import format_error, where_raised

METHOD = ("method",)
_SEEDED = "Draw all randomness from `seeds`: vpbench.kit.generator, numpy.random.default_rng."


def same_seed(subject: MethodSubject) -> None:
    """The same clips and seeds give the same bytes, again and from a fresh instance."""
    setting = subject.setting()
    instance = setting.instance()
    first, second = setting.ask(instance), setting.ask(instance)
    for other, who in ((second, "the same object"), (setting.ask(setting.instance()), "a new one")):
        worst = difference(first, other)
        if worst:
            raise CheckFailed(
                "the same bytes from the same seeds",
                f"{worst} grey levels apart, from {who}",
                at(instance),
                f"{_SEEDED} Keep nothing from call to call.",
            )


def seeds(subject: MethodSubject) -> None:
    """Other seeds give another video if and only if the method declares that it is stochastic."""
    setting = subject.setting()
    instance = setting.instance()
    drawn = [setting.seeds(setting.items, s) for s in range(3)]
    one, *others = (setting.ask(instance, seeds=s) for s in drawn)
    differs = any(difference(one, other) for other in others)
    if not differs:
        differs = _differ([setting.keypoints(instance, seeds=s) for s in drawn])
    if subject.capabilities.stochastic and not differs:
        raise CheckFailed(
            "another video from other seeds",
            "the same bytes",
            at(instance),
            "Use `seeds`, or declare stochastic=False.",
        )
    if differs and not subject.capabilities.stochastic:
        raise CheckFailed(
            "the same video from any seeds",
            "another video",
            at(instance),
            "Declare stochastic=True in the capabilities.",
        )


def samples(subject: MethodSubject) -> None:
    """Each sample follows from its own seed, whatever else is in the batch."""
    if not subject.capabilities.stochastic:
        raise NotApplicable("it is not stochastic")
    setting = subject.setting()
    instance = setting.instance()
    items = setting.items[:3]
    wanted = setting.seeds(items, 0, 3)
    together = setting.ask(instance, items, seeds=wanted)
    for s in range(3):
        alone = setting.ask(instance, items, seeds=np.ascontiguousarray(wanted[:, s : s + 1]))
        worst = difference(together[:, s : s + 1], alone)
        if worst > subject.bound():
            raise CheckFailed(
                "sample s of S to follow from seeds[:, s] alone",
                f"sample {s} is {worst} grey levels off",
                at(instance),
                _SEEDED,
            )


def batch_size(subject: MethodSubject) -> None:
    """A clip's prediction is the same in batches of 1, 3 and 8."""
    setting = subject.setting()
    instance = setting.instance()
    whole = setting.ask(instance)
    for count in (1, 3):
        part = setting.ask(instance, setting.items[:count])
        worst = difference(whole[:count], part)
        if worst > subject.bound():
            raise CheckFailed(
                f"at most {subject.bound()} grey levels between batches of 8 and {count}",
                f"{worst}",
                at(instance),
                "Nothing of one clip may enter another: no batch norm in training mode, no mean "
                "over the batch; or declare batch_bound.",
            )


def batch_order(subject: MethodSubject) -> None:
    """A clip's prediction does not depend on its position in the batch."""
    setting = subject.setting()
    instance = setting.instance()
    forward = setting.ask(instance)
    backward = setting.ask(instance, list(reversed(setting.items)))
    worst = difference(forward, backward[::-1])
    if worst > subject.bound():
        raise CheckFailed(
            f"at most {subject.bound()} grey levels between positions in the batch",
            f"{worst}",
            at(instance),
            "Use seeds[b] and label[b] of each clip; count no clips.",
        )


def _labels(subject: MethodSubject) -> list[np.ndarray]:
    classes = subject.setting().task_data.task.info.n_classes
    count = len(subject.setting().items)
    return [np.full(count, k, np.int64) for k in range(classes)]


def label_used(subject: MethodSubject) -> None:
    """Another label gives another video."""
    if subject.capabilities.label not in ("required", "optional"):
        raise NotApplicable("it takes no label")
    if subject.method_spec.kind in ("ceiling", "floor"):
        raise NotApplicable("it is part of the harness")
    setting = subject.setting()
    instance = setting.instance()
    labels = _labels(subject)
    first = setting.ask(instance, label=labels[0])
    if any(difference(first, setting.ask(instance, label=x)) for x in labels[1:]):
        return
    if not _differ([setting.keypoints(instance, label=x) for x in labels]):
        raise CheckFailed(
            "another video for another label",
            f"the same bytes for all {len(labels)}",
            at(instance),
            'Use given.label, or declare label="no".',
        )


def _differ(keypoints: Sequence[npt.NDArray[np.float32] | None]) -> bool:
    """Whether keypoints, where there are any, are not all the same."""
    first, *others = keypoints
    return first is not None and not all(np.array_equal(first, x) for x in others if x is not None)


def label_ignored(subject: MethodSubject) -> None:
    """A method that declares to use no label does not use one that is there."""
    if subject.capabilities.label in ("required", "optional"):
        raise NotApplicable("it takes a label")
    setting = subject.setting()
    instance = setting.instance()
    without = setting.ask(instance)
    for label in _labels(subject)[:3]:
        if difference(without, setting.ask(instance, label=label)):
            raise CheckFailed(
                "the same video with and without a label",
                "another video",
                at(instance),
                'Declare label="optional" or "required".',
            )


def pose_refusal(subject: MethodSubject) -> None:
    """A method that requires a pose refuses in one sentence when there is none."""
    if subject.capabilities.pose != "required":
        raise NotApplicable("it requires no pose")
    setting = subject.setting()
    instance = setting.instance()
    given = setting.given(pose=None)
    try:
        with subject.watch.on():
            instance.predict(given, setting.task_data.task.horizon, setting.seeds(setting.items))
    except VpbenchError:
        return
    except Exception as error:
        raise CheckFailed(
            "vpbench.api.Refused with a sentence",
            format_error(error),
            where_raised(error),
            'if given.pose is None: raise Refused("... needs a pose.")',
        ) from error
    raise CheckFailed(
        "vpbench.api.Refused without a pose",
        "a prediction",
        at(instance),
        'Declare pose="optional", or refuse.',
    )


def future_probe(subject: MethodSubject) -> None:
    """Predictions do not change when the future is replaced by noise."""
    capabilities = subject.capabilities
    if capabilities.oracle:
        raise NotApplicable("an oracle may look")
    if subject.method_spec.kind in ("floor", "reference"):
        raise NotApplicable("it is part of the harness")
    if capabilities.pose == "required":
        raise NotApplicable("the clips of the probe have no joints")
    setting = subject.setting()
    setting.train()
    scratch = subject.folder("probe")
    report = subject.call(
        "predict", leak_probe, setting.run, setting.task_data, subject.registry, scratch
    )
    if report.leaks:
        raise CheckFailed(
            "the same prediction whatever the future is",
            f"{len(report.clips)} predictions follow the true future",
            at(setting.instance()),
            "Use only what is in `given`.",
        )


_SAME = ("same-seed",)
CHECKS = (
    Check(
        "same-seed",
        "basic",
        METHOD,
        "A score that cannot be reproduced is not a result.",
        same_seed,
        ("horizon",),
    ),
    Check("seeds", "basic", METHOD, "Best-of-S and diversity rest on seeds.", seeds, _SAME),
    Check(
        "samples",
        "basic",
        METHOD,
        "Sample 3 must be the same with 3 samples or with 100.",
        samples,
        _SAME,
    ),
    Check(
        "batch-size", "basic", METHOD, "A score must not depend on the batch.", batch_size, _SAME
    ),
    Check(
        "batch-order",
        "basic",
        METHOD,
        "A score must not depend on the order of the clips.",
        batch_order,
        _SAME,
    ),
    Check(
        "label-used",
        "basic",
        METHOD,
        "Tables list this method as using the label.",
        label_used,
        _SAME,
    ),
    Check(
        "label-ignored",
        "basic",
        METHOD,
        "Tables list this method as not using the label.",
        label_ignored,
        _SAME,
    ),
    Check(
        "pose-refusal",
        "basic",
        METHOD,
        "A guess in place of a pose is scored as the method.",
        pose_refusal,
        ("horizon",),
    ),
    Check(
        "future-probe",
        "basic",
        METHOD,
        "A method that sees the answer wins every table.",
        future_probe,
        _SAME,
    ),
)
