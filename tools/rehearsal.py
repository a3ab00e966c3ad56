"""How long a training takes, from a short one of the same: and how many steps fit into a time.

A rehearsal makes a few steps of every stage, all stages side by side as in the training itself.
Every parameter that counts steps gets a number of its own, by which the loops of a stage are told
apart when they report their progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stage_jobs import StageJob, chain_seconds

from vpbench.core.methods import ResolvedMethod
from vpbench.core.names import MethodRef

FEWEST = 40
"""A parameter with fewer steps does not set the length of a training."""


def step_params(method: ResolvedMethod) -> dict[str, int]:
    """Parameters that say how long something is trained, as they are typed -> steps."""
    counted = {k: v for k, v in method.params.items() if _counts(k, v)}
    for slot, part in sorted(method.slots.items()):
        shared = method.params if _follows(method, slot) else ()
        own = {k for k, v in part.params.items() if _counts(k, v) and k not in shared}
        counted |= {f"{slot}.{k}": part.params[k] for k in sorted(own)}
    return {k: int(v) for k, v in counted.items()}


def _follows(method: ResolvedMethod, slot: str) -> bool:
    """Whether what is in a slot takes parameters of the method's names from the method."""
    part = method.slots[slot].spec
    trainer = (part.trained_by or "").partition(":")[0]
    return trainer != "self" or method.spec.slots[slot] == part.name


def _counts(name: str, value: object) -> bool:
    named = name == "steps" or name.endswith("_steps")
    return named and isinstance(value, int) and value >= FEWEST


def rehearsed(method: ResolvedMethod, steps: int) -> MethodRef:
    """The method with about `steps` steps everywhere, another number for each parameter."""
    names = step_params(method)
    return method.ref.with_params({name: steps + k for k, name in enumerate(names)})


def scaled(method: ResolvedMethod, factor: float) -> MethodRef:
    """The method with all its steps multiplied, rounded to two digits."""
    steps = step_params(method)
    return method.ref.with_params({k: two_digits(v * factor) for k, v in steps.items()})


def two_digits(value: float) -> int:
    """A whole number of at least `FEWEST` with two significant digits."""
    return max(FEWEST, int(float(f"{value:.1e}")))


@dataclass(frozen=True)
class Pace:
    """How long a stage takes.

    Attributes:
        fixed: seconds that do not depend on the number of steps: start, validation, the end.
        loops: for each loop, its steps in the full training and the seconds of one.
    """

    fixed: float
    loops: tuple[tuple[int, float], ...]

    def seconds(self, factor: float = 1.0) -> float:
        """Of the stage with its steps multiplied."""
        return self.fixed + sum(factor * steps * each for steps, each in self.loops)


def pace_of(job: StageJob, full: Mapping[int, int]) -> Pace:
    """The pace that a rehearsal of a stage shows.

    Args:
        full: number of steps in the rehearsal -> number in the full training.
    """
    loops: list[tuple[int, float]] = []
    for total, segment in job.segments.items():
        if total in full and segment.rate is not None:
            loops.append((full[total], 1.0 / segment.rate))
    spent = sum(
        segment.last[0] - segment.first[0]
        for total, segment in job.segments.items()
        if total in full
    )
    return Pace(max(0.0, job.seconds - spent), tuple(loops))


def longest(jobs: Sequence[StageJob], paces: Mapping[str, Pace], factor: float) -> float:
    """Seconds of the longest chain among the stages of one method."""
    seconds = {job.key: paces[job.key].seconds(factor) for job in jobs if job.key in paces}
    return max(chain_seconds(jobs, lambda job: seconds.get(job.key, 0.0)).values(), default=0.0)


def factor_for(jobs: Sequence[StageJob], paces: Mapping[str, Pace], wanted: float) -> float:
    """The factor by which steps are multiplied so that the longest chain lasts `wanted` seconds."""
    low, high = 0.0, 1.0
    while longest(jobs, paces, high) < wanted and high < 1e6:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if longest(jobs, paces, middle) < wanted else (low, middle)
    return low


def all_needs(jobs: Iterable[StageJob], keys: Iterable[str]) -> list[StageJob]:
    """The stages with these keys and all before them."""
    by_key = {job.key: job for job in jobs}
    wanted, todo = set(), list(keys)
    while todo:
        key = todo.pop()
        if key in by_key and key not in wanted:
            wanted.add(key)
            todo += by_key[key].needs
    return [job for key, job in by_key.items() if key in wanted]
