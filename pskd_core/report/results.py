"""What a report is made from: finished runs, whoever has trained them."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from pskd_core.config import JobSpec
from pskd_core.evaluation.comparison import Predictions
from pskd_core.evaluation.metrics import Scores
from pskd_core.experiments import Row


class _Read(BaseModel):
    """Part of a larger document, of which the rest is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TeacherOutcome(_Read):
    """A teacher's own figures."""

    test: Scores | None


class Outcome(_Read):
    """A run's outcome, as the command line and the service write it."""

    seed: int
    fold: str
    test: Scores
    teachers: dict[str, TeacherOutcome]
    parameters: int
    macs: int
    environment: dict[str, str] = {}  # versions and machine; empty: not recorded


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """One finished run."""

    outcome: Outcome
    predictions: Predictions
    learning: tuple[float, ...]  # the student's cross-entropy, epoch by epoch
    took_s: float


@dataclass(frozen=True, slots=True, eq=False)
class RowResult:
    """A row with its runs; `problem` says why there are none, or fewer than there should be."""

    row: Row
    spec: JobSpec | None = None  # null: published only, or impossible on this dataset
    folds: tuple[str, ...] = ()
    runs: tuple[RunResult, ...] = ()
    problem: str = ""

    @property
    def whole(self) -> bool:
        """Whether every seed has every fold."""
        return self.spec is not None and len(self.runs) == len(self.folds) * len(self.spec.seeds)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all rows have in common."""

    dataset: str
    layout: str
    digest: str
    preset: str
    classes: tuple[str, ...]
    skeleton_substitute: str | None = None  # what stands in the place of the dataset's own skeleton
