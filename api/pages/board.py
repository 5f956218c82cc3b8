"""Pages of the leaderboard: the table, a row's seeds, two rows side by side."""

from typing import Annotated, get_args
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.deps import CallerDep, Cursor, Reading, ServicesDep
from api.pages.rendering import PageRoute, page
from api.pages.results import class_rows
from api.routers.datasets import list_datasets
from api.routers.leaderboard import RowId, compare_leaderboard_rows, read_leaderboard
from api.schemas.leaderboard import Leaderboard, LeaderboardRow
from store import leaderboard, runs

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_SORTS = get_args(leaderboard.Sort)
Shown = Annotated[str, Query(max_length=200)]


@router.get("/leaderboard")
def show_leaderboard(
    request: Request,
    session: Reading,
    caller: CallerDep,
    dataset: Shown = "",
    protocol: Shown = "",
    method: Shown = "",
    sort: leaderboard.Sort = "-accuracy",
    against: Shown = "",
    published: bool = False,
    cursor: Cursor = None,
) -> Response:
    """Configurations over their seeds; what was published stands apart from them."""
    filters = {"dataset": dataset, "protocol": protocol, "method": method, "against": against}
    found = read_leaderboard(
        request,
        session,
        caller,
        **{name: value or None for name, value in filters.items()},
        sort=sort,
        published=published,
        limit=50,
        cursor=cursor,
        format="json",
    )
    assert isinstance(found, Leaderboard)
    kept = {name: value for name, value in filters.items() if value} | ({"published": "true"} if published else {})
    return page(
        request,
        "leaderboard.html",
        board=found,
        filters=filters,
        datasets=[each.name for each in list_datasets(session, caller, limit=200).items],
        sort=sort,
        published=published,
        sorts={name: _sort_link(name, sort, kept) for name in sorted({each.removeprefix("-") for each in _SORTS})},
        csv="/v1/leaderboard?" + urlencode({**kept, "sort": sort, "format": "csv"}),
        kept=urlencode({**kept, "sort": sort}),
    )


@router.get("/leaderboard/compare")
def show_comparison(request: Request, services: ServicesDep, caller: CallerDep, a: RowId, b: RowId) -> Response:
    """Two rows: their difference with its intervals, and both confusion matrices."""
    found = compare_leaderboard_rows(services, caller, a, b)
    matrices = {
        name: class_rows(found.classes, np.array(confusion, np.int64))
        for name, confusion in (("A", found.confusion_a), ("B", found.confusion_b))
    }
    return page(request, "compare.html", found=found, matrices=matrices)


@router.get("/leaderboard/{row_id}")
def show_row(row_id: str, request: Request, session: Reading, caller: CallerDep) -> Response:
    """One row with what its figures are made of, seed by seed."""
    row = leaderboard.get(session, row_id, tenant=caller.tenant)
    results = leaderboard.results(session, row)
    tested = [(each, leaderboard.tested_of(each)) for each in results]
    jobs = {each.run_id: runs.get(session, each.run_id, tenant=caller.tenant).job_id for each in results}
    return page(request, "row.html", row=row, shown=LeaderboardRow.of(row), tested=tested, jobs=jobs)


def _sort_link(name: str, sort: str, kept: dict[str, str]) -> tuple[str, str | None]:
    """Where a column's heading leads, and how it sorts now; accuracies begin with the highest, costs do not."""
    first = f"-{name}" if name in {"accuracy", "macro_f1"} else name
    other = name if first.startswith("-") else f"-{name}"
    now = {name: "ascending", f"-{name}": "descending"}.get(sort)
    return "?" + urlencode({**kept, "sort": other if sort == first else first}), now
