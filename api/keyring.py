"""Keys as a process knows them: asked of the database, and for a moment remembered."""

import hashlib
import time
from contextlib import suppress

from sqlalchemy.exc import OperationalError

from store import keys
from store.engine import Database
from store.keys import Known

REMEMBERED_S = 2.0  # so long a key that was revoked or has expired may still be taken
_MOST_REMEMBERED = 1000


class Keyring:
    """Recognises keys by one indexed query, or none within two seconds of the last; it never holds a key in clear."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: dict[bytes, tuple[float, Known]] = {}

    def remembered(self, secret: str) -> Known | None:
        """A key that has just been recognised, without a query."""
        asked_at, known = self._remembered.get(_digest(secret), (0.0, None))
        return known if time.monotonic() - asked_at < REMEMBERED_S else None

    def recognise(self, secret: str) -> Known | None:
        """What the database knows of a key; its use is written down once a minute."""
        digest, asked_at = _digest(secret), time.monotonic()
        with self._database.read() as session:
            known = keys.recognise(session, secret)
        if known is None or known.revoked or known.expired:
            self._remembered.pop(digest, None)
            return known
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = (asked_at, known)
        if known.use_is_due:
            self._mark_used(known)
        return known

    def _mark_used(self, known: Known) -> None:
        # A note for the operator, for which no request should fail; the next one tries again.
        with suppress(OperationalError), self._database.write() as session:
            keys.mark_used(session, known.id)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
