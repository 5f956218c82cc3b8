"""Pages of jobs: the list, a new one, and one with its curves and results."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from api.deps import CallerDep, Cursor, Reading, ServicesDep
from api.pages.changes import PAGE_ITEMS, digest
from api.pages.rendering import PageRoute, page
from api.pages.results import PARTS, Judged, pooled
from api.routers.datasets import list_datasets
from api.routers.jobs import list_jobs, read_job, read_report
from api.routers.sweeps import read_sweep
from api.schemas.jobs import RunOut
from pskd_core.config import JobSpec, load_preset, preset_names
from store import datasets, jobs
from store.lifecycle import ENDED_JOB, JobState, RunState, possible

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_FIRST_PRESET = "demo"


@router.get("/")
async def home() -> RedirectResponse:
    """Whoever opens the address that `pskd up` prints sees what is going on."""
    return RedirectResponse("/jobs")


@router.get("/jobs")
def show_jobs(
    request: Request,
    session: Reading,
    services: ServicesDep,
    caller: CallerDep,
    state: str = "",
    cursor: Cursor = None,
) -> Response:
    """Jobs, newest first."""
    wanted = JobState(state) if state in set(JobState) else None
    found = list_jobs(session, services, caller, state=wanted, limit=PAGE_ITEMS, cursor=cursor)
    seen = None if cursor else digest(found)
    return page(request, "jobs.html", jobs=found, state=wanted, states=list(JobState), seen=seen)


@router.get("/jobs/new")
def show_new_job(
    request: Request,
    session: Reading,
    services: ServicesDep,
    caller: CallerDep,
    dataset: str = "",
    of: Annotated[str | None, Query(max_length=200)] = None,
    best_of: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """A form made from the spec's own schema; it begins with the spec of job `of`, or the best of sweep `best_of`."""
    cloned = None if of is None else read_job(of, session, services, caller).spec
    if best_of is not None and (best := read_sweep(best_of, session, caller).best) is not None:
        cloned = best.spec
    usable = [each for each in list_datasets(session, caller, limit=200).items if each.state != "failed"]
    described = {
        "schema": JobSpec.model_json_schema(),
        "presets": {name: JobSpec.model_validate(load_preset(name)).model_dump(mode="json") for name in preset_names()},
        "first": None if cloned else _FIRST_PRESET,
        "spec": None if cloned is None else cloned.model_dump(mode="json"),
        "datasets": [each.name for each in usable],
        "dataset": dataset,
    }
    return page(
        request, "new_job.html", described=described, of=of, best_of=best_of, presets=preset_names(), datasets=usable
    )


@router.get("/jobs/{job_id}")
def show_job(
    job_id: str,
    request: Request,
    session: Reading,
    services: ServicesDep,
    caller: CallerDep,
    show: str = "",
    part: str = "test",
    of: str = "student",
) -> Response:
    """One job: state, curves, results of one run or of all, configuration."""
    job = read_job(job_id, session, services, caller)
    # All of them: a curve is drawn for each, and no list is shown a page at a time beside its curves.
    runs = tuple(map(RunOut.model_validate, jobs.runs_of(session, [job.id])))
    done = [run for run in runs if run.state is RunState.SUCCEEDED]
    # What asks again for the state alone needs no reports, which are large.
    chosen = [] if request.headers.get("HX-Target") == "status" else [run for run in done if run.id == show] or done
    reports = [read_report(run.id, session, caller) for run in chosen]
    found = pooled([report.report for report in reports], part=part, network=of)
    return page(
        request,
        "job.html",
        job=job,
        rows=list(map(Judged.of, runs)),
        ended=job.state in ENDED_JOB,
        actions=[event.value for event in possible(job.state)],
        chosen=chosen,
        show=show if len(chosen) == 1 else "",
        part=part if part in PARTS else PARTS[0],
        network=of,
        networks=list(job.spec.networks),
        classes=list((datasets.get(session, job.dataset_id, tenant=caller.tenant).report or {}).get("classes", {})),
        results=found,
    )
