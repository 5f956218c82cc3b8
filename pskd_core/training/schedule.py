"""The schedule as data: which networks train in each epoch of a run."""

from typing import Literal, assert_never

from pskd_core.config import Distill, Method, NoTeachers
from pskd_core.distillation import Checkpoints, FrozenTeachers, PerStep, Progressive

Phase = Literal["teachers", "student", "joint"]

_TEACHERS: tuple[Phase, ...] = ("teachers",)
_STUDENT: tuple[Phase, ...] = ("student",)
_JOINT: tuple[Phase, ...] = ("joint",)


def epoch_plan(method: Method, *, epochs: int) -> tuple[Phase, ...]:
    """One phase an epoch, in order; every network trains `epochs` epochs in all.

    `progressive(n)` alternates n epochs of the teachers with n of the student and ends with a shorter round if n does
    not divide `epochs`; `frozen` and `checkpoints` train the teachers to their end first; `per_step` trains both on
    every batch.
    """
    match method:
        case NoTeachers():
            return _STUDENT * epochs
        case Distill(schedule=FrozenTeachers() | Checkpoints()):
            return _TEACHERS * epochs + _STUDENT * epochs
        case Distill(schedule=PerStep()):
            return _JOINT * epochs
        case Distill(schedule=Progressive(epochs_per_round=n)):
            rounds = [min(n, epochs - start) for start in range(0, epochs, n)]
            return tuple(phase for length in rounds for phase in _round(length))
        case _ as never:
            assert_never(never)  # type: ignore[arg-type]  # mypy does not narrow nested class patterns


def _round(length: int) -> tuple[Phase, ...]:
    return _TEACHERS * length + _STUDENT * length
