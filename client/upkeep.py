"""What the service answers about what it keeps: keys, and what a deletion removed."""

from datetime import datetime

from client.answers import Answer


class Deletion(Answer):
    """How many of what a deletion removed."""

    removed: dict[str, int]


class Key(Answer):
    """What is known of an API key; the key itself is not."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewKey(Key):
    """A key that was just made, this once in full; null where the request was a repetition."""

    key: str | None
