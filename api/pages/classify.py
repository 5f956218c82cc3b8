"""The page that labels a file, and what it asks: the answer with the trace that it labels."""

from math import ceil
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from api.deps import CallerDep, Reading, ServicesDep
from api.pages.rendering import PageRoute, page
from api.routers.classify import (
    Asked,
    Choice,
    RateHz,
    StatedColumns,
    StatedUnit,
    Upload,
    choice_of,
    labelled,
    receive,
)
from api.routers.models import list_models
from api.routing import Route
from api.schemas.classify import ClassificationOut
from api.schemas.common import Out
from pskd_core.data.recordings import SensorRecording
from pskd_core.data.series import Unit

router = APIRouter(include_in_schema=False, route_class=PageRoute)
# Its refusals are read by the page's script.
answers = APIRouter(include_in_schema=False, route_class=Route)

_MOST_POINTS = 4000
_DECIMALS = 4
_ALL = 100  # classes


class Trace(Out):
    """A recording, in g, thinned to what a plot can show."""

    t_s: tuple[float, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    z: tuple[float, ...]


class Labelled(Out):
    """An answer, and the trace that it labels."""

    answer: ClassificationOut
    trace: Trace


@router.get("/classify")
def show_classify(
    request: Request, session: Reading, caller: CallerDep, model: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """A place to drop a file."""
    models = list_models(session, caller, limit=200).items
    return page(request, "classify.html", models=models, model=model, units=get_args(Unit))


@answers.post("/classify/{name}")
def label_recording(
    name: str,
    request: Request,
    upload: Annotated[Upload, Depends(receive, scope="function")],
    choice: Annotated[Choice, Depends(choice_of)],
    services: ServicesDep,
    caller: CallerDep,
    rate_hz: RateHz = None,
    unit: StatedUnit = None,
    columns: StatedColumns = None,
) -> Labelled:
    """What the contract's `classify` answers, and the samples as they were understood."""
    asked = Asked(rate_hz=rate_hz, unit=unit, columns=columns, top_k=_ALL)
    served = services.serving.look(caller.tenant, name, version=choice.version, alias=choice.alias)
    answer, recording = labelled(served, upload, asked, services, request.app.state.figures)
    return Labelled(answer=answer, trace=_trace(recording))


def _trace(recording: SensorRecording) -> Trace:
    """Every sample, or so many that a plot shows no more; the rate stays even."""
    step = ceil(len(recording.values_g) / _MOST_POINTS)
    kept = recording.values_g[::step].astype(float).round(_DECIMALS)
    t_s = [round(place / recording.rate_hz, _DECIMALS) for place in range(0, len(recording.values_g), step)]
    x, y, z = (tuple(axis) for axis in kept.T.tolist())
    return Trace(t_s=tuple(t_s), x=x, y=y, z=z)
