"""API keys, as they are asked for and answered."""

import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from api.schemas.common import Out
from pskd_core.fields import Frozen
from store.keys import Issued, Scope

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_Scopes = Annotated[
    tuple[Scope, ...],
    Field(min_length=1, max_length=len(Scope)),
    AfterValidator(lambda found: tuple(sorted(set(found)))),
]


def _written(value: Any) -> Any:
    # A number, also one in a text, would be taken for seconds or milliseconds since 1970, whichever fits better.
    if value is not None and not (isinstance(value, str) and _DATE.match(value)):
        raise ValueError("write it as 2027-01-31T12:00:00Z")
    return value


_Moment = Annotated[AwareDatetime, BeforeValidator(_written)]


class KeyRequest(Frozen, coerce_numbers_to_str=False):
    """Asks for a key of one's own tenant."""

    name: str = Field(
        min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="whose it is, or what for"
    )
    scopes: _Scopes = Field(description="what its bearer may do; none includes another")
    expires_at: _Moment | None = Field(default=None, description="it holds until then; null: until it is revoked")


class KeySummary(Out):
    """What is known of a key; the key itself is not."""

    id: str
    name: str
    prefix: str = Field(description="how the key begins")
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute")
    revoked_at: datetime | None


class KeyCreated(KeySummary):
    """A new key, this once in full."""

    key: str | None = Field(
        description="to be kept secret; null where the request repeats another, as it is not stored"
    )

    @classmethod
    def of(cls, issued: Issued) -> Self:
        """A key as it is handed out."""
        return cls(**KeySummary.model_validate(issued.row).model_dump(), key=issued.secret)
