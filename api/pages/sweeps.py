"""Pages of sweeps: the list, and one with its trials, the best of them, and a heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.deps import CallerDep, Cursor, Reading
from api.pages.changes import PAGE_ITEMS, digest, without_map
from api.pages.rendering import PageRoute, page
from api.pages.results import SHADES
from api.routers.datasets import read_dataset
from api.routers.sweeps import list_sweeps, read_sweep
from api.schemas.sweeps import HeatMap, axes_of
from store.lifecycle import ENDED_SWEEP

router = APIRouter(include_in_schema=False, route_class=PageRoute)

Axis = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True)
class HeatRow:
    """A value of `y`, and for each of `x` the score with its shade (0 to 10); none where nothing was tried."""

    value: Any
    cells: tuple[tuple[float, int] | None, ...]


@router.get("/sweeps")
def show_sweeps(request: Request, session: Reading, caller: CallerDep, cursor: Cursor = None) -> Response:
    """Sweeps, newest first."""
    found = list_sweeps(session, caller, limit=PAGE_ITEMS, cursor=cursor)
    return page(request, "sweeps.html", sweeps=found, seen=None if cursor else digest(found))


@router.get("/sweeps/{sweep_id}")
def show_sweep(
    sweep_id: str, request: Request, session: Reading, caller: CallerDep, x: Axis = "", y: Axis = ""
) -> Response:
    """One sweep: its trials as they come, the best one, and two of its parameters against the score."""
    found = read_sweep(sweep_id, session, caller, x=x or None, y=y or None)
    return page(
        request,
        "sweep.html",
        sweep=found,
        dataset=read_dataset(found.dataset_id, session, caller),
        seen=digest(without_map(found)),
        ended=found.state in ENDED_SWEEP,
        axes=list(axes_of(found.spec)),
        heat=None if found.heat_map is None else heat_rows(found.heat_map),
    )


def heat_rows(heat_map: HeatMap) -> tuple[HeatRow, ...]:
    """The map's means row by row; the lowest score is the palest, whatever it is."""
    scores = [score for row in heat_map.mean for score in row if score is not None]
    low, high = min(scores, default=0.0), max(scores, default=0.0)

    def cell(score: float | None) -> tuple[float, int] | None:
        share = 1.0 if score is None or high == low else (score - low) / (high - low)
        return None if score is None else (score, round(share * SHADES))

    def row(value: Any, means: Sequence[float | None]) -> HeatRow:
        return HeatRow(value, tuple(map(cell, means)))

    return tuple(map(row, heat_map.y_values, heat_map.mean))
