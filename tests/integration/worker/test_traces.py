"""One trace from the request that submits a job to what its run's process does."""

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from store.lifecycle import JobState
from tests.collector import Told, collecting
from tests.integration.worker.stack import Stack, until
from tests.small import SMALL_SPEC


def test_a_run_s_spans_join_the_submit_s_trace(sqlite_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submit, attempt, and what its process does: three processes, one trace, each span below the one that began it."""
    sqlite_stack.add_dataset()
    with collecting(monkeypatch) as collector:
        worker = sqlite_stack.start("worker")
        sqlite_stack.start("worker.keeper")
        with TestClient(create_app(sqlite_stack.settings), base_url="http://127.0.0.1") as service:
            until(lambda: service.get("/v1/datasets").json()["items"][0]["state"] == "ready", what="the dataset")
            submitted = service.post("/v1/jobs", json={**SMALL_SPEC, "dataset": "made"})
            assert submitted.status_code == 202, submitted.text
            job_id = submitted.json()["id"]
            until(lambda: sqlite_stack.job(job_id).state is JobState.SUCCEEDED, what="the end of the job")
            until(lambda: "finish" in {span.name for span in collector.spans}, what="the last span of the run")
        worker.terminate()
        worker.wait(20)
        spans = collector.spans
    (submit,) = (span for span in spans if span.name == "POST /v1/jobs")
    trace = [span for span in spans if span.trace_id == submit.trace_id]

    def below(parent: Told) -> dict[str, Told]:
        return {span.name: span for span in trace if span.parent_id == parent.span_id}

    assert list(below(submit)) == ["run"]
    run = below(submit)["run"]
    assert (run.service, run.attributes["pskd.job_id"], run.attributes["pskd.attempt"]) == ("pskd-worker", job_id, 1)
    steps = below(run)
    assert set(steps) == {"prepare", "train", "finish"}
    assert {step.service for step in steps.values()} == {"pskd-run"}
    assert len(trace) == 5
    assert not [span for span in trace if span.failed]
