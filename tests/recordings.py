"""Long recordings for tests, and rows of their labelling."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from store import classifications
from store.models import TENANT, ModelVersion
from store.timelines import Classification

UPLOAD_BYTES = 1000
PIECE_S = 20


def add_classification(
    session: Session, *, upload: str = "a" * 64, bundle: str = "b" * 64, size_bytes: int = UPLOAD_BYTES, **fields: str
) -> Classification:
    """A recording that waits to be labelled."""
    version = ModelVersion(version=3, bundle_digest=bundle)
    return classifications.create(
        session,
        filename=fields.get("filename", "day.csv"),
        upload_digest=upload,
        upload_bytes=size_bytes,
        model="watch",
        version=version,
        reading={"rate_hz": None, "unit": "g"},
        tenant=fields.get("tenant", TENANT),
    )


def write_day(path: Path, *, hours: float, rate_hz: int = 100) -> None:
    """A CSV with times, in g: gravity stays along one axis for a while, then goes on to the next."""
    axes = ("1.0,0.01,0.02", "0.01,1.0,0.02", "0.01,0.02,1.0")
    with path.open("w", encoding="ascii") as file:
        file.write("time,x,y,z\n")
        file.writelines(_lines(axes, round(hours * 3600), rate_hz))


def _lines(axes: tuple[str, ...], seconds: int, rate_hz: int) -> Iterator[str]:
    for second in range(seconds):
        values = axes[second // PIECE_S % len(axes)]
        yield "".join(f"{second + sample / rate_hz:.2f},{values}\n" for sample in range(rate_hz))
