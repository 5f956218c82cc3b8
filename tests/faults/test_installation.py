"""What a campaign counts as a fault."""

from pathlib import Path

import redis

from tests.faults.installation import Fault, Installation
from tests.faults.load import Log
from tests.integration.worker.stack import running
from tests.services import valkey_server

LOSE, REPEAT = (Fault(kind, after_s=0.0, lasts_s=0.0, choice=0) for kind in ("lose_wakes", "repeat_wakes"))


def test_wakes_are_lost_only_where_some_wait(tmp_path: Path, sqlite_url: str) -> None:
    """Emptying a queue that is empty counts as no injection; emptying one with wakes does, and they are gone."""
    with (
        valkey_server() as broker,
        broker.running() as url,
        running(tmp_path / "home", database_url=sqlite_url, broker_url=url) as stack,
        redis.Redis.from_url(url) as client,
    ):
        installation = Installation(stack, broker, broker, None, (0, 0), Log(tmp_path / "history.jsonl"))
        installation.inject(LOSE)
        assert not installation.injected
        installation.inject(REPEAT)
        assert client.llen("cpu") == 2
        installation.inject(LOSE)
        assert client.llen("cpu") == 0
        assert installation.injected == {"repeat_wakes": 1, "lose_wakes": 1}
