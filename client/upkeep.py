"""What the service answers about what it keeps: keys, how much is stored, and what a deletion removed."""

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


class Kept(Answer):
    """All that is stored of one kind; an older version's objects that nobody has measured yet count as 0 bytes."""

    count: int
    size_bytes: int
    unmeasured: int


class Usage(Answer):
    """What a tenant has stored, and may; without a limit nothing is said to be left."""

    kinds: dict[str, Kept]
    size_bytes: int
    unmeasured: int
    limit_bytes: int | None
    left_bytes: int | None
    cached_bytes: int
