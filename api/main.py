"""The HTTP service, as an app that is made from settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from api import docs, openapi
from api.auth import OriginGuard, own_hosts
from api.body import BodyLimit
from api.deps import build_services
from api.errors import HANDLED, answer
from api.figures import Figures, SystemFigures
from api.limits import RateLimit, budgets_of
from api.middleware import Conversation, Heads
from api.pages import assets, sign_in
from api.pages import board as board_pages
from api.pages import catalogue as catalogue_pages
from api.pages import changes as page_changes
from api.pages import classify as classify_pages
from api.pages import jobs as job_pages
from api.pages import keys as key_pages
from api.pages import sweeps as sweep_pages
from api.routers import (
    aliases,
    checkpoints,
    classifications,
    classify,
    datasets,
    health,
    jobs,
    keys,
    leaderboard,
    models,
    open_inference,
    stream,
    sweeps,
    system,
    webhooks,
)
from api.routing import check_guarded
from api.tracing import Traced
from store import traces
from store.loops import beside, forgetting
from store.settings import Settings

VERSION = "1"  # of the contract, as in the paths
_DESCRIPTION = "Distils skeleton knowledge into a wearable's network, ranks the results and classifies recordings."
_ROUTERS = (
    classify.router, open_inference.asked,  # first, since routes are tried in order and these are asked most
    health.router, datasets.router, jobs.router, checkpoints.router, sweeps.router, leaderboard.router, models.router,
    aliases.router, classifications.router, stream.router, open_inference.router, keys.router, webhooks.router,
    system.router, docs.router, assets.router,
    sign_in.router, job_pages.router, board_pages.router, classify_pages.router, classify_pages.answers,
    catalogue_pages.router, sweep_pages.router, key_pages.router, page_changes.router,
)  # fmt: skip


def create_app(settings: Settings) -> FastAPI:
    """An app that opens its connections when it starts and closes them when it stops.

    Raises:
        LookupError: a route does not ask who may use it.
        NotInstalled: traces are wanted, but cannot be made.
    """
    check_guarded(_ROUTERS)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.services = services = build_services(settings)
        of_system = SystemFigures(services.database)
        figures.registry.register(of_system)
        with beside(forgetting(services.database, services.objects, settings)):
            yield
        figures.registry.unregister(of_system)
        services.readers.close()
        services.database.dispose()
        if counts is not None:
            await counts.close()
        if tracer is not None:
            tracer.close()

    app = FastAPI(
        title="PSKD",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        # The framework's own, which a global provider of another library would wake, and which tells of bodies.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.openapi = partial(_described, app)  # type: ignore[method-assign]
    app.state.figures = figures = Figures()
    counts = None
    if budgets := budgets_of(settings):
        from api.counts import Counts  # noqa: PLC0415 - see `api.limits`

        counts = Counts(settings.broker_url, figures.registry)
    tracer = traces.start("pskd-api")
    for router in _ROUTERS:
        app.include_router(router)
    for kind in HANDLED:
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(405, _not_allowed)
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit, idle_s=settings.body_idle_s)
    if counts is not None:
        app.add_middleware(RateLimit, budgets=budgets, counts=counts)
    app.add_middleware(OriginGuard, hosts=own_hosts(settings))
    app.add_middleware(Heads)
    if tracer is not None:
        app.add_middleware(Traced, tracer=tracer)
    app.add_middleware(Conversation, figures=figures)
    return app


async def _not_allowed(request: Request, error: Exception) -> Response:
    """What the path takes: a 405 that names all of it, or the answer to OPTIONS.

    By itself the framework names the methods of one route only.
    """
    routes = [route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    methods = {
        method for route in routes if route.path_regex.fullmatch(request.url.path) for method in route.methods or ()
    }
    if "GET" in methods:
        methods.add("HEAD")
    response = Response(status_code=204) if request.method == "OPTIONS" else await answer(request, error)
    response.headers["Allow"] = ", ".join(sorted(methods | {"OPTIONS"}))
    return response


def _described(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi.describe(app)
    return app.openapi_schema
