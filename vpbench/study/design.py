"""Who sees what in which order: balanced slot orders, trial orders, gold and repeated trials."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vpbench.api.errors import UsageError
from vpbench.core.seeding import seed_of

Kind = Literal["clip", "gold", "repeat"]

MOST_METHODS = 6
"""More than six videos side by side are ranked carelessly, and do not fit a phone."""


@dataclass(frozen=True)
class Trial:
    """One screen: K videos to be ranked.

    Attributes:
        kind: "gold" has a known answer, "repeat" is a trial of the same sheet in another order.
        clip: index of the clip, or of the gold clip.
        order: which method (or gold version) stands in each slot, a permutation of 0..K-1.
        repeats: index in the sheet of the trial that this one repeats.
    """

    kind: Kind
    clip: int
    order: tuple[int, ...]
    repeats: int | None = None


Sheet = tuple[Trial, ...]
"""All trials of one rater, in order."""


@dataclass(frozen=True)
class Plan:
    """Size and randomisation of a study.

    Attributes:
        gold, repeats: trials of that kind on each sheet.
        balanced: slot orders from the balanced design; otherwise each vote's order is drawn alone.
        seed: of everything random.
    """

    clips: int
    methods: int
    raters: int
    gold: int
    repeats: int
    balanced: bool = True
    seed: int = 0


def make_sheets(plan: Plan) -> list[Sheet]:
    """One sheet a rater.

    Raises:
        UsageError: too many or too few methods, clips or raters.
    """
    check(plan)
    orders = slot_orders(plan)
    return [_sheet(plan, number, orders[number]) for number in range(plan.raters)]


def check(plan: Plan) -> None:
    """Refuse a plan that makes no study.

    Raises:
        UsageError: too many or too few methods, clips or raters, or too many repeated trials.
    """
    if not 2 <= plan.methods <= MOST_METHODS:
        raise UsageError(
            f"a study ranks 2 to {MOST_METHODS} methods side by side, not {plan.methods}.",
            fix="Name fewer or more methods.",
        )
    if plan.clips < 1 or plan.raters < 1:
        raise UsageError("a study needs at least one clip and one rater.")
    if plan.repeats > plan.clips:
        raise UsageError(f"{plan.repeats} trials cannot be repeated out of {plan.clips}.")


def slot_orders(plan: Plan) -> list[list[tuple[int, ...]]]:
    """The slot order of every rater on every clip, [raters][clips].

    Balanced: for each clip, for each rater and in total, the numbers of times that a method stands
    in a slot differ by at most one, and are equal wherever they can be. Over raters, a clip goes
    through all K! orders before one comes again.
    """
    rng = random.Random(seed_of("study slots", plan.seed))
    k = plan.methods
    if not plan.balanced:
        return [
            [tuple(rng.sample(range(k), k)) for _ in range(plan.clips)] for _ in range(plan.raters)
        ]
    # Rotations of one order form a Latin square, so each group of K raters on one clip, and each
    # group of K clips of one rater, has every method once in every slot.
    bases = [(0, *rest) for rest in itertools.permutations(range(1, k))]
    rng.shuffle(bases)
    rater_rows = rng.sample(range(plan.raters), plan.raters)
    clip_rows = rng.sample(range(plan.clips), plan.clips)
    label = rng.sample(range(k), k)
    shift = _shifts(plan.raters, plan.clips, k)
    table: list[list[tuple[int, ...]]] = []
    for rater in rater_rows:
        row: list[tuple[int, ...]] = []
        for clip in clip_rows:
            base = bases[(rater // k + clip // k) % len(bases)]
            turn = shift[rater][clip]
            row.append(tuple(label[base[(slot + turn) % k]] for slot in range(k)))
        table.append(row)
    return table


def _shifts(raters: int, clips: int, k: int) -> list[list[int]]:
    """Rotations [raters][clips]: Latin squares, with an even rectangle where both leave a rest."""
    table = [[(rater + clip) % k for clip in range(clips)] for rater in range(raters)]
    rows, columns = raters % k, clips % k
    corner = _even_rectangle(rows, columns, k)
    for i, j in itertools.product(range(rows), range(columns)):
        table[raters - rows + i][clips - columns + j] = corner[i][j]
    return table


def _even_rectangle(rows: int, columns: int, k: int) -> list[list[int]]:
    """Rows and columns without a repeated value, and all k values equally often, give or take one.

    Two values' cells form paths and cycles (each row and column has a value at most once); swapping
    the values along a path with one more of the commoner evens them out (de Werra, 1971).
    """
    table = [[(i + j) % k for j in range(columns)] for i in range(rows)]
    while True:
        counts = [sum(row.count(value) for row in table) for value in range(k)]
        much, little = counts.index(max(counts)), counts.index(min(counts))
        if counts[much] - counts[little] <= 1:
            return table
        for path in _paths(table, much, little):
            if sum(1 if table[i][j] == much else -1 for i, j in path) == 1:
                for i, j in path:
                    table[i][j] = much + little - table[i][j]
                break


def _paths(table: list[list[int]], a: int, b: int) -> list[list[tuple[int, int]]]:
    """Cells with the values a and b, joined where they share a row or a column."""
    left = {(i, j) for i, row in enumerate(table) for j, value in enumerate(row) if value in (a, b)}
    paths: list[list[tuple[int, int]]] = []
    while left:
        path = [left.pop()]
        for i, j in path:
            near = {cell for cell in left if cell[0] == i or cell[1] == j}
            left -= near
            path += sorted(near)
        paths.append(path)
    return paths


def _sheet(plan: Plan, number: int, orders: Sequence[tuple[int, ...]]) -> Sheet:
    """One rater's trials: the clips in random order, with gold and repeated trials among them."""
    rng = random.Random(seed_of("study sheet", plan.seed, number))
    clips = rng.sample(range(plan.clips), plan.clips)
    trials = [Trial("clip", clip, orders[clip]) for clip in clips]
    for position, again in _repeat_places(rng, plan):
        first = trials[again]
        order = _other_order(rng, first.order)
        trials.insert(position, Trial("repeat", first.clip, order, again))
    for at, position in enumerate(_gold_places(rng, len(trials), plan.gold)):
        order = tuple(rng.sample(range(plan.methods), plan.methods))
        trials = _insert(trials, position, Trial("gold", at, order))
    return tuple(trials)


def _repeat_places(rng: random.Random, plan: Plan) -> list[tuple[int, int]]:
    """Where repeated trials go and which they repeat, last place first.

    They repeat trials of the first half of the sheet, in its second half.
    """
    half = max(plan.repeats, plan.clips // 2)
    again = rng.sample(range(half), plan.repeats)
    places = sorted((rng.randint(half, plan.clips) for _ in again), reverse=True)
    return list(zip(places, again, strict=True))


def _other_order(rng: random.Random, order: tuple[int, ...]) -> tuple[int, ...]:
    """The videos in other slots: each moves, so that a remembered slot does not help."""
    turn = rng.randint(1, len(order) - 1)
    return order[turn:] + order[:turn]


def _gold_places(rng: random.Random, trials: int, gold: int) -> list[int]:
    """One place in each of `gold` equal parts of the sheet, never the first trial."""
    parts = [trials * part / gold for part in range(gold + 1)] if gold else []
    places = [
        rng.randint(max(1, math.ceil(low)), max(1, math.floor(high)))
        for low, high in itertools.pairwise(parts)
    ]
    return sorted(places, reverse=True)


def _insert(trials: list[Trial], position: int, trial: Trial) -> list[Trial]:
    """Insert a trial and keep what repeated trials point at."""
    moved = [
        t
        if t.repeats is None or t.repeats < position
        else Trial(t.kind, t.clip, t.order, t.repeats + 1)
        for t in trials
    ]
    return [*moved[:position], trial, *moved[position:]]
