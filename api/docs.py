"""`/docs`: the contract to read and try, from files of this installation alone."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response

from api.routing import Route

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>PSKD API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null});\n'
# No inline script or style, nothing from elsewhere; the page's icons are data: pictures.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CACHED = {"Cache-Control": "public, max-age=86400"}

router = APIRouter(include_in_schema=False, route_class=Route)


@router.get("/docs")
async def page() -> Response:
    """The page."""
    return Response(_PAGE, headers={"Content-Security-Policy": _POLICY}, media_type="text/html")


@router.get("/docs/start.js")
async def start() -> Response:
    """What starts the page: a script of its own, since the policy allows none within."""
    return Response(_START, headers=_CACHED, media_type="text/javascript")


@router.get("/docs/swagger-ui-bundle.js")
def script() -> Response:
    """Swagger UI."""
    return Response(_asset("swagger-ui-bundle.js"), headers=_CACHED, media_type="text/javascript")


@router.get("/docs/swagger-ui.css")
def style() -> Response:
    """Its style."""
    return Response(_asset("swagger-ui.css"), headers=_CACHED, media_type="text/css")


def _asset(name: str) -> bytes:
    return (files("fastapi_offline") / "static" / name).read_bytes()
