"""What a fault campaign sees of its database: triggers that note every write to a run, and all rows in the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from store import leaderboard
from store.engine import Database
from store.errors import ObjectDamaged, ObjectMissing
from store.models import BY_CLASS, Configuration, ConfigurationResult, Dataset, Event, Job, Metric, ModelVersion, Run
from store.objects import ObjectStore
from tests.faults import checker

# A session is a process's for as long as both live: its number may come again, but not with the same start.
_TRIGGERS = """
CREATE TABLE audit (
    n bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), what text, run_id text,
    session text DEFAULT (pg_backend_pid()::text), process text DEFAULT current_setting('application_name'),
    state_before text, state text, token_before int, token int, worker text
);
CREATE FUNCTION audit_session() RETURNS text LANGUAGE sql VOLATILE AS
    $$ SELECT pid || '/' || backend_start FROM pg_stat_get_activity(pg_backend_pid()) $$;
ALTER TABLE audit ALTER COLUMN session SET DEFAULT audit_session();
CREATE FUNCTION audit_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit (what, run_id, state_before, state, token_before, token, worker)
    VALUES ('run', NEW.id, OLD.state, NEW.state, OLD.token, NEW.token, OLD.worker);
    RETURN NULL;
END $$;
CREATE FUNCTION audit_metric() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit (what, run_id, state_before, state, token_before, token, worker)
    SELECT 'metric', id, state, state, token, token, worker FROM run WHERE id IN (SELECT run_id FROM written);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_run AFTER UPDATE ON run FOR EACH ROW EXECUTE FUNCTION audit_run();
CREATE TRIGGER audit_new_metric AFTER INSERT ON metric REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION audit_metric();
CREATE TRIGGER audit_old_metric AFTER UPDATE ON metric REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION audit_metric();
"""


def install(connection: "psycopg.Connection[Any]") -> None:
    """From now on every write is noted, in the transaction that makes it."""
    connection.execute(_TRIGGERS.encode())


@dataclass(frozen=True)
class Recorded:
    """What the campaign has noted itself."""

    requests: Sequence[checker.Request]
    processes: Mapping[str, str]  # by what a run calls its worker: the name of the process
    healed_at: float
    patience_s: float


def history(database: Database, objects: ObjectStore, recorded: Recorded) -> checker.History:
    """The whole history, once everything has ended, as it was at one moment."""
    with database.read() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        named = dict(_named(session, objects))
        return checker.History(
            healed_at=recorded.healed_at,
            patience_s=recorded.patience_s,
            requests=recorded.requests,
            writes=list(_writes(session, recorded.processes)),
            jobs=[checker.Job(job.id, job.name, job.state, job.event_seq) for job in session.scalars(select(Job))],
            runs=list(_runs(session)),
            events=[checker.Event(row.job_id, row.seq, row.kind, row.data) for row in session.scalars(select(Event))],
            points=[
                checker.Point(p.run_id, p.name, p.step, p.value)
                for p in session.scalars(select(Metric).where(~Metric.name.startswith(BY_CLASS, autoescape=True)))
            ],
            standings=list(_standings(session)),
            counted={
                (row.configuration_id, row.seed, row.fold): row.run_id
                for row in session.scalars(select(ConfigurationResult))
            },
            named=named,
            stored=frozenset(digest for digests in named.values() for digest in digests if _is_whole(objects, digest)),
        )


def _writes(session: Session, processes: Mapping[str, str]) -> Iterator[checker.Write]:
    for row in session.execute(text("SELECT * FROM audit ORDER BY n")):
        yield checker.Write(
            run_id=row.run_id,
            what=row.what,
            session=row.session,
            process=row.process,
            at=row.at.timestamp(),
            state_before=row.state_before,
            state=row.state,
            token_before=row.token_before,
            token=row.token,
            owner=processes.get(row.worker, row.worker),
        )


def _runs(session: Session) -> Iterator[checker.Run]:
    rows = select(Run, Job, Dataset).join(Job, Job.id == Run.job_id).join(Dataset, Dataset.id == Job.dataset_id)
    for run, job, dataset in session.execute(rows):
        yield checker.Run(
            id=run.id,
            job_id=run.job_id,
            state=run.state,
            seed=run.seed,
            fold=run.fold,
            epochs=run.epochs,
            finished_at=_seconds(run.finished_at),
            configuration=leaderboard.configuration_id(job, dataset),
            test=(run.report or {}).get("test"),
        )


def _standings(session: Session) -> Iterator[checker.Standing]:
    for row in session.scalars(select(Configuration)):
        yield checker.Standing(
            id=row.id,
            folds=row.folds,
            n_seeds=row.n_seeds,
            n_test=row.n_test,
            accuracy_mean=row.accuracy_mean,
            accuracy_sd=row.accuracy_sd,
            macro_f1_mean=row.macro_f1_mean,
            macro_f1_sd=row.macro_f1_sd,
        )


def _named(session: Session, objects: ObjectStore) -> Iterator[tuple[str, list[str]]]:
    """Every row that names objects, and these: a tree's list and what stands in it."""
    for run in session.scalars(select(Run)):
        files = [run.predictions_digest] if run.predictions_digest else []
        yield run.id, [*files, *_trees(objects, run.checkpoint_digest, run.bundle_digest)]
    for dataset in session.scalars(select(Dataset)):
        yield dataset.id, _trees(objects, dataset.tree_digest)
    for version in session.scalars(select(ModelVersion)):
        yield f"{version.model_id}/{version.version}", _trees(objects, version.bundle_digest)


def _trees(objects: ObjectStore, *digests: str | None) -> list[str]:
    found = []
    for digest in filter(None, digests):
        found.append(digest)
        if _is_whole(objects, digest):
            found += objects.list_tree(digest).values()
    return found


def _is_whole(objects: ObjectStore, digest: str) -> bool:
    try:
        objects.get_bytes(digest)
    except (ObjectMissing, ObjectDamaged):
        return False
    return True


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
