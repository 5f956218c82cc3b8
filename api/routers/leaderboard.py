"""The leaderboard, for programs and for spreadsheets."""

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.deps import CallerDep, Cursor, Limit, Reading
from api.errors import documented
from api.schemas.common import Paged
from api.schemas.leaderboard import LeaderboardRow
from store import leaderboard

router = APIRouter(tags=["leaderboard"])

Filter = Annotated[str | None, Query(min_length=1, max_length=200)]
_STATISTICS = ("accuracy", "macro_f1")
_PARTS = ("mean", "sd", "low", "high")
_PLAIN = (
    "id", "source", "dataset_name", "dataset_digest", "protocol", "method", "n_seeds", "n_incomplete_seeds", "n_test",
    "parameters", "macs", "bundle_bytes",
)  # fmt: skip
COLUMNS = (*_PLAIN, *(f"{name}_{part}" for name in _STATISTICS for part in _PARTS))


@router.get(
    "/v1/leaderboard",
    response_model=Paged[LeaderboardRow],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented()},
)
def read_leaderboard(
    request: Request,
    session: Reading,
    caller: CallerDep,
    dataset: Annotated[str | None, Query(min_length=1, max_length=200, description="id, name or digest")] = None,
    protocol: Filter = None,
    method: Filter = None,
    sort: Annotated[leaderboard.Sort, Query(description="a leading minus puts the highest first")] = "-accuracy",
    limit: Limit = 50,
    cursor: Cursor = None,
    format: Annotated[Literal["json", "csv"] | None, Query(description="default: as `Accept` says")] = None,  # noqa: A002
) -> Response | Paged[LeaderboardRow]:
    """Configurations over their seeds, best first; CSV if asked for."""
    found = leaderboard.rows(
        session,
        tenant=caller.tenant,
        dataset=dataset,
        protocol=protocol,
        method=method,
        sort=sort,
        limit=limit,
        cursor=cursor,
    )
    rows = tuple(map(LeaderboardRow.of, found.items))
    if (format or _accepted(request)) == "csv":
        return _csv(request, rows, found.next_cursor)
    return Paged(items=rows, next_cursor=found.next_cursor)


def _accepted(request: Request) -> str:
    return "csv" if request.headers.get("accept", "").startswith("text/csv") else "json"


def _csv(request: Request, rows: Iterable[LeaderboardRow], next_cursor: str | None) -> Response:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows([_cell(_value(row, column)) for column in COLUMNS] for row in rows)
    headers = {"Content-Disposition": 'attachment; filename="leaderboard.csv"'}
    if next_cursor is not None:
        headers["Link"] = f'<{request.url.include_query_params(cursor=next_cursor)}>; rel="next"'
    return Response(text.getvalue(), headers=headers, media_type="text/csv")


def _value(row: LeaderboardRow, column: str) -> Any:
    if column in _PLAIN:
        return getattr(row, column)
    name, part = column.rsplit("_", 1)
    return getattr(getattr(row, name), part, None)


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
