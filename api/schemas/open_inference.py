"""Requests and answers of the Open Inference Protocol."""

from typing import Any

from pydantic import BaseModel, Field, JsonValue

from api.schemas.common import Out


class ServerMetadata(Out):
    """Who answers."""

    name: str
    version: str
    extensions: tuple[str, ...]


class Alive(Out):
    """That the server lives."""

    live: bool


class Ready(Out):
    """That all of the server is ready."""

    ready: bool


class ModelReady(Out):
    """That a model is ready."""

    name: str
    ready: bool


class TensorMetadata(Out):
    """A tensor's name, type and shape; −1: any number of windows."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelMetadata(Out):
    """What a model takes and gives."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


class InferInput(BaseModel):
    """A tensor: `windows` (n, 3 × sensors, frames), in g, stretched as docs/on-device.md says."""

    name: str
    shape: list[int] = Field(min_length=1, max_length=8)
    datatype: str
    parameters: dict[str, JsonValue] | None = None
    data: list[Any] = Field(description="flat in row-major order, or nested as the shape is")


class InferOutput(BaseModel):
    """An output that is wanted."""

    name: str
    parameters: dict[str, JsonValue] | None = None


class InferRequest(BaseModel):
    """Windows to be judged."""

    id: str | None = Field(default=None, max_length=200)
    parameters: dict[str, JsonValue] | None = None
    inputs: list[InferInput] = Field(min_length=1, max_length=8)
    outputs: list[InferOutput] | None = Field(default=None, max_length=8, description="default: all")


class InferredTensor(TensorMetadata):
    """An output, flat in row-major order."""

    data: tuple[float, ...]


class InferResponse(Out):
    """What the model finds in each window."""

    model_name: str
    model_version: str
    id: str | None
    outputs: tuple[InferredTensor, ...]
