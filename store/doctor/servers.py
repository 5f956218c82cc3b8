"""The servers that a process of the service needs, asked as it asks them."""

import math
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from store.doctor.finding import Finding, fail, ok, reason, shown, warn
from store.objects import ObjectStore, digest_of

_ANSWER_S = 3.0
_FOREIGN_CLOCK_S = 60.0
_POLICY = "maxmemory-policy"


def broker(url: str) -> Iterator[Finding]:
    """Whether wake-ups can be sent, and the server keeps what it is given."""
    if not url.startswith(("redis://", "rediss://", "redis+socket://")):
        yield warn(
            "broker",
            shown(url),
            "cannot be asked: it is no Redis",
            "tested are redis://, rediss:// and redis+socket://",
        )
        return
    address = url.replace("redis+socket://", "unix://", 1)
    waits = {"socket_timeout": _ANSWER_S, "socket_connect_timeout": _ANSWER_S, "retry": Retry(NoBackoff(), 0)}
    try:
        with closing(redis.Redis.from_url(address, decode_responses=True, **waits)) as client:
            client.ping()
            yield _keeping(client, url)
    except (redis.RedisError, OSError, ValueError) as trouble:
        remedy = "start it, or mend PSKD_BROKER_URL; until then jobs are accepted and wait"
        yield fail("broker", shown(url), reason(trouble, url=url), remedy)


def _keeping(client: "redis.Redis", url: str) -> Finding:
    try:
        told = client.config_get(_POLICY)
    except redis.ResponseError:  # servers of others often forbid it
        return ok("broker", shown(url), "answers")
    if (policy := told.get(_POLICY, "noeviction")) != "noeviction":
        remedy = "set maxmemory-policy noeviction: evicting keys makes it forget wake-ups in silence"
        return warn("broker", shown(url), f"answers, but its {_POLICY} is {policy}", remedy)
    return ok("broker", shown(url), "answers")


def objects(url: str, *, cache_dir: Path, made_at_start: bool) -> Iterator[Finding]:
    """Whether an object can be put, read and removed; the probe is random and goes again."""
    folder = None if "://" in url else Path(url)
    if folder is not None and not folder.is_dir() and made_at_start and not os.path.lexists(folder):
        yield ok("object store", url, "is not there yet; it is made at the first start")
        return
    if folder is not None and not folder.is_dir():
        yield fail("object store", url, "is no folder", "mount it, or mend PSKD_OBJECT_STORE_URL")
        return
    step, remedy = "reached", "start it, or mend PSKD_OBJECT_STORE_URL and AWS_…; it must list, read, write and delete"
    try:
        store, probe = ObjectStore(url, cache_dir=cache_dir), _probe()
        step = "written"
        digest = store.put_bytes(probe)
        step = "read"
        age_s = _read(store, digest)
        step = "deleted"
        store.remove(digest, older_than_s=-math.inf)
    except Exception as trouble:  # noqa: BLE001 - whatever a store's failure looks like, it is one
        yield fail("object store", shown(url), f"cannot be {step}: {reason(trouble, url=url)}", remedy)
        return
    if abs(age_s) > _FOREIGN_CLOCK_S:
        skew = f"its clock and this machine's are {abs(age_s):.0f} s apart"
        yield warn("object store", shown(url), skew, "set both by NTP: the age of objects decides what is collected")
    else:
        yield ok("object store", shown(url), "a probe was written, read and deleted")


def _read(store: ObjectStore, digest: str) -> float:
    """Checks the bytes; the object's age. Whatever is wrong, it goes again."""
    try:
        store.get_bytes(digest)
        return store.age_s(digest)
    except BaseException:
        store.remove(digest, older_than_s=-math.inf)
        raise


def _probe() -> bytes:
    """Bytes that nobody else has, below `00`, so that a folder gains one empty folder at most."""
    while not digest_of(data := os.urandom(32)).startswith("00"):
        pass
    return data


def mlflow(url: str | None) -> Iterator[Finding]:
    """Whether the tracking server answers."""
    if url is None:
        yield ok("MLflow", "PSKD_MLFLOW_URL", "not set: nothing is written to it")
        return
    remedy = "start it, or mend PSKD_MLFLOW_URL; runs go on, and what it misses is sent later"
    try:
        answer = httpx.get(f"{url}/health", timeout=_ANSWER_S)
    except (httpx.HTTPError, httpx.InvalidURL) as trouble:
        yield fail("MLflow", shown(url), reason(trouble, url=url), remedy)
        return
    if answer.is_success:
        yield ok("MLflow", shown(url), "answers")
    else:
        yield fail("MLflow", shown(url), f"answers with status {answer.status_code}", remedy)
