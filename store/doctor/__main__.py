"""`python -m store.doctor`: looks at what the environment (`PSKD_…`) names, and changes nothing but its own probes.

`pskd doctor` calls it; for people, that is the command. Findings go to standard output as JSON.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from store.doctor import machine, servers
from store.doctor.finding import Finding, fail, reason, shown
from store.doctor.state import Installation, database
from store.settings import Settings


class Look(NamedTuple):
    """One thing to look at."""

    check: str
    where: str
    findings: Callable[[], Iterable[Finding]]
    limit_s: float = 10.0


def main() -> int:
    """Entry point; returns the exit status (1: something has failed)."""
    parser = argparse.ArgumentParser(prog="python -m store.doctor", description=__doc__)
    parser.add_argument("installation", type=Installation, choices=list(Installation))
    asked = parser.parse_args()
    try:
        found = examine(looks(Settings(), asked.installation))
    except ValidationError as wrong:
        found = _misset(wrong)
    print(json.dumps([finding.model_dump(mode="json") for finding in found]))
    sys.stdout.flush()
    # Not by `sys.exit`, which would wait for libraries whose threads still wait for a server.
    os._exit(any(finding.status == "fail" for finding in found))


def looks(settings: Settings, installation: Installation) -> list[Look]:
    """What there is to look at."""
    embedded = installation is not Installation.CLUSTER
    url, cache = settings.database_url, settings.cache_dir
    folders = {"home": settings.home, "cache": cache}
    if "://" not in settings.object_store_url:
        folders["objects"] = Path(settings.object_store_url)
    if scratch := os.environ.get("PSKD_SCRATCH_DIR"):  # a setting of workers, whose packages need not be here
        folders["scratch"] = Path(scratch)
    holds_database = url.startswith("sqlite")
    store = shown(settings.object_store_url)
    several = [
        Look("packages", "pskd", lambda: machine.packages("embedded" if embedded else "store")),
        Look("disk space", str(settings.home), lambda: machine.space(folders)),
        Look("home", str(settings.home), lambda: machine.writable(settings.home)),
        Look(
            "file system",
            str(settings.home),
            lambda: machine.file_system(settings.home, holds_database=holds_database),
        ),
        Look("database", shown(url), lambda: database(settings, installation)),
        Look(
            "object store",
            store,
            lambda: servers.objects(
                settings.object_store_url, cache_dir=cache, made_at_start=installation is Installation.STOPPED
            ),
            limit_s=20.0,  # loading what speaks S3 takes seconds on a busy machine
        ),
    ]
    if installation is not Installation.STOPPED:
        if settings.broker_url:
            several.append(Look("broker", shown(settings.broker_url), lambda: servers.broker(settings.broker_url)))
        mlflow = shown(settings.mlflow_url or "")
        several.append(Look("MLflow", mlflow, lambda: servers.mlflow(settings.mlflow_url)))
    return several


def examine(several: Sequence[Look]) -> list[Finding]:
    """Look at all of it side by side, each within its time; what is late has failed."""
    found: list[list[Finding]] = [[] for _ in several]
    threads = [
        threading.Thread(target=_fill, args=(look, found[index]), daemon=True) for index, look in enumerate(several)
    ]
    began_at = time.monotonic()
    for thread in threads:
        thread.start()
    for look, thread, findings in zip(several, threads, found, strict=True):
        thread.join(max(began_at + look.limit_s - time.monotonic(), 0.0))
        if thread.is_alive():
            detail = f"has not answered within {look.limit_s:g} s"
            findings.append(
                fail(look.check, look.where, detail, "what it depends on hangs; look at its server or disk")
            )
    return [finding for findings in found for finding in list(findings)]


def _fill(look: Look, findings: list[Finding]) -> None:
    try:
        for finding in look.findings():
            findings.append(finding)  # noqa: PERF402 - one by one: what came before a hang is known
    except Exception as trouble:  # noqa: BLE001 - an examination ends with a finding, whatever it meets
        detail = f"{type(trouble).__name__}: {reason(trouble)}"
        findings.append(fail(look.check, look.where, detail, "this is not foreseen; report it"))


def _misset(wrong: ValidationError) -> list[Finding]:
    """A setting's value may be a secret, so only its name and what is wrong with it are told."""
    return [
        fail(
            "settings",
            f"PSKD_{'_'.join(map(str, error['loc'])).upper()}",
            error["msg"],
            "docs/operations.md lists them",
        )
        for error in wrong.errors(include_input=False)
    ]


if __name__ == "__main__":
    sys.exit(main())
