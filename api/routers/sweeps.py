"""Sweeps: many jobs that search a space of specs, and what they found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from sqlalchemy.orm import Session

from api.auth import Caller
from api.body import require_json
from api.deps import CallerDep, Cursor, Force, Limit, Reading, Services, ServicesDep, Writing
from api.errors import INVALID, Fault, Refusal, documented
from api.idempotency import ACCEPTED, Created, OnceDep
from api.planning import planned, prepare
from api.routing import Route
from api.schemas.common import Deletion, Paged, ShownAs
from api.schemas.sweeps import SweepDetail, SweepEstimate, SweepRequest, SweepSummary, axes_of, sweep_detail
from api.storage import check_not_full
from pskd_core.config import JobSpec
from pskd_core.data.plans import FoldsOf, trial_planners
from pskd_core.errors import ProtocolError, SpecError
from pskd_core.sweep import MOST_TRIALS, Sweep, check_runs, first_points, in_sweep, parse_sweep, trial_spec
from store import deletion, jobs, sweeps
from store.base import present
from store.errors import DatasetNotUsable
from store.models import Dataset
from store.models import Sweep as SweepRow

router = APIRouter(tags=["sweeps"], route_class=Route)

Axis = Annotated[str | None, Query(max_length=200, description="a parameter with choices, by its path")]


@dataclass(frozen=True)
class SweepSubmission:
    """A checked sweep and its dataset, on which all trials have been planned, so that no transaction waits for that."""

    sweep: Sweep
    dataset: Dataset
    folds_on: Callable[[str], FoldsOf]  # by tree digest; it remembers what it has planned
    runs: int | None  # of all trials; null while the dataset is being imported


def _submission(sweep: Sweep, services: Services, *, tenant: str) -> SweepSubmission:
    try:
        dataset = prepare(sweep.base, services, tenant=tenant).dataset
    except SpecError as unfit:
        raise in_sweep(unfit, {}) from unfit
    folds_on = trial_planners(sweep, services.open_dataset)
    runs = None if dataset.tree_digest is None else _runs(sweep, folds_on(dataset.tree_digest))
    return SweepSubmission(sweep, dataset, folds_on, runs)


def _runs(sweep: Sweep, folds_of: FoldsOf) -> int:
    """Plan all trials; how many runs they have.

    Raises:
        SpecError: a trial names what the dataset does not have or is judged on other recordings than the first, or
            there are too many runs; pointers lead into the sweep.
        ProtocolError: subjects, trials or classes have no recording.
    """
    folds = 0
    for number, point in enumerate(first_points(sweep), start=1):
        try:
            folds = len(folds_of(trial_spec(sweep, number, point)))
        except SpecError as unfit:
            raise in_sweep(unfit, point) from unfit
    return check_runs(sweep, folds=folds)


@router.post(
    "/v1/sweeps",
    status_code=202,
    response_model=SweepDetail,
    responses=ACCEPTED
    | {200: {"model": SweepEstimate, "description": "The estimate of a dry run"}}
    | documented(400, 409, 413, 415, 429, 507),
    dependencies=[Depends(require_json)],
)
def submit_sweep(
    body: Annotated[dict[str, Any], ShownAs(SweepRequest)],
    services: ServicesDep,
    caller: CallerDep,
    once: OnceDep,
    dry_run: Annotated[bool, Query(description="validate and count, but submit nothing")] = False,
) -> Response:
    """Submits a sweep: a grid, random draws or TPE over any field of a job, chosen on its validation part."""
    sweep = parse_sweep(body)
    payload = sweep.model_dump_json()
    try:
        submission = _submission(sweep, services, tenant=caller.tenant)
    except (SpecError, ProtocolError, DatasetNotUsable):
        if not dry_run and (replayed := once.replay(services.database, payload)) is not None:
            return replayed
        raise
    if dry_run:
        return Response(_estimate(submission).model_dump_json(), media_type="application/json")
    with services.database.write() as session:
        return once.accept(session, payload, partial(_create, session, submission, services, caller))


def _create(session: Session, submission: SweepSubmission, services: Services, caller: Caller) -> Created:
    def plan_of(spec: JobSpec) -> jobs.Plan:
        return lambda dataset: planned(submission.folds_on(present(dataset.tree_digest))(spec))

    adding, limit = len(first_points(submission.sweep)), services.settings.tenant_waiting_jobs
    jobs.check_room(session, adding=adding, limit=limit, tenant=caller.tenant)
    check_not_full(session, services, tenant=caller.tenant)
    sweep = sweeps.create(session, submission.sweep, plan_of=plan_of, tenant=caller.tenant)
    return f"/v1/sweeps/{sweep.id}", _detail(session, sweep)


def _estimate(submission: SweepSubmission) -> SweepEstimate:
    return SweepEstimate(
        spec=submission.sweep,
        dataset_id=submission.dataset.id,
        trials=submission.sweep.trials,
        most_trials=MOST_TRIALS,
        runs=submission.runs,
    )


@router.get("/v1/sweeps", responses=documented())
def list_sweeps(session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None) -> Paged[SweepSummary]:
    """Lists sweeps, newest first."""
    page = sweeps.page(session, tenant=caller.tenant, limit=limit, cursor=cursor)
    counts = sweeps.counts(session, [sweep.id for sweep in page.items])
    items = tuple(SweepSummary.of(sweep, counts[sweep.id]) for sweep in page.items)
    return Paged(items=items, next_cursor=page.next_cursor)


@router.get("/v1/sweeps/{sweep_id}", responses=documented(404))
def read_sweep(sweep_id: str, session: Reading, caller: CallerDep, x: Axis = None, y: Axis = None) -> SweepDetail:
    """One sweep: state, trials with their scores, the best one's spec, and a heat map over two parameters."""
    return _detail(session, sweeps.get(session, sweep_id, tenant=caller.tenant), x=x, y=y)


@router.get("/v1/sweeps/{sweep_id}/summary", responses=documented(404))
def read_sweep_summary(sweep_id: str, session: Reading, caller: CallerDep) -> SweepSummary:
    """One sweep as in the list, without its trials: cheap enough to ask again and again while waiting for it."""
    sweep = sweeps.get(session, sweep_id, tenant=caller.tenant)
    return SweepSummary.of(sweep, sweeps.counts(session, [sweep_id])[sweep_id])


@router.delete("/v1/sweeps/{sweep_id}", responses=documented(404, 409))
def delete_sweep(sweep_id: str, session: Writing, caller: CallerDep, force: Force = False) -> Deletion:
    """Deletes an ended sweep; one whose trials have jobs is kept, or with `force` goes with them."""
    return Deletion(removed=+deletion.delete_sweep(session, sweep_id, force=force, tenant=caller.tenant))


@router.post("/v1/sweeps/{sweep_id}/cancel", responses=documented(404, 409))
def cancel_sweep(sweep_id: str, session: Writing, caller: CallerDep) -> SweepDetail:
    """Cancels a sweep: no trial is added, and the jobs of those that have not ended are cancelled."""
    return _detail(session, sweeps.cancel(session, sweep_id, tenant=caller.tenant))


def _detail(session: Session, sweep: SweepRow, *, x: str | None = None, y: str | None = None) -> SweepDetail:
    axes = _chosen_axes(sweeps.spec_of(sweep), x, y)
    counts = sweeps.counts(session, [sweep.id])[sweep.id]
    return sweep_detail(sweep, counts, sweeps.trials_of(session, sweep), axes)


def _chosen_axes(spec: Sweep, x: str | None, y: str | None) -> tuple[str, str] | None:
    """The two parameters of the heat map: those asked for, else the first of the space.

    Raises:
        Refusal: there is no such parameter, or it has no choices.
    """
    left = list(axes_of(spec))
    for name, asked in (("x", x), ("y", y)):
        if asked is None:
            continue
        if asked not in left:
            detail = f"must be one of {', '.join(axes_of(spec)) or '(none)'}, and not the other axis"
            raise Refusal(INVALID, f"{name} {detail}", errors=[Fault(detail=detail, parameter=name)])
        left.remove(asked)
    if x is None and left:
        x = left.pop(0)
    if y is None and left:
        y = left.pop(0)
    return (x, y) if x is not None and y is not None else None
