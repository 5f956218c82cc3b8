"""A run of two processes under a real worker: killed, paused, resumed, cancelled."""

import subprocess
from typing import Any

import psutil

from store import jobs
from tests.integration.worker.stack import Stack, all_gone, children_of, until

SHARED: dict[str, Any] = {"training": {"epochs": 6, "batch_size": 16}, "resources": {"processes": 2}}


def helpers_of(worker: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """The processes that runs of the worker have started."""
    found = []
    for child in children_of(worker):
        try:
            found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_run_of_two_processes_survives_one_of_them(sqlite_stack: Stack) -> None:
    """Its death costs an attempt and no lease; pausing and cancelling reach both, and it ends with every epoch."""
    worker = sqlite_stack.start("worker", lease_s=120, heartbeat_s=1)
    sqlite_stack.start("worker.keeper", lease_s=120, heartbeat_s=1)
    sqlite_stack.add_dataset()
    job_id = sqlite_stack.submit(**SHARED)
    sqlite_stack.wait_for_epoch(job_id, 1)
    (helper,) = helpers_of(worker)
    helper.kill()
    until(lambda: sqlite_stack.runs(job_id)[0].attempts == 2, within_s=100, what="the second attempt")
    (warning,) = [event.data["detail"] for event in sqlite_stack.events(job_id) if event.kind == "warning"]
    assert warning == "will be tried again: process 2 of 2 was killed by signal 9"

    (helper,) = until(lambda: helpers_of(worker), what="the other process of the second attempt")
    with sqlite_stack.database.write() as session:
        jobs.pause(session, job_id)
    sqlite_stack.wait_for_job(job_id, "paused")
    until(lambda: all_gone([helper]), within_s=10, what="the end of the other process")
    with sqlite_stack.database.write() as session:
        jobs.resume(session, job_id)
    sqlite_stack.wait_for_job(job_id, "succeeded")
    (run,) = sqlite_stack.runs(job_id)
    steps = [step for name, step in sqlite_stack.metrics(run.id) if name == "student/total"]
    assert sorted(steps) == list(range(1, 12, 2))
    assert run.report is not None
    assert run.report["environment"]["processes"] == "2"
    assert helpers_of(worker) == []
