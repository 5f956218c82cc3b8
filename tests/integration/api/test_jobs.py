"""Jobs: submit, estimate, read, ask something of them."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store import jobs, runs, workers
from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import PREDICTIONS, SPEC, Stored
from tests.integration.api.test_conventions import problem


@ON_BOTH
def test_a_submitted_job_is_there_at_once(service: TestClient, stored: Stored) -> None:
    """202 with Location; the job is queued with a run for each seed, and a worker can claim them."""
    dataset_id = stored.dataset()
    answer = service.post("/v1/jobs", json=SPEC | {"seeds": [0, 1]})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["state"], job["dataset_id"], job["name"]) == ("queued", dataset_id, "tiny")
    assert job["progress"] == {"runs": {"queued": 2}, "epochs_done": 0, "epochs": 4, "fraction": 0.0}
    assert service.get(answer.headers["location"]).json() == job
    assert stored.claim().job_id == job["id"]


def test_a_preset_is_laid_under_the_fields_given(service: TestClient, stored: Stored) -> None:
    """A recipe needs a dataset and nothing else, and any field may differ from it."""
    stored.dataset()
    body = {"preset": "demo", "dataset": "tiny", "training": {"epochs": 3}, "method": {"loss": {"gamma": 0.1}}}
    job = service.post("/v1/jobs", json=body).json()
    assert job["spec"]["training"]["epochs"] == 3
    assert job["spec"]["method"]["loss"]["gamma"] == 0.1
    assert [teacher["name"] for teacher in job["spec"]["method"]["teachers"]] == ["skeleton", "fusion"]


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({"training": {"epochs": 0, "batch_size": 4}}, ["/training/epochs", "/training/batch_size"]),
        ({"colour": "red"}, ["/colour"]),
        ({"method": {"kind": "distill", "loss": {"weighting": {"gate": "open"}}}}, ["/method/loss/weighting/gate"]),
        ({"student": {"inputs": ["skeleton"], "backbone": {"kind": "resnet1d"}}}, ["/student"]),
        ({"preset": "nobody"}, ["/preset"]),
        ({"dataset": None}, ["/dataset"]),
        ({"dataset": "nobody"}, ["/dataset"]),
        ({"protocol": {"kind": "named", "name": "cross_view"}}, ["/protocol/name"]),
        ({"student": {"inputs": ["magnetometer"], "backbone": {"kind": "resnet1d"}}}, ["/student/inputs"]),
        ({"validation": {"kind": "subjects", "subjects": ["2"]}}, ["/validation/subjects"]),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_wrong_spec_is_pointed_at(
    service: TestClient, stored: Stored, fields: dict[str, Any], pointers: list[str], dry_run: bool
) -> None:
    """Each fault has its JSON pointer, whether pydantic, the spec's own rules or the dataset finds it."""
    stored.dataset()
    answer = service.post("/v1/jobs", json=SPEC | fields, params={"dry_run": dry_run})
    faults = problem(answer, 422, "invalid-spec")["errors"]
    assert [fault["pointer"] for fault in faults] == pointers
    assert service.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_dataset_without_the_protocol_s_subjects_names_them(
    service: TestClient, stored: Stored, dry_run: bool
) -> None:
    """The answer lists who is missing, and no job is made."""
    stored.dataset()
    protocol = {"kind": "subjects", "train": ["1", "3", "9"], "test": ["2", "10"]}
    answer = service.post("/v1/jobs", json=SPEC | {"protocol": protocol}, params={"dry_run": dry_run})
    content = problem(answer, 422, "protocol-not-possible")
    assert content["missing"] == ["subject 9"]
    assert "subject 9" in content["detail"]
    assert service.get("/v1/jobs").json()["items"] == []


@ON_BOTH
def test_a_job_waits_for_its_dataset(service: TestClient, stored: Stored) -> None:
    """A job may be submitted while its dataset is being imported; it starts when that ends."""
    service.post("/v1/datasets", json={"name": "tiny", "source": {"kind": "synthetic"}})
    job = service.post("/v1/jobs", json=SPEC).json()
    assert (job["state"], job["progress"], job["eta_s"]) == ("validating", None, None)
    stored.finish_import()
    assert service.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued"


@ON_BOTH
def test_a_failed_dataset_serves_no_job(service: TestClient, stored: Stored) -> None:
    """Waiting jobs fail with the import and say why; new ones are refused."""
    service.post("/v1/datasets", json={"name": "tiny", "source": {"kind": "synthetic"}})
    job = service.post("/v1/jobs", json=SPEC).json()
    stored.fail_import("row 7 of a.csv is no number")
    shown = service.get(f"/v1/jobs/{job['id']}").json()
    assert (shown["state"], shown["cause"]) == ("failed", "data")
    assert "row 7" in shown["detail"]
    assert "row 7" in problem(service.post("/v1/jobs", json=SPEC), 409, "dataset-not-usable")["detail"]


def test_a_dry_run_counts_the_work(service: TestClient, stored: Stored) -> None:
    """Runs, epochs and steps are those that the job would have, and nothing is submitted."""
    stored.dataset()
    spec = {
        "dataset": "tiny",
        "protocol": {"kind": "loso"},
        "training": {"epochs": 5, "batch_size": 8},
        "seeds": [0, 1, 2],
    }
    answer = service.post("/v1/jobs?dry_run=true", json=spec)
    assert answer.status_code == 200
    estimate = answer.json()
    assert [fold["fold"] for fold in estimate["folds"]] == ["loso:1", "loso:2", "loso:3", "loso:4"]
    # 18 training recordings in batches of 8: the remainder of 2 joins the second. Student and two teachers.
    assert estimate["folds"][0] == {"fold": "loso:1", "train": 18, "validation": 0, "test": 6, "steps": 2 * 5 * 3}
    assert estimate["runs"] == 12
    assert estimate["epochs"] == 10
    assert estimate["steps"] == 12 * 30
    assert estimate["spec"]["method"]["kind"] == "distill"
    assert service.get("/v1/jobs").json()["items"] == []


def test_a_dry_run_on_a_dataset_that_is_not_ready(service: TestClient) -> None:
    """The spec is checked; what depends on the recordings is not known yet."""
    service.post("/v1/datasets", json={"name": "tiny", "source": {"kind": "synthetic"}})
    estimate = service.post("/v1/jobs?dry_run=true", json=SPEC).json()
    assert (estimate["folds"], estimate["runs"], estimate["steps"], estimate["epochs"]) == (None, None, None, 2)


@ON_BOTH
def test_progress_and_results_follow_the_runs(service: TestClient, stored: Stored) -> None:
    """A job shows how far it is and how long it will take; its runs show what they reached."""
    stored.dataset()
    job_id = stored.job(seeds=[0, 1])
    claimed = stored.claim()
    stored.train(claimed)
    shown = service.get(f"/v1/jobs/{job_id}").json()
    assert shown["state"] == "running"
    assert shown["progress"]["fraction"] == 0.5
    assert shown["progress"]["runs"] == {"running": 1, "queued": 1}
    assert shown["eta_s"] > 0
    stored.succeed(claimed)
    first, second = service.get(f"/v1/jobs/{job_id}/runs").json()["items"]
    assert (first["seed"], first["state"], first["result"]["test"]["accuracy"]) == (0, "succeeded", 0.75)
    assert (second["seed"], second["state"], second["result"]) == (1, "queued", None)


@ON_BOTH
def test_runs_come_in_pages(service: TestClient, stored: Stored) -> None:
    """A job of many runs is read bit by bit, in the order in which they run."""
    stored.dataset()
    job_id = stored.job(seeds=[3, 1, 2])
    first = service.get(f"/v1/jobs/{job_id}/runs?limit=2").json()
    rest = service.get(f"/v1/jobs/{job_id}/runs?limit=2&cursor={first['next_cursor']}").json()
    assert [run["seed"] for run in first["items"] + rest["items"]] == [3, 1, 2]
    assert rest["next_cursor"] is None


@ON_BOTH
def test_a_failed_run_says_why(service: TestClient, stored: Stored) -> None:
    """The job takes its failed run's cause, its other results stay, and a retry queues what failed."""
    stored.dataset()
    job_id = stored.job(seeds=[0, 1])
    stored.succeed(stored.claim())
    stored.fail(stored.claim().claim, "loss term ce of student is nan at step 3")
    shown = service.get(f"/v1/jobs/{job_id}").json()
    assert (shown["state"], shown["cause"], shown["eta_s"]) == ("failed", "nan_loss", None)
    assert "at step 3" in shown["detail"]
    retried = service.post(f"/v1/jobs/{job_id}/retry").json()
    assert retried["progress"]["runs"] == {"succeeded": 1, "queued": 1}


@ON_BOTH
def test_cancel_pause_and_resume(service: TestClient, stored: Stored) -> None:
    """What users may ask of a job changes it at once; what makes no sense any more is a conflict."""
    stored.dataset()
    job_id = stored.job()
    assert service.post(f"/v1/jobs/{job_id}/pause").json()["state"] == "paused"
    assert service.post(f"/v1/jobs/{job_id}/resume").json()["state"] == "queued"
    assert service.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert service.post(f"/v1/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    for verb in ("pause", "resume", "retry"):
        problem(service.post(f"/v1/jobs/{job_id}/{verb}"), 409, "illegal-transition")
        problem(service.post(f"/v1/jobs/job_x/{verb}"), 404, "not-found")


@ON_BOTH
def test_curves_come_run_by_run(service: TestClient, stored: Stored) -> None:
    """Each loss term is a curve over epochs; a run without epochs has none yet; names choose."""
    stored.dataset()
    job_id = stored.job(seeds=[0, 1])
    stored.train(stored.claim())
    first, second = service.get(f"/v1/jobs/{job_id}/metrics").json()["runs"]
    assert first["curves"] == {
        "student/ce": {"steps": [0, 1], "values": [0.5, 0.5]},
        "student/total": {"steps": [0, 1], "values": [1.0, 0.5]},
    }
    assert (second["seed"], second["curves"]) == (1, {})
    chosen = service.get(f"/v1/jobs/{job_id}/metrics?name=student/ce&name=none").json()["runs"]
    assert list(chosen[0]["curves"]) == ["student/ce"]
    of_classes, _ = service.get(f"/v1/jobs/{job_id}/metrics?by_class=true").json()["runs"]
    assert of_classes["curves"] == {"by_class/student/follows/a/1": {"steps": [0, 1], "values": [0.0, 0.25]}}
    events = service.get(f"/v1/jobs/{job_id}/events").json()["items"]
    assert all("by_class" not in str(event) for event in events)


@ON_BOTH
def test_a_report_is_there_once_a_run_has_succeeded(service: TestClient, stored: Stored) -> None:
    """Confusion matrix and scores belong to a finished run; before, there is no report."""
    stored.dataset()
    stored.job()
    claimed = stored.claim()
    problem(service.get(f"/v1/runs/{claimed.run_id}/report"), 404, "not-found")
    stored.succeed(claimed)
    shown = service.get(f"/v1/runs/{claimed.run_id}/report").json()
    assert shown["report"]["test"]["confusion"][2] == [0, 3, 1]
    assert (shown["job_id"], shown["seed"], shown["fold"]) == (claimed.job_id, 0, "all")


@ON_BOTH
def test_lists_show_states_alone(service: TestClient, stored: Stored) -> None:
    """A page of jobs has their progress without a query for each, and can be narrowed to a state."""
    stored.dataset()
    waiting, done = stored.job(seeds=[1]), stored.finished_job(seeds=[1, 2])
    items = service.get("/v1/jobs").json()["items"]
    assert [job["id"] for job in items] == [done, waiting]
    assert "spec" not in items[0]
    assert [job["id"] for job in service.get("/v1/jobs?state=queued").json()["items"]] != [done]
    with stored.database.read() as session:
        assert len(jobs.runs_of(session, [waiting, done])) == 3


@ON_BOTH
def test_predictions_are_a_file(service: TestClient, stored: Stored) -> None:
    """The stored bytes come as they are, under the run's name; before the run has succeeded there are none."""
    stored.dataset()
    stored.job()
    claimed = stored.claim()
    path = f"/v1/runs/{claimed.run_id}/predictions"
    assert "predictions" in problem(service.get(path), 404, "not-found")["detail"]
    stored.succeed(claimed)
    answer = service.get(path)
    assert (answer.status_code, answer.content) == (200, PREDICTIONS)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert f"{claimed.run_id}.npz" in answer.headers["content-disposition"]
    problem(service.get("/v1/runs/run_absent/predictions"), 404, "not-found")


@ON_BOTH
def test_a_job_that_nobody_serves_says_so(service: TestClient, stored: Stored) -> None:
    """Without a worker for its queue the job's answer warns; once one is seen it does not, and `system` shows it."""
    stored.dataset()
    job_id = service.post("/v1/jobs", json=SPEC | {"resources": {"device": "cuda", "priority": 3}}).json()["id"]
    (warning,) = service.get(f"/v1/jobs/{job_id}").json()["warnings"]
    assert warning.startswith("no worker of queue gpu has been seen")
    with stored.database.write() as session:
        workers.seen(session, "host:1", queues=["gpu"], device="cuda", devices=["0", "1"], runs_at_once=2)
    assert service.get(f"/v1/jobs/{job_id}").json()["warnings"] == []
    system = service.get("/v1/system").json()
    assert system["queues"] == {"gpu": {"waiting": 1, "running": 0, "workers": 1}}
    (worker,) = system["workers"]
    assert (worker["name"], worker["lives"], worker["slots"], worker["devices"]) == ("host:1", True, 2, ["0", "1"])


@ON_BOTH
@pytest.mark.parametrize("resources", [{"priority": 101}, {"priority": -101}, {"deadline_s": 0}])
def test_priorities_and_deadlines_are_bounded(service: TestClient, stored: Stored, resources: dict[str, Any]) -> None:
    """What is out of bounds is refused at its place."""
    stored.dataset()
    told = problem(service.post("/v1/jobs", json=SPEC | {"resources": resources}), 422, "invalid-spec")
    assert told["errors"][0]["pointer"] == f"/resources/{next(iter(resources))}"


def test_a_checkpoint_is_listed_and_downloaded(service: TestClient, stored: Stored, tmp_path: Path) -> None:
    """The newest one with its size, as a zip of its files; another epoch, and one that has gone meanwhile, is a 404."""
    stored.dataset()
    stored.job()
    run = stored.claim()
    url = f"/v1/runs/{run.run_id}/checkpoints"
    assert service.get(url).json() == {"items": [], "next_cursor": None}
    folder = tmp_path / "checkpoint"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "weights.safetensors").write_bytes(b"weights")
    (folder / "state.json").write_text("{}")
    digest = stored.objects.put_tree(folder)
    with stored.database.write() as session:
        runs.save_checkpoint(session, run.claim, digest=digest, size_bytes=9, epoch=3)
    assert service.get(url).json()["items"] == [{"epoch": 3, "size_bytes": 9, "digest": digest}]
    answer = service.get(f"{url}/3")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        assert files.namelist() == ["part/weights.safetensors", "state.json"]
        assert files.read("part/weights.safetensors") == b"weights"
    problem(service.get(f"{url}/2"), 404, "not-found")
    with stored.database.write() as session:
        runs.save_checkpoint(session, run.claim, digest="0" * 64, size_bytes=9, epoch=4)
    problem(service.get(f"{url}/4"), 404, "not-found")
