"""What `fitnet` trains beside the student and nobody uses afterwards: its maps onto the teachers' features."""

from collections.abc import Mapping

from torch import nn


class Regressors(nn.Module):
    """r of each teacher: a convolution of width 1 from the student's channels to that teacher's."""

    def __init__(self, convolutions: Mapping[str, nn.Conv1d]) -> None:
        super().__init__()
        self._teachers = tuple(convolutions)
        # A list, because a teacher may have a name that modules keep for themselves, such as `train`.
        self.convolutions = nn.ModuleList(convolutions.values())

    @property
    def by_teacher(self) -> dict[str, nn.Module]:
        """The maps (N, C_S, T) → (N, C_T, T)."""
        return dict(zip(self._teachers, self.convolutions, strict=True))
