"""One attempt at work that reads what somebody has uploaded: what ends it is written down, or left to the reaper."""

import logging
import sys
from collections.abc import Callable

from sqlalchemy.orm import Session

from pskd_core.errors import DataError
from store.engine import Database
from store.errors import LostLease, StoreError
from store.lifecycle import FailureCause
from worker.failures import cause_of, detail_of
from worker.limits import UploadLimits

logger = logging.getLogger(__name__)

Fail = Callable[[Session, FailureCause, Exception], None]


def attempt(work: Callable[[], None], database: Database, limits: UploadLimits, fail: Fail) -> None:
    """Do the work within the limits of this process, or `fail` it and exit with 1.

    What may pass by itself fails nothing: the lease runs out, and the work is tried again.
    """
    try:
        work()
    except LostLease:
        logger.warning("somebody else does this %s by now, or nobody shall; stopping", limits.work)
    except DataError as refused:
        logger.warning("the data are refused: %r", detail_of(refused))
        _end(database, fail, refused)
    except Exception as error:  # the supervisor needs no trace, people do
        logger.exception("the %s has stopped", limits.work)
        _end(database, fail, limits.named(error))


def _end(database: Database, fail: Fail, error: Exception) -> None:
    cause = cause_of(error)
    if cause is not None:
        try:
            with database.write() as session:
                fail(session, cause, error)
        except StoreError as stale:
            logger.warning("%s", stale)
    sys.exit(1)
