"""What an exported model says about itself: `bundle.json`, beside `model.onnx`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from pskd_core.errors import DataError
from pskd_core.fields import Frozen, Positive

INFO_FILE = "bundle.json"
MODEL_FILE = "model.onnx"


class Durations(Frozen):
    """Of the training clips, in seconds."""

    min: Positive
    median: Positive
    max: Positive


class Figures(Frozen):
    """What the model reached on the test part of its fold."""

    accuracy: float
    macro_f1: float
    n: int


class Reliability(Frozen):
    """Expected calibration error on one part of the data, of plain probabilities and of calibrated ones."""

    n: int
    ece_before: float
    ece_after: float


class Calibration(Frozen):
    """How sure the model may be, and from where on it does not know; from recordings that were held out of training."""

    temperature: Positive = Field(description="by which logits are divided for a confidence")
    gravity_free_temperature: Positive | None = Field(
        description="the same for recordings without gravity; null: the model was not trained with it"
    )
    min_confidence: float = Field(ge=0, le=1, description="below it a label is `unknown`")
    max_distance: Positive = Field(description="`distance` of the model's outputs above which a label is `unknown`")
    rule: str = Field(description="how the two were chosen")
    validation: Reliability = Field(description="on the recordings that chose the temperature")
    test: Reliability | None = Field(description="on recordings that chose nothing")


class BundleInfo(Frozen):
    """All that serving must know, and where the model comes from."""

    format: Literal[1, 2] = 2  # since 2 with calibration and the output `distance`
    classes: tuple[str, ...] = Field(min_length=2)
    inputs: tuple[str, ...] = Field(min_length=1, description="streams, three channels each, in the model's order")
    frames: int = Field(ge=2, description="T, samples of one window")
    mode: Literal["clip"] = "clip"
    durations_s: Durations
    unit: Literal["g"] = "g"
    gravity: bool = Field(description="whether the training data hold gravity")
    dataset: str
    dataset_digest: str
    # Provenance stays plain data: a bundle must serve on although a later version's spec has other fields.
    protocol: dict[str, JsonValue]
    spec: dict[str, JsonValue]
    seed: int
    fold: str
    test: Figures | None
    calibration: Calibration | None = Field(default=None, description="null: nothing was held out of training")
    parameters: int
    macs: int
    opset: int
    created_by: str

    @classmethod
    def read(cls, directory: Path) -> "BundleInfo":
        """Read a bundle's description.

        Raises:
            DataError: it is missing, or no description of format 1 or 2.
        """
        file = directory / INFO_FILE
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as missing:
            raise DataError(f"not a bundle: it cannot be read ({missing.strerror})", file=file) from missing
        except ValidationError as invalid:
            first = invalid.errors()[0]
            raise DataError(f"{'/'.join(map(str, first['loc']))}: {first['msg']}", file=file) from invalid

    def write(self, directory: Path) -> None:
        """Write `bundle.json` into an existing folder."""
        (directory / INFO_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
