"""Loops beside the work: how they live through outages."""

import logging

import pytest

from store.loops import Loop


class Server:
    """Something that can be away."""

    def __init__(self) -> None:
        self.up, self.more = True, False

    def action(self) -> bool:
        if not self.up:
            raise ConnectionError("refused")
        return self.more


def test_an_outage_is_logged_once_and_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    """Pauses grow to five seconds, one trace and one all-clear are written, and the period is back at once."""
    caplog.set_level(logging.INFO, "store.loops")
    server = Server()
    loop = Loop("relay", server.action, period_s=0.1)
    server.up = False
    assert [loop.once() for _ in range(7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    server.up = True
    assert loop.once() == 0.1
    server.up = False
    assert loop.once() == 0.25
    messages = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert messages == ["in trouble; it tries again until that has passed", "works again", messages[0]]


def test_a_backlog_is_worked_off_without_pauses() -> None:
    """While there is more to do, the next round follows at once."""
    server = Server()
    server.more = True
    assert Loop("tracker", server.action, period_s=1.0).once() == 0.0
