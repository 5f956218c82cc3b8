"""Mutated uploads against a running service: `make fuzz`.

Recordings to be classified, and archives to be imported, damaged by a seed that is printed. No answer may be a failure
of the server or take too long, nothing may be written or made outside the service's places, no import may end with a
fault of ours, and memory stays bounded. What was sent for an answer that is none is kept beside the result.
"""

import argparse
import json
import random
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

from tests.fuzz.corpus import ESCAPE, bombs, datasets, recordings
from tests.fuzz.mutate import drawn, mutated
from tests.fuzz.service import MODEL, Service, serving
from tests.meta.project import ROOT

ANSWER_S = 45.0  # waiting for a reader 10, reading 30, and some time for a busy machine
API_MIB, READER_MIB, IMPORT_MIB = 400, 2048, 4096 + 1024  # what its process may have at most
_CLIENTS = 4
_IMPORT_SHARE = 50  # one upload of so many is a dataset
_DRAWN_SHARE = 4  # and one of so many has values of hypothesis
_LOOK_S = 0.1
_ENDED = {"ready", "failed"}
_TYPES = ("text/csv", "text/plain", "text/tab-separated-values", "application/octet-stream")
_QUERIES: tuple[dict[str, Any], ...] = ({}, {}, {"rate_hz": 50}, {"rate_hz": 50, "unit": "g"}, {"unit": "m/s^2"})


class Upload(NamedTuple):
    """What is sent."""

    number: int
    kind: str  # `classify` or `dataset`
    name: str
    data: bytes


@dataclass
class Findings:
    """What came of it, written by all threads."""

    kept: Path
    statuses: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)  # ids
    slowest_s: float = 0.0
    peaks_mib: dict[str, float] = field(default_factory=dict)

    def violate(self, said: str, upload: Upload | None = None) -> None:
        """Note it, and keep what was sent."""
        if upload is not None:
            self.kept.mkdir(parents=True, exist_ok=True)
            (self.kept / f"{upload.number}-{upload.name}").write_bytes(upload.data)
            said = f"upload {upload.number} ({upload.kind} {upload.name}): {said}"
        self.violations.append(said)


def uploads(seed: int, count: int, *, canary: Path, imports: bool) -> Iterator[Upload]:
    """The same for the same seed: every bomb and every sound file once, then mutations."""
    chance = random.Random(seed)  # noqa: S311 - repeatable
    files, archives = recordings(canary), datasets(canary)
    whole = [("classify", *each) for each in (files | bombs()).items()]
    whole += [("dataset", *each) for each in archives.items()] if imports else []
    values = iter(drawn(max(count // _DRAWN_SHARE, 1), start=seed))
    for number in range(count):
        if number < len(whole):
            yield Upload(number, *whole[number])
        elif imports and number % _IMPORT_SHARE == 0:
            yield Upload(number, "dataset", *mutated(archives, chance))
        elif number % _DRAWN_SHARE == 0 and (data := next(values, None)) is not None:
            yield Upload(number, "classify", "drawn", data)
        else:
            yield Upload(number, "classify", *mutated(files | archives if chance.random() < 0.1 else files, chance))


def run(service: Service, found: Findings, *, seed: int, count: int, imports: bool) -> None:
    """Send it all, and look at what it has done."""
    canary, before = service.folder / "canary", _elsewhere(service)
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(service, found, done))
    watch.start()
    try:
        with httpx.Client(base_url=service.url, headers=service.headers, timeout=ANSWER_S) as http:
            with ThreadPoolExecutor(_CLIENTS) as clients:
                waiting = threading.Semaphore(4 * _CLIENTS)
                for upload in uploads(seed, count, canary=canary, imports=imports):
                    waiting.acquire()
                    clients.submit(_send, http, found, upload).add_done_callback(lambda _: waiting.release())
            _await_imports(http, found)
    finally:
        done.set()
        watch.join()
    _judge(service, found, canary, before)


def _send(http: httpx.Client, found: Findings, upload: Upload) -> None:
    chance = random.Random(upload.number)  # noqa: S311 - repeatable
    name = upload.name if chance.random() < 0.9 else f"../../{ESCAPE}\0\n{upload.name}"
    begun = time.monotonic()
    try:
        if upload.kind == "dataset":
            form = {"name": f"set {upload.number}"}
            answer = http.post("/v1/datasets", files={"file": (name, upload.data)}, data=form)
        elif chance.random() < 0.5:
            answer = http.post(_classify(), files={"file": (name, upload.data)}, params=chance.choice(_QUERIES))
        else:
            headers = {"Content-Type": chance.choice(_TYPES)}
            answer = http.post(_classify(), content=upload.data, headers=headers, params=chance.choice(_QUERIES))
    except httpx.HTTPError as none:
        found.violate(f"no answer ({type(none).__name__})", upload)
        return
    found.slowest_s = max(found.slowest_s, time.monotonic() - begun)
    found.statuses[f"{upload.kind} {answer.status_code}"] += 1
    if answer.status_code >= 500:
        found.violate(f"{answer.status_code} {answer.text[:300]}", upload)
    elif answer.status_code == 202:
        found.imports.append(answer.json()["id"])
    elif answer.is_error and answer.headers["content-type"] != "application/problem+json":
        found.violate(f"an error that is no problem: {answer.text[:300]}", upload)


def _classify() -> str:
    return f"/v1/models/{MODEL}/classify"


def _await_imports(http: httpx.Client, found: Findings) -> None:
    """Until each has ended, which has its cause."""
    deadline = time.monotonic() + 60 + 5 * len(found.imports)
    for dataset_id in found.imports:
        state: dict[str, Any] = {}
        while state.get("state") not in _ENDED and time.monotonic() < deadline:
            state = http.get(f"/v1/datasets/{dataset_id}").json()
            time.sleep(0 if state["state"] in _ENDED else _LOOK_S)
        found.statuses[f"import {state['state']} {state['cause'] or ''}".strip()] += 1
        if state["state"] not in _ENDED or state["cause"] not in {None, "data", "out_of_memory"}:
            found.violate(f"import {state['source']} {state['state']}: {state['cause']} {state['detail']}")


def _watch(service: Service, found: Findings, done: threading.Event) -> None:
    """The most memory that a process of each kind has had."""
    while not done.wait(_LOOK_S):
        for kind, processes in service.families().items():
            for process in processes:
                with suppress(psutil.Error):
                    size = process.memory_info().rss / 2**20
                    found.peaks_mib[kind] = max(found.peaks_mib.get(kind, 0.0), round(size, 1))


def _judge(service: Service, found: Findings, canary: Path, before: set[Path]) -> None:
    if not service.alive():
        found.violate("a process of the service has ended")
    if traces := service.log().count("Traceback"):
        found.statuses["traces in the log"] = traces
    if canary.exists():
        found.violate("a pickle was loaded")
    for path in sorted(_elsewhere(service) - before):
        found.violate(f"a file outside its place: {path}")
    for path in _escaped(service):
        found.violate(f"a name led out of its folder: {path}")
    for folder in (service.stack.settings.cache_dir / "uploads", service.stack.settings.scratch_dir):
        left = list(folder.glob("*/*" if folder.name == "scratch" else "*"))
        if left:
            found.violate(f"left behind in {folder.name}: {left[:5]}")
    limits = {"api": API_MIB, "api's children": READER_MIB, "worker's children": IMPORT_MIB}
    for kind, most in limits.items():
        if found.peaks_mib.get(kind, 0.0) > most:
            found.violate(f"{kind} had {found.peaks_mib[kind]} MiB, more than {most}")


def _elsewhere(service: Service) -> set[Path]:
    """What lies in the service's folder and is none of its own places."""
    own = [service.stack.settings.home / name for name in ("cache", "scratch", "objects")]
    own.append(Path(service.stack.settings.object_store_url))
    everything = service.folder.rglob("*")
    return {path for path in everything if path.suffix != ".log" and not any(path.is_relative_to(each) for each in own)}


def _escaped(service: Service) -> list[Path]:
    """Where the names in our archives would lead from any folder of the service, and what is called so below it."""
    places = [Path("/"), Path.home(), ROOT, Path(tempfile.gettempdir()), *service.folder.parents]
    return [
        *(place / ESCAPE for place in places if (place / ESCAPE).exists()),
        *(path for path in service.folder.rglob(f"*{ESCAPE}*")),
    ]


def main() -> int:
    """Send them, and write down what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--out", type=Path, default=ROOT / "build")
    asked = parser.parse_args()
    sys.stdout.write(f"seed {asked.seed}\n")
    sys.stdout.flush()
    began_at, found = time.monotonic(), Findings(asked.out / "fuzz")
    with (
        tempfile.TemporaryDirectory(prefix="pskd-fuzz-") as folder,
        serving(Path(folder) / "s", worker=True) as service,
    ):
        run(service, found, seed=asked.seed, count=asked.count, imports=True)
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "fuzz.log").write_text(service.log())
    result = {
        "seed": asked.seed,
        "uploads": asked.count,
        "answers": dict(sorted(found.statuses.items())),
        "slowest_s": round(found.slowest_s, 2),
        "peak_mib_of_a_process": found.peaks_mib,
        "violations": found.violations,
        "seconds": round(time.monotonic() - began_at, 1),
    }
    (asked.out / "fuzz.json").write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 1 if found.violations else 0


if __name__ == "__main__":
    sys.exit(main())
