"""The SDK for programs that await: operations of `Client` in threads; what waits for long waits in the event loop.

Example:
    async with AsyncClient() as service:
        job = await service.submit({"preset": "demo", "dataset": "demo", "seeds": [0, 1]})
        async for event in service.follow(job.id):
            print(event.kind, event.data)
"""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from numpy.typing import ArrayLike

from client.answers import Dataset, Event, Job, Sweep
from client.api import FOLLOW_ATTEMPTS, Client, is_imported
from client.asking import ENDED, LOOK_EVERY_S
from client.classifications import LongClassification
from client.errors import Refused, Unreachable
from client.events import EventReader
from client.live import Asked, Told, labels_async
from client.transport import Patience

P = ParamSpec("P")
R = TypeVar("R")
_DONE: Any = object()


def _awaited(
    method: Callable[Concatenate[Client, P], R],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, R]]:
    """A method that asks once, or again where that helps."""

    @wraps(method)
    async def call(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self.client, *args, **kwargs)

    return call


def _paged(
    method: Callable[Concatenate[Client, P], Iterator[R]],
) -> Callable[Concatenate["AsyncClient", P], AsyncIterator[R]]:
    """A method that lists page after page, or line after line."""

    @wraps(method)
    async def call(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        found = method(self.client, *args, **kwargs)
        while (item := await asyncio.to_thread(next, found, _DONE)) is not _DONE:
            yield item

    return call


class AsyncClient:
    """A `Client` to be awaited, with the same methods; several may be under way at a time.

    Who cancels a call has its task back at once; a request that was sent is answered in its thread, unheard. So a
    creation that was cancelled may have happened: submitting again with a `key` of one's own finds it.
    """

    def __init__(self, url: str | None = None, *, api_key: str | None = None) -> None:
        self.client = Client(url, api_key=api_key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    close = _awaited(Client.close)

    upload_dataset = _awaited(Client.upload_dataset)
    import_path = _awaited(Client.import_path)
    import_synthetic = _awaited(Client.import_synthetic)
    datasets = _paged(Client.datasets)
    dataset = _awaited(Client.dataset)
    find_dataset = _awaited(Client.find_dataset)
    delete_dataset = _awaited(Client.delete_dataset)
    recordings = _paged(Client.recordings)
    recording = _awaited(Client.recording)

    submit = _awaited(Client.submit)
    estimate = _awaited(Client.estimate)
    jobs = _paged(Client.jobs)
    job = _awaited(Client.job)
    runs = _paged(Client.runs)
    report = _awaited(Client.report)
    predictions = _awaited(Client.predictions)
    cancel = _awaited(Client.cancel)
    pause = _awaited(Client.pause)
    resume = _awaited(Client.resume)
    retry = _awaited(Client.retry)
    delete_job = _awaited(Client.delete_job)
    metrics = _awaited(Client.metrics)
    events = _paged(Client.events)

    submit_sweep = _awaited(Client.submit_sweep)
    estimate_sweep = _awaited(Client.estimate_sweep)
    sweeps = _paged(Client.sweeps)
    sweep = _awaited(Client.sweep)
    sweep_summary = _awaited(Client.sweep_summary)
    cancel_sweep = _awaited(Client.cancel_sweep)
    delete_sweep = _awaited(Client.delete_sweep)

    leaderboard = _paged(Client.leaderboard)
    published = _awaited(Client.published)
    compare = _awaited(Client.compare)
    models = _paged(Client.models)
    promote = _awaited(Client.promote)
    history = _paged(Client.history)
    delete_model = _awaited(Client.delete_model)
    classify = _awaited(Client.classify)
    classify_long = _awaited(Client.classify_long)
    classifications = _paged(Client.classifications)
    classification = _awaited(Client.classification)
    cancel_classification = _awaited(Client.cancel_classification)
    delete_classification = _awaited(Client.delete_classification)
    segments = _paged(Client.segments)
    windows = _paged(Client.windows)

    create_key = _awaited(Client.create_key)
    keys = _paged(Client.keys)
    revoke_key = _awaited(Client.revoke_key)
    usage = _awaited(Client.usage)
    add_webhook = _awaited(Client.add_webhook)
    webhooks = _paged(Client.webhooks)
    deliveries = _paged(Client.deliveries)
    test_webhook = _awaited(Client.test_webhook)
    remove_webhook = _awaited(Client.remove_webhook)

    async def wait_for_dataset(self, dataset_id: str, *, timeout_s: float = 3600.0) -> Dataset:
        """As `Client.wait_for_dataset`."""
        began = time.monotonic()
        while True:
            dataset = await self.dataset(dataset_id)
            if is_imported(dataset, waited_s=time.monotonic() - began, most_s=timeout_s):
                return dataset
            await asyncio.sleep(LOOK_EVERY_S)

    async def follow(self, job_id: str, *, after: int = 0) -> AsyncIterator[Event]:
        """As `Client.follow`."""
        patience = Patience(attempts=FOLLOW_ATTEMPTS)
        while True:
            try:
                headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
                async with self.client.transport.stream_async(f"/v1/jobs/{job_id}/events", headers) as response:
                    if response.status_code == 204:  # the job has ended and all was told
                        return
                    reader = EventReader()
                    async for line in response.aiter_lines():
                        if (event := reader.take(line)) is not None:
                            after = event.seq
                            patience.renew()
                            yield event
            except (Unreachable, Refused) as error:
                await asyncio.sleep(patience.pause_after(error))

    async def wait(self, job_id: str) -> Job:
        """The job once it has ended, however it ended."""
        async for _ in self.follow(job_id):
            pass
        return await self.job(job_id)

    async def follow_sweep(self, sweep_id: str) -> AsyncIterator[Sweep]:
        """As `Client.follow_sweep`."""
        yield (seen := await self.sweep(sweep_id))
        while seen.state not in ENDED:
            await asyncio.sleep(LOOK_EVERY_S)
            now = await self.sweep_summary(sweep_id)
            if (now.state, now.counts) != (seen.state, seen.counts):
                yield (seen := await self.sweep(sweep_id))

    async def follow_classification(self, classification_id: str) -> AsyncIterator[LongClassification]:
        """As `Client.follow_classification`."""
        yield (seen := await self.classification(classification_id))
        while seen.state not in ENDED:
            await asyncio.sleep(LOOK_EVERY_S)
            now = await self.classification(classification_id)
            if (now.state, now.progress) != (seen.state, seen.progress):
                yield (seen := now)

    def live(self, model: str, samples: AsyncIterable[ArrayLike], **asked: Unpack[Asked]) -> AsyncIterator[Told]:
        """As `Client.live`, of samples that are awaited, as those of a radio are."""
        return labels_async(self.client.transport, model, samples, asked)
