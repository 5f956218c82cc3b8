"""The paper's experiments as data: rows of job specs, and what the paper prints beside each.

A row is laid over a preset, so an experiment runs with any recipe and on any dataset. Published figures stand in a row
only where they were measured on the same dataset; nothing here imports torch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, assert_never

import yaml
from pydantic import Field, JsonValue

from pskd_core.config import JobSpec, merge, parse_spec, preset_names
from pskd_core.errors import SpecError
from pskd_core.fields import Frozen, Slug

ExperimentName = Literal["headline", "table4", "figure5", "ablation", "baselines"]
Fields = dict[str, JsonValue]

_STAND_IN = "stand-in, not the authors' model"
_RGB = "reads RGB video: published only"


class Published(Frozen):
    """What the paper prints, in per cent, and under which protocol as far as it says so."""

    accuracy: float | None = None
    f1: float | None = Field(default=None, description="which F1 is not stated")
    source: str
    protocol: str = "not stated"


class Row(Frozen):
    """One line of a table: a system that runs here, or one that is published only."""

    key: Slug
    name: str = Field(description="as in the paper")
    preset: str | None = Field(default=None, description="a recipe of its own; null means the experiment's")
    fields: Fields | None = Field(default_factory=dict, description="laid over the recipe; null: published only")
    published: Published | None = None
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
            title, reference, rows = _tables(layout), "pskd", _baselines(layout)
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
    """A checked spec for every row that runs here, by key.

    Args:
        chosen: the experiment.
        preset: recipe of the rows that have none of their own.
        common: fields of every row: protocol, seeds, dataset.
        settings: `PATH=VALUE` for all rows, `ROW:PATH=VALUE` for one; the last one wins.

    Raises:
        SpecError: a setting names no row or makes a row's spec wrong.
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
            specs[row.key] = parse_spec({"preset": row.preset or preset, **fields})
        except SpecError as wrong:
            raise SpecError(f"row {row.key}: {wrong}", errors=wrong.errors) from wrong
    return specs


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
    if not colon or "=" in row:  # a colon may stand in a value
        return None, parse_setting(text)
    return chosen.row(row).key, parse_setting(rest)


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


def _printed(accuracy: float | None, f1: float | None = None, *, table: str = "Table 4") -> Published:
    return Published(accuracy=accuracy, f1=f1, source=table)


def _none(remark: str = "the same student on labels alone") -> Row:
    return Row(key="none", name="none", fields={"method": {"kind": "none"}}, remark=remark)


_FOREST = Row(
    key="random_forest", name="Random forest", preset="random-forest", remark="hand features, the classical baseline"
)
_PARTS = (
    Row(key="acs", name="ACS", fields=_loss(kind="pskd"), published=_printed(95.19, 95.67)),
    Row(
        key="ac",
        name="AC (without S)",
        fields=_loss(kind="pskd", gamma=0),
        published=_printed(94.51, 94.59),
        remark="γ = 0",
    ),
    Row(
        key="s",
        name="S (without AC)",
        fields=_loss(kind="pskd", beta=0),
        published=_printed(94.82, 94.21),
        remark="β = 0",
    ),
    Row(
        key="acs_without_both",
        name="ST (without AC and S)",
        fields=_loss(kind="pskd", beta=0, gamma=0),
        published=_printed(94.34, 94.64),
        remark="β = γ = 0; the paper prints one row ST",
    ),
)


def _headline(layout: str) -> list[Row]:
    printed = {
        "utd_mhad": _printed(95.19, 95.67, table="Tables 1 and 4"),
        "berkeley_mhad": Published(accuracy=94.76, source="Table 2", protocol="7 subjects train, 5 test"),
        "mmact": Published(f1=71.42, source="Table 3", protocol="cross-subject"),
    }
    return [Row(key="distilled", name="PSKD", published=printed.get(layout)), _none(), _FOREST]


def _table4() -> list[Row]:
    rivals: tuple[tuple[str, str, float, float], ...] = (
        ("logits", "Logits [3]", 93.87, 94.15),
        ("fitnet", "Fitnet [61]", 94.03, 94.27),
        ("st", "ST [21]", 94.34, 94.64),
        ("at", "AT [98]", 94.27, 94.80),
        ("rkd", "RKD [57]", 95.03, 95.02),
        ("sp", "SP [73]", 94.06, 94.56),
        ("cc", "CC [58]", 94.12, 94.72),
    )
    return [
        *_PARTS,
        *(
            Row(key=key, name=name, fields=_loss(kind=key), published=_printed(accuracy, f1))
            for key, name, accuracy, f1 in rivals
        ),
        _none(),
    ]


def _figure5() -> list[Row]:
    rows = [
        Row(
            key=f"progressive_{n}",
            name=f"PSKD({n})",
            fields=_schedule(kind="progressive", epochs_per_round=n),
            published=_printed(95.19, table="Table 1") if n == 1 else None,
            remark="" if n == 1 else "published: below PSKD(1), figure not printed",
        )
        for n in (1, 2, 3)
    ]
    frozen = Row(
        key="frozen",
        name="student baseline",
        fields=_schedule(kind="frozen"),
        published=_printed(94.57, table="Figure 5, read off"),
        remark="teachers trained first; published: 0.37 to 0.62 below PSKD",
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
        Row(key="average", name="weights: average", fields=gate("average")),
        Row(key="entropy", name="weights: entropy", fields=gate("entropy")),
        _none(),
    ]


# --- Tables 1 to 3 ------------------------------------------------------------------------------------------------

_HALVES = "half for training, half for test; which halves is not stated"
_TABLES: dict[str, tuple[str, str]] = {
    "utd_mhad": ("Table 1", _HALVES),
    "berkeley_mhad": ("Table 2", "7 subjects train, 5 test"),
    "mmact": ("Table 3", "cross-subject"),
}
# Key, name, its preset here (none: reads RGB), what is printed.
_System = tuple[str, str, str | None, float]
_SYSTEMS: dict[str, tuple[_System, ...]] = {
    "utd_mhad": (
        ("hussein", "Hussein et al. [23]", None, 85.60),
        ("wang", "Wang et al. [85]", None, 85.81),
        ("zhao", "Zhao et al. [105]", None, 92.10),
        ("si", "Si et al. [65]", None, 94.40),
        ("liu", "Liu et al. [41]", None, 92.84),
        ("xiao", "Xiao et al. [91]", "skeleton-alone", 94.37),
        ("islam", "Islam et al. [24] (HAMLET)", None, 95.12),
        ("singh", "Singh et al. [66]", "utd-singh", 91.40),
        ("ahmad", "Ahmad and Khan [2]", "utd-ahmad-wei", 95.80),
        ("wei", "Wei et al. [86]", "utd-ahmad-wei", 90.30),
        ("garcia_ceja", "Garcia-Ceja et al. [18]", "random-forest", 90.20),
        ("ni", "Ni et al. [52] (VSKD)", "one-teacher-gaf", 96.97),
    ),
    "berkeley_mhad": (
        ("wang", "Wang et al. [84]", None, 88.19),
        ("zhou", "Zhou et al. [107]", None, 95.32),
        ("lin", "Lin et al. [36]", None, 96.87),
        ("vantigodi_2013", "Vantigodi et al. [74]", "skeleton-alone", 96.06),
        ("vantigodi_2014", "Vantigodi et al. [75]", "skeleton-alone", 97.58),
        ("kapsouras", "Kapsouras et al. [26]", "skeleton-alone", 98.18),
        ("das", "Das et al. [8]", "berkeley-das", 88.90),
        ("ni", "Ni et al. [52]", "one-teacher-gaf", 90.02),
    ),
    "mmact": (
        ("kong_2019", "Kong et al. [29]", None, 62.80),
        ("wang", "Wang et al. [85]", None, 64.40),
        ("zhou", "Zhou et al. [107]", None, 66.56),
        ("lin", "Lin et al. [36]", None, 70.12),
        ("kong_2019_student", "Kong et al. [29]", None, 59.10),
        ("kong", "Kong et al. [30]", "mmact-kong", 62.67),
        ("ni", "Ni et al. [52]", "one-teacher-gaf", 60.14),
    ),
}
_OWN_PROTOCOL = {"singh": "leave-one-trial-out", "ni": "cross-trial, 416 of 429 right"}
_OURS = {"utd_mhad": 95.19, "berkeley_mhad": 94.76, "mmact": 71.42}


def _tables(layout: str) -> str:
    return f"{_TABLES[layout][0]}: other systems" if layout in _TABLES else "Systems of Tables 1 to 3"


def _baselines(layout: str) -> list[Row]:
    """Every row of the dataset's table; on a dataset of one's own, the systems that need nothing special."""
    if layout not in _TABLES:
        return [
            Row(key="pskd", name="PSKD"),
            _none(),
            Row(key="skeleton_alone", name="Skeleton alone", preset="skeleton-alone", remark="the teacher's network"),
            Row(key="ni", name="Ni et al. [52]", preset="one-teacher-gaf", remark=_STAND_IN),
            _FOREST,
        ]
    ours = Row(key="pskd", name="PSKD", published=_table_row(layout, "pskd", _OURS[layout]))
    others = [_system(layout, *system) for system in _SYSTEMS[layout]]
    forest = [] if layout == "utd_mhad" else [_FOREST]  # there it stands for Garcia-Ceja
    return [ours, _none(), *others, *forest]


def _system(layout: str, key: str, name: str, preset: str | None, printed: float) -> Row:
    published = _table_row(layout, key, printed)
    if preset is None:
        remark = "reads skeleton and RGB video: published only" if key == "islam" else _RGB
        return Row(key=key, name=name, fields=None, published=published, remark=remark)
    return Row(key=key, name=name, preset=preset, published=published, remark=_STAND_IN)


def _table_row(layout: str, key: str, printed: float) -> Published:
    table, protocol = _TABLES[layout]
    if layout == "utd_mhad":
        protocol = _OWN_PROTOCOL.get(key, protocol)
    figure = {"f1": printed} if layout == "mmact" else {"accuracy": printed}
    return Published(**figure, source=table, protocol=protocol)
