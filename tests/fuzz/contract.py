"""Everything that openapi.json allows and forbids, asked of a running service: `make schemathesis`.

schemathesis generates requests by the contract, follows one answer into the next request, and judges every answer:
no failure of the server, and nothing but what the contract says. The seed is printed; with it a run can be repeated.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.fuzz.hooks import BASES, OWN_KEY, SPARE_KEY
from tests.fuzz.service import MODEL, Service, serving
from tests.meta.project import BIN, ROOT

_START_S = 120  # beyond the time that it is given

# What is not checked, since the contract cannot say it, or cannot be taken at its word:
_CONFIG = """
[cache]
enabled = false

[checks]
# A dataset that a spec names must exist, a cursor must come from the page before: no schema says such things.
positive_data_acceptance.enabled = false

[[operations]]
# Specs are also written by hand and as YAML: they may say `1` for "1". And our hooks lay a sound body over wrong ones.
include-path = ["/v1/jobs", "/v1/sweeps", "/v1/models/{name}/aliases/{alias}"]
include-method = ["POST", "PUT"]
checks.negative_data_rejection.enabled = false

[[operations]]
# In a form everything is text, so nothing in it can be of a wrong type.
include-path = ["/v1/datasets", "/v1/models/{name}/classify", "/v1/classifications"]
include-method = "POST"
checks.negative_data_rejection.enabled = false

[[operations]]
# `name` may come several times; a number in its place is on the wire the same as a list of one text.
include-path = "/v1/jobs/{job_id}/metrics"
include-method = "GET"
checks.negative_data_rejection.enabled = false
"""


def run(service: Service, folder: Path, *, seed: int, until: tuple[str, ...], most_s: float) -> dict[str, Any]:
    """What came of it; the report and the log of schemathesis itself lie in `folder`.

    `until` are its options that say how much is asked; it is ended after `most_s`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report, config = folder / "schemathesis-report.json", folder / "schemathesis.toml"
    known = _known(service)
    config.write_text("\n".join([_CONFIG, *_dictionaries(known)]))
    spare_key = next(each for each in known["path.key_id"] if each != service.key_id)
    command: list[str | Path] = [
        BIN / "schemathesis", "--config-file", config, "run", ROOT / "openapi.json", "--url", service.url,
        "--header", f"Authorization:Bearer {service.key}", "--seed", str(seed), *until,
        "--continue-on-failure", "--request-timeout", "30", "--generation-database", "none", "--no-color",
        "--report", "json", "--report-json-path", report,
    ]  # fmt: skip
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", OWN_KEY: service.key_id, SPARE_KEY: spare_key}
    began_at = time.monotonic()
    with (folder / "schemathesis.log").open("wb") as log:
        ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=log, check=False, timeout=most_s)
    if not report.exists():
        raise RuntimeError((folder / "schemathesis.log").read_text(errors="replace")[-2000:])
    return {
        "seed": seed,
        "status": ended.returncode,
        **_summary(json.loads(report.read_text())),
        "service_lives": service.alive(),
        "traces_in_the_log": service.log().count("Traceback"),
        "seconds": round(time.monotonic() - began_at, 1),
    }


def sound(found: dict[str, Any]) -> bool:
    """Whether nothing was found."""
    whole = found["operations"]["tested"] == found["operations"]["total"]
    quiet = not (found["failures"] or found["errors"] or found["traces_in_the_log"])
    return whole and quiet and found["status"] == 0 and found["service_lives"]


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    counted = report["operations"]
    return {
        "operations": {"total": counted["total"], "tested": counted["tested"]},
        "cases": report["test_cases"]["generated"],
        "failures": [{name: each[name] for name in ("title", "count", "operations")} for each in report["failures"]],
        "errors": report["errors"],
        "phases": {name: phase["status"] for name, phase in report["phases"].items()},
    }


def _known(service: Service) -> dict[str, list[Any]]:
    """By parameter: what exists, or could."""
    with httpx.Client(base_url=service.url, headers=service.headers) as http:
        http.post("/v1/keys", json={"name": "another", "scopes": ["read"]}).raise_for_status()
        http.post("/v1/sweeps", json=BASES["POST /v1/sweeps"]).raise_for_status()
        http.post("/v1/webhooks", json=BASES["POST /v1/webhooks"]).raise_for_status()
        day = {"file": ("day.csv", b"0,0,1\n" * 64)}
        http.post("/v1/classifications", params={"model": MODEL}, files=day).raise_for_status()
        lists = ("jobs", "datasets", "sweeps", "keys", "webhooks", "leaderboard", "classifications")
        found = {name: http.get(f"/v1/{name}").json()["items"] for name in lists}
        runs = http.get(f"/v1/jobs/{service.job_id}/runs").json()["items"]
        recordings = http.get(f"/v1/datasets/{found['datasets'][0]['id']}/recordings").json()["items"]
    return {
        "path.name": [MODEL],
        "path.version": [1, 2],
        "path.alias": ["champion", "next"],
        "path.run_id": [each["id"] for each in runs],
        "path.epoch": [1, 2],
        "path.job_id": [each["id"] for each in found["jobs"]],
        "path.dataset_id": [each["id"] for each in found["datasets"]],
        "path.recording_id": [each["id"] for each in recordings[:3]],
        "query.alias": ["champion"],
        "query.version": [1, 2],
        "path.sweep_id": [each["id"] for each in found["sweeps"]],
        "path.key_id": [each["id"] for each in found["keys"]],
        "path.webhook_id": [each["id"] for each in found["webhooks"]],
        "path.classification_id": [each["id"] for each in found["classifications"]],
        "query.model": [MODEL],
        "query.a": [each["id"] for each in found["leaderboard"]],
        "query.b": [each["id"] for each in found["leaderboard"]],
        "query.against": [each["id"] for each in found["leaderboard"]],
        "header.if-match": ["*", '"1"', '"2"', '"3"'],
        "header.if-none-match": ["*"],
    }


def _dictionaries(known: dict[str, list[Any]]) -> list[str]:
    """The part of the configuration that names them: JSON's texts, numbers and lists are TOML's."""
    lines = [f"[dictionaries.{_slug(name)}]\nvalues = {json.dumps(values)}" for name, values in known.items()]
    bound = [f'"{name}" = {{ dictionary = "{_slug(name)}", probability = 0.6 }}' for name in known]
    return [*lines, "[parameters]", *bound]


def _slug(name: str) -> str:
    return name.replace(".", "_")


def main() -> int:
    """Run for some minutes, and write down what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    asked = parser.parse_args()
    sys.stdout.write(f"seed {asked.seed}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="pskd-contract-") as folder, serving(Path(folder)) as service:
        seconds = round(60 * asked.minutes)
        until = ("--max-time", str(seconds))
        found = run(service, asked.out / "schemathesis", seed=asked.seed, until=until, most_s=seconds + _START_S)
    (asked.out / "schemathesis.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0 if sound(found) else 1


if __name__ == "__main__":
    sys.exit(main())
