"""An examination names what is wrong with real servers and real rows, and nothing else."""

import shutil
import signal
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import pytest
import redis
from sqlalchemy import text, update

from store import outbox, webhooks, workers
from store.base import db_now
from store.doctor import servers
from store.doctor.finding import Finding
from store.doctor.state import Installation, database
from store.engine import Database
from store.migrate import upgrade
from store.models import Outbox
from store.objects import ObjectStore
from store.settings import Settings
from tests.conftest import execute, with_database
from tests.services import free_port, valkey, valkey_server
from tests.stored import add_ready_dataset, claim, submit

CLUSTER, RUNNING, STOPPED = Installation.CLUSTER, Installation.RUNNING, Installation.STOPPED
DATABASE = ["database", "clock", "schema", "workers", "queues", "leases", "outbox", "outbox", "outbox", "webhooks"]


def settings_of(opened: Database, **fields: object) -> Settings:
    url = opened.engine.url.render_as_string(hide_password=False)
    return Settings.model_validate({"home": "/nowhere", "database_url": url, **fields})


def bad(findings: Iterable[Finding]) -> list[tuple[str, str, str]]:
    """Check, status and place of what is not well; each comes with a remedy."""
    found = [finding for finding in findings if finding.status != "ok"]
    assert all(finding.remedy for finding in found)
    return [(finding.check, finding.status.value, finding.where) for finding in found]


def start_worker(opened: Database, *queues: str, device: str = "cpu") -> None:
    with opened.write() as session:
        workers.seen(session, f"{'-'.join(queues)}-1", queues=queues, device=device, devices=(), runs_at_once=1)


# --- The database -------------------------------------------------------------------------------------------------


def test_a_database_at_work_is_well(database: Database) -> None:
    """With a worker that is seen, and its runs under way, every look at the database finds all well."""
    start_worker(database, "cpu", "io")
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, seeds=(0, 1))
        claim(session)
    found = list(_of(database))
    assert [finding.check for finding in found] == DATABASE
    assert bad(found) == []


def _of(opened: Database, installation: Installation = CLUSTER, **fields: object) -> list[Finding]:
    return list(database(settings_of(opened, **fields), installation))


def test_a_queue_that_nobody_serves_is_named(database: Database) -> None:
    """Runs that ask for CUDA wait for a GPU worker however many others there are; one that stops serves no longer."""
    start_worker(database, "cpu", "io")
    with database.write() as session:
        add_ready_dataset(session)
        submit(session, resources={"device": "cuda"})
    assert bad(_of(database)) == [("queues", "fail", "gpu")]
    assert bad(_of(database, STOPPED)) == [("queues", "warn", "gpu")]
    start_worker(database, "gpu", device="cuda")
    assert bad(_of(database)) == []
    with database.write() as session:
        submit(session, resources={"device": "cpu"})
        workers.stopped(session, "cpu-io-1")
    assert bad(_of(database)) == [("queues", "fail", "cpu")]


def test_work_without_any_worker_fails_and_idleness_does_not(database: Database) -> None:
    """No worker is worth knowing, and a failure once something waits; a stopped stack needs none."""
    assert bad(_of(database)) == [("workers", "warn", "none seen")]
    with database.write() as session:
        add_ready_dataset(session)
        submit(session)
    assert bad(_of(database)) == [("workers", "fail", "none seen"), ("queues", "fail", "cpu or gpu")]
    assert bad(_of(database, STOPPED)) == []


def test_a_lease_that_hangs_is_named_with_its_worker(database: Database) -> None:
    """A lease that ran out long ago means that no keeper is at work; a stack that stopped takes it up at its start."""
    start_worker(database, "cpu", "io")
    with database.write() as session:
        add_ready_dataset(session)
        submit(session)
        run_id = claim(session, worker="killed-1", lease_s=0.01).run_id
    time.sleep(0.2)
    assert bad(_of(database, reaper_s=0.05)) == [("leases", "fail", run_id)]
    (lease,) = [each for each in _of(database, reaper_s=0.05) if each.check == "leases"]
    assert "killed-1" in lease.detail
    assert "keeper" in str(lease.remedy)
    assert bad(_of(database, STOPPED, reaper_s=0.05)) == []


def test_messages_that_stay_are_named_by_kind(database: Database) -> None:
    """Wake-ups that nobody sends for minutes are a failure; the same of an age of seconds are not."""
    start_worker(database, "cpu", "io")
    with database.write() as session:
        outbox.wake(session, "cpu", times=3)
    assert bad(_of(database)) == []
    with database.write() as session:
        session.execute(update(Outbox).values(created_at=db_now(-120.0)))
    assert bad(_of(database, RUNNING)) == [("outbox", "fail", "wake")]
    assert bad(_of(database, STOPPED)) == []


def test_messages_that_were_given_up_are_counted(database: Database) -> None:
    """The webhook that did not take a message is named."""
    start_worker(database, "cpu", "io")
    with database.write() as session:
        hook_id = webhooks.create(session, url="https://receiver.example/hook").id
        webhooks.probe(session, hook_id)
        (parcel,) = webhooks.take(session, limit=1, hold_s=60.0)
        webhooks.mark_failed(session, parcel, status=500, detail="no", again_s=None, seconds=0.1)
    assert bad(_of(database)) == [("webhooks", "warn", hook_id)]


@pytest.fixture(params=["sqlite", "postgresql"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'old.db'}"
    server, name = request.getfixturevalue("postgres_url"), f"old_{uuid.uuid4().hex}"
    execute(server, f"CREATE DATABASE {name}")
    return with_database(server, name)


def test_a_schema_of_another_version_is_named(old_url: str) -> None:
    """An older one wants a migration, which `pskd up` makes by itself; a newer one another version of the program."""
    upgrade(old_url, "0012")
    settings = Settings(home=Path("/nowhere"), database_url=old_url)
    (older,) = [each for each in database(settings, CLUSTER) if each.check == "schema"]
    assert older.status == "fail"
    assert "0012" in older.detail
    assert "store.migrate" in str(older.remedy)
    assert [status for _, status, _ in bad(database(settings, STOPPED))] == ["warn"]
    opened = Database(old_url)
    with opened.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.dispose()
    (newer,) = [each for each in database(settings, STOPPED) if each.check == "schema"]
    assert newer.status == "fail"
    assert "newer" in newer.detail


def test_a_database_that_is_away_is_named(tmp_path: Path) -> None:
    """No server, no database in the file, a file that is gone while its objects are there: each fails, in its words."""
    home = tmp_path / "home"
    away = Settings(home=home, database_url=f"postgresql+psycopg://pskd:hidden@/pskd?host={tmp_path}")
    (found,) = database(away, CLUSTER)
    assert found.status == "fail"
    assert "hidden" not in found.model_dump_json()
    damaged = Settings(home=home, database_url=f"sqlite:///{tmp_path / 'damaged.db'}")
    (tmp_path / "damaged.db").write_bytes(b"this is no database" * 100)
    assert "not a database" in next(each.detail for each in database(damaged, STOPPED) if each.status == "fail")
    absent = Settings(home=home)
    assert bad(database(absent, STOPPED)) == []
    assert bad(database(absent, RUNNING)) == [("database", "fail", str(home / "pskd.db"))]
    (home / "objects" / "ab").mkdir(parents=True)
    (home / "objects" / "ab" / ("ab" * 32)).write_bytes(b"an object")
    assert bad(database(absent, STOPPED)) == [("database", "fail", str(home / "pskd.db"))]
    assert not (home / "pskd.db").exists()


def test_a_clock_that_is_wrong_is_named(postgresql_url: str) -> None:
    """A database server whose clock is ten minutes ahead: told, with how far."""
    opened = Database(postgresql_url)
    with opened.write() as session:
        session.execute(text("CREATE SCHEMA ahead"))
        body = "SELECT pg_catalog.clock_timestamp() + interval '10 minutes'"
        session.execute(text(f"CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $${body}$$"))
        name = opened.engine.url.database
        session.execute(text(f'ALTER DATABASE "{name}" SET search_path = ahead, pg_catalog, public'))
    (clock,) = [each for each in _of(opened) if each.check == "clock"]
    opened.dispose()
    assert clock.status == "warn"
    assert "600 s ahead" in clock.detail


def test_looking_changes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    """Not a byte of a stopped stack's database, and no file beside it."""
    folder = Path(sqlite_url.removeprefix("sqlite:///")).parent
    shutil.copy(folder / "pskd.db", tmp_path / "before")
    list(database(Settings(home=folder, database_url=sqlite_url), STOPPED))
    assert (folder / "pskd.db").read_bytes() == (tmp_path / "before").read_bytes()
    assert [file.name for file in folder.glob("pskd.db*")] == ["pskd.db"]


# --- Servers ------------------------------------------------------------------------------------------------------


def test_a_broker_that_answers_is_well(redis_url: str) -> None:
    """On a port and on a socket; one that may forget what it was given is named."""
    assert bad(servers.broker(redis_url)) == []
    with valkey_server("--unixsocket", "socket", "--maxmemory-policy", "allkeys-lru") as server, server.running():
        forgetful = f"redis+socket://{server.folder / 'socket'}"
        assert bad(servers.broker(forgetful)) == [("broker", "warn", forgetful)]


def test_a_broker_that_is_away_hangs_or_refuses_fails() -> None:
    """A stopped server, a frozen one, and one that does not take the password, which is not shown."""
    with valkey() as url:
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", "right-one")
        wrong = url.replace("redis://", "redis://:wrong-one@")
        (refused,) = servers.broker(wrong)
        assert refused.status == "fail"
        assert "wrong-one" not in refused.model_dump_json()
        assert bad(servers.broker(url.replace("redis://", "redis://:right-one@"))) == []
    assert bad(servers.broker(url)) == [("broker", "fail", url)]
    with valkey_server() as server, server.running() as url:
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        frozen = bad(servers.broker(url))
        server.process.send_signal(signal.SIGCONT)
    assert frozen == [("broker", "fail", url)]


def test_an_object_store_takes_a_probe_and_is_left_as_it_was(tmp_path: Path, s3: str) -> None:
    """In a folder and on a server: nothing is left of the probe."""
    folder = tmp_path / "objects"
    folder.mkdir()
    for url in (str(folder), f"{s3}/probed"):
        assert bad(servers.objects(url, cache_dir=tmp_path / "cache", made_at_start=False)) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list(ObjectStore(f"{s3}/probed", cache_dir=tmp_path / "cache").stored()) == []


def test_an_object_store_that_is_gone_or_read_only_fails(tmp_path: Path, s3: str) -> None:
    """A folder that is not mounted, one that not even root can write, and a bucket that is not there."""
    assert "/pskd" in s3
    for url in (str(tmp_path / "away"), "/sys/kernel", "s3://no-such-bucket/prefix"):
        found = list(servers.objects(url, cache_dir=tmp_path / "cache", made_at_start=False))
        assert bad(found) == [("object store", "fail", url)]
    assert not (tmp_path / "away").exists()
    assert bad(servers.objects(str(tmp_path / "away"), cache_dir=tmp_path, made_at_start=True)) == []


def test_an_mlflow_that_is_away_fails() -> None:
    """It is named, with that runs go on; none at all is as it was wished."""
    away = f"http://127.0.0.1:{free_port()}"
    assert bad(servers.mlflow(away)) == [("MLflow", "fail", away)]
    assert bad(servers.mlflow(None)) == []
