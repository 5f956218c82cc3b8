"""What can go wrong between this machine and the service, each with a remedy."""

from typing import Any


class ClientError(Exception):
    """Base of what the SDK raises; `remedy` says what to do about it."""

    remedy = ""


class Unreachable(ClientError):
    """The service does not answer."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no service answers at {url} ({reason})")
        self.remedy = "start one with `pskd up`, or say where it is with --url or PSKD_URL"


class Strange(ClientError):
    """Something answers, but not as this service does."""

    remedy = "is the URL right? if it is, the service is older or newer than this client: install the same version"

    def __init__(self, url: str) -> None:
        super().__init__(f"what answers at {url} does not speak as this client expects")


class Refused(ClientError):
    """The service answered with a problem (RFC 9457); its members are attributes."""

    remedy = "mend what is named above and send it again"

    def __init__(self, status: int, problem: dict[str, Any], *, retry_after_s: float = 0.0) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or f"status {status}"))
        self.status = status
        self.retry_after_s = retry_after_s
        self.problem = problem
        self.kind = str(problem.get("type", "")).rpartition(":")[2]
        self.faults: list[dict[str, Any]] = problem.get("errors") or []
        self.request_id: str | None = problem.get("request_id")


class BadKey(ClientError):
    """What was given as an API key cannot be one."""

    remedy = "set PSKD_API_KEY to the key as it was shown when it was made"


class NoKey(Refused):
    """The service asks for an API key that holds."""

    remedy = "set PSKD_API_KEY to a key of this service; its operator makes one with `python -m api keys create`"


class NotAllowed(Refused):
    """The service does not do that for this caller."""

    remedy = "ask the service's operator, or use a key that may do it"


class NotFound(Refused):
    """There is no such dataset, job, model or path."""

    remedy = "`pskd dataset list`, `pskd jobs`, `pskd leaderboard` and `pskd models` show what there is"


class Conflicting(Refused):
    """The request contradicts what is stored, such as a name already taken or a job already ended."""

    remedy = "look at its present state, then ask for something that fits it"


class TooLarge(Refused):
    """The body is larger than the service takes."""

    remedy = "send less at a time"


class Invalid(Refused):
    """The request, the spec or the data is wrong; `faults` say where."""


class Busy(Refused):
    """The service would answer later; it was asked several times."""

    remedy = "try again in a while"


class Full(Refused):
    """The tenant has stored as much as it may."""

    remedy = "`pskd usage` shows what takes how much; delete what is no longer needed, or ask the service's operator"


class ServiceFault(Refused):
    """The service failed; its log holds the cause under the request id."""

    remedy = "the service's log has the cause under the request id; if it lasts, report it"


_BY_STATUS: dict[int, type[Refused]] = {
    401: NoKey,
    403: NotAllowed,
    404: NotFound,
    409: Conflicting,
    412: Conflicting,
    413: TooLarge,
    422: Invalid,
    429: Busy,
    502: Busy,
    503: Busy,
    504: Busy,
    507: Full,
}


def refusal(status: int, problem: dict[str, Any], *, retry_after_s: float) -> Refused:
    """The exception for an answer that is no success."""
    kind = _BY_STATUS.get(status, ServiceFault if status >= 500 else Refused)
    return kind(status, problem, retry_after_s=retry_after_s)


class ImportFailed(ClientError):
    """A dataset's import ended in failure."""

    remedy = "mend the files named above and import them again"


class NotInstalled(ClientError):
    """A command needs a package that a mere client does without."""

    def __init__(self, package: str | None, *, what: str, extra: str) -> None:
        super().__init__(f"{what} need {package}, which is not installed")
        self.remedy = f"pip install 'pskd[{extra}]'"


class StreamBroken(ClientError):
    """A live stream ended before its samples did; `code` is RFC 6455's, None if the connection broke off."""

    def __init__(self, url: str, code: int | None, reason: str) -> None:
        who = f"the connection to {url} broke off" if code is None else f"the service at {url} ended the stream"
        super().__init__(f"{who}: {reason}" if reason else who)
        self.code = code
        self.remedy = _AFTER_CODE.get(code, "`pskd doctor` says whether the service runs; then open a new stream")


_AFTER_CODE: dict[int | None, str] = {
    1007: "mend what is named above, and open a new stream",
    1008: "open a new stream; if it is refused, the key holds no more",
    1012: "the service stops; open a new stream when it is back",
}


class NoDataset(ClientError):
    """No dataset has that name."""

    remedy = "`pskd dataset list` shows what there is"


class WaitedTooLong(ClientError):
    """Something did not end within the time given."""

    remedy = "it may still end; look again later"
