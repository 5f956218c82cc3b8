"""Checkpoints of runs: from what a run would go on, and its files."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from api.deps import CallerDep, Reading, ServicesDep
from api.downloads import zip_answer
from api.errors import documented
from api.routing import Route
from api.schemas.common import Paged
from api.schemas.jobs import CheckpointOut
from store import runs
from store.errors import NotFound, ObjectMissing

router = APIRouter(tags=["jobs"], route_class=Route)

Epoch = Annotated[int, Path(ge=1, le=2**31 - 1, description="epochs that are done in it")]


@router.get("/v1/runs/{run_id}/checkpoints", responses=documented(404))
def list_checkpoints(run_id: str, session: Reading, caller: CallerDep) -> Paged[CheckpointOut]:
    """Lists the checkpoints of a run: the newest alone is kept, and none of a run whose checkpoints were removed."""
    run = runs.get(session, run_id, tenant=caller.tenant)
    items = () if run.checkpoint_digest is None else (CheckpointOut.of(run),)
    return Paged(items=items, next_cursor=None)


@router.get(
    "/v1/runs/{run_id}/checkpoints/{epoch}",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}, **documented(404)},
)
def download_checkpoint(run_id: str, epoch: Epoch, services: ServicesDep, caller: CallerDep) -> Response:
    """A checkpoint's files as a zip: weights and optimiser state in safetensors, all else in JSON."""
    absent = NotFound("checkpoint", f"{run_id}/{epoch}")
    with services.database.read() as session:
        run = runs.get(session, run_id, tenant=caller.tenant)
        digest = run.checkpoint_digest if run.checkpoint_epoch == epoch else None
    if digest is None:
        raise absent
    try:
        folder = services.objects.get_tree(digest)
    except ObjectMissing:  # the run has gone on, and has a newer one by now
        raise absent from None
    return zip_answer(folder, filename=f"{run_id}-{epoch}.zip", scratch=services.uploads)
