"""The leaderboard, for programs and for spreadsheets."""

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from api.comparing import compare_rows
from api.deps import CallerDep, Cursor, Limit, Reading, ServicesDep
from api.errors import documented
from api.routing import Route
from api.schemas.comparison import RowComparison
from api.schemas.leaderboard import Leaderboard, LeaderboardRow
from api.tables import cell, wants_csv
from pskd_core.published import PublishedRow, published_rows
from store import datasets, leaderboard, pairing

router = APIRouter(tags=["leaderboard"], route_class=Route)

Filter = Annotated[str | None, Query(min_length=1, max_length=200)]
RowId = Annotated[str, Query(min_length=1, max_length=64, description="a row's id, or the beginning of it")]
_PARTS = ("mean", "sd", "low", "high")
_PLAIN = (
    "id", "source", "dataset_name", "dataset_digest", "protocol", "method", "student", "skeleton_substitute", "n_seeds",
    "n_incomplete_seeds", "n_test", "parameters", "macs", "bundle_bytes", "latency_ms",
)  # fmt: skip
# Columns, and the part of a row in which each stands by the name that follows.
_NESTED = {
    **{f"{name}_{part}": (name, part) for name in ("accuracy", "macro_f1", *leaderboard.FURTHER) for part in _PARTS},
    "n_subjects": ("accuracy_over_subjects", "n"),
    **{f"accuracy_subjects_{part}": ("accuracy_over_subjects", part) for part in ("low", "high")},
    **{f"difference_{part}": ("difference", part) for part in (*_PARTS, "n_seeds")},
}
_PUBLISHED = ("f1", "table", "kind", "citation", "test_input", "runs_here", "here", "run_with", "note")
COLUMNS = (*_PLAIN, *_NESTED, *_PUBLISHED)


@router.get(
    "/v1/leaderboard",
    response_model=Leaderboard,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented(404, 409)},
)
def read_leaderboard(
    request: Request,
    session: Reading,
    caller: CallerDep,
    dataset: Annotated[str | None, Query(min_length=1, max_length=200, description="id, name or digest")] = None,
    protocol: Filter = None,
    method: Filter = None,
    sort: Annotated[leaderboard.Sort, Query(description="a leading minus puts the highest first")] = "-accuracy",
    against: Annotated[RowId | None, Query(description="add to each row its difference to this one")] = None,
    published: Annotated[
        bool, Query(description="add what the paper prints on `dataset`, whatever its protocol; CSV has it at its end")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
    format: Annotated[Literal["json", "csv"] | None, Query(description="default: as `Accept` says")] = None,  # noqa: A002
) -> Response | Leaderboard:
    """Configurations over their seeds, best first; CSV if asked for."""
    reference = None if against is None else leaderboard.get(session, against, tenant=caller.tenant)
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
    differences = {} if reference is None else pairing.differences(session, found.items, reference)
    rows = tuple(LeaderboardRow.of(row, differences.get(row.id)) for row in found.items)
    printed = _printed(session, dataset, caller.tenant) if published else None
    page = Leaderboard(items=rows, next_cursor=found.next_cursor, published=printed)
    return _csv(request, page) if (format == "csv" if format else wants_csv(request)) else page


@router.get("/v1/leaderboard/comparison", responses=documented(404, 409))
def compare_leaderboard_rows(services: ServicesDep, caller: CallerDep, a: RowId, b: RowId) -> RowComparison:
    """Two rows paired by seed and by recording: difference with its intervals, McNemar's test, confusion matrices."""
    return compare_rows(services, a, b, tenant=caller.tenant)


def _printed(session: Session, dataset: str | None, tenant: str) -> tuple[PublishedRow, ...]:
    """What the paper prints, all of it or that on the same recordings as `dataset`."""
    if dataset is None:
        return published_rows()
    wanted = {dataset, *datasets.layouts(session, dataset, tenant=tenant)}
    return tuple(row for row in published_rows() if wanted & {row.dataset, row.layout})


def _csv(request: Request, page: Leaderboard) -> Response:
    """Our rows and, below the last of them, the published ones."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    _write(table, map(_measured_cells, page.items))
    headers = {"Content-Disposition": 'attachment; filename="leaderboard.csv"'}
    if page.next_cursor is not None:
        headers["Link"] = f'<{request.url.include_query_params(cursor=page.next_cursor)}>; rel="next"'
    else:
        _write(table, map(_published_cells, page.published or ()))
    return Response(text.getvalue(), headers=headers, media_type="text/csv")


def _write(table: Any, rows: Iterable[dict[str, Any]]) -> None:
    table.writerows([cell(row.get(column)) for column in COLUMNS] for row in rows)


def _measured_cells(row: LeaderboardRow) -> dict[str, Any]:
    nested = {column: getattr(getattr(row, name), part, None) for column, (name, part) in _NESTED.items()}
    return {name: getattr(row, name) for name in _PLAIN} | nested


def _published_cells(row: PublishedRow) -> dict[str, Any]:
    return {**row.model_dump(), "dataset_name": row.dataset, "accuracy_mean": row.accuracy}
