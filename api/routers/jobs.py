"""Jobs: submit, watch, and ask something of them; and what their runs measured."""

from functools import partial
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from sqlalchemy.orm import Session

from api.auth import Caller
from api.body import require_json
from api.deps import PAGE_LIMIT, CallerDep, Cursor, Force, Limit, Reading, Services, ServicesDep, Writing
from api.errors import documented
from api.idempotency import ACCEPTED, Created, OnceDep
from api.paging import page_of
from api.planning import estimate, folds_of, have_files, no_dataset, planned, prepare
from api.routing import Route
from api.schemas.common import Deletion, Paged, ShownAs
from api.schemas.jobs import (
    Curve,
    EventOut,
    EventPage,
    JobDetail,
    JobEstimate,
    JobMetrics,
    JobRequest,
    JobSummary,
    RunCurves,
    RunOut,
    RunReport,
)
from api.shares import EventStream
from api.sse import Batch, stream
from api.storage import check_not_full
from pskd_core.config import JobSpec, parse_spec
from pskd_core.errors import SpecError
from store import deletion, events, jobs, keys, outlook, paging, runs
from store.errors import DatasetNotUsable, NotFound
from store.lifecycle import ENDED_JOB, JobState
from store.models import Dataset, Job

router = APIRouter(tags=["jobs"], route_class=Route)


@router.post(
    "/v1/jobs",
    status_code=202,
    response_model=JobDetail,
    responses=ACCEPTED
    | {200: {"model": JobEstimate, "description": "The estimate of a dry run"}}
    | documented(400, 409, 413, 415, 429, 507),
    dependencies=[Depends(require_json)],
)
def submit_job(
    body: Annotated[dict[str, Any], ShownAs(JobRequest)],
    services: ServicesDep,
    caller: CallerDep,
    once: OnceDep,
    dry_run: Annotated[bool, Query(description="validate and estimate, but submit nothing")] = False,
) -> Response:
    """Submits a job: a spec, or a preset with fields laid over it."""
    spec = parse_spec(body)
    if dry_run:
        found = estimate(prepare(spec, services, tenant=caller.tenant), services)
        return Response(found.model_dump_json(), media_type="application/json")
    payload = spec.model_dump_json()
    try:
        have_files(spec, services, tenant=caller.tenant)
    except (SpecError, DatasetNotUsable):
        if (replayed := once.replay(services.database, payload)) is not None:
            return replayed
        raise
    workers = services.recent.get("workers", partial(_look_at_workers, services))
    warning = workers.unserved(spec.resources.device)
    # All in one thread: to hand a session from one to the next costs as much as a statement.
    with services.database.write() as session:
        return once.accept(session, payload, partial(_submit, session, spec, services, caller, warning))


def _submit(session: Session, spec: JobSpec, services: Services, caller: Caller, warning: str | None) -> Created:
    folds: list[jobs.PlannedFold] = []

    def plan(dataset: Dataset) -> list[jobs.PlannedFold]:
        folds.extend(planned(folds_of(spec, dataset, services)))
        return folds

    jobs.check_room(session, adding=1, limit=services.settings.tenant_waiting_jobs, tenant=caller.tenant)
    check_not_full(session, services, tenant=caller.tenant)
    try:
        job = jobs.submit(session, spec, plan=plan, tenant=caller.tenant)
    except NotFound as absent:
        raise no_dataset(absent) from absent
    detail = JobDetail.accepted(job, spec, runs=len(folds) * len(spec.seeds), warning=warning)
    return f"/v1/jobs/{job.id}", detail


def _look_at_workers(services: Services) -> outlook.Outlook:
    with services.database.read() as session:
        return outlook.look_at_workers(session, lease_s=services.settings.lease_s)


@router.get("/v1/jobs", responses=documented())
def list_jobs(
    session: Reading,
    services: ServicesDep,
    caller: CallerDep,
    state: JobState | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Paged[JobSummary]:
    """Lists jobs, newest first."""
    page = jobs.page(session, tenant=caller.tenant, state=state, limit=limit, cursor=cursor)
    of_job = {
        job_id: list(found)
        for job_id, found in groupby(jobs.runs_of(session, [job.id for job in page.items]), lambda run: run.job_id)
    }
    seen = _outlook(session, services, caller.tenant)
    items = tuple(JobSummary.of(job, of_job.get(job.id, []), seen) for job in page.items)
    return Paged(items=items, next_cursor=page.next_cursor)


@router.get("/v1/jobs/{job_id}", responses=documented(404))
def read_job(job_id: str, session: Reading, services: ServicesDep, caller: CallerDep) -> JobDetail:
    """One job: state, progress, time to the end, cause of failure, spec."""
    return _detail(session, jobs.get(session, job_id, tenant=caller.tenant), services)


@router.delete("/v1/jobs/{job_id}", responses=documented(404, 409))
def delete_job(job_id: str, session: Writing, caller: CallerDep, force: Force = False) -> Deletion:
    """Deletes an ended job; one with results is kept, or with `force` goes with them, unless its model is served."""
    return Deletion(removed=+deletion.delete_job(session, job_id, force=force, tenant=caller.tenant))


@router.get("/v1/jobs/{job_id}/runs", responses=documented(404))
def list_runs(
    job_id: str, session: Reading, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None
) -> Paged[RunOut]:
    """Lists the runs of a job (seed × fold) with their results."""
    job = jobs.get(session, job_id, tenant=caller.tenant)
    found = jobs.runs_of(session, [job.id])
    page = page_of(found, {"list": "runs", "job": job.id}, limit=limit, cursor=cursor)
    return Paged(items=tuple(map(RunOut.model_validate, page.items)), next_cursor=page.next_cursor)


@router.post("/v1/jobs/{job_id}/cancel", responses=documented(404, 409))
def cancel_job(job_id: str, session: Writing, services: ServicesDep, caller: CallerDep) -> JobDetail:
    """Cancels a job: what waits at once, what runs within seconds."""
    return _detail(session, jobs.cancel(session, job_id, tenant=caller.tenant), services)


@router.post("/v1/jobs/{job_id}/pause", responses=documented(404, 409))
def pause_job(job_id: str, session: Writing, services: ServicesDep, caller: CallerDep) -> JobDetail:
    """Pauses a job: its runs stop at a checkpoint."""
    return _detail(session, jobs.pause(session, job_id, tenant=caller.tenant), services)


@router.post("/v1/jobs/{job_id}/resume", responses=documented(404, 409))
def resume_job(job_id: str, session: Writing, services: ServicesDep, caller: CallerDep) -> JobDetail:
    """Lets a paused job go on from its checkpoints."""
    return _detail(session, jobs.resume(session, job_id, tenant=caller.tenant), services)


@router.post("/v1/jobs/{job_id}/retry", responses=documented(404, 409))
def retry_job(job_id: str, session: Writing, services: ServicesDep, caller: CallerDep) -> JobDetail:
    """Runs the failed runs of a failed job again, from their checkpoints."""
    return _detail(session, jobs.retry(session, job_id, tenant=caller.tenant), services)


@router.get("/v1/jobs/{job_id}/metrics", responses=documented(404))
def read_metrics(
    job_id: str,
    session: Reading,
    caller: CallerDep,
    name: Annotated[list[str] | None, Query(description="only these curves; may be repeated")] = None,
    by_class: Annotated[
        bool, Query(description="instead those of single classes: `by_class/student/follows/TEACHER/INDEX`")
    ] = False,
) -> JobMetrics:
    """Every curve of a job, run by run."""
    job = jobs.get(session, job_id, tenant=caller.tenant)
    curves: dict[str, dict[str, Curve]] = {}
    for metric in jobs.metrics(session, job.id, names=name, by_class=by_class):
        curve = curves.setdefault(metric.run_id, {}).setdefault(metric.name, Curve(steps=[], values=[]))
        curve.steps.append(metric.step)
        curve.values.append(metric.value)
    found = jobs.runs_of(session, [job.id])
    return JobMetrics(
        removed_at=job.curves_removed_at,
        runs=tuple(
            RunCurves(run_id=run.id, seed=run.seed, fold=run.fold, curves=curves.get(run.id, {})) for run in found
        ),
    )


@router.get("/v1/runs/{run_id}/report", responses=documented(404))
def read_report(run_id: str, session: Reading, caller: CallerDep) -> RunReport:
    """Everything that a finished run measured: confusion matrix, per-class and per-subject scores."""
    run = runs.get(session, run_id, tenant=caller.tenant)
    if run.report is None:
        raise NotFound("report of run", run_id)
    return RunReport.model_validate(run)


@router.get(
    "/v1/runs/{run_id}/predictions",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **documented(404)},
)
def read_predictions(run_id: str, services: ServicesDep, caller: CallerDep) -> Response:
    """What a finished run's student said of every sample, as an `.npz`: ids, subjects, labels, logits of each part."""
    with services.database.read() as session:
        digest = runs.get(session, run_id, tenant=caller.tenant).predictions_digest
    if digest is None:
        raise NotFound("predictions of run", run_id)
    # No session is held while the bytes are fetched.
    headers = {"Content-Disposition": f'attachment; filename="{run_id}.npz"'}
    return Response(services.objects.get_bytes(digest), headers=headers, media_type="application/octet-stream")


@router.get(
    "/v1/jobs/{job_id}/events",
    response_model=EventPage,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: {"description": "The job has ended and there is nothing after `Last-Event-ID`: do not reconnect"},
        **documented(404, 429),
    },
)
async def job_events(
    job_id: str,
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    limit: Limit = PAGE_LIMIT,
    cursor: Cursor = None,
    last_event_id: Annotated[int, Header(ge=0, le=2**31 - 1, description="`id` of the last event seen")] = 0,
) -> Response:
    """What happened to a job: a stream if `Accept` is `text/event-stream`, else pages."""
    if "text/event-stream" not in request.headers.get("accept", ""):
        page = await run_in_threadpool(_event_page, services, job_id, caller, last_event_id, limit, cursor)
        return Response(page.model_dump_json(), media_type="application/json")
    read = partial(_look, services, job_id, caller)
    first = await run_in_threadpool(read, last_event_id)  # an unknown job is a 404, not a stream
    if first.ended and not first.events:
        return Response(status_code=204)
    shares = services.followers
    happenings = stream(read, after=last_event_id, stopping=services.stopping, threads=shares.threads)
    return EventStream(happenings, shares=shares, tenant=caller.tenant)


def _look(services: Services, job_id: str, caller: Caller, after: int) -> Batch:
    """Events above `after`; the job's state is read first, so that nothing is written after a look that says ended."""
    with services.database.read() as session:
        if caller.key_id is not None and not keys.holds(session, caller.key_id):
            return Batch([], ended=True)  # the stream had begun; whoever asks again is told why
        job = jobs.get(session, job_id, tenant=caller.tenant)
        found = [EventOut.of(row) for row in events.after(session, job.id, after, limit=PAGE_LIMIT)]
        return Batch(found, ended=job.state in ENDED_JOB and len(found) < PAGE_LIMIT)


def _event_page(
    services: Services, job_id: str, caller: Caller, after: int, limit: int, cursor: str | None
) -> EventPage:
    filters = {"list": "events", "job": job_id}
    (start,) = paging.decode(cursor, filters, (int,)) if cursor is not None else (after,)
    assert isinstance(start, int)
    with services.database.read() as session:
        job = jobs.get(session, job_id, tenant=caller.tenant)
        found = events.after(session, job.id, start, limit=limit + 1)
        page = paging.cut(found, lambda row: (row.seq,), filters, limit=limit)
        items = tuple(map(EventOut.of, page.items))
        return EventPage(items=items, next_cursor=page.next_cursor, removed_at=job.events_removed_at)


def _detail(session: Session, job: Job, services: Services) -> JobDetail:
    return JobDetail.of(job, jobs.runs_of(session, [job.id]), _outlook(session, services, job.tenant))


def _outlook(session: Session, services: Services, tenant: str) -> outlook.Outlook:
    settings = services.settings
    return outlook.look(session, tenant=tenant, lease_s=settings.lease_s, runs_at_once=settings.tenant_runs_at_once)
