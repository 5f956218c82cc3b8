"""What the database says: of itself, and of those who work on it."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, func, make_url, select, union_all
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session

from store import census, migrate, queueing, workers
from store.base import db_now, present
from store.doctor.finding import Finding, fail, ok, reason, shown, warn
from store.engine import make_engine
from store.lifecycle import ClassificationState, DatasetState, RunState
from store.models import Dataset, Run, WorkerSeen
from store.outward import WebhookDelivery
from store.queues import CPU, GPU, IO
from store.settings import Settings
from store.timelines import Classification

_ANSWER_S = 3
_SKEW_S = 5.0
_READ_ONLY = f"-c default_transaction_read_only=on -c statement_timeout={_ANSWER_S}s -c lock_timeout=1s -c timezone=UTC"
# As the alarms of docs/operations.md have it.
_LATE_S = {"wake": 60.0, "mlflow": 600.0, census.WEBHOOK: 300.0}
# Which queues serve what asks for this device.
_QUEUES: dict[str, Sequence[str]] = {"auto": (CPU, GPU), "cpu": (CPU,), "cuda": (GPU,), IO: (IO,)}
_RESTART_KEEPER = "is the keeper alive? its log says what it meets; start it with `python -m worker.keeper`"


class Installation(StrEnum):
    """What is examined."""

    CLUSTER = "cluster"  # some processes of it may run elsewhere
    RUNNING = "running"  # an embedded stack
    STOPPED = "stopped"  # an embedded stack, of which nothing runs


def database(settings: Settings, installation: Installation) -> Iterator[Finding]:
    """Whether it answers and has the right schema, and if so how everything stands."""
    url = settings.database_url
    try:
        engine = _engine(url)
    except _Absent as absent:
        yield _absent(Path(str(absent)), settings, installation)
        return
    except (ArgumentError, ValueError) as wrong:
        yield fail("database", shown(url), reason(wrong, url=url), "mend PSKD_DATABASE_URL")
        return
    try:
        with Session(engine) as session:
            yield from _look(session, settings, installation)
    except SQLAlchemyError as trouble:
        cause = getattr(trouble, "orig", None) or trouble
        remedy = "start it, mend PSKD_DATABASE_URL, or restore the backup; nothing works without it"
        yield fail("database", shown(url), reason(cause, url=url), remedy)
    finally:
        engine.dispose()


class _Absent(Exception):
    """There is no such file."""


def _engine(url: str) -> Engine:
    """One that cannot change anything and waits for nothing long."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return make_engine(_patient(url), postgresql_options=_READ_ONLY)
    file = Path(parsed.database or "")
    if not file.exists():
        raise _Absent(file)

    def connect() -> sqlite3.Connection:
        # `rw` makes no file; a reader of a log that a killed process has left must be able to write beside it.
        opened = sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, timeout=_ANSWER_S)
        opened.execute("PRAGMA query_only = ON")
        return opened

    return create_engine("sqlite://", creator=connect)


def _patient(url: str) -> str:
    """A PostgreSQL URL under which a server that is silent is given up soon."""
    parsed = make_url(url).update_query_dict({"connect_timeout": str(_ANSWER_S)})
    return parsed.render_as_string(hide_password=False)


def _absent(file: Path, settings: Settings, installation: Installation) -> Finding:
    objects = Path(settings.object_store_url)
    if installation is Installation.STOPPED and not any(objects.glob("*/*")):
        return ok("database", file, "is not there yet; it is made at the first start")
    return fail("database", file, "is not there, though the service has been used", "restore the backup")


def _look(session: Session, settings: Settings, installation: Installation) -> Iterator[Finding]:
    where, before = shown(settings.database_url), time.time()
    now = present(session.scalar(select(db_now())))
    skew_s, uncertain_s = now.timestamp() - (before + time.time()) / 2, (time.time() - before) / 2
    yield ok("database", where, "answers")
    if abs(skew_s) > _SKEW_S + uncertain_s:
        detail = f"the database's is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine's"
        yield warn(
            "clock", where, detail, "set both by NTP; leases go by the database's, keys and certificates by others"
        )
    else:
        yield ok("clock", where, f"within {_SKEW_S:g} s of this machine's")
    schema = _schema(session, where, installation)
    yield schema
    if schema.status == "ok":
        yield from _workers(session, settings, installation)
        yield _leases(session, settings, installation)
        yield from _messages(session, installation)
        yield _webhooks(session)


def _schema(session: Session, where: str, installation: Installation) -> Finding:
    found = MigrationContext.configure(session.connection()).get_current_heads()
    known = migrate.revisions()
    if list(found) == known[:1]:
        return ok("schema", where, f"at {known[0]}, as this version has it")
    if set(found) - set(known):
        detail = f"at {', '.join(found)}, which this version does not know: a newer one has made it"
        return fail("schema", where, detail, "install that version, or restore the backup of this one")
    detail = f"at {', '.join(found) or 'nothing'}; this version needs {known[0]}"
    if installation is Installation.STOPPED:
        return warn("schema", where, detail, "make a backup; the next `pskd up` brings it up to date")
    return fail("schema", where, detail, "make a backup, then `python -m store.migrate`")


def _workers(session: Session, settings: Settings, installation: Installation) -> Iterator[Finding]:
    now, all_ = present(session.scalar(select(db_now()))), workers.known(session)
    alive = [worker for worker in all_ if workers.lives(worker, now=now, lease_s=settings.lease_s)]
    waiting = _waiting(session)
    if alive:
        named = "; ".join(f"{worker.name} ({', '.join(worker.queues)})" for worker in alive[:5])
        yield ok("workers", f"{len(alive)} seen", named)
    elif installation is Installation.STOPPED:
        yield ok("workers", "none", "as the service is stopped")
    else:
        last = f"the last one {(now - all_[0].seen_at).total_seconds():.0f} s ago" if all_ else "none was ever seen"
        yield (fail if waiting else warn)(
            "workers", "none seen", last, "start one: `python -m worker`; its log says why it ended"
        )
    for device in _QUEUES:
        if device in waiting:
            yield _queue(device, waiting[device], alive, installation)
    if not waiting:
        yield ok("queues", "all", "nothing waits")


def _waiting(session: Session) -> dict[str, int]:
    """Runs free to claim by the device that they ask for, imports and recordings to be labelled."""
    runs = select(Run.device, func.count()).where(queueing.CLAIMABLE).group_by(Run.device)
    free = (Dataset.state == DatasetState.VALIDATING) & Dataset.worker.is_(None)
    imports = select(func.count()).select_from(Dataset).where(free)
    queued = Classification.state == ClassificationState.QUEUED
    recordings = select(func.count()).select_from(Classification).where(queued)
    of_io = sum(session.scalar(each) or 0 for each in (imports, recordings))
    counts = [*session.execute(runs), (IO, of_io)]
    return {device: count for device, count in counts if count}


def _queue(device: str, count: int, alive: Sequence[WorkerSeen], installation: Installation) -> Finding:
    queues = _QUEUES[device]
    where, what = " or ".join(queues), f"{count} {'imports or recordings' if device == IO else 'runs'} wait"
    remedy = f"start a worker with PSKD_QUEUES={queues[0]}" + (" and a GPU" if device == "cuda" else "")
    if any(_serves(worker, device) for worker in alive):
        return ok("queues", where, f"{what}, and a worker serves them")
    if installation is not Installation.STOPPED:
        return fail("queues", where, f"{what}, and no worker serves them", remedy)
    if device == "cuda":
        return warn("queues", where, f"{what}, and `pskd up` by itself serves no GPU", remedy)
    return ok("queues", where, f"{what} for the next start")


def _serves(worker: WorkerSeen, device: str) -> bool:
    if device == IO:
        return IO in worker.queues
    return bool({CPU, GPU} & set(worker.queues)) and device in {"auto", worker.device}


def _leases(session: Session, settings: Settings, installation: Installation) -> Finding:
    """Leases that ran out so long ago that the keeper should have seen it."""
    since = db_now(-2 * settings.reaper_s)
    run = select(Run.id, Run.worker).where(Run.state == RunState.RUNNING, Run.lease_expires_at < since)
    importing = (Dataset.state == DatasetState.VALIDATING) & Dataset.worker.is_not(None)
    dataset = select(Dataset.id, Dataset.worker).where(importing, Dataset.lease_expires_at < since)
    labelling = select(Classification.id, Classification.worker)
    recording = labelling.where(Classification.worker.is_not(None), Classification.lease_expires_at < since)
    held = session.execute(union_all(run, dataset, recording).order_by("id")).all()
    if not held:
        return ok("leases", "all", "none has run out")
    where, detail = held[0].id, f"{len(held)} ran out and hang, the first of worker {held[0].worker}"
    if installation is Installation.STOPPED:
        return ok("leases", where, f"{detail}; the next start takes them up")
    return fail("leases", where, detail, _RESTART_KEEPER)


def _messages(session: Session, installation: Installation) -> Iterator[Finding]:
    for kind, backlog in census.look(session).messages.items():
        detail = f"{backlog.count} wait" + (f", the first for {backlog.oldest_s:.0f} s" if backlog.count else "")
        if backlog.oldest_s <= _LATE_S[kind] or installation is Installation.STOPPED:
            yield ok("outbox", kind, detail)
        else:
            # Without wake-ups no run starts; the others only come late.
            yield (fail if kind == "wake" else warn)("outbox", kind, detail, _RESTART_KEEPER)


def _webhooks(session: Session) -> Finding:
    dead = WebhookDelivery.dead_at.is_not(None)
    columns = (func.count(), func.min(WebhookDelivery.webhook_id))
    count, first = session.execute(select(*columns).where(dead)).one()
    if not count:
        return ok("webhooks", "all", "no message was given up")
    remedy = "`pskd webhooks show` says what the receiver answered; mend it, and `pskd webhooks test`"
    return warn("webhooks", first, f"{count} messages were given up", remedy)
