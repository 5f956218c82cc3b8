"""Clients that submit, cancel, pause, resume and retry at random, and note every request with its answer."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.faults.checker import Request
from tests.small import SMALL_SPEC

_ANSWER_S = 10.0
_AGAIN_S = 0.3
_NOT_YET = frozenset({None, 409, 503})
_PLAIN = {**SMALL_SPEC, "method": {"kind": "none"}}
# Its student is not exported, which would take ten times as long as its training.
_BARE = {**_PLAIN, "student": {**SMALL_SPEC["student"], "inputs": ["gyroscope"]}}
_SPECS = ((_BARE, 0.75), (_PLAIN, 0.15), (SMALL_SPEC, 0.1))
# Of a job that has failed only the last is possible, of others never.
_ASKED = {"cancel": 2, "pause": 3, "resume": 4, "retry": 1}


@dataclass
class Log:
    """What has happened, in memory and as lines of JSON in a file; all threads write to it."""

    path: Path
    requests: list[Request] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, **what: Any) -> None:
        with self._lock, self.path.open("a") as file:
            file.write(json.dumps({"kind": kind, "at": time.time(), **what}, default=str) + "\n")

    def request(self, made: Request) -> None:
        self.requests.append(made)
        self.statuses[f"{made.kind} {made.status or 'no answer'}"] += 1
        self.note("request", **{"asked": made.kind, **{k: v for k, v in asdict(made).items() if k != "kind"}})


@dataclass
class Load:
    """Some clients of some API processes; jobs are shared, so that they meet on them."""

    urls: Sequence[str]
    log: Log
    seed: int
    most_open: int
    stopping: threading.Event = field(default_factory=threading.Event)
    jobs: dict[str, str] = field(default_factory=dict)  # by id: the state as last heard
    bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # by key

    def run(self, number: int) -> None:
        """One client, until it is stopped."""
        chance = random.Random(self.seed * 1000 + number)  # noqa: S311 - repeatable
        with httpx.Client(timeout=_ANSWER_S) as http:
            for place in range(10**6):
                if self.stopping.wait(chance.uniform(0.1, 0.6)):
                    return
                self._act(http, chance, key=f"{self.seed}-{number}-{place}")

    def _act(self, http: httpx.Client, chance: random.Random, *, key: str) -> None:
        heard = list(self.jobs.items())  # at one moment, since others add to it
        live = [job_id for job_id, state in heard if state not in {"succeeded", "failed", "cancelled"}]
        failed = [job_id for job_id, state in heard if state == "failed"]
        if len(live) < self.most_open:
            self.submit(http, chance, key, _body(chance, key))
        elif chance.random() < 0.1:
            again = chance.choice(list(self.bodies))
            self.submit(http, chance, again, self.bodies[again])
        elif failed and chance.random() < 0.1:
            self.ask(http, chance, chance.choice(failed), "retry")
        elif chance.random() < 0.2:
            self.ask(http, chance, chance.choice(live), *chance.choices(list(_ASKED), list(_ASKED.values())))
        else:
            self.look(http, chance, chance.choice(live))

    def submit(self, http: httpx.Client, chance: random.Random, key: str, body: Mapping[str, Any]) -> None:
        """Send it until it is acknowledged, as clients do; then perhaps once more."""
        self.bodies[key] = body
        for _ in range(200):
            status, answer = self._send(http, chance, "POST", "/v1/jobs", json=body, headers={"Idempotency-Key": key})
            job_id, state = answer.get("id"), answer.get("state")
            self.log.request(Request("submit", key, job_id, status, state, time.time()))
            if status == 202:
                self.jobs.setdefault(str(job_id), str(state))
            if status not in _NOT_YET and chance.random() < 0.9:
                return
            if self.stopping.wait(_AGAIN_S):
                return

    def ask(self, http: httpx.Client, chance: random.Random, job_id: str, what: str) -> None:
        self._hear(job_id, what, *self._send(http, chance, "POST", f"/v1/jobs/{job_id}/{what}"))

    def look(self, http: httpx.Client, chance: random.Random, job_id: str) -> None:
        self._hear(job_id, "look", *self._send(http, chance, "GET", f"/v1/jobs/{job_id}"))

    def _hear(self, job_id: str, asked: str, status: int | None, answer: Mapping[str, Any]) -> None:
        self.log.request(Request(asked, None, job_id, status, answer.get("state"), time.time()))
        if status == 200:
            self.jobs[job_id] = str(answer["state"])

    def _send(
        self, http: httpx.Client, chance: random.Random, method: str, path: str, **more: Any
    ) -> tuple[int | None, dict[str, Any]]:
        try:
            answer = http.request(method, chance.choice(self.urls) + path, **more)
            return answer.status_code, answer.json()
        except (httpx.HTTPError, ValueError):
            return None, {}


def _body(chance: random.Random, key: str) -> dict[str, Any]:
    """Few different specs, so that configurations and seeds repeat, also at the same time."""
    (spec,) = chance.choices([spec for spec, _ in _SPECS], [weight for _, weight in _SPECS])
    training = {"epochs": 2 if spec is SMALL_SPEC else chance.randint(2, 6), "batch_size": 16}
    seeds = [0, 1] if chance.random() < 0.2 else [chance.randint(0, 2)]
    return {**spec, "name": key, "dataset": "made", "training": training, "seeds": seeds}
