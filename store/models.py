"""The tables."""

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.base import Base, db_now, new_id
from store.lifecycle import DatasetState, JobState, RunState, Wanted

TENANT = "default"


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over the rows for which `where` holds."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


Large = Annotated[int, mapped_column(BigInteger)]  # bytes, operations: more than 2³¹

# Runs of before sizes were written with digests; the keeper measures them.
UNMEASURED = (
    "(run.checkpoint_digest IS NOT NULL AND run.checkpoint_bytes IS NULL)"
    " OR (run.predictions_digest IS NOT NULL AND run.predictions_bytes IS NULL)"
)


class Claimable:
    """Columns of a row that one worker at a time owns.

    Invariant: a claim increments `token`, and whoever writes names the token it was given; so a stale writer matches
    no row. `queued_at` is when the row last became free to claim.
    """

    token: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    queued_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)  # claims that were not handed back in good order
    stalled_attempts: Mapped[int] = mapped_column(default=0)  # those since the last new checkpoint


class Dataset(Claimable, Base):
    """An imported dataset, or one whose import is under way; the import is what workers claim."""

    __tablename__ = "dataset"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("ds"))
    tenant: Mapped[str] = mapped_column(default=TENANT)
    name: Mapped[str]
    state: Mapped[DatasetState] = mapped_column(default=DatasetState.VALIDATING)
    source: Mapped[dict[str, Any]]  # {"kind": "upload" | "synthetic" | "path", …}
    upload_digest: Mapped[str | None]  # the uploaded file in the object store
    upload_bytes: Mapped[Large | None]
    report: Mapped[dict[str, Any] | None]  # counts, protocols, problems
    content_digest: Mapped[str | None]  # what the dataset is; goes into a configuration's identity
    tree_digest: Mapped[str | None]  # its files in the object store
    tree_bytes: Mapped[Large | None]
    cause: Mapped[str | None]
    detail: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    __table_args__ = (
        # A failed import does not keep its name from the next try.
        partial_index("uq_dataset_tenant_name_live", "tenant", "name", unique=True, where="state <> 'failed'"),
        partial_index("ix_dataset_claim", "id", where="state = 'validating'"),
    )


class Job(Base):
    """A submitted spec; it fans out to runs."""

    __tablename__ = "job"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("job"))
    tenant: Mapped[str] = mapped_column(default=TENANT)
    name: Mapped[str]
    state: Mapped[JobState]
    spec: Mapped[dict[str, Any]]
    configuration_hash: Mapped[str]
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"))
    priority: Mapped[int] = mapped_column(default=0)  # higher goes first
    event_seq: Mapped[int] = mapped_column(default=0)  # sequence number of the last event
    traceparent: Mapped[str | None]  # of the request that submitted it, if that was traced
    cause: Mapped[str | None]
    detail: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    checkpoints_removed_at: Mapped[datetime | None]  # the last time, because the job had ended long before
    curves_removed_at: Mapped[datetime | None]
    events_removed_at: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "tenant", "id"),
        Index(None, "dataset_id"),
        partial_index("ix_job_waiting", "tenant", where="state IN ('validating', 'queued')"),
    )


class Run(Claimable, Base):
    """One training: a seed on a fold."""

    __tablename__ = "run"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("run"))
    tenant: Mapped[str] = mapped_column(default=TENANT)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    seed: Mapped[int]
    fold: Mapped[str]
    fold_index: Mapped[int]
    n_test: Mapped[int]  # recordings the fold tests; 0: it yields no leaderboard result
    position: Mapped[int]  # order within the job: by seed, then fold
    rank: Mapped[int] = mapped_column(default=0)  # minus the job's priority: an index in one direction serves the claim
    device: Mapped[str]  # "auto" | "cpu" | "cuda", as the spec's resources say
    deadline_s: Mapped[float | None]  # the longest that it may run in all, as the spec's resources say
    deadline_at: Mapped[datetime | None]  # when that will be over; null unless it runs
    claimed_at: Mapped[datetime | None]  # the last time
    ran_s: Mapped[float] = mapped_column(default=0.0, server_default=text("0"))  # in all claims that have ended
    last_end: Mapped[str | None]  # how its process ended, if not as it should have
    state: Mapped[RunState] = mapped_column(default=RunState.QUEUED)
    wanted: Mapped[Wanted] = mapped_column(default=Wanted.RUN)  # what the user asked while it runs
    epoch: Mapped[int] = mapped_column(default=0)  # epochs done and recorded
    epochs: Mapped[int | None]  # epochs in all, known once it runs
    checkpoint_digest: Mapped[str | None]
    checkpoint_bytes: Mapped[Large | None]
    checkpoint_epoch: Mapped[int | None]  # epochs done in the checkpoint
    result: Mapped[dict[str, Any] | None]  # scores of student and teachers, parameters, MACs
    report: Mapped[dict[str, Any] | None]  # confusion matrix, per-class and per-subject scores
    predictions_digest: Mapped[str | None]
    predictions_bytes: Mapped[Large | None]
    bundle_digest: Mapped[str | None]
    bundle_bytes: Mapped[Large | None]
    tracking_id: Mapped[str | None]  # the run's id in MLflow
    cause: Mapped[str | None]
    detail: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("job_id", "seed", "fold"),
        partial_index(
            "ix_run_claim",
            "device",
            "tenant",
            "rank",
            "created_at",
            "job_id",
            "position",
            where="state IN ('queued', 'retrying')",
        ),
        partial_index("ix_run_lease", "lease_expires_at", where="state = 'running'"),
        partial_index("ix_run_running", "tenant", where="state = 'running'"),
        partial_index("ix_run_served", "tenant", "claimed_at", where="claimed_at IS NOT NULL"),
        # What a tenant has stored is summed up from the index alone.
        Index("ix_run_stored", "tenant", "checkpoint_bytes", "predictions_bytes", "bundle_bytes"),
        partial_index("ix_run_unmeasured", "tenant", "id", where=UNMEASURED.replace("run.", "")),
    )


class WorkerSeen(Base):
    """A worker process, and when it last said that it lives."""

    __tablename__ = "worker_seen"

    name: Mapped[str] = mapped_column(primary_key=True)  # as in `run.worker`
    queues: Mapped[list[Any]]
    device: Mapped[str]  # "cpu" | "cuda"
    devices: Mapped[list[Any]]  # the GPUs that its runs share out between them
    runs_at_once: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    seen_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    stopped_at: Mapped[datetime | None]  # in good order


BY_CLASS = "by_class/"  # how names of curves of single classes begin


class Metric(Base):
    """One value of one curve; `step` is the epoch, from 0."""

    __tablename__ = "metric"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float]
    at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Event(Base):
    """What happened to a job. Invariant: `seq` counts 1, 2, 3 … without gaps, in order of commit.

    Of a job that ended long ago retention removes events, the first ones first.
    """

    __tablename__ = "event"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]  # "job.state" | "run.state" | "run.epoch" | "warning"
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Outbox(Base):
    """A message that is due once its transaction has committed; sent at least once, in order within (kind, key)."""

    __tablename__ = "outbox"

    # SQLite numbers rows by itself only under INTEGER, which is as large there.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    kind: Mapped[str]  # "wake" | "mlflow"
    key: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    available_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]

    __table_args__ = (partial_index("ix_outbox_due", "kind", "key", "id", where="sent_at IS NULL"),)


class TeacherAnswers(Base):
    """What the teachers of a run answered, kept for other students of the same teachers."""

    __tablename__ = "teacher_answers"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of all that the answers depend on
    tree_digest: Mapped[str]  # their files in the object store
    size_bytes: Mapped[Large]
    used_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Configuration(Base):
    """A leaderboard row: one spec on one dataset's content, over seeds.

    Invariant: its figures equal their recomputation from `configuration_result`. They are null, and the row is not
    ranked, while no seed has all its folds.
    """

    __tablename__ = "configuration"

    id: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of tenant, spec hash and dataset digest
    tenant: Mapped[str]
    configuration_hash: Mapped[str]
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"))
    dataset_name: Mapped[str]
    dataset_digest: Mapped[str]
    spec: Mapped[dict[str, Any]]
    protocol: Mapped[str]  # "cross_subject", "loso", "subjects" …
    method: Mapped[str]  # "none", "pskd" …
    skeleton_substitute: Mapped[str | None]  # what a network read in the place of the dataset's own skeleton
    folds: Mapped[list[Any]]  # names of the folds that a seed needs
    n_seeds: Mapped[int] = mapped_column(default=0)  # seeds with all their folds
    n_incomplete_seeds: Mapped[int] = mapped_column(default=0)
    n_test: Mapped[int | None]
    accuracy_mean: Mapped[float | None]
    accuracy_sd: Mapped[float | None]  # null with one seed, like the interval
    accuracy_low: Mapped[float | None]  # Student-t 95 % interval over seeds
    accuracy_high: Mapped[float | None]
    n_subjects: Mapped[int | None]  # null, like the interval, if a seed's result does not tell subjects apart
    accuracy_subjects_low: Mapped[float | None]  # bootstrap 95 % interval over test subjects; null with one
    accuracy_subjects_high: Mapped[float | None]
    macro_f1_mean: Mapped[float | None]
    macro_f1_sd: Mapped[float | None]
    macro_f1_low: Mapped[float | None]
    macro_f1_high: Mapped[float | None]
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)  # mean, sd, low and high of each further one
    parameters: Mapped[Large | None]
    macs: Mapped[Large | None]
    bundle_bytes: Mapped[Large | None]
    latency_ms: Mapped[float | None]  # of one window, where the last run was made
    updated_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    __table_args__ = (
        Index("ix_configuration_accuracy", "tenant", "accuracy_mean", "id"),
        Index("ix_configuration_macro_f1", "tenant", "macro_f1_mean", "id"),
        Index("ix_configuration_parameters", "tenant", "parameters", "id"),
        Index("ix_configuration_macs", "tenant", "macs", "id"),
        Index("ix_configuration_bundle_bytes", "tenant", "bundle_bytes", "id"),
        Index("ix_configuration_latency_ms", "tenant", "latency_ms", "id"),
    )


class ConfigurationResult(Base):
    """The test result of one (seed, fold); a repeat counts once, the first stays."""

    __tablename__ = "configuration_result"

    configuration_id: Mapped[str] = mapped_column(ForeignKey("configuration.id", ondelete="CASCADE"), primary_key=True)
    seed: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    fold: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))
    accuracy: Mapped[float]
    macro_f1: Mapped[float]
    n: Mapped[int]
    confusion: Mapped[list[Any]]  # rows are truth
    subjects: Mapped[dict[str, Any] | None]  # [right, recordings] of each; null if no report tells
    top5_accuracy: Mapped[float | None]  # null, as those below, in results of before they were kept
    ece: Mapped[float | None]
    paper_f: Mapped[float | None]

    __table_args__ = (Index(None, "run_id"),)


class Model(Base):
    """A name under which students are registered."""

    __tablename__ = "model"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("mdl"))
    tenant: Mapped[str] = mapped_column(default=TENANT)
    name: Mapped[str]
    last_version: Mapped[int] = mapped_column(default=0)
    revision: Mapped[int] = mapped_column(default=0)  # changes so far: of its versions and of what its aliases name
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    __table_args__ = (UniqueConstraint("tenant", "name"),)


class ModelVersion(Base):
    """One registered bundle; never changed."""

    __tablename__ = "model_version"

    model_id: Mapped[str] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))
    bundle_digest: Mapped[str]
    bundle_bytes: Mapped[Large]
    metrics: Mapped[dict[str, Any]]  # the run's result
    dataset_name: Mapped[str]
    dataset_digest: Mapped[str]
    protocol: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    __table_args__ = (UniqueConstraint("run_id"),)


class ModelAlias(Base):
    """A name for one version, such as `champion`."""

    __tablename__ = "model_alias"

    model_id: Mapped[str] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    revision: Mapped[int] = mapped_column(default=0)  # of the model, when the alias came to name this version
    updated_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class AliasChange(Base):
    """An alias came to name another version; never changed, and kept as long as its model."""

    __tablename__ = "alias_change"

    model_id: Mapped[str] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # of the model, after the change
    alias: Mapped[str]
    from_version: Mapped[int | None]  # null: the alias is new
    to_version: Mapped[int | None]  # null: it was deleted
    before: Mapped[int | None]  # the alias's revision until then
    actor: Mapped[str]
    key_prefix: Mapped[str | None]  # of the API key that the actor bore; null where none was asked for
    key_name: Mapped[str | None]
    reason: Mapped[str | None]
    forced: Mapped[bool] = mapped_column(default=False)
    gate: Mapped[dict[str, Any] | None]  # how the two versions compared
    at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Sweep(Base):
    """Many jobs that search a space of specs; `spec` says how. Its state is counted from theirs.

    Invariant: the trials are numbered 1 to `proposed`, and each has one row.
    """

    __tablename__ = "sweep"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("swp"))
    tenant: Mapped[str] = mapped_column(default=TENANT)
    name: Mapped[str]
    spec: Mapped[dict[str, Any]]
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"))
    trials: Mapped[int]  # in the end
    at_once: Mapped[int]  # trials that may be under way together
    proposed: Mapped[int] = mapped_column(default=0)  # trials so far
    cancelled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    __table_args__ = (
        Index(None, "tenant", "id"),
        Index(None, "dataset_id"),
        partial_index("ix_sweep_open", "id", where="proposed < trials AND cancelled_at IS NULL"),
    )


class SweepTrial(Base):
    """One point of a sweep's space, and the job that measures it; without a job it failed, and says why."""

    __tablename__ = "sweep_trial"

    sweep_id: Mapped[str] = mapped_column(ForeignKey("sweep.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    parameters: Mapped[dict[str, Any]]  # value of each path of the space
    job_id: Mapped[str | None] = mapped_column(ForeignKey("job.id"))
    cause: Mapped[str | None]  # of a failure, or "deleted": its job was
    detail: Mapped[str | None]

    __table_args__ = (UniqueConstraint("job_id"),)


class ApiKey(Base):
    """What is known of a key that lets its bearer in; the key itself is stored nowhere."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(primary_key=True, insert_default=lambda: new_id("key"))
    tenant: Mapped[str] = mapped_column(default=TENANT)
    name: Mapped[str]  # whose it is, or what for
    prefix: Mapped[str]  # its visible beginning, by which it is found
    digest: Mapped[str]  # SHA-256 of all of it
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute
    revoked_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("prefix"), Index(None, "tenant", "id"))


class IdempotencyKey(Base):
    """The answer to the first request that came with a key, for those that repeat it."""

    __tablename__ = "idempotency_key"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]  # SHA-256 of method, path and payload
    answer: Mapped[dict[str, Any]]  # status, location and body
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    __table_args__ = (Index(None, "created_at"),)
