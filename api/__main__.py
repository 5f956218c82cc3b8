"""`python -m api` serves until it is told to stop; `--openapi` prints the contract, `keys` manages API keys."""

import logging
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api import keys_command
from api.auth import NotLoopback, check_listening
from api.main import create_app
from api.openapi import as_text
from api.streams import MESSAGE_BYTES
from store import logs
from store.settings import Settings
from store.traces import NotInstalled

_GRACE_S = 10


class Server(uvicorn.Server):
    """Has its readers ready, and ends open event streams when it is asked to stop, or it would wait for them."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,  # ours
                access_log=False,
                server_header=False,
                # By itself the server believes whoever connects from this machine.
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
                timeout_graceful_shutdown=_GRACE_S,
                ws="websockets-sansio",  # of the two on `websockets` the one that is not deprecated
                ws_max_size=MESSAGE_BYTES,
                ws_per_message_deflate=False,  # samples do not shrink, and a stream would hold a window of zlib's
            )
        )
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once; opens the app's connections and listens."""
        await super().startup(sockets)
        self._app.state.services.readers.warm()  # so that the first recording need not wait for them

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called on SIGINT and SIGTERM."""
        if services := getattr(self._app.state, "services", None):
            services.stopping.set()
        super().handle_exit(sig, frame)


def main() -> int:
    """Entry point; returns the exit status (2: refused to start)."""
    settings = Settings()
    if sys.argv[1:] == ["--openapi"]:
        print(as_text(create_app(settings).openapi()), end="")
        return 0
    if sys.argv[1:2] == ["keys"]:
        return keys_command.run(sys.argv[2:], settings)
    try:
        check_listening(settings)
        app = create_app(settings)
    except (NotLoopback, NotInstalled) as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 2
    logs.configure(settings.log_format)
    # The server's own line for a WebSocket holds its path and query, which callers fill as they like.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "WebSocket %s" not in str(record.msg))
    for ours in ("api", "uvicorn"):
        logging.getLogger(ours).setLevel(logging.INFO)
    Server(app, settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
