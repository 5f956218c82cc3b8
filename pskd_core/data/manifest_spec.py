"""What `dataset.yaml` says of anybody's own data."""

from typing import Literal

import numpy as np
import yaml
from pydantic import Field, ValidationError, model_validator

from pskd_core.data.columnar import SKELETON, NamedSplit, SkeletonInfo
from pskd_core.data.columns import TimeUnit
from pskd_core.data.series import STANDARD_GRAVITY
from pskd_core.errors import DataError
from pskd_core.fields import Frozen, Name, Positive, Slug

REQUIRED = ("id", "subject", "label")  # columns of recordings.csv
OPTIONAL = ("trial", "session", "scene", "camera", "cut_from")

# To the units in which datasets are kept: g, deg/s, m and px.
_FACTORS = {"g": 1.0, "m/s^2": 1 / STANDARD_GRAVITY, "deg/s": 1.0, "rad/s": 180 / np.pi, "m": 1.0, "px": 1.0}
_FACTORS |= {"cm": 0.01, "mm": 0.001}
_KEPT_IN = {"g": "g", "m/s^2": "g", "counts": "g", "deg/s": "deg/s", "rad/s": "deg/s"}

FromTimestamps = Literal["from timestamps"]


class SensorSpec(Frozen):
    """One sensor of three axes."""

    worn_at: Name | None = Field(default=None, description="joint, or any word")
    unit: Literal["g", "m/s^2", "counts", "deg/s", "rad/s"]
    scale: Positive | None = Field(default=None, description="g of one count, where the unit is counts")
    rate_hz: Positive | FromTimestamps
    columns: tuple[str, str, str] = Field(default=("x", "y", "z"), description="of a file with a header")
    time_column: str = "time"
    time_unit: TimeUnit = Field(default="s", description="`iso`: ISO 8601")

    @model_validator(mode="after")
    def _scaled(self) -> "SensorSpec":
        if (self.unit == "counts") != (self.scale is not None):
            raise ValueError("`scale` (g of one count) belongs to unit `counts`, and only to it")
        return self

    @property
    def factor(self) -> float:
        """Of a value in the file, to the unit in which it is kept."""
        return self.scale or _FACTORS[self.unit]

    @property
    def kept_unit(self) -> str:
        """In which it is kept."""
        return _KEPT_IN[self.unit]


class SkeletonSpec(Frozen):
    """Joints over time, as a file has them."""

    joints: tuple[Name, ...] = Field(min_length=1)
    bones: tuple[tuple[str, str], ...] = Field(description="pairs of joints, the outer one first")
    centre: str = Field(description="joint on which clips are centred")
    unit: Literal["m", "cm", "mm", "px"]
    rate_hz: Positive | FromTimestamps | Literal["same span"] = Field(
        description="`same span`: no clock; as long as the recording's first sensor"
    )
    dims: Literal[2, 3] = 3
    persons: int = Field(default=1, ge=1, le=8, description="most of them that a recording shows")
    up: Literal["x", "y", "z"] = "y"
    time_column: str = "time"
    time_unit: TimeUnit = "s"

    @model_validator(mode="after")
    def _tree(self) -> "SkeletonSpec":
        if len(set(self.joints)) < len(self.joints):
            raise ValueError("two joints have the same name")
        named = {self.centre, *(joint for bone in self.bones for joint in bone)}
        if unknown := sorted(named - set(self.joints)):
            raise ValueError(f"{', '.join(unknown)} is named, but is none of the joints")
        reached = {self.centre}
        while step := {joint for bone in self.bones for joint in bone if reached & {*bone}} - reached:
            reached |= step
        if lost := [joint for joint in self.joints if joint not in reached]:
            raise ValueError(f"no bones lead from {self.centre} to {', '.join(lost)}")
        return self

    @property
    def factor(self) -> float:
        """Of a value in the file, to the unit in which it is kept."""
        return _FACTORS[self.unit]

    @property
    def kept_unit(self) -> str:
        """In which it is kept."""
        return "px" if self.unit == "px" else "m"

    @property
    def info(self) -> SkeletonInfo:
        """The same as a dataset says it."""
        place = {joint: index for index, joint in enumerate(self.joints)}
        return SkeletonInfo(
            joints=self.joints,
            bones=tuple((place[child], place[parent]) for child, parent in self.bones),
            centre=place[self.centre],
            dims=self.dims,
            up=("x", "y", "z").index(self.up),
            persons=self.persons,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a file with a header: `head.x`, `head.y` …, or `person1.head.x` … where there may be several."""
        body = tuple(f"{joint}.{axis}" for joint in self.joints for axis in "xyz"[: self.dims])
        if self.persons == 1:
            return body
        return tuple(f"person{number}.{column}" for number in range(1, self.persons + 1) for column in body)


class ManifestSpec(Frozen):
    """What `dataset.yaml` holds."""

    name: Name = Field(min_length=1, max_length=200)
    classes: tuple[Name, ...] = Field(min_length=2)
    sensors: dict[Slug, SensorSpec] = Field(min_length=1)
    skeleton: SkeletonSpec | None = None
    protocols: dict[Slug, NamedSplit] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> "ManifestSpec":
        if taken := {SKELETON, *REQUIRED, *OPTIONAL} & self.sensors.keys():
            raise ValueError(f"no sensor may be called {', '.join(sorted(taken))}")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have the same name")
        return self


def parse_manifest(text: str, *, file: str) -> ManifestSpec:
    """The document, checked.

    Raises:
        DataError: it is not YAML (names row and column), or fields are wrong (names all of them).
    """
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark
        row, column = (mark.line + 1, str(mark.column + 1)) if mark else (None, None)
        raise DataError(f"not YAML: {broken.problem}", file=file, row=row, column=column) from broken
    except (yaml.YAMLError, RecursionError) as broken:
        raise DataError(f"not YAML: {broken}", file=file) from broken
    try:
        return ManifestSpec.model_validate(document)
    except ValidationError as invalid:
        faults = [
            f"{'.'.join(map(str, error['loc'])) or 'the document'}: {error['msg'].removeprefix('Value error, ')}"
            for error in invalid.errors()
        ]
        raise DataError("; ".join(faults), file=file) from invalid
