"""Checks that a method leaves the machine and the process as they were."""

from __future__ import annotations

from vpbench.harness.prediction.settings import changes
from vpbench.testing.method import MethodSubject, at
from vpbench.testing.model import Check, CheckFailed
from vpbench.testing.watch import state

METHOD = ("method",)


def writes(subject: MethodSubject) -> None:
    """Nothing is written outside of the folders that the plugin was given."""
    setting = subject.setting()
    instance = setting.instance()
    setting.ask(instance)
    if subject.watch.writes:
        raise CheckFailed(
            "writes in given folders only (save's folder, ctx.workdir, ctx.cache)",
            subject.watch.writes[0],
            at(instance),
            "Write to the folder that `save` is given, or to ctx.workdir.",
        )


def globals_kept(subject: MethodSubject) -> None:
    """Predicting leaves generators, working directory, environment and torch's settings alone."""
    setting = subject.setting()
    instance = setting.instance()
    setting.ask(instance)  # packages that load late are there now
    subject.end()  # as it was before: setting the same value twice is a change, too
    before = state()
    setting.ask(instance)
    changed = changes(before, state())
    if changed:
        raise CheckFailed(
            "the state of the process as it was",
            f"changed: {', '.join(changed)}",
            at(instance),
            "Use generators of your own; vpbench.kit.seeded restores the global ones.",
        )


CHECKS = (
    Check(
        "writes",
        "basic",
        METHOD,
        "Two methods that share a file share their numbers.",
        writes,
        ("network",),
    ),
    Check(
        "globals",
        "basic",
        METHOD,
        "Methods that share a process must not affect each other.",
        globals_kept,
        ("network",),
    ),
)
