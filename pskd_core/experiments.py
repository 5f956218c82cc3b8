"""The paper's experiments as data: rows of job specs, and what the paper prints beside each.

A row is laid over a preset, so an experiment runs with any recipe and on any dataset. Published figures stand in a row
only where they were measured on the same dataset; nothing here imports torch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, assert_never

import yaml
from pydantic import Field, JsonValue

from pskd_core.config import Distill, JobSpec, merge, parse_spec, preset_names
from pskd_core.errors import SpecError
from pskd_core.fields import Frozen, Slug
from pskd_core.published import PublishedRow, published_rows

ExperimentName = Literal["headline", "table4", "figure5", "ablation", "baselines"]
Fields = dict[str, JsonValue]
_FIXED = frozenset({"validation", "test"})  # with either, a run may have no test figures


class Row(Frozen):
    """One line of a table: a system that runs here, or one that is published only."""

    key: Slug
    name: str = Field(description="as in the paper")
    preset: str | None = Field(default=None, description="a recipe of its own; null means the experiment's")
    fields: Fields | None = Field(default_factory=dict, description="laid over the recipe; null: published only")
    teacher: Slug | None = Field(default=None, description="the recipe's only teacher that guides; null: all of them")
    published: PublishedRow | None = None
    remark: str = ""


class Experiment(Frozen):
    """Rows that are compared, paired, with the one called `reference`."""

    name: ExperimentName
    title: str
    reference: Slug
    rows: tuple[Row, ...]

    def row(self, key: str) -> Row:
        """The row of that key.

        Raises:
            SpecError: there is none.
        """
        for row in self.rows:
            if row.key == key:
                return row
        keys = ", ".join(row.key for row in self.rows if row.fields is not None)
        raise SpecError(f"{self.name} has no row {key!r}; it has {keys}")


def experiment(name: ExperimentName, *, layout: str) -> Experiment:
    """An experiment for a dataset of this layout, such as `utd_mhad`."""
    match name:
        case "headline":
            title, reference, rows = "Distilled and not", "distilled", _headline(layout)
        case "table4":
            title, reference, rows = "Table 4: losses", "acs", _table4()
        case "figure5":
            title, reference, rows = "Figure 5: schedules", "progressive_1", _figure5()
        case "ablation":
            title, reference, rows = "Parts of the loss, and readings of Eq. (4)", "acs", _ablation()
        case "baselines":
            title, reference, rows = "Systems of Tables 1 to 3", "pskd", _baselines(layout)
        case _ as never:
            assert_never(never)
    if layout != "utd_mhad" and name in {"table4", "figure5", "ablation"}:  # these were measured on UTD-MHAD alone
        rows = [row.model_copy(update={"published": None}) for row in rows]
    return Experiment(name=name, title=title, reference=reference, rows=tuple(rows))


def default_preset(layout: str) -> str:
    """The dataset's own headline recipe where there is one, else `demo`."""
    own = f"{layout.partition('_')[0]}-headline"
    return own if own in preset_names() else "demo"


# --- Specs of rows ------------------------------------------------------------------------------------------------


def row_specs(
    chosen: Experiment, *, preset: str, common: Mapping[str, Any], settings: Iterable[str] = ()
) -> dict[str, JobSpec]:
    """A checked spec for every row that runs here, by key; a row whose teacher the recipe lacks does not.

    Args:
        chosen: the experiment.
        preset: recipe of the rows that have none of their own.
        common: fields of every row: protocol, seeds, dataset.
        settings: `PATH=VALUE` for all rows, `ROW:PATH=VALUE` for one; the last one wins.

    Raises:
        SpecError: a setting names no row, makes a row's spec wrong, or would keep the test part shut.
    """
    laid = [_setting(chosen, text) for text in settings]
    specs = {}
    for row in chosen.rows:
        if row.fields is None:
            continue
        fields = merge(row.fields, common)
        for key, setting in laid:
            fields = merge(fields, setting) if key in {None, row.key} else fields
        try:
            spec = _taught(parse_spec({"preset": row.preset or preset, **fields}), row.teacher)
        except SpecError as wrong:
            raise SpecError(f"row {row.key}: {wrong}", errors=wrong.errors) from wrong
        if spec is not None:
            specs[row.key] = spec
    return specs


def _taught(spec: JobSpec, only: str | None) -> JobSpec | None:
    """The spec with this teacher alone; null if it has none of that name."""
    if only is None:
        return spec
    teachers = [each for each in spec.method.teachers if each.name == only] if isinstance(spec.method, Distill) else []
    if not teachers:
        return None
    method = spec.method.model_copy(update={"teachers": tuple(teachers)})
    return parse_spec(spec.model_copy(update={"method": method}).model_dump(mode="json"))


def parse_setting(text: str) -> dict[str, Any]:
    """`training.epochs=10` as `{"training": {"epochs": 10}}`.

    Raises:
        SpecError: it is not written so.
    """
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise SpecError(f"--set {text}: write path=value, such as training.epochs=10")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError as unreadable:
        raise SpecError(f"--set {text}: the value is not YAML ({unreadable})") from unreadable
    for key in reversed(keys):
        nested = {key: nested}
    return dict(nested)


def _setting(chosen: Experiment, text: str) -> tuple[str | None, dict[str, Any]]:
    row, colon, rest = text.partition(":")
    everywhere = not colon or "=" in row  # a colon may stand in a value
    key, setting = (None, parse_setting(text)) if everywhere else (chosen.row(row).key, parse_setting(rest))
    if field := next(iter(_FIXED & setting.keys()), None):
        raise SpecError(
            f"--set {text}: {field} cannot be set, since a report is made of test figures; --protocol inner_loso "
            "leaves out one training subject after another"
        )
    return key, setting


def parse_seeds(text: str) -> list[int]:
    """`3` as the seeds 0, 1, 2; `4,7` as these two; `5,` as the one.

    Raises:
        ValueError: it is no number and no list of numbers.
    """
    if "," not in text:
        return list(range(int(text)))
    return [int(part) for part in text.split(",") if part.strip()]


def protocol_fields(
    name: str | None, subjects: Sequence[str], training_subjects: Callable[[], Sequence[str]]
) -> dict[str, Any]:
    """The spec's `protocol` by its name on a command line.

    Args:
        name: a split of the dataset; `loso`; or `inner_loso`, which leaves out one training subject after another and
            so runs on copies that lack the test subjects. None means `cross_subject`, or `inner_loso` with `subjects`.
        subjects: to leave out one after another, instead of all.
        training_subjects: says who trains under the dataset's `cross_subject`.

    Raises:
        SpecError: subjects are named for a split that has its own.
    """
    name = name or ("inner_loso" if subjects else "cross_subject")
    if name == "inner_loso":
        return {"kind": "loso", "subjects": list(subjects or training_subjects())}
    if name == "loso":
        return {"kind": "loso", "subjects": list(subjects) or None}
    if subjects:
        raise SpecError(f"--subjects belongs to loso and inner_loso; {name} has subjects of its own")
    return {"kind": "named", "name": name}


# --- Rows ---------------------------------------------------------------------------------------------------------


def _loss(**fields: JsonValue) -> Fields:
    return {"method": {"kind": "distill", "loss": fields, "schedule": {"kind": "progressive", "epochs_per_round": 1}}}


def _schedule(**fields: JsonValue) -> Fields:
    return {"method": {"kind": "distill", "schedule": fields}}


def _printed(id_: str) -> PublishedRow:
    return next(row for row in published_rows() if row.id == id_)


def _none(remark: str = "the same student on labels alone") -> Row:
    return Row(key="none", name="none", fields={"method": {"kind": "none"}}, remark=remark)


_FOREST = Row(
    key="random_forest", name="Random forest", preset="random-forest", remark="hand features, the classical baseline"
)
_PARTS = (
    Row(key="acs", name="ACS", fields=_loss(kind="pskd"), published=_printed("table4-8")),
    Row(
        key="ac",
        name="AC (without S)",
        fields=_loss(kind="pskd", gamma=0),
        published=_printed("table4-9"),
        remark="γ = 0",
    ),
    Row(
        key="s",
        name="S (without AC)",
        fields=_loss(kind="pskd", beta=0),
        published=_printed("table4-10"),
        remark="β = 0",
    ),
    Row(
        key="acs_without_both",
        name="ST (without AC and S)",
        fields=_loss(kind="pskd", beta=0, gamma=0),
        published=_printed("table4-3"),
        remark="β = γ = 0; the paper prints one row ST",
    ),
)


def _headline(layout: str) -> list[Row]:
    return [Row(key="distilled", name="PSKD", published=_ours(layout)), _none(), _FOREST]


def _ours(layout: str) -> PublishedRow | None:
    """The paper's own row in the table of that dataset."""
    return next((row for row in _table_of(layout) if row.citation is None), None)


def _table_of(layout: str) -> list[PublishedRow]:
    return [row for row in published_rows() if row.layout == layout and row.table in {"1", "2", "3"}]


def _table4() -> list[Row]:
    rivals = [row for row in published_rows() if row.table == "4" and row.citation is not None]
    return [
        *_PARTS,
        *(
            Row(key=row.method.lower(), name=_name(row), fields=_loss(kind=row.method.lower()), published=row)
            for row in rivals
        ),
        _none(),
    ]


def _name(row: PublishedRow) -> str:
    return row.method if row.citation is None else f"{row.method} [{row.citation}]"


def _figure5() -> list[Row]:
    rows = [
        Row(
            key=f"progressive_{n}",
            name=f"PSKD({n})",
            fields=_schedule(kind="progressive", epochs_per_round=n),
            published=_printed("table1-13") if n == 1 else None,
            remark="" if n == 1 else "published: below PSKD(1), figure not printed",
        )
        for n in (1, 2, 3)
    ]
    frozen = Row(
        key="frozen",
        name="student baseline",
        fields=_schedule(kind="frozen"),
        published=_printed("figure5-1"),
        remark="teachers trained first; published: PSKD stands 0.37 to 0.62 points above it",
    )
    return [*rows, frozen, _none()]


def _ablation() -> list[Row]:
    def gate(name: str, **weighting: JsonValue) -> Fields:
        return _loss(kind="pskd", weighting={"kind": name, **weighting})

    return [
        *_PARTS,
        Row(
            key="gate_loss_sample",
            name="gate: loss_per_sample",
            fields=gate("acs", gate="loss_per_sample"),
            remark="CE of the teacher at most the sample's L_KD",
        ),
        Row(
            key="gate_loss_batch",
            name="gate: loss_batch",
            fields=gate("acs", gate="loss_batch"),
            remark="Eq. (4) as printed",
        ),
        Row(key="gate_none", name="gate: none", fields=gate("acs", gate="none"), remark="CA-MKD"),
        Row(
            key="hard",
            name="select: hard",
            fields=gate("acs", select="hard"),
            remark="the teacher with the larger probability of the label",
        ),
        *(_alone(key, teacher) for key, teacher in (("sk_only", "skeleton"), ("fu_only", "fusion"))),
        Row(key="average", name="weights: average", fields=gate("average")),
        Row(key="entropy", name="weights: entropy", fields=gate("entropy")),
        _none(),
    ]


def _alone(key: str, teacher: str) -> Row:
    return Row(
        key=key,
        name=f"teacher: {teacher} alone",
        fields=_loss(kind="pskd"),
        teacher=teacher,
        remark="of the recipe's teachers this one, where it has it; ω is then its gate",
    )


# --- Tables 1 to 3 ------------------------------------------------------------------------------------------------

# Published rows and the recipe that runs in their place.
_RECIPES = {
    "table1-6": "skeleton-alone",
    "table1-8": "utd-singh",
    "table1-9": "utd-ahmad-wei",
    "table1-10": "utd-ahmad-wei",
    "table1-11": "random-forest",
    "table1-12": "one-teacher-gaf",
    "table2-4": "skeleton-alone",
    "table2-5": "skeleton-alone",
    "table2-6": "skeleton-alone",
    "table2-7": "berkeley-das",
    "table2-8": "one-teacher-gaf",
    "table3-6": "mmact-kong",
    "table3-7": "one-teacher-gaf",
}


def _baselines(layout: str) -> list[Row]:
    """Every row of the dataset's table; on a dataset of one's own, the systems that need nothing special."""
    ours = Row(key="pskd", name="PSKD", published=_ours(layout))
    others = [_system(row) for row in _table_of(layout) if row.citation is not None]
    if not others:
        others = [
            Row(key="skeleton_alone", name="Skeleton alone", preset="skeleton-alone", remark="a teacher's network"),
            Row(key="one_teacher", name="One teacher", preset="one-teacher-gaf", remark="stands for Ni et al. [52]"),
        ]
    forest = [] if "random-forest" in {row.preset for row in others} else [_FOREST]
    return [ours, _none(), *others, *forest]


def _system(row: PublishedRow) -> Row:
    key, recipe = row.id.replace("-", "_"), _RECIPES.get(row.id)
    return Row(
        key=key,
        name=_name(row),
        preset=recipe,
        fields={} if recipe else None,
        published=row,
        remark=row.here if recipe else f"published only: {row.here}",
    )
