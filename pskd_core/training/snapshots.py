"""Schedule `checkpoints`: the teachers leave snapshots on their way, and the student meets these in order.

Snapshot s holds the teachers after their first (s + 1) · `every` epochs, the last one at their end; it guides the
student's epochs s · `every` and following. Those are the teachers and epochs of `progressive` with rounds of the same
length, whose teachers' course does not depend on the student: both schedules give the same student, here from teachers
that are trained once and for all beforehand.
"""

from pskd_core.training.state import TrainingState


def keep_snapshot(state: TrainingState, *, every: int, epoch: int, epochs: int) -> None:
    """After the teachers' epoch `epoch` (from 0) of `epochs`: keep a copy if it is the last of its stretch."""
    if (epoch + 1) % every == 0 or epoch + 1 == epochs:
        state.snapshots[epoch // every] = {
            f"{name}/{key}": value.detach().to("cpu", copy=True).contiguous()
            for name in state.teacher_names
            for key, value in state.learners[name].network.state_dict().items()
        }


def meet_snapshot(state: TrainingState, *, every: int, epoch: int) -> None:
    """Before the student's epoch `epoch` (from 0): set the teachers to its snapshot; earlier ones are forgotten.

    The last snapshot is the teachers' end, where they stand again when the run is over.
    """
    number = epoch // every
    state.snapshots = {kept: snapshot for kept, snapshot in state.snapshots.items() if kept >= number}
    for name in state.teacher_names:
        prefix = f"{name}/"
        own = {
            key.removeprefix(prefix): value for key, value in state.snapshots[number].items() if key.startswith(prefix)
        }
        state.learners[name].network.load_state_dict(own)
