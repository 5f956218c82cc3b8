"""The one kind of route: it knows who may ask it before it reads a body, and reads JSON strictly."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from api.access import scope_of
from api.auth import admit
from api.body import StrictRequest


class Route(APIRoute):
    """A route that lets in whom `api.access` says, and parses JSON bodies strictly.

    Raises:
        LookupError: it is made for an operation of which nobody has decided who may ask it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, for those who are let in."""
        handler: Callable[[Request], Awaitable[Response]] = super().get_route_handler()
        needed = scope_of(self.methods or (), self.path_format)

        async def guarded(request: Request) -> Response:
            await admit(request, needed)
            return await handler(StrictRequest(request.scope, request.receive))

        return guarded


def check_guarded(routers: Iterable[APIRouter]) -> None:
    """Refuse to start with a way in that nobody watches.

    Raises:
        LookupError: a router has a route of another kind than `Route`.
    """
    routes: list[BaseRoute] = [route for router in routers for route in router.routes]
    if unguarded := [route for route in routes if not isinstance(route, Route)]:
        raise LookupError(f"{unguarded[0]} would ask nobody for a key; make its router with route_class=Route")
