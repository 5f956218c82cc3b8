"""The schedule as data."""

import pytest

from pskd_core.config import Distill, Method, NoTeachers
from pskd_core.distillation import Checkpoints, FrozenTeachers, PerStep, Progressive
from pskd_core.training.schedule import epoch_plan


def test_progressive_alternates_rounds_and_ends_with_a_shorter_one() -> None:
    """PSKD(2) over 5 epochs: two full rounds, then one epoch each."""
    plan = epoch_plan(Distill(schedule=Progressive(epochs_per_round=2)), epochs=5)
    short = "".join(phase[0] for phase in plan)
    assert short == "ttssttssts"


def test_frozen_trains_the_teachers_to_their_end_first() -> None:
    """The student baseline of Figure 5 meets finished teachers only."""
    assert epoch_plan(Distill(schedule=FrozenTeachers()), epochs=3) == ("teachers",) * 3 + ("student",) * 3


@pytest.mark.parametrize(
    "method",
    [NoTeachers(), Distill(schedule=PerStep())]
    + [Distill(schedule=Progressive(epochs_per_round=n)) for n in (1, 3, 100)]
    + [Distill(schedule=FrozenTeachers()), Distill(schedule=Checkpoints(every=3))],
)
def test_every_network_trains_the_same_number_of_epochs(method: Method) -> None:
    """Comparisons between schedules are at equal effort."""
    plan = epoch_plan(method, epochs=7)
    student = sum(phase in ("student", "joint") for phase in plan)
    teachers = sum(phase in ("teachers", "joint") for phase in plan)
    assert student == 7
    assert teachers == (0 if isinstance(method, NoTeachers) else 7)
