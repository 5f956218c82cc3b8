"""What a worker process needs to know beyond what it shares with the API."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from store.queues import CPU, GPU, IO
from store.settings import Settings


class WorkerSettings(Settings):
    """Where a worker listens, how much it does at once, and how patient it is."""

    queues: Annotated[tuple[str, ...], NoDecode] = Field(default=(CPU, IO), description="`cpu`, `gpu`, `io`; commas")
    runs_at_once: int = Field(default=1, ge=1, description="training processes side by side")
    scratch_dir: Path = Field(default_factory=lambda data: data["home"] / "scratch", description="unfinished files")
    checkpoint_every_s: float = Field(default=5.0, ge=0, description="least time between checkpoints; 0: every epoch")
    stop_grace_s: float = Field(default=5.0, ge=0, description="a run asked to stop is killed after so long")
    step_timeout_s: float = Field(default=300.0, gt=0, description="a run without a step for so long is given up")
    import_timeout_s: float = Field(default=3600.0, gt=0, description="an import that takes longer is given up")
    import_memory_bytes: int = Field(default=4 * 2**30, gt=0, description="of an import, beyond what torch takes")
    import_file_bytes: int = Field(default=64 * 2**30, gt=0, description="largest file that an import may write")
    teachers_limit_bytes: int = Field(
        default=20 * 2**30, ge=0, description="kept answers of teachers; those used longest ago go first"
    )

    @field_validator("queues", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(filter(None, (part.strip() for part in value.split(",")))) if isinstance(value, str) else value

    @field_validator("queues")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - {CPU, GPU, IO}:
            raise ValueError(f"queues are {CPU}, {GPU} and {IO}; got {', '.join(value) or 'none'}")
        return value

    @model_validator(mode="after")
    def _grace_outlasts_an_import(self) -> Self:
        if self.collect_grace_s < self.import_timeout_s:
            raise ValueError(
                f"PSKD_COLLECT_GRACE_S ({self.collect_grace_s:g}) must not be below PSKD_IMPORT_TIMEOUT_S "
                f"({self.import_timeout_s:g}): files of an import that is under way would be collected as nobody's"
            )
        return self

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """Where this worker's runs execute."""
        return "cuda" if GPU in self.queues else "cpu"
