"""The command line against a running stack: one job from its dataset to a classified recording, and every refusal."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from client.api import Client
from client.cli import app
from client.errors import Conflicting, Invalid, NotFound
from client.local import Addresses
from pskd_core.config import parse_spec
from pskd_core.data.preprocess import prepare_sensor
from tests.e2e.processes import eventually
from tests.small import SMALL_SPEC

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SPLIT = {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]}

LOAD = """
import mlflow, numpy
model = mlflow.pyfunc.load_model("models:/small@champion")
numpy.save("answers.npy", model.predict(numpy.load("windows.npy"))["probabilities"])
"""

Pskd = Callable[..., Result]


@pytest.fixture
def pskd(stack_url: str) -> Pskd:
    """Runs `pskd` in this process, on the stack."""
    return lambda *arguments: CliRunner().invoke(app, ["--url", stack_url, *map(str, arguments)])


@pytest.fixture(scope="session")
def trained(stack_url: str, dataset_id: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A job named `small`, submitted and watched by the command line, that has succeeded."""
    fields = {**SMALL_SPEC, "name": "small", "dataset": dataset_id, "protocol": SPLIT, "seeds": [0, 1]}
    file = tmp_path_factory.mktemp("spec") / "spec.yaml"
    file.write_text(yaml.safe_dump(fields))
    waited = CliRunner().invoke(app, ["--url", stack_url, "submit", str(file), "--wait"])
    assert waited.exit_code == 0, waited.output
    assert "small succeeded" in waited.stdout
    assert "small · seed 1  epoch 6/6" in waited.stdout
    with Client(stack_url) as client:
        return next(job.id for job in client.jobs() if job.name == "small")


def recording(path: Path, *, seconds: float = 4.0) -> Path:
    """A CSV as a phone writes it."""
    rows = [f"{number / 50:.2f},{math.sin(number / 9):.4f},0.1,0.98" for number in range(int(seconds * 50))]
    path.write_text("\n".join(["time (s),x (g),y (g),z (g)", *rows]))
    return path


def last_object(result: Result) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return loaded


def test_imported_dataset_is_listed_and_shown(pskd: Pskd, dataset_id: str) -> None:
    """A dataset is found by its name and its id, as text and as JSON, with what its import found."""
    assert "small" in pskd("dataset", "list").stdout
    assert "4 subjects" in pskd("dataset", "show", "small").stdout
    shown = json.loads(pskd("dataset", "show", dataset_id, "--json").stdout)
    assert shown["id"] == dataset_id
    assert shown["report"]["recordings"] == 48


def test_bad_import_says_why(pskd: Pskd, tmp_path: Path) -> None:
    """A folder that is no dataset ends with exit code 1 and the reason, and nothing half-imported can be used."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    refused = pskd("dataset", "add", tmp_path / "photos")
    assert refused.exit_code == 1
    assert "UTD-MHAD" in refused.stderr
    assert "failed" in pskd("dataset", "list").stdout
    assert pskd("submit", "--preset", "demo", "--dataset", "photos").exit_code == 1


def test_folder_can_be_read_by_the_service_itself(pskd: Pskd, tmp_path: Path) -> None:
    """With --by-path nothing is sent, and the service reads the folder where it is."""
    refused = pskd("dataset", "add", tmp_path, "--by-path", "--name", "by-path")
    assert refused.exit_code == 1
    assert "no known layout" in refused.stderr


def test_trained_job_stands_everywhere(pskd: Pskd, trained: str) -> None:
    """A finished job is listed, leads to a leaderboard row with mean, spread, seeds and N, and to a model."""
    assert trained in pskd("jobs", "--state", "succeeded").stdout
    (row,) = json.loads(pskd("leaderboard", "--dataset", "small", "--json").stdout)
    assert (row["method"], row["n_seeds"], row["n_test"]) == ("pskd", 2, 12)
    assert "±" in pskd("leaderboard").stdout
    (model,) = json.loads(pskd("models", "--json").stdout)
    assert (model["name"], model["latest"]["version"]) == ("small", 2)
    assert "champion=1" in pskd("models").stdout


def test_rows_are_compared_and_stand_beside_the_paper(pskd: Pskd, service: Client, trained: str) -> None:
    """A row compared with itself differs by nothing; published rows come apart from ours, as text and as JSON."""
    (row,) = service.leaderboard(dataset="small", sort="parameters")
    assert row.accuracy_over_subjects is not None
    assert (row.accuracy_over_subjects.n, row.accuracy_over_subjects.low) == (1, None)
    found = json.loads(pskd("compare", row.id, row.id[:12], "--json").stdout)
    assert (found["n_test"], found["n_seeds"], found["accuracy"]["difference"]["mean"]) == (12, 2, 0)
    assert [pair["p"] for pair in found["seeds"]] == [1, 1]
    assert "N 12, 2 seeds in common" in pskd("compare", row.id, row.id).stdout
    shown = pskd("leaderboard", "--dataset", "small", "--against", row.id[:12], "--published")
    assert "+0.0 [0.0, 0.0] over 2 seeds" in shown.stdout
    assert "the paper prints nothing on this dataset" in shown.stderr
    both = json.loads(pskd("leaderboard", "--published", "--json").stdout)
    assert {each["source"] for each in both["measured"]} == {"measured"}
    assert {each["source"] for each in both["published"]} == {"published"}
    assert [each.table for each in service.published(dataset="MMAct")] == ["3"] * 8
    refused = pskd("compare", row.id, "absent")
    assert refused.exit_code == 1
    assert "pskd leaderboard" in refused.stderr


def test_finished_job_is_watched_at_once(pskd: Pskd, trained: str) -> None:
    """Watching a job that has ended shows its results; as JSON every event in order."""
    watched = pskd("watch", trained)
    assert watched.exit_code == 0
    assert "ACCURACY" in watched.stdout
    events = [json.loads(line) for line in pskd("watch", trained, "--json").stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["data"]["state"] == "succeeded"


def test_recording_is_classified(pskd: Pskd, trained: str, tmp_path: Path) -> None:
    """A file gets its timeline from the only model there is, as text and as a line of JSON."""
    file = recording(tmp_path / "mine.csv")
    shown = pskd("classify", file)
    assert shown.exit_code == 0, shown.output
    assert "by small version 1" in shown.stdout
    answer = last_object(pskd("classify", file, "--model", "small", "--version", 2, "--json"))
    assert (answer["file"], answer["model"]["version"]) == (str(file), 2)
    assert answer["label"] == next(iter(answer["probabilities"]))
    assert pskd("classify", file, "--plot", tmp_path / "plots").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["mine.png", "mine.svg"]


def test_a_long_recording_is_labelled_by_a_worker(pskd: Pskd, service: Client, trained: str, tmp_path: Path) -> None:
    """Handed in and waited for, it has the segments of `classify`; it is listed, shown again, and deleted."""
    file, bad = recording(tmp_path / "day.csv", seconds=60), recording(tmp_path / "bad.csv")
    bad.write_text(bad.read_text().replace("0.1,0.98", "0.1,oops", 1))
    shown = pskd("classify", "--long", file)
    assert shown.exit_code == 0, shown.output
    assert "by small version 1" in shown.stdout
    once = pskd("classify", file, "--csv").stdout
    result = pskd("classify", "--long", bad, file, "--csv")
    assert result.exit_code == 1
    assert "row 2" in result.stderr
    assert result.stdout == once
    found, failed, _ = service.classifications()
    assert (found.state, failed.state) == ("succeeded", "failed")
    windows = list(service.windows(found.id))
    again = last_object(pskd("classifications", "show", found.id, "--json"))
    assert again["overview"]["windows"] == len(windows) > 1
    assert pskd("classifications", "show", failed.id).exit_code == 1
    assert found.id in pskd("classifications", "--state", "succeeded").stdout
    assert pskd("cancel", found.id).exit_code == 1
    assert "deleted: 1 classifications" in pskd("classifications", "delete", found.id).stdout
    with pytest.raises(NotFound):
        service.classification(found.id)


def test_mlflow_and_http_give_the_same_probabilities(
    service: Client, addresses: Addresses, trained: str, tmp_path: Path
) -> None:
    """What a run registered answers alike through `mlflow.pyfunc` in a fresh process and through `/classify`."""
    dataset = service.find_dataset("small")
    assert dataset.report is not None
    series = [service.recording(dataset.id, name).series["accelerometer"] for name in ("a1_s4_t1", "a2_s4_t2")]
    values = [np.array(each.values, np.float32) for each in series]
    told = []
    for number, each in enumerate(series):
        np.save(tmp_path / f"{number}.npy", values[number])
        answer = service.classify("small", tmp_path / f"{number}.npy", rate_hz=each.rate_hz, unit="g")
        assert len(answer.windows) == 1
        told.append(answer.probabilities)
    np.save(
        tmp_path / "windows.npy", np.stack([prepare_sensor(np.array(each.values, np.float32), 32) for each in series])
    )

    environment = {**os.environ, "MLFLOW_TRACKING_URI": addresses.mlflow_url, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, "-c", LOAD], check=True, cwd=tmp_path, env=environment)
    answers = np.load(tmp_path / "answers.npy")
    for probabilities, expected in zip(answers, told, strict=True):
        found = dict(zip(dataset.report.classes, probabilities.tolist(), strict=True))
        assert {label: found[label] for label in expected} == pytest.approx(expected, abs=1e-6)


def test_one_bad_file_fails_the_command_but_not_the_others(pskd: Pskd, trained: str, tmp_path: Path) -> None:
    """Of several files each is answered, a broken one with its row and column, and the exit code says so."""
    good, bad = recording(tmp_path / "good.csv"), recording(tmp_path / "bad.csv")
    bad.write_text(bad.read_text().replace("0.1,0.98", "0.1,oops", 1))
    result = pskd("classify", bad, good, "--json")
    assert result.exit_code == 1
    assert last_object(result)["file"] == str(good)
    assert "row 2" in result.stderr


def test_job_that_runs_can_be_stopped(pskd: Pskd, service: Client, dataset_id: str) -> None:
    """A running job is paused, resumed and cancelled, and watching a cancelled one exits with 1."""
    long = {**SMALL_SPEC, "dataset": dataset_id, "protocol": SPLIT, "name": "long"}
    job = service.submit({**long, "training": {"epochs": 5000, "batch_size": 16}})
    next(event for event in service.follow(job.id) if event.kind == "run.epoch")
    assert pskd("pause", job.id).exit_code == 0
    next(event for event in service.follow(job.id) if event.data.get("state") == "paused")
    assert json.loads(pskd("resume", job.id, "--json").stdout)["state"] in {"queued", "running"}
    assert pskd("cancel", job.id).exit_code == 0
    ended = pskd("watch", job.id)
    assert ended.exit_code == 1
    assert "cancelled" in ended.stderr
    refused = pskd("resume", job.id)
    assert refused.exit_code == 1
    assert "cancelled" in refused.stderr


def test_webhooks_are_added_tried_and_removed(pskd: Pskd) -> None:
    """The secret alone goes to standard output; a receiver that may not be reached is named, and then is gone."""
    added = pskd("webhooks", "add", "https://localhost:9/hook")
    assert added.exit_code == 0
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]+=*\n", added.stdout)
    (listed,) = json.loads(pskd("webhooks", "list", "--json").stdout)
    assert listed["url"] == "https://localhost:9/hook"
    tried = pskd("webhooks", "test", listed["id"])
    assert (tried.exit_code, "not public" in tried.stdout) == (1, True)
    assert "webhook.test" in pskd("webhooks", "show", listed["id"]).stdout
    assert pskd("webhooks", "remove", listed["id"]).exit_code == 0
    assert pskd("webhooks", "remove", listed["id"]).exit_code == 1
    assert json.loads(pskd("webhooks", "list", "--json").stdout) == []


def test_estimate_starts_nothing(pskd: Pskd, dataset_id: str) -> None:
    """A dry run says how much work a spec is, and no job appears."""
    before = len(json.loads(pskd("jobs", "--json").stdout))
    shown = pskd("submit", "--preset", "demo", "--dataset", "small", "--seeds", "0,1", "--dry-run")
    assert shown.exit_code == 0
    assert "2 runs" in shown.stdout
    assert len(json.loads(pskd("jobs", "--json").stdout)) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("submit", "--preset", "demo", "--set", "training.epochs=0", "--dataset", "small"), "/training/epochs"),
        (("submit", "--preset", "absent", "--dataset", "small"), "absent"),
        (("submit", "--preset", "demo", "--dataset", "absent"), "/dataset"),
        (("watch", "job_absent"), "job_absent"),
        (("dataset", "show", "absent"), "absent"),
        (("classify", __file__, "--model", "absent"), "absent"),
    ],
)
def test_refusals_have_exit_code_1(pskd: Pskd, dataset_id: str, arguments: tuple[str, ...], told: str) -> None:
    """What the service refuses is named, with a remedy, on standard error."""
    result = pskd(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert told in result.stderr
    assert "remedy: " in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit",),
        ("submit", "--preset", "demo", "--set", "epochs"),
        ("submit", "absent.yaml"),
        ("dataset", "add"),
        ("dataset", "add", "/tmp", "--synthetic"),
        ("classify", "absent.csv"),
        ("frobnicate",),
    ],
)
def test_wrong_usage_has_exit_code_2(arguments: tuple[str, ...]) -> None:
    """What cannot be meant is refused before the service is asked."""
    result = CliRunner().invoke(app, ["--url", "http://127.0.0.1:9", *arguments])
    assert result.exit_code == 2
    assert result.stdout == ""


def test_no_service_has_exit_code_3() -> None:
    """Scripts can tell a service that is away from a request that is wrong."""
    result = CliRunner().invoke(app, ["--url", "http://127.0.0.1:9", "jobs"])
    assert result.exit_code == 3
    assert "pskd up" in result.stderr


def test_sdk_takes_a_checked_spec(service: Client, dataset_id: str) -> None:
    """A spec object and plain fields mean the same, and errors come as exceptions of their kind."""
    fields = {**SMALL_SPEC, "dataset": dataset_id, "protocol": SPLIT}
    assert service.estimate(parse_spec(fields)) == service.estimate(fields)
    with pytest.raises(Invalid) as caught:
        service.submit({**fields, "seeds": []})
    assert caught.value.faults[0]["pointer"] == "/seeds"
    with pytest.raises(NotFound):
        service.job("job_absent")
    with pytest.raises(Conflicting, match="small"):
        service.import_synthetic("small")


def test_sdk_reads_results(service: Client, trained: str) -> None:
    """Runs, their reports and their curves can be read, and a recording comes back at its full length."""
    runs = list(service.runs(trained))
    assert [run.seed for run in runs] == [0, 1]
    assert set(service.report(runs[0].id).report["test"]["per_subject"]) == {"4"}
    curves = service.metrics(trained, ["student/total"])
    assert [list(run.curves) for run in curves] == [["student/total"]] * 2
    assert len(curves[0].curves["student/total"].values) == 3
    dataset = service.find_dataset("small")
    first = next(service.recordings(dataset.id))
    series = service.recording(dataset.id, first.id).series["accelerometer"]
    assert len(series.values) == pytest.approx(first.duration_s * series.rate_hz, abs=1)


def test_keys_are_made_listed_and_revoked(pskd: Pskd) -> None:
    """A key is printed once and borne by --api-key; the list shows its beginning, and a revoked one says so."""
    made = pskd("keys", "create", "robot", "--scope", "read", "--scope", "submit", "--days", "2")
    secret, key_id = made.stdout.strip(), made.stderr.split(";")[0]
    assert secret.startswith("pskd_")
    assert pskd("--api-key", secret, "jobs", "--json").exit_code == 0
    (row,) = [key for key in json.loads(pskd("keys", "list", "--json").stdout) if key["id"] == key_id]
    assert (row["name"], row["scopes"]) == ("robot", ["read", "submit"])
    assert secret.startswith(row["prefix"])
    assert secret not in pskd("keys", "list").stdout
    assert "revoked" in pskd("keys", "revoke", key_id).stdout
    refused = pskd("keys", "create", "robot", "--scope", "fly")
    assert (refused.exit_code, "'fly' is not one of" in refused.stderr) == (2, True)


def test_what_is_stored_is_told(pskd: Pskd, trained: str) -> None:
    """What a real import and training have stored is counted as it is put, and shown as text and as JSON."""
    found = json.loads(pskd("usage", "--json").stdout)
    kinds = found["kinds"]
    assert min(kinds[kind]["size_bytes"] for kind in ("datasets", "model_versions", "runs")) > 1000
    assert (kinds["model_versions"]["count"], found["unmeasured"], found["limit_bytes"]) == (2, 0, None)
    shown = pskd("usage").stdout
    assert "model versions" in shown
    assert "in all; no limit is set" in shown


def test_things_are_deleted_by_command(pskd: Pskd, service: Client) -> None:
    """A dataset with a job is kept and says why with exit code 1; forced, both go and the counts are told."""
    dataset = service.wait_for_dataset(service.import_synthetic("passing", subjects=2, trials=2, classes=2).id)
    job = service.submit({**SMALL_SPEC, "dataset": dataset.id, "protocol": {**SPLIT, "train": ["1"], "test": ["2"]}})
    service.cancel(job.id)
    assert service.wait(job.id).state == "cancelled"
    kept = pskd("dataset", "delete", "passing")
    assert (kept.exit_code, job.id in kept.stderr, "force" in kept.stderr) == (1, True, True)
    assert json.loads(pskd("jobs", "delete", job.id, "--json").stdout) == {"removed": {"jobs": 1}}
    assert "deleted: 1 datasets" in pskd("dataset", "delete", dataset.id).stdout
    assert pskd("models", "delete", "nobody").exit_code == 1


def test_a_running_stack_is_well(pskd: Pskd, addresses: Addresses) -> None:
    """Each part, the service, broker, MLflow, database and store of a stack at work pass its examination."""
    assert eventually(lambda: _answers(f"{addresses.mlflow_url}/health"), within_s=120)
    examined = pskd("doctor", "--home", addresses.home, "--json")
    told = json.loads(examined.stdout)
    assert [check for check in told["checks"] if check["status"] == "fail"] == []
    assert examined.exit_code == 0
    checks = {(check["check"], check["where"]) for check in told["checks"]}
    assert {("part", name) for name in ("api", "broker", "keeper", "mlflow", "worker")} <= checks
    expected = {"stack", "service", "broker", "MLflow", "database", "schema", "object store", "workers", "leases"}
    assert expected <= {check for check, _ in checks}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False
