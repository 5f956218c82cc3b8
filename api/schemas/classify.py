"""The labelled timeline of a recording, as answered."""

from pydantic import Field

from pskd_core.inference import Classification, ModelSummary


class ServedModel(ModelSummary):
    """The registered version that answered, and how good it was on which data."""

    name: str
    version: int


class ClassificationOut(Classification):
    """What a recording shows: overall, window by window, and as segments of one label."""

    model: ServedModel = Field(description="which model says so")
