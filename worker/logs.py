"""What the worker's processes write to standard error."""

import logging

from store import logs
from worker.settings import WorkerSettings


def configure(settings: WorkerSettings, **about: str) -> None:
    """Our own messages from INFO, those of libraries from WARNING; every line of this process is `about` this."""
    logs.configure(settings.log_format, **about)
    logging.getLogger("worker").setLevel(logging.INFO)
