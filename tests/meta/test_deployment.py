"""Images and cluster file are valid, need no engine to be checked, and name things that exist."""

import importlib.util
import os
import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.meta.project import BIN, ROOT, pyproject
from worker.settings import WorkerSettings

SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def compose_config(secrets: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The cluster file as Compose understands it, with every profile."""
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS} | secrets
    command = [str(BIN / "docker-compose"), "--profile", "*", "--env-file", os.devnull, "config"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Every service, with its anchors and variables resolved."""
    resolved = compose_config({name: f"{name.lower()}-value" for name in SECRETS})
    assert resolved.returncode == 0, resolved.stderr
    found: dict[str, Any] = yaml.safe_load(resolved.stdout)["services"]
    return found


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
    ours = {"api", "worker-cpu", "worker-gpu", "keeper", "migrations"}
    assert set(services) == ours | {"gateway", "mlflow", "objects", "postgres", "redis"}
    assert [name for name in ours if "ports" in services[name] or "container_name" in services[name]] == []
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert {"--appendonly yes", "--maxmemory-policy noeviction"} <= set(
        re.findall(r"--\S+ \S+", " ".join(services["redis"]["command"]))
    )


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


def test_images_carry_this_version_and_the_lock_s_python(services: dict[str, Any]) -> None:
    """An image's tag says which code is in it, and it runs on the Python that the lock was made with."""
    tags = {service["image"].rpartition(":")[2] for service in services.values() if "build" in service}
    assert tags == {pyproject()["project"]["version"]}
    made_with = re.search(r"with Python (\S+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert made_with is not None
    assert f"FROM python:{made_with[1]}-slim" in DOCKERFILE
