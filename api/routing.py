"""The two kinds of routes: both know who may ask them before anything is read; a request's JSON is read strictly."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute, APIWebSocketRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.websockets import WebSocket

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


class LeanRoute(Route):
    """The same, for an endpoint that takes the request, reads all else by itself and makes its own response.

    To have a few parameters resolved takes as long as to label a recording.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, for those who are let in."""
        needed = scope_of(self.methods or (), self.path_format)

        async def guarded(request: Request) -> Response:
            await admit(request, needed)
            answer: Response = await self.endpoint(request)
            return answer

        return guarded


def parameters_of(query: type[BaseModel]) -> list[dict[str, Any]]:
    """What OpenAPI says of the query parameters of a route that reads them by itself."""
    schema = query.model_json_schema()
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field}
        | ({"description": field["description"]} if "description" in field else {})
        for name, field in schema["properties"].items()
    ]


class StreamRoute(APIWebSocketRoute):
    """A WebSocket that is opened for whom `api.access` says; refusals are answers to the request that would open it.

    Raises:
        LookupError: it is made for a stream of which nobody has decided who may open it.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any]) -> None:
        needed = scope_of(["WS"], path)

        async def guard(socket: WebSocket) -> None:
            await admit(socket, needed)

        # As a dependency, since an app makes its own routes of a router's endpoints and dependencies.
        super().__init__(path, endpoint, dependencies=[Depends(guard)])


def check_guarded(routers: Iterable[APIRouter]) -> None:
    """Refuse to start with a way in that nobody watches.

    Raises:
        LookupError: a router has a route of another kind than these.
    """
    routes: list[BaseRoute] = [route for router in routers for route in router.routes]
    if unguarded := [route for route in routes if not isinstance(route, Route | StreamRoute)]:
        raise LookupError(
            f"{unguarded[0]} would ask nobody for a key; make its router with route_class=Route, or a StreamRoute"
        )
