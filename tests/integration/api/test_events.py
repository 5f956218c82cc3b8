"""What happens to a job, as pages and as a stream."""

from fastapi.testclient import TestClient

from tests.integration.api.conftest import ON_BOTH
from tests.integration.api.stored import Stored
from tests.integration.api.test_conventions import problem

STREAM = {"Accept": "text/event-stream"}


def ids(stream: str) -> list[int]:
    """The numbers of the events in a stream."""
    return [int(line.removeprefix("id: ")) for line in stream.splitlines() if line.startswith("id: ")]


@ON_BOTH
def test_events_come_in_pages_without_gaps(service: TestClient, stored: Stored) -> None:
    """From submission to the end, every event once and in order."""
    stored.dataset()
    job_id, seen, cursor = stored.finished_job(), [], ""
    while True:
        page = service.get(f"/v1/jobs/{job_id}/events?limit=3{cursor}").json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[0]["data"]["state"] == "queued"
    assert seen[-1] == {"seq": len(seen), "kind": "job.state", "at": seen[-1]["at"], "data": {"state": "succeeded"}}
    assert [event["data"]["epoch"] for event in seen if event["kind"] == "run.epoch"] == [0, 1]


def test_pages_go_on_after_an_event(service: TestClient, stored: Stored) -> None:
    """A program that polls asks for what it has not seen."""
    stored.dataset()
    job_id = stored.finished_job()
    rest = service.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "3"}).json()["items"]
    assert rest[0]["seq"] == 4


@ON_BOTH
def test_a_stream_of_an_ended_job_ends(service: TestClient, stored: Stored) -> None:
    """The stream holds the same events as the pages, and closes after the last one."""
    stored.dataset()
    job_id = stored.finished_job()
    answer = service.get(f"/v1/jobs/{job_id}/events", headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    pages = service.get(f"/v1/jobs/{job_id}/events").json()["items"]
    assert ids(answer.text) == [event["seq"] for event in pages]


def test_a_stream_takes_up_where_it_was_cut(service: TestClient, stored: Stored) -> None:
    """`Last-Event-ID` replays what came after; a job that has nothing left to say tells the browser to stop asking."""
    stored.dataset()
    job_id = stored.finished_job()
    last = service.get(f"/v1/jobs/{job_id}/events").json()["items"][-1]["seq"]
    resumed = service.get(f"/v1/jobs/{job_id}/events", headers=STREAM | {"Last-Event-ID": str(last - 2)})
    assert ids(resumed.text) == [last - 1, last]
    done = service.get(f"/v1/jobs/{job_id}/events", headers=STREAM | {"Last-Event-ID": str(last)})
    assert done.status_code == 204


def test_a_stream_of_nothing_is_refused(service: TestClient, stored: Stored) -> None:
    """An unknown job and a damaged number are problems, not empty streams."""
    stored.dataset()
    problem(service.get("/v1/jobs/job_x/events", headers=STREAM), 404, "not-found")
    for wrong in ("-1", "x", "99999999999"):
        answer = service.get(f"/v1/jobs/{stored.job()}/events", headers=STREAM | {"Last-Event-ID": wrong})
        assert problem(answer, 422, "invalid-request")["errors"][0]["header"] == "last-event-id"
