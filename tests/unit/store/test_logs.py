"""What stands in the log, and what never does."""

import json
import logging
import threading

import pytest

from store import logs
from store.logs import JsonLines, TextLines, without_secrets


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "worker.tasks", "levelname": "INFO", "msg": message})
    vars(made).update(extra)
    return made


def test_a_line_is_one_object() -> None:
    """A machine finds time, level, logger, message, what the process is about, and what was given along."""
    line = JsonLines({"run_id": "run_1"}).format(record("two\nlines", status=200, color_message="\x1b[1m"))
    content = json.loads(line)
    assert "\n" not in line
    assert content.pop("time").endswith("+00:00")
    assert content == {
        "level": "info", "logger": "worker.tasks", "message": "two\nlines", "run_id": "run_1", "status": 200
    }  # fmt: skip


def test_a_crash_is_in_the_line() -> None:
    """The trace belongs to the object; it does not follow as loose lines."""
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as crash:
        line = JsonLines({}).format(record("failed", exc_info=(type(crash), crash, crash.__traceback__)))
    assert "ZeroDivisionError" in json.loads(line)["error"]


def test_what_lines_are_about_reaches_them_and_ends() -> None:
    """Lines inside the block name the request, also with what is learnt later; those outside do not."""
    fields, form = {"request_id": "r1"}, JsonLines({})
    with logs.about(fields):
        fields["tenant"] = "lab"
        inside = json.loads(form.format(record("x")))
        assert TextLines({}).format(record("x")).endswith("r1 lab: x")
    outside = json.loads(form.format(record("x")))
    assert (inside["request_id"], inside["tenant"]) == ("r1", "lab")
    assert "request_id" not in outside


def test_threads_are_about_their_own() -> None:
    """Two supervisors in one process do not name each other's runs."""
    seen: dict[str, str] = {}
    meet = threading.Barrier(2)

    def work(run_id: str) -> None:
        with logs.about({"run_id": run_id}):
            meet.wait(5)
            seen[run_id] = json.loads(JsonLines({}).format(record("x")))["run_id"]

    threads = [threading.Thread(target=work, args=(name,)) for name in ("run_1", "run_2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"run_1": "run_1", "run_2": "run_2"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key pskd_ab12cd34_R4nd0m-Secret_0123456789abcdef failed", "key pskd_… failed"),
        ("{'authorization': 'Bearer abc.def'}", "{'authorization': 'Bearer …'}"),
        ("Basic dXNlcjpwYXNz", "Basic …"),
        ("redis://:pa55@redis:6379/0", "redis://:…@redis:6379/0"),
        ("postgresql://pskd:pa55@db/pskd", "postgresql://pskd:…@db/pskd"),
        ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==", "signed with whsec_…"),
        ("pskd_core/training/loop.py of pskd_http_requests", "pskd_core/training/loop.py of pskd_http_requests"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    """Whatever message a key slipped into, the log does not hold it; other words stay."""
    assert without_secrets(text) == shown


@pytest.mark.parametrize("form", [JsonLines({}), TextLines({})])
def test_no_form_holds_a_secret(form: logging.Formatter) -> None:
    """The message, what was given along and the trace are all looked at."""
    secret = "pskd_ab12cd34_R4nd0m-Secret_0123456789abcdef"
    try:
        raise ValueError(secret)  # noqa: TRY301
    except ValueError as crash:
        line = form.format(record(f"Bearer {secret}", key=secret, exc_info=(ValueError, crash, crash.__traceback__)))
    assert "R4nd0m" not in line
