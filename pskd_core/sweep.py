"""The sweep spec: which fields of a job vary, how their values are searched, and what its trials are compared by.

A trial is an ordinary job with a validation part and its test part shut. Nothing here imports torch.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal, assert_never

from numpy.random import Generator
from pydantic import Discriminator, Field, JsonValue, Tag, ValidationError, field_validator, model_validator

from pskd_core.config import JobSpec, LeaveOneSubjectOut, NoValidation, merge, with_preset
from pskd_core.errors import SpecError
from pskd_core.fields import Frozen, Name
from pskd_core.seed import generator

PRESETS = "presets/sweeps"
# Each is a job that is written in one transaction, and a row of one answer.
MOST_TRIALS = 256
# So many are written in less than ten seconds, while SQLite lets nobody else write and leases of 30 s go on.
MOST_RUNS = 10_000

Point = Mapping[str, JsonValue]  # a value for each path of the space

# --- What varies --------------------------------------------------------------------------------------------------


class Choices(Frozen):
    """One of these values, each whatever the field takes; an object is laid over the base's, as over a preset's."""

    choices: tuple[JsonValue, ...] = Field(min_length=1, max_length=MOST_TRIALS)

    @model_validator(mode="after")
    def _distinct(self) -> "Choices":
        if len({json.dumps(choice, sort_keys=True) for choice in self.choices}) != len(self.choices):
            raise ValueError("choices names a value twice")
        return self

    def place(self, value: JsonValue) -> int:
        """Where a value stands among the choices; `1` and `true` are two."""
        return [json.dumps(choice) for choice in self.choices].index(json.dumps(value))


Bound = Annotated[float, Field(ge=-1e12, le=1e12)]


class Range(Frozen):
    """A number between two bounds, both included."""

    low: Bound
    high: Bound
    log: bool = Field(default=False, description="every order of magnitude is as likely as the next")
    integer: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low must be less than high")
        if self.log and self.low <= 0:
            raise ValueError("with `log`, low must be more than 0")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("with `integer`, low and high must be whole numbers")
        return self

    def number(self, value: float) -> int | float:
        """A value of this range, of the kind that it holds."""
        return round(value) if self.integer else value


def _axis_tag(value: Any) -> str:
    has_choices = "choices" in value if isinstance(value, dict) else isinstance(value, Choices)
    return "[choices]" if has_choices else "[range]"


Axis = Annotated[Annotated[Choices, Tag("[choices]")] | Annotated[Range, Tag("[range]")], Discriminator(_axis_tag)]

# --- How values are searched --------------------------------------------------------------------------------------


class Grid(Frozen):
    """Every combination of the choices."""

    kind: Literal["grid"] = "grid"


class RandomSearch(Frozen):
    """Every trial draws each value by itself."""

    kind: Literal["random"] = "random"
    trials: int = Field(ge=1, le=MOST_TRIALS)
    seed: int = Field(default=0, ge=0, lt=2**31)


class Tpe(Frozen):
    """Tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011): trials are drawn near those that did well."""

    kind: Literal["tpe"] = "tpe"
    trials: int = Field(ge=1, le=MOST_TRIALS)
    seed: int = Field(default=0, ge=0, lt=2**31)
    startup_trials: int = Field(default=10, ge=1, le=MOST_TRIALS, description="trials that must end before it learns")
    at_once: int = Field(default=1, ge=1, le=64, description="trials under way at the same time")


Search = Annotated[Grid | RandomSearch | Tpe, Field(discriminator="kind")]
Metric = Literal["accuracy", "macro_f1"]


class Sweep(Frozen):
    """Many jobs that differ in a few fields; the best is the one with the highest mean on the validation part."""

    name: Name = Field(default="", max_length=150)
    base: JobSpec = Field(description="what all trials share; its `test` holds for the winner alone")
    space: dict[str, Axis] = Field(
        min_length=1,
        max_length=16,
        description="what varies, by its path in the spec: `method.loss.alpha` or `/method/loss/alpha`",
    )
    search: Search = Grid()
    metric: Metric = Field(default="accuracy", description="of the student on the validation part")

    @field_validator("space", mode="before")
    @classmethod
    def _dotted(cls, space: Any) -> Any:
        if not isinstance(space, dict):
            return space
        dotted = {_as_path(str(path)): axis for path, axis in space.items()}
        if len(dotted) != len(space):
            raise ValueError("space names a field twice")
        return dotted

    @property
    def trials(self) -> int:
        """How many trials it has in the end."""
        if isinstance(self.search, Grid):
            return math.prod(len(axis.choices) for axis in self.space.values() if isinstance(axis, Choices))
        return self.search.trials


def _as_path(given: str) -> str:
    """A JSON pointer (RFC 6901) as a dotted path; no field has a dot, slash or tilde in its name."""
    return given[1:].replace("/", ".") if given.startswith("/") else given


# --- From plain data ----------------------------------------------------------------------------------------------


def parse_sweep(data: Mapping[str, Any]) -> Sweep:
    """A checked sweep from plain data; `preset` is a recipe for sweeps, and the base may name one for jobs.

    Raises:
        SpecError: a field is unknown or wrong, the base has nothing to choose by, there are too many trials, or a
            trial would be no valid job; `errors` lists JSON pointers and messages.
    """
    fields = with_preset(data, PRESETS)
    if isinstance(fields.get("base"), Mapping):
        fields["base"] = _base(fields["base"])
    try:
        sweep = Sweep.model_validate(fields)
    except ValidationError as invalid:
        raise SpecError.from_validation(invalid) from invalid
    _check(sweep)
    return sweep


def _base(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return with_preset(given)
    except SpecError as unknown:
        raise SpecError(str(unknown), pointer="/base/preset") from unknown


# What is compared must be measured on the same recordings, with the same seeds.
_SHARED = frozenset({"name", "dataset", "protocol", "validation", "test", "seeds", "resources"})


def _check(sweep: Sweep) -> None:
    if isinstance(sweep.base.validation, NoValidation):
        raise SpecError(
            "trials are compared on a validation part, and this base has none; choose one, such as {kind: inner_loso}",
            pointer="/base/validation",
        )
    if isinstance(sweep.base.protocol, LeaveOneSubjectOut):
        raise SpecError(
            "under `loso` each subject tests one fold and helps to choose in the others; take a split that keeps the "
            "test subjects apart, such as {kind: subjects, train: [...], test: [...]}, with validation "
            "{kind: inner_loso}",
            pointer="/base/protocol",
        )
    for path, axis in sweep.space.items():
        if (field := path.partition(".")[0]) in _SHARED:
            raise SpecError(f"all trials share `{field}`, or they could not be compared", pointer=_place(path))
        if isinstance(sweep.search, Grid) and isinstance(axis, Range):
            raise SpecError("a grid takes `choices`; search `random` or `tpe` for a range", pointer=_place(path))
    if sweep.trials > MOST_TRIALS:
        raise SpecError(
            f"the grid has {sweep.trials} trials and may have {MOST_TRIALS}; take fewer values, or search `random` "
            "or `tpe`",
            pointer="/search",
        )
    check_runs(sweep, folds=1)
    for number, point in enumerate(first_points(sweep), start=1):
        trial_spec(sweep, number, point)


def check_runs(sweep: Sweep, *, folds: int) -> int:
    """How many runs all trials have, with so many folds each.

    Raises:
        SpecError: more than a sweep may have.
    """
    seeds = len(sweep.base.seeds)
    if (runs := sweep.trials * seeds * folds) > MOST_RUNS:
        raise SpecError(
            f"{sweep.trials} trials with {seeds} seeds and {folds} folds are {runs} runs, and a sweep may have "
            f"{MOST_RUNS}; take fewer trials, or fewer seeds, or a validation part with fewer folds",
            pointer="/search",
        )
    return runs


def first_points(sweep: Sweep) -> Sequence[Point]:
    """The planned points; of a `tpe` each choice and each end of a range, the others at their first."""
    return planned_points(sweep) or list(_ends(sweep))


def _ends(sweep: Sweep) -> Iterator[Point]:
    values = {path: _outermost(axis) for path, axis in sweep.space.items()}
    first = {path: each[0] for path, each in values.items()}
    for path, each in values.items():
        yield from ({**first, path: value} for value in each)


def _outermost(axis: Choices | Range) -> Sequence[JsonValue]:
    return axis.choices if isinstance(axis, Choices) else (axis.number(axis.low), axis.number(axis.high))


def _place(path: str) -> str:
    return f"/space/{path}"


# --- Trials -------------------------------------------------------------------------------------------------------


def planned_points(sweep: Sweep) -> Sequence[Point]:
    """The points that are known from the start, in the order of their trials, which count from 1; none of a `tpe`."""
    match sweep.search:
        case Grid():
            choices = [axis.choices for axis in sweep.space.values() if isinstance(axis, Choices)]
            return [dict(zip(sweep.space, values, strict=True)) for values in product(*choices)]
        case RandomSearch(trials=trials, seed=seed):
            return [random_point(sweep, seed, number) for number in range(1, trials + 1)]
        case Tpe():
            return ()
        case _ as never:
            assert_never(never)


def random_point(sweep: Sweep, seed: int, number: int) -> Point:
    """A draw that depends on its arguments alone, each value from a stream of its own."""
    return {path: _draw(axis, generator(seed, "sweep", number, path)) for path, axis in sweep.space.items()}


def _draw(axis: Choices | Range, random: Generator) -> JsonValue:
    if isinstance(axis, Choices):
        return axis.choices[int(random.integers(len(axis.choices)))]
    half = 0.5 if axis.integer else 0.0  # so that the whole numbers at the ends are as likely as the others
    low, high = axis.low - half, axis.high + half
    ends = (math.log(low), math.log(high)) if axis.log else (low, high)
    between = float(random.uniform(*ends))  # nosec B311 # no secret
    drawn = math.exp(between) if axis.log else between
    return axis.number(min(max(drawn, axis.low), axis.high))


def trial_spec(sweep: Sweep, number: int, point: Point) -> JobSpec:
    """The job of a trial: the base at this point of the space, with the test part shut.

    Raises:
        SpecError: it is no valid job; pointers lead into the space.
    """
    base = sweep.base.model_dump(mode="json")
    resources = {**base["resources"], "reuse_teachers": True}
    name = f"{sweep.name or 'sweep'} trial {number}"
    return _at_point({**base, "name": name, "test": "none", "resources": resources}, point)


def winner_spec(sweep: Sweep, point: Point) -> JobSpec:
    """The job to submit once a point has been chosen: it trains on all of the training part, and is tested."""
    name = f"{sweep.name or 'sweep'} best"
    base = {**sweep.base.model_dump(mode="json"), "name": name, "test": "report", "validation": {"kind": "none"}}
    return _at_point(base, point)


def _at_point(base: dict[str, Any], point: Point) -> JobSpec:
    fields: Any = base
    for path, value in point.items():
        fields = _with(fields, path.split("."), value, path)
    for path, value in point.items():
        if _laid(found := _found(fields, path.split(".")), value) != found:
            raise SpecError(
                "another entry of the space replaces what this one sets; put whole objects and `kind` first",
                pointer=_place(path),
            )
    try:
        return JobSpec.model_validate(fields)
    except ValidationError as invalid:
        raise in_sweep(SpecError.from_validation(invalid), point) from invalid


def _with(fields: Any, keys: Sequence[str], value: JsonValue, path: str) -> Any:
    """`fields` with `value` at `keys`; where `kind` changes, the rest of its object goes with the old one."""
    if not keys:
        return _laid(fields, value)
    key, *rest = keys
    if isinstance(fields, list) and key.isdecimal() and int(key) < len(fields):
        return [_with(item, rest, value, path) if place == int(key) else item for place, item in enumerate(fields)]
    if not isinstance(fields, dict):
        raise SpecError(f"the spec has no field {path!r}; its paths look like method.loss.alpha", pointer=_place(path))
    if key == "kind" and not rest and fields.get("kind") != value:
        return {"kind": value}
    return {**fields, key: _with(fields.get(key), rest, value, path)}


def _laid(old: Any, value: JsonValue) -> Any:
    return merge({"": old}, {"": value})[""]


def _found(fields: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        fields = fields[int(key)] if isinstance(fields, list) else fields.get(key) if isinstance(fields, dict) else None
    return fields


def in_sweep(wrong: SpecError, point: Point) -> SpecError:
    """The faults of a trial's job as faults of the sweep: of the entry of the space that makes them, or of the base."""
    faults = [
        {"pointer": _culprit(fault["pointer"], point), "detail": f"{fault['pointer'] or 'the job'}: {fault['detail']}"}
        for fault in wrong.errors
    ]
    return SpecError("; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in faults), errors=faults)


def _culprit(pointer: str, point: Point) -> str:
    for path in point if pointer else ():
        own = "/" + path.replace(".", "/")
        if f"{pointer}/".startswith(f"{own}/") or own.startswith(f"{pointer}/"):
            return _place(path)
    return f"/base{pointer}" if pointer else "/space"
