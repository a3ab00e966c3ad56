"""A training loop that can be killed at any step and resumes to the same weights.

    training = Training("mine:fit", {"net": net}, {"adam": adam}, steps=1000, lower=("batch",))
    with training:
        for step, batch in training_steps(ctx, training, batches):
            loss = loss_of(net, batch)
            adam.zero_grad()
            loss.backward()
            adam.step()
            training.log({"loss": loss}, batch.index)
    if training.finished:
        ...  # round, validate, check

`batches` is a function: given the number of steps made before, it returns the batches that follow,
such as `lambda done: data.batches("train", Pair(1, 8), 16, start_step=done)`.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vpbench.api import Corrupt, FitContext, MethodFailed
from vpbench.kit.prefetch import Prefetch
from vpbench.kit.state import from_arrays, to_arrays
from vpbench.kit.threads import deterministic, seeded

B = TypeVar("B")
Figure = float | Tensor
"""One number, perhaps still on a GPU."""

N_LOGGED = 200
"""A training logs about so many of its steps: enough for a curve, little to store."""
N_STORED = 40
"""A training stores its state about so often: a killed job repeats at most 1/40 of its steps."""


class Training:
    """What is trained, for how long, and how far it has come.

    As a context manager it turns "out of memory" into a `MethodFailed` that says what to lower.

    Attributes:
        who: "owner:stage", for messages.
        modules, optimisers: all that changes from step to step, by name.
        steps: how many to make.
        lower: parameters that a user may lower when the memory does not suffice.
        extra: further state (numbers, arrays, tensors) that steps change; replace its values rather
            than change them in place.
        done: steps made, those before an interruption included.
        stored: the step that an interrupted training would resume from.
    """

    def __init__(
        self,
        who: str,
        modules: Mapping[str, nn.Module],
        optimisers: Mapping[str, torch.optim.Optimizer],
        steps: int,
        lower: tuple[str, ...] = ("batch",),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.who, self.steps, self.lower = who, steps, lower
        self.modules, self.optimisers = dict(modules), dict(optimisers)
        self.extra: dict[str, Any] = dict(extra or {})
        self.done = 0
        self.stored = 0
        self._ctx: FitContext | None = None
        self._unseen: Mapping[str, Figure] | None = None

    @property
    def finished(self) -> bool:
        """Whether all steps are made; not when the job was asked to stop."""
        return self.done >= self.steps

    def log(self, figures: Mapping[str, Figure], clips: Iterable[int] = ()) -> int:
        """End a step: count it, and log its figures every so often.

        Args:
            figures: losses and whatever else is worth a curve, as numbers or tensors of one number.
                Tensors on a GPU are looked at only where they are logged or the state is stored:
                reading one waits for all that the GPU has been given.
            clips: numbers of the clips in the batch (`Batch.index`), named when a figure is bad;
                not on a GPU, where the bad step may have been an earlier one.

        Returns:
            How many steps are made.

        Raises:
            MethodFailed: a figure is NaN or infinite; nothing of this step is stored.
        """
        if self._ctx is None:
            raise RuntimeError("Training.log is called inside a loop over training_steps.")
        after = self.done + 1
        due = after == 1 or after % max(1, self.steps // N_LOGGED) == 0
        far = any(map(_on_gpu, figures.values()))
        self._unseen = None
        if far and not due:
            self._unseen = figures
            self.done = self._ctx.step(self.steps)
            return self.done
        values = _numbers(figures)
        self._refuse_bad(values, () if far else clips, after)
        self.done = self._ctx.step(self.steps)
        if values and due:
            self._ctx.log(values)
        return self.done

    def state(self) -> dict[str, object]:
        """All that the next step depends on."""
        return {
            "done": self.done,
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "optimisers": {k: o.state_dict() for k, o in self.optimisers.items()},
            "extra": dict(self.extra),
        }

    def __enter__(self) -> Training:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and _about_memory(error):
            raise MethodFailed(
                f"{self.who} ran out of memory at step {self.done + 1}; the last good state is "
                f"that of step {self.stored}.",
                fix=f"Lower {' or '.join(self.lower)}; nothing was lowered automatically.",
            ) from error

    def _resume(self, ctx: FitContext) -> None:
        """Take over the last stored state, where there is one."""
        self._ctx = ctx
        arrays = ctx.resume()
        if arrays is None:
            return
        state: Any = from_arrays(*arrays, device=ctx.device)  # pyright: ignore[reportArgumentType]
        for own, part in (
            (self.modules, "modules"),
            (self.optimisers, "optimisers"),
            (self.extra, "extra"),
        ):
            if set(own) != set(state[part]):
                raise Corrupt(
                    f"{self.who}: the stored state has {part} {', '.join(sorted(state[part]))}, "
                    f"this training has {', '.join(sorted(own))}.",
                    fix="Delete the folder `resume` of the stage; it then starts from step 0.",
                )
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
            _lay_out(optimiser)
        self.extra.update(state["extra"])
        self.done = self.stored = int(state["done"])

    def _store(self, ctx: FitContext) -> None:
        if self._unseen is not None:
            self._refuse_bad(_numbers(self._unseen), (), self.done)
        ctx.checkpoint(*to_arrays(self.state()))
        self.stored = self.done

    def _refuse_bad(self, figures: Mapping[str, float], clips: Iterable[int], step: int) -> None:
        bad = [f"{name} = {value}" for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            raise MethodFailed(
                f"{self.who} stopped at step {step} of {self.steps}: {', '.join(bad)}; "
                f"the last good state is that of step {self.stored}.",
                fix="Lower the learning rate, or look at these clips.",
                clips=map(int, clips),
            )


def training_steps(
    ctx: FitContext,
    training: Training,
    batches: Callable[[int], Iterator[B]],
    ahead: int = 0,
) -> Iterator[tuple[int, B]]:
    """The steps that are left, from the last stored state where there is one.

    The body makes one step with the batch, calls `training.log`, and may then validate: the state
    is stored after that. All randomness of a step follows from the stage's seed and its number,
    through torch's and NumPy's global generators or batches that start at it, so that a training
    that was interrupted ends with the same weights as one that was not.

    Args:
        batches: given the number of steps made before, returns the batches that follow.
        ahead: so many batches are made ahead in a thread (`Prefetch`); 0 makes each when needed.

    Yields:
        The number of the step, from 0, and its batch; until all steps are made or the job is asked
        to stop, which `training.finished` tells apart.
    """
    training._resume(ctx)
    every = max(1, training.steps // N_STORED)
    source = batches(training.done)
    with contextlib.ExitStack() as stack:
        if ahead:
            source = stack.enter_context(Prefetch(source, ahead))
        stack.enter_context(deterministic())
        while not training.finished and not ctx.should_stop:
            step = training.done
            with seeded(step_seed(ctx.seed, step)):
                try:
                    batch = next(source)
                except StopIteration:
                    raise MethodFailed(
                        f"{training.who}: the batches ended before step {step + 1}.",
                        fix="Batches of a training must not end.",
                    ) from None
                yield step, batch
                if training.done == step:  # a step without figures counts too
                    training.log({})
            if training.done % every == 0 or training.finished or ctx.should_stop:
                training._store(ctx)


def _on_gpu(figure: Figure) -> bool:
    return isinstance(figure, Tensor) and figure.device.type != "cpu"


def _numbers(figures: Mapping[str, Figure]) -> dict[str, float]:
    """All of them as numbers; those on a device are read in one go."""
    tensors = {k: v.detach() for k, v in figures.items() if isinstance(v, Tensor)}
    device = next((v.device for v in tensors.values() if v.device.type != "cpu"), "cpu")
    values = [v.to(device, torch.float32).reshape(()) for v in tensors.values()]
    read = dict(zip(tensors, torch.stack(values).tolist() if values else [], strict=True))
    return {k: v if not isinstance(v, Tensor) else read[k] for k, v in figures.items()}


def step_seed(seed: int, step: int) -> int:
    """The seed of one step of a training with a seed."""
    word = hashlib.sha256(f"step\x1f{seed}\x1f{step}".encode()).digest()[:8]
    return int.from_bytes(word, "big")


def _about_memory(error: BaseException) -> bool:
    """Whether it is for want of memory: on a CPU torch raises a bare RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "not enough memory" in text or "can't allocate memory" in text
    )


def _lay_out(optimiser: torch.optim.Optimizer) -> None:
    """Lay an optimiser's tensors out as the weights that they belong to.

    Stored arrays have no memory format, and a fused optimiser refuses running means of weights in
    channels_last that are not.
    """
    for group in optimiser.param_groups:
        for weight in group["params"]:
            for name, value in optimiser.state.get(weight, {}).items():
                if torch.is_tensor(value) and value.shape == weight.shape:
                    like = torch.empty_like(weight, dtype=value.dtype, requires_grad=False)
                    optimiser.state[weight][name] = like.copy_(value)
