"""Images and cluster file are valid, need no engine to be checked, and name things that exist."""

import importlib.util
import os
import re
import subprocess
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy import make_url

from store.settings import Settings
from tests.meta.project import BIN, ROOT, pyproject
from worker.settings import WorkerSettings

SECRETS = ("POSTGRES_PASSWORD", "MLFLOW_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


OURS = {"api", "worker-cpu", "worker-gpu", "keeper", "migrations"}
# Settings that no container is passed.
OF_THE_IMAGE = {
    "home": "the image names it",
    "cache_dir": "lies in the home",
    "scratch_dir": "lies in the home",
    "port": "the gateway finds the containers at 8000; PSKD_PORT is its own",
}
# Settings of all that only one kind of process reads.
OF_THE_API = {
    "host",
    "require_keys",
    "allowed_hosts",
    "trusted_proxies",
    "allow_path_import",
    "max_upload_bytes",
    "readers",
    "reader_memory_bytes",
    "reader_timeout_s",
    "tenant_streams",
    "tenant_followers",
    "tenant_uploads",
    "body_idle_s",
    "stream_idle_s",
    "stream_samples_per_s",
    "rate_limit_reads",
    "rate_limit_writes",
    "rate_limit_classify",
}


def compose_config(secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The cluster file as Compose understands it, with every profile."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PSKD_", "OTEL_"))}
    environment = {name: value for name, value in kept.items() if name not in SECRETS} | secrets
    command = [str(BIN / "docker-compose"), "--profile", "*", "--env-file", os.devnull, "config"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def resolved(part: str = "services", **more: str) -> dict[str, Any]:
    """Every service, or every file that is written for them, with anchors and variables resolved."""
    config = compose_config({name: f"{name.lower()}-value" for name in SECRETS} | more)
    assert config.returncode == 0, config.stderr
    found: dict[str, Any] = yaml.safe_load(config.stdout)[part]
    return found


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """As they are where only the secrets are set."""
    return resolved()


@pytest.fixture(scope="module")
def configs() -> dict[str, str]:
    """What the files that containers are given say."""
    return {name: each["content"] for name, each in resolved("configs").items()}


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_refused_by_name(missing: str) -> None:
    """No service starts with an empty password, and the message says what to set."""
    refused = compose_config({name: "value" for name in SECRETS if name != missing})
    assert refused.returncode != 0
    assert f"set {missing}" in refused.stderr


def test_compose_file_fits_its_schema() -> None:
    """No key is misspelt."""
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout


def test_dockerfile_is_clean() -> None:
    """No root user, no unpinned base, none of the usual traps."""
    checked = subprocess.run(
        [BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_topology(services: dict[str, Any]) -> None:
    """All parts are there; those that may be scaled hold no name and no port of the host."""
    assert set(services) == OURS | {"gateway", "mlflow", "objects", "postgres", "redis"}
    assert [name for name in OURS if "ports" in services[name] or "container_name" in services[name]] == []
    assert services["worker-gpu"]["profiles"] == ["gpu"]


def test_no_container_may_more_than_it_needs(services: dict[str, Any]) -> None:
    """None gains privileges, ours have none, and a command, which every process list shows, holds no secret."""
    assert {name for name, each in services.items() if each["security_opt"] != ["no-new-privileges:true"]} == set()
    assert {name for name, each in services.items() if each.get("cap_drop") == ["ALL"]} == OURS | {"mlflow"}
    commands = {name: " ".join(each.get("command") or ()) for name, each in services.items()}
    assert [name for name, command in commands.items() if "-value" in command] == []


def test_redis_keeps_what_it_holds(configs: dict[str, str]) -> None:
    """Its settings are a file's, so that its password is no argument."""
    told = dict(line.split(maxsplit=1) for line in configs["redis"].splitlines())
    assert told == {"appendonly": "yes", "maxmemory-policy": "noeviction", "requirepass": "redis_password-value"}


def test_mlflow_is_a_guest_in_postgresql(configs: dict[str, str], postgres_url: str) -> None:
    """The script that a fresh server runs gives MLflow a role that owns one database and cannot enter the other."""
    host = str(make_url(postgres_url).query["host"])

    def connect(user: str, database: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(host=host, user=user, dbname=database, autocommit=True)

    with connect("postgres", "postgres") as server:
        server.execute("CREATE DATABASE pskd")
        for statement in configs["databases"].split(";\n"):
            server.execute(statement.strip().encode())
    with connect("mlflow", "mlflow") as guest:
        guest.execute("CREATE TABLE mine (id int)")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        connect("mlflow", "pskd")


def test_services_start_after_the_schema_is_there(services: dict[str, Any]) -> None:
    """No process of ours meets a database without its tables."""
    waiting = {name for name in services if "migrations" in services[name].get("depends_on", {})}
    assert waiting == {"api", "worker-cpu", "worker-gpu", "keeper"}
    assert services["api"]["depends_on"]["migrations"]["condition"] == "service_completed_successfully"


def test_what_others_wait_for_has_a_health_check(services: dict[str, Any]) -> None:
    """`service_healthy` means something: the service, or its image, says how health is asked."""
    awaited = {
        name
        for service in services.values()
        for name, need in service.get("depends_on", {}).items()
        if need["condition"] == "service_healthy"
    }
    api_stage = DOCKERFILE.split("AS api")[1].split("FROM")[0]
    assert {name for name in awaited if "healthcheck" not in services[name]} == {"api"}
    assert "HEALTHCHECK" in api_stage


def test_commands_name_modules_that_exist(services: dict[str, Any]) -> None:
    """What a container of ours is told to run can be found."""
    commands = [" ".join(service["command"]) for service in services.values() if service.get("command")]
    images = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)
    commands += [" ".join(yaml.safe_load(image)) for image in images]
    modules = {name for text in commands for name in re.findall(r"python -m (\S+)", text)}
    assert modules == {"api", "store.migrate", "worker", "worker.keeper"}
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_settings_in_the_environment_exist(services: dict[str, Any]) -> None:
    """A misspelt PSKD_ variable would be ignored in silence."""
    named = {name for service in services.values() for name in service.get("environment", {})}
    named |= set(re.findall(r"\b(PSKD_[A-Z_]+)=", DOCKERFILE))
    assert "PSKD_QUEUES" in named
    known = {f"PSKD_{field.upper()}" for field in WorkerSettings.model_fields}
    assert {name for name in named if name.startswith("PSKD_")} <= known


@pytest.mark.parametrize("service", ["api", "worker-cpu", "worker-gpu", "keeper"])
def test_every_setting_reaches_who_reads_it(service: str, services: dict[str, Any]) -> None:
    """What an operator sets in the environment is not lost on its way into a container."""
    fields = (Settings if service == "api" else WorkerSettings).model_fields.keys() - OF_THE_IMAGE.keys()
    wanted = fields if service == "api" else fields - OF_THE_API
    if service == "keeper":  # which takes nothing from queues
        wanted -= {"queues"}
    passed = services[service]["environment"].keys()
    assert {name for name in wanted if f"PSKD_{name.upper()}" not in passed} == set()


def test_what_is_set_nowhere_keeps_its_default(services: dict[str, Any]) -> None:
    """A setting that the operator leaves out is left out of the container too, where an empty one would be refused."""
    given = {"PSKD_TENANT_RUNS_AT_ONCE": "3", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    told = resolved(**given)
    for name in ("api", "worker-cpu", "worker-gpu", "keeper"):
        assert {services[name]["environment"][variable] for variable in given} == {None}
        assert given.items() <= told[name]["environment"].items()


def test_images_carry_this_version_and_the_lock_s_python(services: dict[str, Any]) -> None:
    """An image's tag says which code is in it, and it runs on the Python that the lock was made with."""
    tags = {service["image"].rpartition(":")[2] for service in services.values() if "build" in service}
    assert tags == {pyproject()["project"]["version"]}
    made_with = re.search(r"with Python (\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert made_with is not None
    assert f"FROM python:{made_with[1]}-slim" in DOCKERFILE
