"""The client that is awaited, against a running stack."""

import asyncio
import io
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from client.asynchronous import AsyncClient
from client.errors import ImportFailed, NotFound, Refused, StreamBroken, WaitedTooLong
from tests.e2e.browsing import SPEC, SWEEP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def batches(count: int) -> AsyncIterator["np.ndarray[tuple[int, int], np.dtype[np.float64]]"]:
    """Half a second each of a wrist that swings."""
    for number in range(count):
        await asyncio.sleep(0)
        phase = np.arange(25 * number, 25 * (number + 1)) / 6
        yield np.stack([0.3 * np.sin(phase), 1 + 0.3 * np.cos(phase), 0.1 * np.ones(25)], axis=1)


def test_jobs_side_by_side_to_a_classified_stream(stack_url: str, dataset_id: str, job_id: str) -> None:
    """Several jobs are awaited at a time; lists, events and live labels are iterated."""

    async def act() -> None:
        async with AsyncClient(stack_url) as service:
            assert (await service.find_dataset("small")).id == dataset_id
            spec = {**SPEC, "name": "awaited"}
            jobs = await asyncio.gather(*(service.submit({**spec, "seeds": [seed]}) for seed in (0, 1)))
            kinds = [event.kind async for event in service.follow(jobs[0].id)]
            assert {"job.state", "run.state", "run.epoch"} <= set(kinds)
            assert [event.kind async for event in service.events(jobs[0].id)] == kinds
            ended = await asyncio.gather(*(service.wait(job.id) for job in jobs))
            assert [job.state for job in ended] == ["succeeded"] * 2
            assert {job.id for job in jobs} | {job_id} <= {job.id async for job in service.jobs()}
            told = [each async for each in service.live("pages", batches(40), rate_hz=50, unit="g")]
            assert [each.kind for each in told][:2] == ["began", "window"]
            lines = "time,x,y,z\n" + "".join(f"{number / 50},0,0,1\n" for number in range(2000))
            handed_in = await service.classify_long("pages", io.BytesIO(lines.encode()), filename="day.csv", unit="g")
            *_, labelled = [seen async for seen in service.follow_classification(handed_in.id)]
            assert (labelled.state, labelled.progress) == ("succeeded", 1)
            assert labelled.overview is not None
            assert labelled.overview.segments == len([each async for each in service.segments(labelled.id)])
            sweep = await service.submit_sweep({**SWEEP, "name": "awaited"})
            states = [seen.state async for seen in service.follow_sweep(sweep.id)]
            assert states[-1] == "succeeded"
            await service.delete_sweep(sweep.id, force=True)

    asyncio.run(act())


def test_what_goes_wrong_is_raised_where_it_is_awaited(stack_url: str) -> None:
    """Refusals, imports that fail or take long, and samples of a wrong shape."""

    async def flat() -> AsyncIterator[list[float]]:
        yield [1.0, 2.0]

    async def act() -> None:
        async with AsyncClient(stack_url) as service:
            with pytest.raises(NotFound):
                await service.job("job_nowhere")
            with pytest.raises(Refused):
                _ = [event async for event in service.follow("job_nowhere")]
            made = await service.import_synthetic("large", subjects=40, trials=20)
            with pytest.raises(WaitedTooLong):
                await service.wait_for_dataset(made.id, timeout_s=0)
            await service.delete_dataset(made.id)
            with pytest.raises((Refused, ImportFailed)):
                await service.wait_for_dataset(made.id)
            with pytest.raises((ValueError, StreamBroken)):
                _ = [told async for told in service.live("pages", flat(), rate_hz=50, unit="g")]

    asyncio.run(act())


def test_a_cancelled_task_follows_no_longer(stack_url: str, dataset_id: str) -> None:
    """It ends at once, and leaves nothing that would keep the program from ending."""
    assert dataset_id

    async def act() -> float:
        async with AsyncClient(stack_url) as service:
            job = await service.submit({**SPEC, "name": "left", "training": {"epochs": 5000, "batch_size": 16}})
            following = asyncio.create_task(service.wait(job.id))
            await asyncio.sleep(1)
            began = time.monotonic()
            following.cancel()
            with pytest.raises(asyncio.CancelledError):
                await following
            took_s = time.monotonic() - began
            await service.cancel(job.id)
            assert (await service.wait(job.id)).state == "cancelled"
            return took_s

    assert asyncio.run(act()) < 30
