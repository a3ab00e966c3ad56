"""Checks of `fit`, `save` and `load`."""

from __future__ import annotations

import math

from vpbench.core.rundir import StageDir
from vpbench.testing.method import MethodSubject, at, difference
from vpbench.testing.model import Check, CheckFailed, NotApplicable
from vpbench.testing.rounding import networks_of, rounded
from vpbench.testing.training import RUNAWAY, STEPS, Fitted

METHOD = ("method",)


def _fits(subject: MethodSubject) -> list[Fitted]:
    setting = subject.setting()
    if not setting.run.stages:
        raise NotApplicable("it is not trained")
    setting.train()
    return [f for f in setting.fitted.values() if f.stage.node.mode != "labels"]


def _at_fit(fitted: Fitted) -> str:
    node = fitted.stage.node
    return at(fitted.slots[node.trains[0]] if node.mode == "component" else fitted.instance, "fit")


def fit(subject: MethodSubject) -> None:
    """Every stage can be fitted, saved and loaded."""
    if not _fits(subject):
        raise NotApplicable("its stages are trained already")
    subject.setting().instance()


def fit_logs(subject: MethodSubject) -> None:
    """Every fit logs figures, all of them finite."""
    for fitted in _fits(subject):
        label = fitted.stage.node.label
        if not fitted.logs:
            raise CheckFailed(
                f"figures logged in {STEPS} steps of {label}",
                "none",
                _at_fit(fitted),
                'Call ctx.log({"loss": float(loss)}) once a step.',
            )
        for values in fitted.logs:
            for name, value in values.items():
                if not math.isfinite(value):
                    raise CheckFailed(
                        f"finite figures while fitting {label}",
                        f"{name} = {value}",
                        _at_fit(fitted),
                        "Look for a division by zero or a step that is too long.",
                    )


def fit_stops(subject: MethodSubject) -> None:
    """A fit ends soon after it is asked to."""
    for fitted in _fits(subject):
        if fitted.over > 1:
            many = f"{fitted.over}" if fitted.over <= RUNAWAY else f"more than {RUNAWAY}"
            raise CheckFailed(
                "an end within one step of ctx.should_stop",
                f"{many} steps more",
                _at_fit(fitted),
                "Look at ctx.should_stop in every step and return.",
            )


def save_load(subject: MethodSubject) -> None:
    """What was fitted and what is loaded again predict the same."""
    setting = subject.setting()
    fitted = [f for f in _fits(subject) if f.stage.node.method.name == setting.run.name]
    if not fitted:
        raise NotApplicable("nothing of its own was fitted in this process")
    for stage in setting.run.stages:
        if stage.node.key not in [f.stage.node.key for f in fitted] and stage.node.mode != "labels":
            raise NotApplicable("part of it is trained elsewhere")
    made, again = fitted[-1].instance, setting.instance()
    after = setting.ask(again)
    worst = difference(setting.ask(made), after)
    held, loaded = networks_of(made), networks_of(again)
    if worst and held and rounded(held, loaded):
        # a stopped training has not rounded its weights; any larger difference is a failure
        for one, two in zip(held, loaded, strict=True):
            one.load_state_dict(two.state_dict())
        worst = difference(setting.ask(made), after)
    if worst:
        raise CheckFailed(
            "the same predictions after save and load",
            f"a difference of {worst} grey levels",
            at(fitted[-1].instance, "save"),
            "Save all that `fit` changes, and load all that `save` writes.",
        )


def save_same(subject: MethodSubject) -> None:
    """Saving twice gives the same bytes."""
    setting = subject.setting()
    _fits(subject)
    own = subject.own_stages(setting)
    if not own:
        raise NotApplicable("it trains no stage itself")
    instance = setting.instance()
    for stage in own:
        folders = [StageDir(subject.folder("save")) for _ in range(2)]
        for folder in folders:
            folder.checkpoint.mkdir()
            subject.call("save", instance.save, stage.node.stage, folder.checkpoint)
        one, two = (f.files() for f in folders)
        if one != two:
            changed = sorted(n for n in one.keys() | two.keys() if one.get(n) != two.get(n))
            raise CheckFailed(
                "the same bytes from two calls of save",
                f"{changed[0]} differs",
                at(instance, "save"),
                "Leave out times and random names; vpbench.kit.save_state writes equal bytes.",
            )


def resume(subject: MethodSubject) -> None:
    """A fit that was interrupted and went on ends where an uninterrupted one does."""
    setting = subject.setting()
    _fits(subject)
    for k, stage in enumerate(setting.run.stages):
        if stage.node.mode == "labels" or stage.origin == "bundled":
            continue
        before = setting.run.stages[:k]
        straight, broken = (StageDir(subject.folder(n)) for n in ("straight", "interrupted"))
        setting.trainer.fit(stage, before, 2 * STEPS, straight)
        setting.trainer.fit(stage, before, STEPS, broken)
        again = setting.trainer.fit(stage, before, 2 * STEPS, broken)
        if straight.files() != broken.files():
            one, two = straight.files(), broken.files()
            changed = sorted(n for n in one.keys() | two.keys() if one.get(n) != two.get(n))
            raise CheckFailed(
                f"the same state of {stage.node.label} with and without an interruption",
                f"{changed[0]} differs",
                _at_fit(again),
                "Checkpoint model, optimiser and step; start batches at the resumed step; draw "
                "first weights from ctx.seed.",
            )


CHECKS = (
    Check(
        "fit",
        "basic",
        METHOD,
        "A method that cannot be trained here cannot be scored here.",
        fit,
        ("factory",),
    ),
    Check(
        "fit-logs",
        "basic",
        METHOD,
        "A loss that is not a number is seen in the first step.",
        fit_logs,
        ("fit",),
    ),
    Check(
        "fit-stops",
        "basic",
        METHOD,
        "Interrupting a run must keep its state and end it.",
        fit_stops,
        ("fit",),
    ),
    Check(
        "save-load",
        "basic",
        METHOD,
        "Predictions come from what was saved, not from memory.",
        save_load,
        ("same-seed",),
    ),
    Check(
        "save-deterministic",
        "basic",
        METHOD,
        "Checkpoints are identified by their hash.",
        save_same,
        ("fit",),
    ),
    Check(
        "resume",
        "full",
        METHOD,
        "An interrupted training must not give another model.",
        resume,
        ("fit", "fit-stops"),
    ),
)
