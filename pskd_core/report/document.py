"""A report as data: `report.json`. Markdown and plots are drawn from it and from nothing else."""

from pydantic import Field, JsonValue

from pskd_core.evaluation.comparison import SampleVerdict, SubjectVerdict
from pskd_core.evaluation.metrics import ClassScores, Confusion, PartSummary, Spread
from pskd_core.fields import Frozen
from pskd_core.published import PublishedRow


class Against(Frozen):
    """A row minus the reference, paired by seed and by sample; fractions, never per cent."""

    accuracy: Spread
    macro_f1: Spread
    samples: SampleVerdict = Field(description="`more_a`: the row is right in more seeds; `more_b`: the reference is")
    subjects: SubjectVerdict | None
    n_seeds: int


class ReportRow(Frozen):
    """One line of the table."""

    key: str
    name: str = Field(description="ends with † if a network of the row read a substitute of the dataset's skeleton")
    remark: str
    published: PublishedRow | None
    weights: str = Field(description="of the loss, as they were used")
    configuration_hash: str | None
    summary: PartSummary | None = Field(description="null if nothing was measured")
    against: Against | None = Field(description="null for the reference, and for what cannot be paired with it")
    subjects: dict[str, float] = Field(description="accuracy of each test subject, mean over seeds")
    learning: tuple[float, ...] = Field(description="the student's cross-entropy by epoch, mean over runs")
    parameters: int | None
    macs: int | None
    problem: str = Field(description="why there are no figures, or not all")


class TeacherRow(Frozen):
    """A teacher of the reference row, on the test part."""

    name: str
    summary: PartSummary


class Environment(Frozen):
    """Where runs were made."""

    versions: dict[str, str] = Field(description="and the machine; empty: not recorded")
    rows: tuple[str, ...] = Field(description="names of the rows of which a run was made there")


class Report(Frozen):
    """Everything that was found, and how."""

    experiment: str
    title: str
    reference: str
    dataset: str
    layout: str
    digest: str
    protocol: str
    development: bool = Field(description="whether the recipe may have been chosen on subjects that are tested")
    seeds: tuple[int, ...]
    preset: str
    skeleton_substitute: str | None = Field(
        default=None, description="what rows marked † read in the place of the dataset's skeleton; null: none is marked"
    )
    rows: tuple[ReportRow, ...]
    teachers: tuple[TeacherRow, ...]
    classes: tuple[str, ...]
    confusion: Confusion = Field(description="of the reference, added up over folds and seeds")
    per_class: tuple[ClassScores, ...] = Field(description="of the reference, from that matrix")
    specs: dict[str, JsonValue] = Field(description="by row")
    environments: tuple[Environment, ...] = Field(description="more than one: differences may come from them")
    took_s: float = Field(description="of all runs, added up")

    @property
    def reference_row(self) -> ReportRow:
        """The row that all others are compared with."""
        return next(row for row in self.rows if row.key == self.reference)
