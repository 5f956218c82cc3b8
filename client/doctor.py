"""`pskd doctor`: is everything there that the service needs, and does it do what it should?

What needs the server's packages is looked at by `python -m store.doctor`, in the environment of a home's stack or in
this process's own, which names a cluster.
"""

import os
import subprocess  # nosec B404 # our own program, through no shell
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from client.answers import Answer
from client.home import default_home, inherited, is_owned, lives, owner_of
from client.parts import CODE
from client.ports import MLFLOW_PORT, PORT, holder, is_free

_ANSWER_S = 3.0
_WHOLE_S = 60.0  # each look has a limit of its own, far below
_CLUSTER_PORT = 8000


class Finding(Answer):
    """How one thing stands: `ok`, `warn` (works, but somebody should know) or `fail`."""

    check: str
    status: str
    where: str
    detail: str
    remedy: str | None = None


_FINDINGS = TypeAdapter(list[Finding])


class Examination(Answer):
    """All findings; its status is the worst of theirs."""

    status: str
    checks: tuple[Finding, ...]


def examine(home: Path | None) -> Examination:
    """Look at a home, or, if none is named and the environment names a database, at that cluster."""
    if home is None and os.environ.get("PSKD_DATABASE_URL"):
        found = [*_cluster()]
    else:
        found = [*_home((home or default_home()).expanduser().resolve())]
    worst = next((bad for bad in ("fail", "warn") if any(each.status == bad for each in found)), "ok")
    return Examination(status=worst, checks=tuple(found))


def _cluster() -> Iterator[Finding]:
    host, port = os.environ.get("PSKD_HOST", "127.0.0.1"), _number("PSKD_PORT", _CLUSTER_PORT)
    where = f"{host}:{port}"
    if is_free(host, port):
        yield Finding(check="port", status="ok", where=where, detail="is free for an api process")
    elif _lives(f"http://127.0.0.1:{port}"):
        yield Finding(check="port", status="ok", where=where, detail="an api process answers")
    else:
        yield _held(where, port, status="warn", remedy="an api process on this machine needs another PSKD_PORT")
    yield from _looked("cluster", os.environ)


def _home(home: Path) -> Iterator[Finding]:
    owner = _owner(home)
    if is_owned(home) and "url" in owner and lives(owner.get("pid")):
        yield from _running(home, owner)
        return
    yield _idle(home, owner)
    yield from _free_ports()
    yield _broker_program(home)
    yield from _looked("stopped", inherited(home))


def _owner(home: Path) -> dict[str, Any]:
    """What the stack has published; nothing if that cannot be read."""
    try:
        return owner_of(home)
    except (OSError, ValueError):
        return {}


def _running(home: Path, owner: Mapping[str, Any]) -> Iterator[Finding]:
    yield Finding(
        check="stack", status="ok", where=str(home), detail=f"runs at {owner['url']} (process {owner['pid']})"
    )
    for name, pid in sorted(owner.get("parts", {}).items()):
        log = home / "logs" / f"{name}.log"
        if lives(pid):
            yield Finding(check="part", status="ok", where=name, detail=f"process {pid}")
        else:
            remedy = f"it is started again by itself; its log is {log}"
            yield Finding(check="part", status="fail", where=name, detail=f"process {pid} is gone", remedy=remedy)
    yield _service(str(owner["url"]), home)
    # Where the path to its socket is too long the broker has a port and a password that its parts alone know.
    broker = home / "broker" / "broker.sock"
    told = {"PSKD_BROKER_URL": f"redis+socket://{broker}" if broker.exists() else ""}
    yield from _looked("running", inherited(home) | told | {"PSKD_MLFLOW_URL": str(owner["mlflow_url"])})


def _idle(home: Path, owner: Mapping[str, Any]) -> Finding:
    if is_owned(home):
        detail = f"is starting or stopping (process {owner.get('pid', 'unknown')})"
        remedy = "look again; if it lasts, its logs say what it waits for"
        return Finding(check="stack", status="warn", where=str(home), detail=detail, remedy=remedy)
    if (home / "stack.json").exists():
        detail = f"stack.json was left by process {owner.get('pid', 'unknown')}, which was killed; nothing runs"
        remedy = "the next `pskd up` takes the home over; until then other commands look for it in vain"
        return Finding(check="stack", status="warn", where=str(home / "stack.json"), detail=detail, remedy=remedy)
    return Finding(check="stack", status="ok", where=str(home), detail="does not run")


def _free_ports() -> Iterator[Finding]:
    host = os.environ.get("PSKD_HOST", "127.0.0.1")
    for name, at, default in (("the service", host, PORT), ("MLflow", "127.0.0.1", MLFLOW_PORT)):
        port = _number("PSKD_MLFLOW_PORT" if name == "MLflow" else "PSKD_PORT", default)
        where = f"{at}:{port}"
        if is_free(at, port):
            yield Finding(check="port", status="ok", where=where, detail=f"is free for {name}")
        elif name == "MLflow":
            yield _held(where, port, status="warn", remedy="`pskd up` takes another one for MLflow")
        else:
            yield _held(where, port, status="fail", remedy="`pskd up --port 0` takes any free one; or end that program")


def _held(where: str, port: int, *, status: str, remedy: str) -> Finding:
    found = holder(port)
    if found is None:
        detail, remedy = "cannot be listened on, though nobody does", "mend PSKD_HOST: it is no address of this machine"
    else:
        detail = f"{found} listens there"
    return Finding(check="port", status=status, where=where, detail=detail, remedy=remedy)


def _number(name: str, default: int) -> int:
    """A port of the environment; what is none is named by the settings' own check."""
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() and int(value) < 2**16 else default


def _broker_program(home: Path) -> Finding:
    """Whether the broker that `pskd up` starts can be started on this machine."""
    remedy = "pip install 'pskd[embedded]'"
    try:
        from client.broker import plan_broker  # noqa: PLC0415  # a client of a service elsewhere has no broker
    except ModuleNotFoundError as missing:
        detail = f"{missing.name} is not installed"
        return Finding(check="broker", status="fail", where=str(home / "broker"), detail=detail, remedy=remedy)
    program = plan_broker(home / "broker", free_port=0).command[0]
    try:
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError) as trouble:
        return Finding(check="broker", status="fail", where=program, detail=str(trouble), remedy=remedy)
    return Finding(check="broker", status="ok", where=program, detail=" ".join(asked.stdout.split()[:3]))


def _service(url: str, home: Path) -> Finding:
    remedy = f"its log is {home / 'logs' / 'api.log'}"
    try:
        answer = httpx.get(f"{url}/readyz", timeout=_ANSWER_S, trust_env=False)
    except httpx.HTTPError as trouble:
        return Finding(check="service", status="fail", where=url, detail=str(trouble), remedy=remedy)
    if answer.is_success:
        return Finding(check="service", status="ok", where=url, detail="is ready")
    return Finding(check="service", status="fail", where=url, detail=f"status {answer.status_code}", remedy=remedy)


def _lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=_ANSWER_S, trust_env=False).status_code == httpx.codes.NO_CONTENT
    except httpx.HTTPError:
        return False


def _looked(installation: str, environment: Mapping[str, str]) -> list[Finding]:
    """What the server's side finds, with this environment."""
    command = (sys.executable, "-m", "store.doctor", installation)
    said = ""
    try:
        done = subprocess.run(
            command, cwd=CODE, env=environment, capture_output=True, text=True, timeout=_WHOLE_S, check=False
        )
        said = next(iter(reversed(done.stderr.splitlines())), "")
        return _FINDINGS.validate_json(done.stdout)
    except subprocess.TimeoutExpired:
        said = f"has not ended within {_WHOLE_S:g} s"
    except ValidationError:
        pass
    detail = said or "has said nothing that can be read"
    remedy = "pip install 'pskd[embedded]', or on a cluster's machine the extra of what it runs"
    return [Finding(check="packages", status="fail", where="python -m store.doctor", detail=detail, remedy=remedy)]
