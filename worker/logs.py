"""What the worker's processes write to standard error."""

import logging


def configure(who: str = "") -> None:
    """Our own messages from INFO, those of libraries from WARNING; `who` stands before each message."""
    form = f"%(asctime)s %(levelname)s %(name)s: {who + ': ' if who else ''}%(message)s"
    logging.basicConfig(level=logging.WARNING, format=form)
    logging.getLogger("worker").setLevel(logging.INFO)
